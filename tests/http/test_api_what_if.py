"""What-if over HTTP: recorded judgements taken again, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from trying import CONDITION, OTHER, WHAT_IF, checked

from rps.projections import trial_questions

if TYPE_CHECKING:
    from api_node import Node
    from trying import Wire


def test_what_if_tells_which_messages_would_differ(sharing: Node, wire: Wire) -> None:
    for number in range(3):
        sharing.shared(f"INC{number}")
    sharing.call("PUT", "/v1/definitions/incident.shared", OTHER)
    head = sharing.application.recorder.head()

    found = checked(sharing, "WhatIf", sharing.call("POST", WHAT_IF, {}))
    same = checked(sharing, "WhatIf", sharing.call("POST", WHAT_IF, {"revision": 1}))

    assert (found["judged"], found["different"], found["same"]) == (3, 3, 0)
    assert found["cursor"] is None
    (message,) = found["differences"][0]["messages"]
    assert (message["kind"], message["member"]) == ("values", "globex")
    told = {each["field"]: each["tried"] for each in message["fields"]}
    assert told == {"status": None, "state": "open"}
    assert (same["judged"], same["same"], same["differences"]) == (3, 3, [])
    assert sharing.application.recorder.head() == head
    assert wire.written == []


def test_what_if_goes_on_where_it_stopped(sharing: Node) -> None:
    for number in range(5):
        sharing.shared(f"INC{number % 2}", change_id=f"c{number}", operation="update")
    seen: list[tuple[str, int]] = []
    asked: dict[str, Any] = {"document": CONDITION, "limit": 2}
    for _ in range(4):
        found = checked(sharing, "WhatIf", sharing.call("POST", WHAT_IF, asked))
        seen += [(d["correlation_id"], d["position"]) for d in found["differences"]]
        if found["cursor"] is None:
            break
        asked["cursor"] = found["cursor"]

    whole = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json
    every = [(d["correlation_id"], d["position"]) for d in whole["differences"]]
    assert seen == every
    assert whole["judged"] == 5


def test_what_if_reads_long_streams_in_portions(
    sharing: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        sharing.shared(f"INC{number % 3}", change_id=f"c{number}", operation="update")
    whole = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json
    monkeypatch.setattr(trial_questions, "PORTION", 2)
    portions = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json

    assert portions == whole
    assert (whole["judged"], whole["different"]) == (9, 3)


def test_what_if_looks_at_its_range_only(sharing: Node) -> None:
    sharing.shared("INC1")
    sharing.later(hours=1)
    sharing.shared("INC2")
    until = {"until": "2025-01-02T12:30:00Z"}
    since = {"since": "2025-01-02T12:30:00Z"}

    counts = [
        sharing.call("POST", WHAT_IF, asked).json["judged"]
        for asked in ({}, until, since, {**since, "until": "2025-01-02T12:40:00Z"})
    ]
    assert counts == [2, 1, 1, 0]


def test_a_range_is_about_when_changes_were_judged(sharing: Node) -> None:
    sharing.capture()
    sharing.later(hours=1)
    sharing.receive()
    between = "2025-01-02T12:30:00Z"

    assert sharing.call("POST", WHAT_IF, {"until": between}).json["judged"] == 0
    assert sharing.call("POST", WHAT_IF, {"since": between}).json["judged"] == 1


def test_what_if_of_failed_and_ignored_changes(sharing: Node) -> None:
    sharing.shared("INC1", fields={"state": "unheard of"})
    sharing.shared("INC2")
    sharing.shared("INC2", operation="update", fields={"short_description": "Printer"})

    found = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json
    kinds = {(d["recorded"]["kind"], d["tried"]["kind"]) for d in found["differences"]}
    assert kinds == {("failed", "ignored"), ("accepted", "ignored")}
    assert (found["judged"], found["different"]) == (3, 2)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 1001}, "/limit"),
        ({"limit": "5"}, "/limit"),
        ({"limit": 1e9}, "/limit"),
        ({"since": "yesterday"}, "/since"),
        ({"until": 5}, "/until"),
        ({"since": "2025-01-02T00:00:00Z", "until": "2025-01-01T00:00:00Z"}, "/until"),
        ({"cursor": 5}, "/cursor"),
        ({"member": "acme"}, "/member"),
    ],
)
def test_what_if_of_nonsense_is_refused_at_its_place(
    sharing: Node, body: Any, place: str
) -> None:
    answered = sharing.call("POST", WHAT_IF, body)
    assert (answered.status, answered.json["place"]) == (422, place)


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "WyJ4IiwxXQ", "W10", "x" * 3000])
def test_a_cursor_that_is_not_ours_is_refused(sharing: Node, cursor: str) -> None:
    answered = sharing.call("POST", WHAT_IF, {"cursor": cursor})
    assert answered.status in (400, 422), answered.bytes
