"""An open conflict, and what follows from what a person decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from shared_record import SharedRecord, definition, shared

from rps.domain.conflicts import ConflictUnknown, Keep
from rps.domain.events import (
    ChangeAccepted,
    ConflictOpened,
    ConflictResolved,
)
from rps.domain.flow import MappingRefused

if TYPE_CHECKING:
    from rps.domain.correlation import Correlation


def in_conflict() -> SharedRecord:
    """`a` has moved the state to open, `b` to shut; `c` has its own copy."""
    record = shared(definition("manual"))
    record.shows("a", 2, state="open")
    record.shows("b", 2, state="shut")
    assert ("b", "state") in record.record.held
    return record


def decide(
    record: SharedRecord, keep: Keep, other: Any = None, field: str = "state"
) -> Any:
    def say(correlation: Correlation) -> None:
        correlation.resolve(
            "b",
            field,
            keep,
            other,
            record.definition,
            3,
            "b was asked",
            "anna",
            record.now,
        )

    (resolved,) = record.when(say).then(ConflictResolved)
    return resolved


def told(event: Any) -> dict[str, Any]:
    return {each["member"]: each["fields"] for each in event.messages}


def test_the_shared_value_is_sent_to_who_held_another() -> None:
    record = in_conflict()
    resolved = decide(record, "mine")
    assert told(resolved) == {"b": {"state": "open"}}
    assert (resolved.value, list(resolved.stamp), resolved.holds) == ("open", [], False)
    assert not record.record.held
    assert record.record.fields["state"].origin == "a"


def test_the_members_value_becomes_everybodys() -> None:
    record = in_conflict()
    before = record.record.shared_version
    resolved = decide(record, "theirs")
    assert told(resolved) == {"a": {"state": "shut"}, "c": {"state": "shut"}}
    assert (resolved.version, resolved.holds) == (before + 1, True)
    state = record.record.fields["state"]
    assert (state.value, state.origin) == ("shut", "b")
    # It is agreed on: what b does next is no conflict any more.
    (accepted,) = record.shows("b", 3, state="ajar").then(ChangeAccepted)
    assert {each["member"] for each in accepted.messages} == {"a", "c"}


def test_another_value_goes_to_all() -> None:
    record = in_conflict()
    resolved = decide(record, "other", "half")
    everybody = {"state": "half"}
    assert told(resolved) == {"a": everybody, "b": everybody, "c": everybody}
    assert record.record.fields["state"].origin == ""


def test_messages_have_ids_of_their_own_each_time() -> None:
    record = in_conflict()
    first = {each["message_id"] for each in decide(record, "other", "half").messages}
    record.shows("a", 3, state="open")
    record.shows("b", 3, state="slam")
    assert any(isinstance(each, ConflictOpened) for each in record.followed)
    second = {each["message_id"] for each in decide(record, "other", "half").messages}
    assert len(first | second) == len(first) + len(second)


def test_only_the_field_is_held_back_and_the_newest_value_is_decided_about() -> None:
    record = in_conflict()
    (accepted,) = record.shows("a", 3, state="wide", title="two").then(ChangeAccepted)
    assert told(accepted)["b"] == {"title": "two"}
    assert told(decide(record, "mine")) == {"b": {"state": "wide"}}


def test_a_value_the_member_makes_what_it_holds_of_is_not_sent() -> None:
    record = in_conflict()
    record.shows("a", 3, title="three")
    record.shows("b", 3, title="four")
    # b cuts titles to four characters.
    resolved = decide(record, "other", "fourteen", field="title")
    assert set(told(resolved)) == {"a", "c"}
    assert resolved.holds


def test_what_is_not_open_is_not_decided() -> None:
    record = in_conflict()
    decide(record, "mine")
    with pytest.raises(ConflictUnknown, match="no open conflict about state with b"):
        decide(record, "mine")


def test_a_value_of_another_type_is_refused_and_nothing_happens() -> None:
    record = in_conflict()
    with pytest.raises(MappingRefused, match="is not a text"):
        decide(record, "other", 7)
    assert ("b", "state") in record.record.held


def test_nobody_is_told_of_an_inactive_record() -> None:
    record = in_conflict()
    record.record.active = False
    resolved = decide(record, "mine")
    assert (resolved.messages, record.record.held) == ([], {})
