from __future__ import annotations

from typing import Any

import pytest
from shared_record import START, SharedRecord, definition, messages, shared

from rps.domain.correlation import HOPS_MAX, MessageUnknown
from rps.domain.events import (
    ChangeAccepted,
    ChangeFailed,
    ChangeIgnored,
    ConflictRecorded,
    CorrelationLinked,
    CorrelationOpened,
    MessageParked,
    MessageReplayed,
    MessageRevised,
    MessageSkipped,
)
from rps.domain.state import DELETED

ENTRY = {"id": "7", "journal": "comments", "text": "hello"}


def test_the_first_change_opens_links_and_creates_the_copies() -> None:
    record = SharedRecord().shows("a", 1, operation="create", title="long title")
    accepted = record.then(CorrelationOpened, CorrelationLinked, ChangeAccepted)[2]
    assert messages(accepted) == {
        "b": {"title": "long title"},
        "c": {"title": "long title"},
    }
    assert {each["operation"] for each in accepted.messages} == {"create"}


def test_an_edit_goes_to_every_other_member() -> None:
    (accepted,) = shared().shows("b", 2, state="open").then(ChangeAccepted)
    assert messages(accepted) == {"a": {"state": "open"}, "c": {"state": "open"}}


def test_an_echo_changes_nothing() -> None:
    (ignored,) = shared().shows("b", 2, title="firs", state="new").then(ChangeIgnored)
    assert ignored.reason == "echo"


def test_an_older_revision_is_kept_as_late_evidence() -> None:
    record = shared().shows("a", 3, state="open")
    (ignored,) = record.shows("a", 2, state="ajar").then(ChangeIgnored)
    assert ignored.late == ["state"]
    assert record.record.fields["state"].value == "open"


def test_what_is_late_is_told_beside_what_is_accepted() -> None:
    record = shared().shows("a", 3, state="open")
    (accepted,) = record.shows("a", 2, state="ajar", title="second").then(
        ChangeAccepted
    )
    assert (accepted.values, accepted.late) == ({"title": "second"}, ["state"])


def test_the_loser_of_a_conflict_is_told_again_once() -> None:
    record = shared(definition("local_wins")).shows("a", 2, state="open")
    conflict, ignored = record.shows("b", 2, state="shut").then(
        ConflictRecorded, ChangeIgnored
    )
    assert (conflict.mine, conflict.theirs, conflict.winner) == ("open", "shut", "hub")
    assert ignored.reason.startswith("kept")
    assert [each.fields for each in record.record.waiting("b")] == [{"state": "open"}]


def test_the_winner_of_a_conflict_gets_no_message_about_it() -> None:
    record = shared(definition("remote_wins")).shows("a", 2, state="open")
    followed = record.shows("b", 2, state="shut").then(
        ConflictRecorded, ChangeAccepted, MessageSkipped
    )
    assert messages(followed[1]) == {"a": {"state": "shut"}, "c": {"state": "shut"}}
    assert followed[2].superseded


def test_a_merged_value_goes_to_the_sender_too() -> None:
    record = shared().shows("a", 2, tags=["x", "y"])
    followed = record.shows("b", 2, tags=["x", "z"]).then(
        ConflictRecorded, ChangeAccepted, MessageSkipped
    )
    assert messages(followed[1])["b"] == {"tags": ["x", "y", "z"]}
    assert [each.fields for each in record.record.waiting("b")] == [
        {"tags": ["x", "y", "z"]}
    ]


def test_our_own_unanswered_write_is_no_edit() -> None:
    record = shared().shows("a", 2, title="second").shows("a", 3, title="third")
    record.fails("b", "moved")
    followed = record.shows("b", 2, title="seco", source="read_back").then(
        ChangeIgnored, MessageSkipped
    )
    assert followed[0].agreed == {"title": 2}
    assert [each.fields for each in record.record.waiting("b")] == [{"title": "third"}]


def test_a_message_whose_record_moved_is_made_anew_as_another_delivery() -> None:
    record = shared().shows("a", 2, title="second", state="open").fails("b", "moved")
    followed = record.shows("b", 2, tags=["q"], source="read_back").then(
        ChangeAccepted, MessageRevised
    )
    assert followed[1].generation == 1
    assert followed[1].fields == {"title": "second", "state": "open"}


def test_a_create_becomes_an_update_once_the_record_is_known() -> None:
    record = SharedRecord(definition("remote_wins"))
    record.shows("a", 1, operation="create", title="first", state="new")
    record.shows("b", 5, operation="create", title="mine")
    (pending,) = record.record.waiting("b")
    assert (pending.operation, pending.fields) == ("update", {"state": "new"})


def test_part_of_a_record_is_not_the_whole_unless_it_follows_on() -> None:
    record = shared().shows("a", 4, state="open")
    assert record.record.links["a"].revision == "1"
    record.shows("a", 2, title="second")
    assert record.record.links["a"].revision == "2"
    record.shows("a", 9, title="x", state="y", tags=["z"])
    assert record.record.links["a"].revision == "9"


