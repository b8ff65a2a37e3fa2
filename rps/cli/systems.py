"""rps system: who takes part."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from rps.application.connections import Connections
from rps.application.secret_store import SecretStore
from rps.cli.described import add_described
from rps.cli.nodes import accept, invite, moved, rotate
from rps.cli.servicenow import check, kept, servicenow_options
from rps.cli.session import open_session
from rps.cli.status import systems as standing_of_systems
from rps.cli.terminal import (
    Exit,
    Failure,
    domain_option,
    output_option,
    say,
    show,
    show_json,
)
from rps.cli.trust import authorities_in, ca_option, trust
from rps.connectors.addresses import url_refusal
from rps.connectors.batch import MESSAGES_MAX
from rps.connectors.servicenow.connector import SERVICENOW
from rps.connectors.signature import Signer
from rps.connectors.transport import Transport
from rps.domain.remote_system import RemoteSystem
from rps.http.servicenow_settings import OF_ALL_ASKED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from rps.cli.session import Session

COLUMNS = ("domain", "name", "connector", "state", "breaker", "fault", "url")


@click.group()
def system() -> None:
    """Register remote systems and say whether they take part."""


for linking in (invite, accept, moved, rotate, check, trust):
    system.add_command(linking)


@system.command(name="list")
@output_option
def list_systems(output: str) -> None:
    """List all remote systems."""
    with open_session() as session:
        rows = standing_of_systems(session)
    show(rows, COLUMNS, output, empty="no remote systems: rps system add NAME")


@system.command()
@click.argument("name")
@click.option("--url", required=True, help="Base URL that messages are sent to.")
@click.option(
    "--connector",
    type=click.Choice(("push", SERVICENOW, "rest")),
    default="push",
    show_default=True,
    help="How it is spoken to.",
)
@click.option("--description", default="")
@click.option(
    "--preset",
    "source",
    help="With rest: how it is spoken to, a preset or a file (rps connector list).",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="With rest: a setting of the preset; may be given again.",
)
@click.option(
    "--secret-file",
    type=click.File("r"),
    help="File with its whsec_… secret (- is stdin). Without it one is made."
    " With rest: its password, token or key.",
)
@click.option(
    "--hook-secret-file",
    type=click.File("r"),
    help="With rest: the secret that its webhooks are signed with.",
)
@click.option("--no-dedupe", is_flag=True, help="It may apply a message id twice.")
@click.option("--no-conditional-write", is_flag=True, help="It ignores If-Match.")
@click.option("--no-read-back", is_flag=True, help="Its records cannot be read.")
@click.option(
    "--batch",
    type=click.IntRange(1, MESSAGES_MAX),
    default=1,
    show_default=True,
    help="Messages that a request to it may carry.",
)
@ca_option
@servicenow_options
@domain_option
@output_option
def add(
    *,
    name: str,
    url: str,
    connector: str,
    description: str,
    source: str | None,
    pairs: tuple[str, ...],
    secret_file: TextIO | None,
    hook_secret_file: TextIO | None,
    no_dedupe: bool,
    no_conditional_write: bool,
    no_read_back: bool,
    batch: int,
    ca: Path | None,
    domain: str,
    output: str,
    **own: Any,
) -> None:
    """Register the remote system NAME, or change it. It starts disabled.

    A secret that is made here goes to stdout this once: give it to the other side.
    """
    if refusal := url_refusal(url):
        raise click.BadParameter(refusal, param_hint="--url")
    given = secret_file.read().strip() if secret_file else None
    _described_or_not(connector, source, pairs or hook_secret_file)
    push: dict[str, Any] = {
        "secret_file": secret_file if source is None else None,
        "no_dedupe": no_dedupe,
        "no_conditional_write": no_conditional_write,
        "no_read_back": no_read_back,
        "batch": batch,
    }
    if source is not None:
        asked = {key: own.pop(key) for key in OF_ALL_ASKED}
        _only_of(connector, own, push)
        hook = hook_secret_file.read().strip() if hook_secret_file else None
        add_described(
            *(name, domain, url, description, source, pairs, asked),
            (given, hook),
            ca,
            output,
        )
        return
    settings: dict[str, Any] = {
        "url": url,
        "secrets": [name],
        "dedupe": not no_dedupe,
        "conditional_write": not no_conditional_write,
        "read_back": not no_read_back,
    }
    if batch > 1:
        settings["batch"] = batch
    _only_of(connector, own, push)
    with open_session() as session:
        if connector == SERVICENOW:
            settings, made_secret = kept(session, domain, name, url, own), None
        else:
            made_secret = _keep_secret(session, domain, name, given)
        if pem := authorities_in(ca, url, session.now):
            settings["ca"] = pem
        _, made = session.application.register_system(
            *(domain, name, connector, description, settings),
            session.actor,
            session.now,
        )
    say(f"{name} {'registered' if made else 'changed'}: rps system activate {name}")
    if output == "json":
        show_json({"domain": domain, "name": name, "secret": made_secret})
    elif made_secret:
        click.echo(made_secret)


def _described_or_not(connector: str, source: str | None, more: object) -> None:
    """Raises UsageError where options of rest systems are missing or out of place."""
    if (connector == "rest") != (source is not None):
        raise click.UsageError("--connector rest and --preset go together")
    if source is None and more:
        raise click.UsageError("--set and --hook-secret-file are for --connector rest")


def _only_of(connector: str, own: dict[str, Any], push: dict[str, Any]) -> None:
    """Raises UsageError for an option of another connector."""
    others = {
        SERVICENOW: [(push, "push")],
        "push": [(own, SERVICENOW)],
        "rest": [(own, SERVICENOW), (push, "push")],
    }[connector]
    for option, value, whose in (
        (option, value, whose)
        for given, whose in others
        for option, value in given.items()
    ):
        if value not in (None, (), False) and (option, value) != ("batch", 1):
            said = "display-value" if option == "display_values" else option
            raise click.UsageError(
                f"--{said.replace('_', '-')} is for --connector {whose}"
            )


def _keep_secret(
    session: Session, domain: str, name: str, given: str | None
) -> str | None:
    """The secret that was made, None where one was given or is there already."""
    store = SecretStore(session.application, os.urandom)
    if given is None:
        return store.make(domain, name)
    Signer([given])  # raises SecretUnusable
    store.keep(domain, name, given)
    return None


@system.command()
@click.argument("name")
@click.option("--unchecked", is_flag=True, help="Do not ask the system first.")
@domain_option
@output_option
def activate(*, name: str, unchecked: bool, domain: str, output: str) -> None:
    """Let NAME take part, once it answers and accepts us."""
    with open_session() as session:
        found = session.system(domain, name)
        if not unchecked:
            transport = Transport.of(session.config)
            connections = Connections(
                session.application, transport, session.application.configuration
            )
            fine, said = connections.connect(found).check()
            if not fine:
                raise Failure(
                    f"{name} was not activated: {said}. Mend that, or --unchecked",
                    Exit.UNREACHABLE,
                )
        session.application.activate_system(found.id, session.actor, session.now)
        _show(session, found, output)


@system.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
@output_option
def disable(name: str, reason: str, domain: str, output: str) -> None:
    """Take nothing from NAME and send nothing to it; what waits is kept."""
    with open_session() as session:
        _say(
            session,
            session.system(domain, name),
            lambda s: s.disable(reason, session.actor, session.now),
            output,
        )


@system.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
@output_option
def pause(name: str, reason: str, domain: str, output: str) -> None:
    """Send nothing to NAME for now; its own changes are still taken."""
    with open_session() as session:
        _say(
            session,
            session.system(domain, name),
            lambda s: s.pause(reason, session.actor, session.now),
            output,
        )


@system.command()
@click.argument("name")
@domain_option
@click.option("--reason", default="", help="Why; kept in the log.")
@output_option
def resume(name: str, domain: str, reason: str, output: str) -> None:
    """Send to NAME again, in order, what waited."""
    with open_session() as session:
        _say(
            session,
            session.system(domain, name),
            lambda s: s.resume(reason, session.actor, session.now),
            output,
        )


def _say(
    session: Session,
    found: RemoteSystem,
    command: Callable[[RemoteSystem], None],
    output: str,
) -> None:
    session.application.change(RemoteSystem, found.id, command)
    _show(session, found, output)


def _show(session: Session, found: RemoteSystem, output: str) -> None:
    rows: list[dict[str, Any]] = [
        row
        for row in standing_of_systems(session)
        if (row["domain"], row["name"]) == (found.domain, found.name)
    ]
    show(rows, COLUMNS, output)
