"""rps audit witness: who is handed the checkpoints, and what other nodes showed us."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rps.application.checkpoints import Checkpoints, NotCovered
from rps.application.neighbour_logs import NeighbourLogs
from rps.application.secret_store import SecretStore
from rps.application.subscriptions import Subscriptions
from rps.application.witnesses import hand
from rps.cli.notify import channels_of, subscriptions
from rps.cli.session import open_session
from rps.cli.terminal import (
    Failure,
    domain_option,
    output_option,
    say,
    show,
    show_json,
)
from rps.config import MAIL_ADDRESS
from rps.connectors.addresses import url_refusal
from rps.connectors.announcing import Announcement, Told
from rps.connectors.file_channel import FileChannel
from rps.domain.between_nodes import NODE as BETWEEN_NODES
from rps.domain.document import REMOTE_NAME
from rps.domain.subscription import CHECKPOINT, EMAIL, FILE, NODE, WEBHOOK

if TYPE_CHECKING:
    from rps.cli.session import Session

NOTHING_TO_SAY = Announcement("", "test", "", "", "", "", {})
COLUMNS = ("domain", "name", "kind", "state", "to", "waiting", "failed", "detail")
NOBODY = "no witnesses: rps audit witness add NAME --file FILE"
SEEN = ("domain", "system", "size", "seen_at", "refused", "detail")


@click.group()
def witness() -> None:
    """Say who keeps the checkpoints of this log where nobody here can change them."""


@witness.command()
@click.argument("name")
@click.option("--file", "path", type=click.Path(), help="Append them to this file.")
@click.option("--url", help="Post them there, signed.")
@click.option("--to", multiple=True, help="Mail them; may be repeated.")
@click.option("--node", "system", help="Show them to this linked node.")
@domain_option
@output_option
def add(*, name: str, domain: str, output: str, **given: Any) -> None:
    """Hand every checkpoint to NAME from now on, the last one first.

    A subscription like those of rps notify: pause, test and remove it there. A witness
    that cannot be reached is tried again, and holds up nothing.
    """
    kind, settings = _settings(given)
    if not REMOTE_NAME.fits(name):
        raise click.BadParameter(f"a name is {REMOTE_NAME.says}", param_hint="NAME")
    with open_session() as session:
        known = _known(session)
        if known.find(domain, name) is not None:
            raise Failure(f"{name} is subscribed already: choose another name")
        if refusal := channels_of(session).refusal(kind, None):
            raise click.UsageError(refusal)
        wanted = {
            "settings": settings,
            "about": [CHECKPOINT],
            "process_event": "",
            "system": "",
        }
        _require_usable(session, domain, kind, settings)
        _, secret = known.put(
            domain, name, kind, wanted, None, session.actor, session.now
        )
        _hand_last(session, name)
    if output == "json":
        show_json({"domain": domain, "name": name, "kind": kind, "secret": secret})
    elif secret:
        click.echo(secret)
    say(f"{name} is handed the checkpoints; try it: rps notify test {name}")


def _require_usable(
    session: Session, domain: str, kind: str, settings: dict[str, Any]
) -> None:
    if kind == NODE:
        name = settings["system"]
        if session.system(domain, name).connector != BETWEEN_NODES:
            raise click.UsageError(f"{name} is no linked node: rps system invite")
    if kind == FILE:
        said = FileChannel(Path(settings["path"])).announce(NOTHING_TO_SAY)
        if not isinstance(said, Told):
            raise click.UsageError(said.detail)


def _hand_last(session: Session, name: str) -> None:
    checkpoints = Checkpoints(session.application)
    try:
        note = checkpoints.make(session.actor, session.now)
    except NotCovered:
        return  # nothing has happened here yet
    with session.application.datastore.get_connection() as conn, conn.transaction():
        of = [each for each in _known(session).everywhere() if each.name == name]
        hand(conn, of, note, session.now)


@witness.command(name="list")
@output_option
def list_witnesses(output: str) -> None:
    """List who is handed the checkpoints, and how that goes."""
    with open_session() as session:
        rows = [row for row in subscriptions(session) if CHECKPOINT in row["about"]]
    show(rows, COLUMNS, output, empty=NOBODY)


@witness.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; kept in the history.")
@domain_option
def remove(name: str, reason: str, domain: str) -> None:
    """Hand NAME no more checkpoints; those it has stay with it."""
    with open_session() as session:
        _known(session).remove(domain, name, reason, session.actor, session.now)
    say(f"{name} is handed no more checkpoints")


@witness.command()
@click.argument("system", required=False)
@domain_option
@output_option
def seen(system: str | None, domain: str, output: str) -> None:
    """Show what linked nodes showed of their logs.

    With SYSTEM: the checkpoints themselves, as rps audit verify --checkpoint takes
    them: hand them to whoever verifies that node's log.
    """
    with open_session() as session:
        logs = _logs(session)
        if system is None:
            show(logs.standing(), SEEN, output, empty="no node showed anything yet")
            return
        session.system(domain, system)
        notes = logs.notes(domain, system)
    if output == "json":
        show_json([str(note) for note in notes])
    else:
        click.echo("\n".join(str(note) for note in notes), nl=False)


@witness.command()
@click.argument("system")
@click.option("--reason", required=True, help="Why; kept with the evidence.")
@domain_option
def reset(system: str, reason: str, domain: str) -> None:
    """Take what SYSTEM shows next as the beginning: it was restored, say.

    What it showed before stays as evidence.
    """
    with open_session() as session:
        session.system(domain, system)
        _logs(session).reset(domain, system, f"{session.actor}: {reason}", session.now)
    say(f"what {system} shows next is taken as it is")


def _settings(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    chosen = [name for name in ("path", "url", "to", "system") if given[name]]
    if len(chosen) != 1:
        raise click.UsageError("say who keeps them: one of --file, --url, --to, --node")
    match chosen[0]:
        case "path":
            return FILE, {"path": str(Path(given["path"]).absolute())}
        case "url":
            if refusal := url_refusal(given["url"]):
                raise click.BadParameter(refusal, param_hint="--url")
            return WEBHOOK, {"url": given["url"]}
        case "to":
            wrong = [a for a in given["to"] if MAIL_ADDRESS.fullmatch(a) is None]
            if wrong:
                says = f"{wrong[0]!r} is no address"
                raise click.BadParameter(says, param_hint="--to")
            return EMAIL, {"addresses": list(given["to"])}
        case _:
            return NODE, {"system": given["system"]}


def _known(session: Session) -> Subscriptions:
    store = SecretStore(session.application, os.urandom)
    return Subscriptions(session.application, store)


def _logs(session: Session) -> NeighbourLogs:
    checkpoints = Checkpoints(session.application)
    return NeighbourLogs(session.application.datastore, checkpoints)
