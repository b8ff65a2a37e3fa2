"""A member that is unlinked takes no part; linked again, it gets what it lacks."""

from __future__ import annotations

from typing import Any

import pytest
from shared_record import SharedRecord, definition, messages, shared

from rps.domain.events import (
    ChangeAccepted,
    ChangeIgnored,
    ConflictRecorded,
    ConflictResolved,
    CorrelationDeactivated,
    CorrelationLinked,
    CorrelationReactivated,
    CorrelationRelinked,
    CorrelationUnlinked,
    MessageRevised,
    MessageSkipped,
)
from rps.domain.membership import MemberUnknown

WHY = ("a mistake", "anna")


def unlink(record: SharedRecord, member: str) -> SharedRecord:
    return record.when(lambda c: c.unlink(member, *WHY, record.now))


def relink(record: SharedRecord, member: str) -> SharedRecord:
    return record.when(
        lambda c: c.relink(member, record.definition, 1, *WHY, record.now)
    )


def replay(record: SharedRecord, member: str) -> bool:
    return record.record.replay(
        *("replay", member, ["title"], [], record.definition, 1, *WHY, record.now)
    )


def test_nothing_is_written_to_it_any_more() -> None:
    record = unlink(shared(), "b")
    record.then(CorrelationUnlinked)
    (accepted,) = record.shows("a", 2, title="new").then(ChangeAccepted)
    assert set(messages(accepted)) == {"c"}
    assert not replay(record, "b")


def test_no_record_is_made_there_where_there_was_none() -> None:
    record = SharedRecord().shows("a", 1, operation="create", title="first")
    skipped, unlinked = unlink(record, "b").then(MessageSkipped, CorrelationUnlinked)
    assert (skipped.member, skipped.actor) == ("b", "anna")
    assert "a mistake" in skipped.reason
    assert unlinked.record_id == ""
    (accepted,) = record.shows("a", 2, title="second").then(ChangeAccepted)
    assert set(messages(accepted)) == {"c"}


def test_what_its_record_does_is_not_shared_and_not_learned() -> None:
    record = unlink(shared(), "b")
    (ignored,) = record.shows("b", 2, title="mine").then(ChangeIgnored)
    assert ignored.reason.startswith("not linked: b takes no part")
    assert "b" not in record.record.links
    assert record.record.fields["title"].value == "first"
    assert record.record.unlinked["b"].record_id == "b-1"


def test_what_waited_is_skipped_and_an_open_conflict_is_over() -> None:
    record = shared(definition("manual"))
    record.shows("a", 2, state="open")
    record.shows("b", 2, state="shut")
    record.shows("a", 3, title="other")
    followed = unlink(record, "b").then(
        MessageSkipped, ConflictResolved, CorrelationUnlinked
    )
    assert (followed[1].field, followed[1].value) == ("state", "open")
    assert not record.record.held
    assert not record.record.waiting("b")


def test_linked_again_it_is_sent_what_is_shared_now() -> None:
    record = unlink(shared(), "b")
    record.shows("a", 2, title="new", state="open")
    linked, relinked = relink(record, "b").then(CorrelationLinked, CorrelationRelinked)
    assert linked.record_id == "b-1"
    (message,) = relinked.messages
    assert (message["operation"], message["fields"]) == (
        "update",
        {"title": "new", "state": "open"},
    )
    assert record.record.unlinked == {}
    # What it holds of before is no edit, what it did meanwhile is one.
    record.shows("b", 4, state="new", tags=["x"]).then(ChangeIgnored)
    conflict, _, revised = record.shows("b", 5, title="mine", source="read_back").then(
        ConflictRecorded, ChangeAccepted, MessageRevised
    )
    assert (conflict.mine, conflict.theirs) == ("new", "mine")
    assert revised.fields == {"state": "open"}


def test_where_it_has_no_record_one_is_made() -> None:
    record = SharedRecord().shows("a", 1, operation="create", title="first")
    unlink(record, "b")
    (relinked,) = relink(record, "b").then(CorrelationRelinked)
    (message,) = relinked.messages
    assert (message["operation"], message["fields"]) == ("create", {"title": "first"})
    record.acknowledges("b", 1, title="firs")
    assert record.record.links["b"].record_id == "b-1"


def test_saying_it_twice_changes_nothing() -> None:
    record = unlink(shared(), "b")
    unlink(record, "b").then()
    relink(record, "b")
    relink(record, "b").then()


def test_a_member_that_the_definition_lost_stays_unlinked() -> None:
    record = unlink(shared(), "b")
    smaller: Any = SharedRecord(definition()).definition
    members = {name: m for name, m in smaller.members.items() if name != "b"}
    object.__setattr__(smaller, "members", members)
    with pytest.raises(MemberUnknown):
        record.record.relink("b", smaller, 2, *WHY, record.now)
    assert "b" in record.record.unlinked


def test_a_link_that_was_made_otherwise_counts_too() -> None:
    record = unlink(shared(), "b")
    record.given(
        CorrelationLinked,
        definition=record.record.definition,
        member="b",
        system="b",
        table="record",
        record_id="b-2",
        record_revision=None,
    )
    assert record.record.unlinked == {}
    (accepted,) = record.shows("a", 2, title="new").then(ChangeAccepted)
    assert set(messages(accepted)) == {"b", "c"}


def test_nothing_is_shared_while_it_is_inactive() -> None:
    record = shared()
    record.when(lambda c: c.deactivate(*WHY, record.now)).then(CorrelationDeactivated)
    record.when(lambda c: c.deactivate(*WHY, record.now)).then()
    (ignored,) = record.shows("a", 2, title="new").then(ChangeIgnored)
    assert "inactive" in ignored.reason
    assert not replay(record, "b")


def test_active_again_it_tells_what_was_decided_meanwhile() -> None:
    record = shared(definition("manual"))
    record.shows("a", 2, state="open")
    record.acknowledges("c", 2)
    record.shows("b", 2, state="shut")
    record.when(lambda c: c.deactivate(*WHY, record.now))
    record.when(
        lambda c: c.resolve(
            *("b", "state", "theirs", None, record.definition, 1, *WHY, record.now)
        )
    )
    (active,) = record.when(
        lambda c: c.reactivate(record.definition, 1, *WHY, record.now)
    ).then(CorrelationReactivated)
    assert messages(active) == {"a": {"state": "shut"}, "c": {"state": "shut"}}
    (accepted,) = record.shows("a", 3, title="again").then(ChangeAccepted)
    assert set(messages(accepted)) == {"b", "c"}
