"""Journal entries that are edited, removed, or older than a member's taking part."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from shared_record import SharedRecord, definition, shared

from rps.domain import journal
from rps.domain.document import parse
from rps.domain.events import (
    ChangeAccepted,
    ChangeIgnored,
    ConflictRecorded,
    CorrelationLinked,
    CorrelationRelinked,
    MessageRevised,
    MessageSkipped,
    MessageTransmitted,
)
from rps.domain.flow import MappingRefused, outbound_entries

WHY = ("a mistake", "anna")
EDITS = {"journal": "comments", "edits": True}
PREFIXED = {**EDITS, "prefix": "[{author}] "}
EARLIER = {"journal": "comments", "earlier_entries": True}


def carrying(**members: Any) -> Any:
    """A definition in which `members` map the comments so, the others plainly."""
    return definition(
        **{name: {"journals": {"comments": each}} for name, each in members.items()}
    )


def said(entry_id: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {
        "id": entry_id,
        "journal": "comments",
        "text": text,
        "author": "ann",
        **more,
    }


def removed(entry_id: str) -> dict[str, Any]:
    return {"id": entry_id, "journal": "comments", "deleted": True}


def commented(**members: Any) -> SharedRecord:
    """`a` said hello at revision 2; `b` and `c` have it since their revision 2."""
    record = shared(carrying(**members) if members else None)
    record.shows("a", 2, entries=[said("1")])
    return record.acknowledges("b", 2).acknowledges("c", 2)


def told(event: Any) -> dict[str, list[tuple[str, str, str]]]:
    """What each member is told of entries: operation, id, text."""
    return {
        each["member"]: [
            (entry.get("operation", ""), entry["id"], entry["text"])
            for entry in each["entries"]
        ]
        for each in event.messages
    }


# --- edits and removals -------------------------------------------------------------


def test_another_text_of_an_entry_is_an_edit_for_those_that_can_carry_it() -> None:
    record = commented(b=EDITS)
    (accepted,) = record.shows("a", 3, entries=[said("1", "bye")]).then(ChangeAccepted)
    assert told(accepted) == {"b": [("update", "a:1", "bye")]}
    (entry,) = accepted.entries
    assert (entry["version"], entry["author"]) == (2, "ann")


def test_where_nobody_can_carry_it_it_is_recorded_all_the_same() -> None:
    record = commented()
    (accepted,) = record.shows("a", 3, entries=[said("1", "bye")]).then(ChangeAccepted)
    assert accepted.messages == []
    assert [each["operation"] for each in accepted.entries] == ["update"]


def test_a_removed_entry_is_removed_there() -> None:
    record = commented(b=EDITS)
    (accepted,) = record.shows("a", 3, entries=[removed("1")]).then(ChangeAccepted)
    assert told(accepted) == {"b": [("delete", "a:1", "")]}
    record.acknowledges("b", 3)
    (echo,) = record.shows("b", 3, entries=[removed("a:1")]).then(ChangeIgnored)
    assert echo.reason == "echo"


def test_an_entry_that_is_emptied_is_removed() -> None:
    record = commented(b=EDITS)
    (accepted,) = record.shows("a", 3, entries=[said("1", " \n")]).then(ChangeAccepted)
    assert told(accepted) == {"b": [("delete", "a:1", "")]}


def test_an_edit_by_another_member_goes_back_to_the_author_under_its_own_id() -> None:
    record = commented(a=EDITS, b=EDITS)
    (accepted,) = record.shows("b", 3, entries=[said("a:1", "bye")]).then(
        ChangeAccepted
    )
    assert told(accepted) == {"a": [("update", "a:1", "bye")]}
    a = record.definition.members["a"]
    (entry,) = outbound_entries(a, record.definition, accepted.messages[0]["entries"])
    assert (entry.id, entry.operation, entry.text) == ("1", "update", "bye")


def test_an_edit_follows_its_entry_that_still_waits() -> None:
    record = shared(carrying(b=EDITS))
    record.shows("a", 2, entries=[said("1")])
    record.shows("a", 3, entries=[said("1", "bye")])
    waiting = [each.entries for each in record.record.waiting("b")]
    assert [(e[0].get("operation"), e[0]["text"]) for e in waiting] == [
        (None, "hello"),
        ("update", "bye"),
    ]


def test_an_edit_is_sent_to_who_removed_what_it_never_told_of_having() -> None:
    record = shared(carrying(a=EDITS, b=EDITS))
    record.shows("a", 2, entries=[said("1")])  # b took it, the answer was lost
    record.shows("b", 2, entries=[removed("a:1")])
    _, accepted, _ = record.shows("a", 3, entries=[said("1", "bye")]).then(
        ConflictRecorded, ChangeAccepted, MessageSkipped
    )
    assert told(accepted)["b"] == [("update", "a:1", "bye")]


def test_an_edit_is_not_sent_to_who_never_had_the_entry() -> None:
    record = shared(carrying(b=EDITS))
    record.shows("a", 2, entries=[said("1")])
    (message,) = record.record.waiting("b")
    record.record.skip_message(message.message_id, *WHY, record.now)
    record.record.collect_events()
    (accepted,) = record.shows("a", 3, entries=[said("1", "bye")]).then(ChangeAccepted)
    assert accepted.messages == []


def test_a_removal_that_is_heard_of_first_keeps_the_entry_out() -> None:
    record = shared(carrying(b=EDITS))
    (accepted,) = record.shows("a", 3, entries=[removed("1")]).then(ChangeAccepted)
    assert accepted.messages == []
    (late,) = record.shows("a", 2, entries=[said("1")]).then(ChangeIgnored)
    assert late.late == ["comments a:1"]


def test_an_entry_comes_back_where_its_removal_is_taken_back() -> None:
    record = commented(b=EDITS)
    record.shows("a", 3, entries=[removed("1")]).acknowledges("b", 3)
    (accepted,) = record.shows("a", 4, entries=[said("1")]).then(ChangeAccepted)
    assert told(accepted) == {"b": [("update", "a:1", "hello")]}


# --- echoes -------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["hello", "hello\r\n", "  hello"])
def test_what_we_wrote_is_no_edit_however_its_lines_end(shown: str) -> None:
    record = commented(b=EDITS)
    (ignored,) = record.shows("b", 3, entries=[said("a:1", shown)]).then(ChangeIgnored)
    assert ignored.reason == "echo"


def test_nor_is_it_for_the_prefix_that_it_was_written_with() -> None:
    record = commented(a=EDITS, b=PREFIXED)
    entry = said("a:1", "[ann] hello", author="rps")
    record.shows("b", 3, entries=[entry]).then(ChangeIgnored)
    # A real edit of it goes on without the prefix.
    (accepted,) = record.shows("b", 4, entries=[said("a:1", "[ann] bye")]).then(
        ChangeAccepted
    )
    assert told(accepted) == {"a": [("update", "a:1", "bye")]}


def test_a_system_that_carries_no_edits_may_show_our_entries_as_it_likes() -> None:
    record = commented(a=EDITS)
    cut = said("a:1", "hel")
    record.shows("b", 3, entries=[cut]).then(ChangeIgnored)
    # Its own entries are its users', and a removal says what it is.
    record.shows("b", 4, entries=[said("9", "mine")]).acknowledges("a", 3)
    (edited,) = record.shows("b", 5, entries=[said("9", "ours")]).then(ChangeAccepted)
    assert told(edited) == {"a": [("update", "b:9", "ours")]}
    record.shows("b", 6, entries=[removed("a:1")]).then(ChangeAccepted)
    assert record.record.said["a:1"].digest == ""


def test_the_text_of_before_is_an_echo_until_the_new_one_is_there() -> None:
    record = commented(b=EDITS)
    record.shows("a", 3, entries=[said("1", "bye")])
    record.shows("b", 3, entries=[said("a:1")]).then(ChangeIgnored)
    record.acknowledges("b", 4)
    (late,) = record.shows("b", 3, entries=[said("a:1", "hm")]).then(ChangeIgnored)
    assert late.late == ["comments a:1"]


def test_our_own_unanswered_edit_is_none_of_theirs() -> None:
    record = commented(b=EDITS)
    record.shows("a", 3, entries=[said("1", "bye")])
    record.shows("a", 4, entries=[said("1", "farewell")])
    (accepted,) = record.shows("b", 3, entries=[said("a:1", "bye")]).then(
        ChangeAccepted
    )
    assert accepted.messages == []
    assert record.record.said["a:1"].version == 3


def test_an_edit_at_the_same_revision_counts_where_the_member_spoke_last() -> None:
    """Some systems do not count an edit of a comment as one of the ticket."""
    record = commented(b=EDITS)
    (accepted,) = record.shows("a", 2, entries=[said("1", "bye")]).then(ChangeAccepted)
    assert told(accepted) == {"b": [("update", "a:1", "bye")]}


def test_an_entry_is_not_edited_by_what_was_written_before_it_was_followed() -> None:
    record = commented()
    record.shows("a", 3, entries=[said("1", "bye")])
    record.definition = carrying(a=EDITS, b=EDITS)
    (adopted,) = record.shows("b", 3, entries=[said("a:1")]).then(ChangeAccepted)
    assert adopted.messages == []
    record.shows("b", 4, entries=[said("a:1")]).then(ChangeIgnored)
    assert record.record.said["a:1"].version == 2


# --- two at once --------------------------------------------------------------------


def test_of_two_edits_the_later_wins_and_the_other_is_recorded() -> None:
    record = commented(a=EDITS, b=EDITS)
    record.shows("a", 3, entries=[said("1", "from a")])
    conflict, accepted, skipped = record.shows(
        "b", 3, entries=[said("a:1", "from b")]
    ).then(ConflictRecorded, ChangeAccepted, MessageSkipped)
    assert (conflict.field, conflict.winner) == ("comments a:1", "remote")
    assert (conflict.mine, conflict.theirs) == ("from a", "from b")
    assert told(accepted) == {"a": [("update", "a:1", "from b")]}
    assert skipped.superseded


def test_the_earlier_one_is_told_the_other_text() -> None:
    record = commented(a=EDITS, b=EDITS)
    record.sequence = 100
    record.shows("a", 3, entries=[said("1", "from a")])
    record.sequence = 50  # it was said before, and heard of after
    conflict, accepted = record.shows("b", 3, entries=[said("a:1", "from b")]).then(
        ConflictRecorded, ChangeAccepted
    )
    assert (conflict.winner, accepted.messages) == ("hub", [])
    assert [e["operation"] for e in accepted.entries] == ["kept"]
    (waiting,) = record.record.waiting("b")
    assert waiting.entries[0]["text"] == "from a"
    # What is seen again is known.
    record.shows("b", 4, entries=[said("a:1", "from b")]).then(ChangeIgnored)


def test_it_is_told_so_even_where_the_message_had_been_skipped() -> None:
    record = commented(a=EDITS, b=EDITS)
    record.sequence = 100
    record.shows("a", 3, entries=[said("1", "from a")])
    (message,) = record.record.waiting("b")
    record.record.skip_message(message.message_id, *WHY, record.now)
    record.record.collect_events()
    record.sequence = 50
    _, accepted = record.shows("b", 3, entries=[said("a:1", "from b")]).then(
        ConflictRecorded, ChangeAccepted
    )
    (entry,) = accepted.messages[0]["entries"]
    assert (entry["operation"], entry["version"], "text" in entry) == (
        "update",
        2,
        False,
    )


def test_a_message_with_more_in_it_loses_only_what_was_superseded() -> None:
    record = commented(a=EDITS, b=EDITS)
    record.shows("a", 3, title="other", entries=[said("1", "from a"), said("2", "x")])
    *_, revised = record.shows("b", 3, entries=[said("a:1", "from b")]).then(
        ConflictRecorded, ChangeAccepted, MessageRevised
    )
    assert [entry["id"] for entry in revised.entries] == ["a:2"]
    assert revised.fields == {"title": "other"}


# --- visibility ---------------------------------------------------------------------


def test_a_superseded_edit_that_arrived_after_all_is_not_taken_for_the_users() -> None:
    """It was sent, no answer came, and an edit of the member's own was reported that it
    then went over: what shows up is ours, and the member is told its own text again."""
    record = commented(a=EDITS, b=EDITS)
    record.shows("a", 3, entries=[said("1", "from a")])
    (sent,) = record.record.waiting("b")
    record.given(
        MessageTransmitted,
        message_id=sent.message_id,
        member="b",
        attempt=1,
        delivery_id=sent.message_id,
        operation="update",
        record_id="b-1",
        if_match=None,
        fields={},
        entry_ids=["a:1"],
        request_sha256="",
        status=None,
        response="",
        seconds=0.0,
    )
    record.shows("b", 3, entries=[said("a:1", "from b")]).then(
        ConflictRecorded, ChangeAccepted, MessageSkipped
    )
    conflict, accepted = record.shows("b", 4, entries=[said("a:1", "from a")]).then(
        ConflictRecorded, ChangeAccepted
    )
    assert (conflict.theirs, conflict.winner) == ("from a", "hub")
    assert record.record.said["a:1"].version == 3
    assert [e["id"] for e in accepted.messages[0]["entries"]] == ["a:1"]
    assert accepted.messages[0]["member"] == "b"
    record.shows("b", 5, entries=[said("a:1", "from a")]).then(ChangeIgnored)


def test_an_entry_that_moves_to_another_journal_is_not_carried_there() -> None:
    """An edit must not make an internal note public, nor the other way round."""
    document = definition().to_document()
    document["journals"]["notes"] = {"visibility": "internal"}
    for member in document["members"].values():
        member["journals"] = {"comments": EDITS, "notes": {"journal": "work_notes"}}
    record = shared(parse(document))
    record.shows("a", 2, entries=[said("1", "secret", journal="work_notes")])
    conflict, accepted = record.shows("a", 3, entries=[said("1", "moved")]).then(
        ConflictRecorded, ChangeAccepted
    )
    assert (conflict.policy, conflict.winner) == ("journal", "hub")
    assert accepted.messages == []
    record.shows("a", 4, entries=[said("1", "moved")]).then(ChangeIgnored)


def test_an_internal_edit_is_refused_on_its_way_in_and_on_its_way_out() -> None:
    record = commented(a=EDITS, b=EDITS)
    for name, each in record.definition.members.items():
        visibility = "internal" if name == "a" else "public"
        object.__setattr__(each.journals["comments"], "visibility", visibility)
    record.shows("a", 3, entries=[said("1", "bye")])
    assert "internal note would become public" in record.followed[0].detail
    b = record.definition.members["b"]
    object.__setattr__(record.definition.journals["comments"], "visibility", "internal")
    with pytest.raises(MappingRefused, match="would become public"):
        outbound_entries(b, record.definition, [said("a:1", operation="update")])


# --- what nobody should send --------------------------------------------------------


def test_an_entry_without_text_says_nothing_until_it_has_some() -> None:
    record = shared()
    record.shows("a", 2, entries=[said("1", "")]).then(ChangeIgnored)
    (accepted,) = record.shows("a", 3, entries=[said("1")]).then(ChangeAccepted)
    assert told(accepted)["b"] == [("", "a:1", "hello")]


def test_an_entry_from_the_future_was_written_five_minutes_ahead_at_most() -> None:
    record = shared()
    ahead = record.now + timedelta(minutes=5, seconds=1)
    believable = ahead.isoformat(timespec="seconds").replace("+00:00", "Z")
    record.shows("a", 2, entries=[said("1", written_at="2126-01-01T00:00:00Z")])
    (accepted,) = record.then(ChangeAccepted)
    assert accepted.entries[0]["written_at"] == believable
    record.shows("a", 3, entries=[said("2", written_at=believable)])
    assert record.followed[0].entries[0]["written_at"] == believable


def test_an_id_with_control_characters_is_shown_as_what_it_is() -> None:
    record = shared(carrying(a=EDITS, b=EDITS))
    record.shows("a", 2, entries=[said("x\ny")]).acknowledges("b", 2)
    record.shows("a", 3, entries=[said("x\ny", "from a")])
    conflict = record.shows("b", 3, entries=[said("a:x\ny", "from b")]).followed[0]
    assert conflict.field == "comments a:x\\ny"


def test_one_change_that_names_an_entry_twice_says_the_last() -> None:
    record = commented(b=EDITS)
    (accepted,) = record.shows(
        "a", 3, entries=[said("1", "one"), said("1", "two"), said("2", "x")]
    ).then(ChangeAccepted)
    assert told(accepted)["b"] == [("", "a:2", "x"), ("update", "a:1", "two")]


# --- entries of before --------------------------------------------------------------


def without_c(record: SharedRecord) -> SharedRecord:
    """`c` is unlinked and then joins as if it had never been there."""
    record.record.links.pop("c")
    return record


def test_a_record_made_later_gets_what_was_said_before_where_it_is_asked_for() -> None:
    record = without_c(commented(c=EARLIER))
    record.shows("a", 3, entries=[said("1", "bye")])
    record.shows("a", 4, entries=[said("2", "removed soon")])
    record.shows("a", 5, entries=[removed("2")])
    forget(record)
    (accepted,) = record.shows("a", 6, title="x", entries=[said("3", "new")]).then(
        ChangeAccepted
    )
    c = next(each for each in accepted.messages if each["member"] == "c")
    assert c["operation"] == "create"
    before, new = c["entries"]
    assert (before["id"], before["author"], before["version"]) == ("a:1", "ann", 2)
    assert "text" not in before
    assert new["text"] == "new"
    # The text is in the event that it names, or behind.
    journal.fill(c["entries"], [accepted, *_log_of_a_bye()])
    assert before["text"] == "bye"


def forget(record: SharedRecord) -> None:
    """What waits, as if it had come to nothing."""
    for message in list(record.record.pending.values()):
        record.record.pending.pop(message.message_id)


def _log_of_a_bye() -> list[Any]:
    record = commented(c=EARLIER)
    return record.shows("a", 3, entries=[said("1", "bye")]).followed


def test_by_default_it_does_not() -> None:
    record = without_c(commented())
    (accepted,) = record.shows("a", 3, title="x").then(ChangeAccepted)
    c = next(each for each in accepted.messages if each["member"] == "c")
    assert (c["operation"], c["entries"]) == ("create", [])


def test_a_record_that_joins_by_itself_gets_them_too() -> None:
    record = without_c(commented(c=EARLIER))
    linked, accepted = record.shows(
        "c", 9, operation="create", title="first", state="new", tags=["x"]
    ).then(CorrelationLinked, ChangeAccepted)
    assert linked.record_id == "c-1"
    (message,) = accepted.messages
    assert (message["member"], message["operation"], message["fields"]) == (
        "c",
        "update",
        {},
    )
    assert [each["id"] for each in message["entries"]] == ["a:1"]


def test_many_of_them_go_in_parts() -> None:
    record = without_c(commented(c=EARLIER))
    for number in range(2, 251):
        record.shows("a", number + 1, entries=[said(str(number))])
        forget(record)
    (accepted,) = record.shows("a", 300, title="x").then(ChangeAccepted)
    parts = [each for each in accepted.messages if each["member"] == "c"]
    assert [each["operation"] for each in parts] == ["create", "update", "update"]
    assert [len(each["entries"]) for each in parts] == [100, 100, 50]
    assert len({each["message_id"] for each in parts}) == 3
    assert parts[1]["fields"] == {}


def test_long_ones_go_in_parts_of_a_size_that_fits() -> None:
    record = without_c(commented(c=EARLIER))
    for number in (2, 3, 4):
        record.shows("a", number + 1, entries=[said(str(number), "x" * 200_000)])
        forget(record)
    (accepted,) = record.shows("a", 300, title="x").then(ChangeAccepted)
    parts = [each for each in accepted.messages if each["member"] == "c"]
    assert [len(each["entries"]) for each in parts] == [2, 1, 1]


def test_linked_again_a_member_gets_what_was_said_meanwhile() -> None:
    both = {**EARLIER, "edits": True}
    record = commented(b=both)
    record.when(lambda c: c.unlink("b", *WHY, record.now))
    record.shows("a", 3, entries=[said("1", "bye"), said("2", "new")])
    _, relinked = record.when(
        lambda c: c.relink("b", record.definition, 1, *WHY, record.now)
    ).then(CorrelationLinked, CorrelationRelinked)
    (message,) = relinked.messages
    found = [(e["id"], e.get("operation")) for e in message["entries"]]
    assert found == [("a:1", "update"), ("a:2", None)]


# --- entries of a member that was polled --------------------------------------------


def polled(record: SharedRecord, revision: int, *entries: dict[str, Any]) -> Any:
    return record.shows("b", revision, entries=list(entries), source="poll")


def test_a_polled_entry_that_says_what_we_wrote_is_ours_under_an_id_of_its_own() -> (
    None
):
    record = commented(b={"journal": "comments", "prefix": "[{author}] "})
    (accepted,) = polled(record, 3, said("row1", "[ann] hello\r\n")).then(
        ChangeAccepted
    )
    assert told(accepted) == {}
    (entry,) = accepted.entries
    assert (entry["operation"], entry["id"], entry["as"]) == ("seen", "a:1", "row1")
    (echo,) = polled(record, 3, said("row1", "[ann] hello")).then(ChangeIgnored)
    assert echo.reason == "echo"


def test_each_of_ours_is_there_once_so_a_second_one_is_somebodys() -> None:
    record = commented()
    polled(record, 3, said("row1"))
    (accepted,) = polled(record, 4, said("row2")).then(ChangeAccepted)
    assert told(accepted) == {
        "a": [("", "b:row2", "hello")],
        "c": [("", "b:row2", "hello")],
    }


def test_without_the_prefix_that_we_wrote_it_is_somebodys() -> None:
    record = commented(b={"journal": "comments", "prefix": "[{author}] "})
    (accepted,) = polled(record, 3, said("row1", "hello")).then(ChangeAccepted)
    assert "a" in told(accepted)


def test_who_reports_by_itself_says_which_are_ours() -> None:
    record = commented()
    (accepted,) = record.shows("b", 3, entries=[said("row1")]).then(ChangeAccepted)
    assert "a" in told(accepted)
