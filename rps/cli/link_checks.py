"""What `rps doctor` looks at of linked nodes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from rps.application.neighbours import known_to
from rps.cli.findings import Finding
from rps.domain.between_nodes import NODE
from rps.projections.node_questions import NodeQuestions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.cli.session import Session
    from rps.domain.remote_system import RemoteSystem

SILENT_MINUTES = 5


def links(session: Session) -> Iterator[Finding]:
    """Invitations nobody accepted, nodes that are not heard of."""
    heard = _heard(session)
    for system in _nodes(session):
        here = f"{system.name} ({system.domain})"
        if not system.settings["url"]:
            yield Finding(
                "warning",
                "links",
                f"{here} was invited and has not accepted yet",
                f"Hand the invitation over, or make another: rps system invite"
                f" {system.name}",
            )
        elif system.state == "active":
            at, _ = heard.get((system.domain, system.name), (None, {}))
            if at is None or session.now - at > timedelta(minutes=SILENT_MINUTES):
                yield Finding(
                    "error",
                    "links",
                    f"{here} is not heard of since {at or 'it was linked'}",
                    "Is a herald running here (rps work herald), and the node there?",
                )


def agreements(session: Session) -> Iterator[Finding]:
    """Definitions of which the other side knows less than this one."""
    configuration = session.configuration()
    heard = _heard(session)
    for system in _nodes(session):
        _, said = heard.get((system.domain, system.name), (None, {}))
        theirs = said.get("knows") if isinstance(said.get("knows"), dict) else None
        if theirs is None:
            continue
        for event, ours in known_to(configuration, system).items():
            for cause in _lacking(event, ours, theirs.get(event)):
                yield Finding(
                    "warning",
                    "agreements",
                    f"{system.name} ({system.domain}) {cause}: what is sent waits",
                    "Have the other side publish it, or share less here.",
                )


def _lacking(event: str, ours: dict[str, Any], theirs: Any) -> Iterator[str]:
    if not isinstance(theirs, dict):
        yield f"does not know the process event {event}"
        return
    for kind in ("fields", "journals"):
        known = theirs.get(kind)
        lacks = [n for n in ours[kind] if isinstance(known, list) and n not in known]
        if lacks:
            yield f"does not share the {kind} {', '.join(lacks)} of {event}"


def _nodes(session: Session) -> Iterator[RemoteSystem]:
    for system in session.configuration().systems():
        if system.connector == NODE:
            yield system


def _heard(session: Session) -> dict[tuple[str, str], tuple[Any, dict[str, Any]]]:
    questions = NodeQuestions(session.application.recorder.questions)
    return {
        (row.domain, row.system): (row.heard_at, orjson.loads(row.said))
        for row in questions.peers()
    }