def test_a_moved_message_waits_for_a_person_when_its_reading_means_nothing() -> None:
    record = shared().shows("a", 2, title="second").fails("b", "moved")
    record.shows("b", 2, tags=7, source="read_back").then(ChangeFailed, MessageParked)


def test_another_record_of_the_member_is_not_taken_for_its_copy() -> None:
    (ignored,) = shared().shows("b", 9, record_id="b-2", title="z").then(ChangeIgnored)
    assert ignored.reason == "not linked: the member's record here is b-1"


# --- journals -----------------------------------------------------------------------


def test_an_entry_travels_once() -> None:
    record = shared()
    (accepted,) = record.shows("a", 2, entries=[ENTRY, ENTRY]).then(ChangeAccepted)
    assert [each["entries"][0]["id"] for each in accepted.messages] == ["a:7", "a:7"]
    record.shows("a", 3, entries=[ENTRY]).then(ChangeIgnored)


def test_an_entry_we_wrote_comes_back_as_an_echo() -> None:
    record = shared().shows("a", 2, entries=[ENTRY]).acknowledges("b", 2)
    record.shows("b", 2, entries=[{**ENTRY, "id": "a:7"}]).then(ChangeIgnored)


# --- guards -------------------------------------------------------------------------


def test_a_change_is_not_sent_back_where_it_came_from() -> None:
    (accepted,) = (
        shared().shows("a", 2, state="open", origin=["c"]).then(ChangeAccepted)
    )
    assert set(messages(accepted)) == {"b"}
    assert accepted.messages[0]["origin"] == ["c", "a"]


def test_whom_the_origin_kept_from_a_change_is_told_when_it_turns_out_to_lack_it() -> (
    None
):
    record = shared().shows("a", 2, state="open", origin=["c"])
    (accepted,) = record.shows("c", 1, state="new", source="poll").then(ChangeAccepted)
    assert messages(accepted) == {"c": {"state": "open"}}


def test_a_change_that_passed_too_many_systems_stops() -> None:
    (ignored,) = (
        shared().shows("a", 2, state="open", hop=HOPS_MAX + 1).then(ChangeIgnored)
    )
    assert ignored.reason.startswith("hop limit")


# --- deletion -----------------------------------------------------------------------


def test_a_deletion_travels() -> None:
    (accepted,) = shared().shows("a", 2, operation="delete").then(ChangeAccepted)
    assert messages(accepted) == {"b": {DELETED: True}, "c": {DELETED: True}}


def test_a_record_changed_meanwhile_is_kept_and_its_messages_to_the_gone_copy_end() -> (
    None
):
    record = shared().shows("a", 2, state="open")
    conflict, ignored, skipped = record.shows("b", 2, operation="delete").then(
        ConflictRecorded, ChangeIgnored, MessageSkipped
    )
    assert (conflict.field, conflict.winner) == (DELETED, "hub")
    assert ignored.reason.startswith("kept")
    assert skipped.member == "b"
    record.shows("b", 2, operation="delete").then(ChangeIgnored)


def test_an_edit_saves_a_record_others_deleted() -> None:
    record = shared().shows("a", 2, operation="delete")
    followed = record.shows("b", 2, state="open").then(
        ConflictRecorded, ChangeAccepted, MessageRevised, MessageSkipped
    )
    assert messages(followed[1]) == {"c": {"state": "open"}}
    assert (followed[2].member, followed[2].operation) == ("c", "update")
    assert followed[3].member == "b"


def test_an_edit_from_before_the_deletion_does_not_bring_the_record_back() -> None:
    record = shared().shows("a", 3, operation="delete")
    (ignored,) = record.shows("a", 2, state="open").then(ChangeIgnored)
    assert ignored.late == ["state"]


# --- what people say ----------------------------------------------------------------


def replay(record: SharedRecord, replay_id: str = "r1") -> SharedRecord:
    return record.when(
        lambda each: each.replay(
            replay_id, "b", ["state"], [], record.definition, 1, "asked", "eve", START
        )
    )


def test_a_replay_is_made_once_even_after_it_was_delivered() -> None:
    record = shared()
    replay(record).then(MessageReplayed)
    replay(record).then()
    record.acknowledges("b", 2)
    replay(record).then()
    replay(record, "r2").then(MessageReplayed)


def test_a_replay_outlives_a_change_of_another_field() -> None:
    record = replay(shared())
    record.shows("b", 2, tags=["q"]).then(ChangeAccepted)
    assert [each.fields for each in record.record.waiting("b")] == [{"state": "new"}]


def test_what_a_person_skipped_is_not_sent_by_itself() -> None:
    record = shared().shows("a", 2, state="open")
    (pending,) = record.record.waiting("b")
    skip: Any = pending.message_id
    record.when(lambda each: each.skip_message(skip, "no", "eve", START)).then(
        MessageSkipped
    )
    record.shows("b", 2, state="new").then(ChangeIgnored)


def test_a_message_nobody_knows_cannot_be_retried() -> None:
    with pytest.raises(MessageUnknown):
        shared().record.retry_message("none", "", "eve", START)
