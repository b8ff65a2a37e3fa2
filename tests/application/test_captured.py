"""A captured change is the event its class would have made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from rps.application.captured import Poster, captured, in_common_of
from rps.application.configuration import Route
from rps.domain.document import parse
from rps.domain.events import ChangeCaptured
from rps.log.append import NEXT

from linked_node import DEFINITION  # isort: skip

NOW = datetime(2025, 1, 2, 12, tzinfo=UTC)
POSTER = Poster("top", "poster", "poster:key", "of the request", "trace")
LEAST = {
    "system": "acme",
    "table": "incident",
    "record_id": "A1",
    "operation": "update",
    "change_id": "c1",
}
ALL = LEAST | {
    "revision": "7",
    "fields": {"title": "Printer", "gone": None},
    "before": {"title": ""},
    "entries": [{"id": "e1", "journal": "comments", "text": "on fire"}],
    "changed_by": "anna",
    "changed_at": "2025-01-02T11:59:00Z",
    "external_id": "E1",
    "origin": ["zenith"],
    "hop": 1,
}
EMPTY = LEAST | dict.fromkeys(
    ("revision", "fields", "before", "entries", "changed_by", "origin", "hop")
)


def made(change: dict[str, Any]) -> ChangeCaptured:
    definition = parse(DEFINITION)
    route = Route(uuid4(), 3, definition, definition.members["acme"])
    return captured(in_common_of(POSTER, route, NOW), change, uuid4())


@pytest.mark.parametrize("change", [LEAST, ALL, EMPTY])
def test_it_has_the_fields_of_its_class_in_their_order(change: dict[str, Any]) -> None:
    event = made(change)
    by_class = ChangeCaptured(**vars(event))
    assert event == by_class
    assert list(vars(event).items()) == list(vars(by_class).items())
    assert replace(event, hop=9) == replace(by_class, hop=9)  # type: ignore[call-arg]
    assert event.originator_version == NEXT


def test_it_says_what_was_posted() -> None:
    said = vars(made(ALL))
    for name, value in ALL.items():
        assert said["record_revision" if name == "revision" else name] == value
    assert (said["account"], said["idempotency_key"]) == ("poster", "poster:key")
    assert (said["request_fingerprint"], said["trace_id"]) == (
        "of the request",
        "trace",
    )


def test_what_is_empty_is_what_is_left_out() -> None:
    least, empty = vars(made(LEAST)), vars(made(EMPTY))
    for name in ("fields", "before", "entries", "changed_by", "origin", "hop"):
        assert least[name] == empty[name]
        assert not least[name]
