"""rps sandbox: systems to try rps with."""

from __future__ import annotations

import os
import secrets as random_secrets
from base64 import b64encode
from pathlib import Path

import click

from rps.cli.lifetime import end_with, parent_option
from rps.cli.terminal import Exit, Failure, say
from rps.sandbox.server import SandboxSettings
from rps.sandbox.servicenow.behaviour import HOUR_SECONDS, RateRule
from rps.sandbox.servicenow.seed import USERS
from rps.sandbox.servicenow.settings import InstanceSettings
from rps.sandbox.tickets import run

SECRET_BYTES = 32
ASKS_FOR_HELP = ("-h", "--help")
access_log_option = click.option(
    "--access-log", is_flag=True, help="One line a request on stdout."
)
database_option = click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file.  [default: NAME.sqlite]",
)
host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="To listen on."
)
port_option = click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="0 takes a free one."
)


class Kinds(click.Group):
    """`rps sandbox NAME` is `rps sandbox push NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the kind where none is named; overrides click's."""
        if args and args[0] not in (*self.commands, *ASKS_FOR_HELP):
            args = ["push", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Kinds, subcommand_metavar="[KIND] NAME [OPTIONS]")
def sandbox() -> None:
    """Run a system to try rps with, until SIGTERM or Ctrl-C.

    Without a KIND it is `push`: a small ticket system.
    """


@sandbox.command()
@click.argument("name")
@database_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback only.")
@port_option
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    envvar="RPS_SANDBOX_SECRETS",
    help="whsec_… that rps signs with; may be repeated. Without it one is made.",
)
@click.option("--report-url", default="", help="Base URL of the node to report to.")
@click.option(
    "--report-token",
    default="",
    envvar="RPS_SANDBOX_REPORT_TOKEN",
    help="API token to report with.",
)
@click.option("--system", default="", help="Remote system to report as.  [NAME]")
@click.option(
    "--report-all", is_flag=True, help="Report what rps itself wrote as well."
)
@parent_option
def push(
    *,
    name: str,
    database: Path | None,
    host: str,
    port: int,
    secrets: tuple[str, ...],
    report_url: str,
    report_token: str,
    system: str,
    report_all: bool,
    parent: int | None,
) -> None:
    """A small ticket system that speaks to rps by `push`.

    Its URL goes to stdout. A real receiver of the push connector, with users, pages
    and records of its own.
    Its users' side asks nobody who they are: it listens on loopback only.
    """
    if not secrets:
        secrets = (new_secret(),)
        say(f"secret: {secrets[0]}")
    settings = SandboxSettings(
        name=name,
        database=database or Path(f"{name}.sqlite"),
        secrets=secrets,
        host=host,
        port=port,
        report_url=report_url,
        report_token=report_token,
        system=system or (name if report_url else ""),
        report_all=report_all,
    )
    end_with(parent)
    run(settings, announce=click.echo)


def new_secret() -> str:
    """A Standard Webhooks secret."""
    return f"whsec_{b64encode(os.urandom(SECRET_BYTES)).decode()}"


@sandbox.command()
@click.argument("name", default="servicenow")
@database_option
@host_option
@port_option
@click.option(
    "--password",
    envvar="RPS_SANDBOX_PASSWORD",
    help="Of every user it comes with. Without it one is made.",
)
@click.option(
    "--oauth-client",
    envvar="RPS_SANDBOX_OAUTH_CLIENT",
    help="ID:SECRET of the OAuth client. Without it one is made.",
)
@click.option(
    "--control-token",
    envvar="RPS_SANDBOX_CONTROL_TOKEN",
    help="Opens /_sandbox. Without it one is made.",
)
@click.option(
    "--cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM of the certificate. Without it one is made: NAME.pem.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM of its private key.",
)
@click.option("--http", is_flag=True, help="Serve without TLS.")
@click.option(
    "--rows",
    default=0,
    type=click.IntRange(0, 1_000_000),
    help="Incidents to make in a new database.",
)
@click.option(
    "--rate-limit", type=click.IntRange(0), help="Requests an hour of each user."
)
@access_log_option
@parent_option
def servicenow(
    *,
    name: str,
    database: Path | None,
    host: str,
    port: int,
    password: str | None,
    oauth_client: str | None,
    control_token: str | None,
    cert: Path | None,
    key: Path | None,
    http: bool,
    rows: int,
    rate_limit: int | None,
    access_log: bool,
    parent: int | None,
) -> None:
    """An instance that speaks the ServiceNow REST APIs.

    Its URL goes to stdout; users, secrets and the certificate's file to stderr.
    """
    from rps.sandbox.servicenow.app import (  # noqa: PLC0415 - a push desk needs none
        run as run_instance,
    )

    client_id, _, client_secret = (oauth_client or "").partition(":")
    settings = InstanceSettings(
        name=name,
        database=database or Path(f"{name}.sqlite"),
        password=password or random_secrets.token_urlsafe(12),
        control_token=control_token or random_secrets.token_urlsafe(24),
        client_id=client_id or random_secrets.token_hex(16),
        client_secret=client_secret or random_secrets.token_urlsafe(24),
        host=host,
        port=port,
        certificate=cert,
        key=key,
        plain=http,
        rows=rows,
        rates=_rates(rate_limit),
    )
    say(f"users: {', '.join(USERS)}")
    if password is None:
        say(f"password: {settings.password}")
    if oauth_client is None:
        say(f"oauth client: {settings.client_id}:{settings.client_secret}")
    if control_token is None:
        say(f"control token: {settings.control_token}")
    end_with(parent)
    run_instance(
        settings,
        announce=click.echo,
        tell_certificate=lambda path: say(f"certificate: {path}"),
        tell_request=click.echo if access_log else None,
    )


def _rates(limit: int | None) -> tuple[RateRule, ...]:
    if limit is None:
        return ()
    return (RateRule(random_secrets.token_hex(16), limit, HOUR_SECONDS),)


@sandbox.command()
@click.argument("name", default="roundup")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Its folder.  [default: NAME.tracker]",
)
@host_option
@port_option
@click.option(
    "--password",
    envvar="RPS_SANDBOX_PASSWORD",
    help="Of every user of a new tracker. Without it one is made.",
)
@access_log_option
@parent_option
def roundup(
    *,
    name: str,
    home: Path | None,
    host: str,
    port: int,
    password: str | None,
    access_log: bool,
    parent: int | None,
) -> None:
    """A Roundup tracker, set up for the preset of that name.

    Not a stand-in, but the real one (https://roundup-tracker.org), which has to be
    installed: pip install 'rps[demo]'. Its URL goes to stdout, users to stderr.
    """
    from rps.sandbox.roundup import app, tracker  # noqa: PLC0415 - as above

    settings = tracker.TrackerSettings(
        name=name,
        home=(home or Path(f"{name}.tracker")).absolute(),
        password=password or random_secrets.token_urlsafe(12),
        host=host,
        port=port,
    )
    is_new = not settings.home.exists()
    say(f"users: {', '.join((tracker.ADMIN, *tracker.PEOPLE))}")
    if password is None and is_new:
        say(f"password: {settings.password}")
    end_with(parent)
    try:
        app.run(
            settings,
            announce=click.echo,
            tell_request=click.echo if access_log else None,
        )
    except tracker.RoundupMissing as missing:
        raise Failure(str(missing), Exit.USAGE) from missing
