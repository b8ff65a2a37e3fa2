"""rps sandbox: a small ticket system to try rps with."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import click

from rps.cli.lifetime import end_with, parent_option
from rps.cli.terminal import say
from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import run

SECRET_BYTES = 32


@click.command()
@click.argument("name")
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file.  [default: NAME.sqlite]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback only.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="0 takes a free one."
)
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
def sandbox(
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
    """Run a small ticket system until SIGTERM or Ctrl-C.

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
