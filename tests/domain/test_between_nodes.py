"""What another node sends: taken, obeyed, or not judged and why. `a` is a node here."""

from __future__ import annotations

from typing import Any

import pytest
from shared_record import SharedRecord, shared

from rps.domain import events
from rps.domain.between_nodes import ELSEWHERE, MOVED_ON, NODE, is_judged_at_once


def reason(record: SharedRecord) -> str:
    (ignored,) = record.then(events.ChangeIgnored)
    return str(ignored.reason)


def only_known_of(record: SharedRecord, member: str) -> SharedRecord:
    """Something is known of the member's record, but none was taken from there."""
    record.record.links[member].record_id = None
    return record


def test_a_record_that_came_another_way_is_not_taken_from_a_node() -> None:
    record = only_known_of(shared(), "c")
    record.shows("c", 1, operation="create", source=NODE, title="first")
    assert reason(record).startswith(ELSEWHERE)


def test_nor_is_it_deleted_by_a_node_that_it_was_not_taken_from() -> None:
    record = shared()
    del record.record.links["c"]
    record.shows("c", 2, operation="delete", source=NODE)
    assert reason(record).startswith(ELSEWHERE)
    assert "$deleted" not in record.record.fields


def test_a_node_that_decides_deletes_it_though_its_answer_was_not_heard_of() -> None:
    record = only_known_of(shared(), "c")
    record.shows("c", 2, operation="delete", source=NODE, if_match="1")
    assert record.record.fields["$deleted"].value is True


def test_a_write_for_the_version_there_is_is_taken_as_it_is() -> None:
    record = shared()
    record.shows("a", 2, title="ours")
    record.shows("c", 3, source=NODE, if_match="2", title="theirs", changed_at="2020")
    (accepted,) = record.then(events.ChangeAccepted)
    assert accepted.values == {"title": "theirs"}


@pytest.mark.parametrize("version", ["1", "3", "", "x"])
def test_a_write_for_another_version_has_to_be_decided_again(version: str) -> None:
    record = shared()
    record.shows("a", 2, title="ours")
    record.shows("c", 3, source=NODE, if_match=version, title="theirs")
    assert reason(record).startswith(MOVED_ON)
    assert record.record.fields["title"].value == "ours"


def received(record: SharedRecord, *, judged: bool) -> SharedRecord:
    """The node `c` has the message; `judged`: it shares it, and writes its systems."""
    message = record.record.waiting("c")[0]
    return record.given(
        events.MessageReceived,
        message_id=message.message_id,
        member="c",
        attempt=1,
        judged=judged,
        record_revision="2" if judged else None,
        stored=message.fields if judged else {},
        agreed=message.versions if judged else {},
        detail="",
        ask_at="",
    )


def test_an_edit_made_of_what_the_node_has_judged_is_no_conflict() -> None:
    record = shared().shows("a", 2, title="ours")
    old = "2025-01-01T00:00:00+00:00"
    record = received(record, judged=True)
    record.shows("c", 3, source=NODE, title="theirs", changed_at=old)
    (accepted,) = record.then(events.ChangeAccepted)
    assert accepted.values == {"title": "theirs"}


def test_an_edit_made_without_knowing_ours_is_one() -> None:
    record = shared().shows("a", 2, title="ours")
    old = "2025-01-01T00:00:00+00:00"
    record = received(record, judged=False)
    record.shows("c", 3, source=NODE, title="theirs", changed_at=old)
    assert isinstance(record.followed[0], events.ConflictRecorded)
    assert record.record.fields["title"].value == "ours"


def test_only_what_nodes_could_wait_for_each_other_for_is_judged_at_once() -> None:
    def of(**facts: Any) -> bool:
        shows = shared().shows("c", 2, title="x", **facts)
        return is_judged_at_once(shows.captured)

    assert of(source=NODE, if_match="1")
    assert of(source=NODE, operation="create")
    assert not of(source=NODE)
    assert not of(operation="create")
