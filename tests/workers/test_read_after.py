"""Where an answer does not tell what a write left behind, the record is read then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rps.domain.delivery import Delivered, Exchange, Snapshot, Write
from rps.domain.document import parse
from rps.workers import outcomes
from rps.workers.scene import Message, Scene

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
ONE = UUID(int=1)
DEFINITION = parse(
    {
        "process_event": "issue.shared",
        "fields": {"title": {"type": "text"}, "state": {"type": "text"}},
        "members": {
            name: {"table": "issue", "fields": {"title": "title", "state": "state"}}
            for name in ("acme", "desk")
        },
    }
)


def recorded(**shown: str) -> list[Any]:
    """What is recorded of a new title, where the record shows this afterwards."""
    message = Message(
        *(ONE, ONE, "top", ONE, "issue.shared", 1, "desk", "desk", "issue", "update"),
        *("ready", 0, 0, NOW, {"title": "Printer"}, {"title": 2}, [], ["acme"], 1),
    )
    member = DEFINITION.members["desk"]
    scene = Scene(message, DEFINITION, member, NOW, 0.5, probe=False)
    fields = {"title": "Printer"}
    write = Write(
        *(str(ONE), str(ONE), "issue.shared", "update", "issue", "7", "1", fields)
    )
    record = Snapshot("7", "3", shown, updated_at="2026-11-24T10:00:01+00:00")
    outcome = Delivered("7", None, {}, Exchange(status=200), record)
    return outcomes.recorded(scene, write, outcome, None)


def test_what_it_shows_is_judged_like_any_change() -> None:
    transmitted, acknowledged, captured = recorded(title="Printer", state="done")
    assert transmitted.TOPIC == "message.transmitted"
    assert (acknowledged.record_revision, acknowledged.complete) == ("3", False)
    assert captured.fields == {"title": "Printer", "state": "done"}
    assert (captured.record_revision, captured.source) == ("3", "read_back")


def test_who_wrote_between_the_two_is_not_taken_for_us() -> None:
    """Else the next conditional write would go over what they wrote."""
    _, acknowledged, captured = recorded(title="Printer is out", state="new")
    assert acknowledged.record_revision is None
    assert acknowledged.stored == {"title": "Printer"}
    assert captured.fields["title"] == "Printer is out"
