"""What each step of a definition took and gave, for whoever has to find out why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from shared_record import START, SharedRecord, definition, shared

from rps.domain import events
from rps.domain.branching import branched
from rps.domain.document import parse
from rps.domain.flow import MappingRefused
from rps.domain.logged import LoggedMessage
from rps.domain.plan import Case
from rps.domain.trial import Steps, inbound, outbound

if TYPE_CHECKING:
    from rps.domain.trial import Step


def steps_of(record: SharedRecord, member: str, revision: int, **more: Any) -> Steps:
    before = branched(record.record)
    record.shows(member, revision, **more)
    case = Case(record.captured, record.sequence, record.definition, 1, record.now)
    return inbound(before, case, record.followed)


def named(steps: Steps, name: str) -> Step:
    return next(each for each in steps.taken if each.name == name)


def test_a_change_goes_from_what_was_captured_to_the_verdict() -> None:
    steps = steps_of(shared(), "a", 2, title="second", other=1)

    names = [(each.name, each.kind) for each in steps.taken]
    assert names == [
        ("captured from a", "capture"),
        ("map", "map"),
        ("title", "merge"),
        ("verdict", "verdict"),
    ]
    assert named(steps, "map").output == {"title": "second"}
    assert named(steps, "map").detail == "not mapped: other"
    title = named(steps, "title")
    assert title.input == {"base": "first", "shared": "first", "shown": "second"}
    assert (title.output, title.detail) == ("second", "accepted: version 2")
    assert named(steps, "verdict").output == "accepted"
    assert steps.error is None


def test_each_rule_of_the_merge_is_told_by_its_field() -> None:
    record = shared()
    record.shows("a", 2, title="other")
    steps = steps_of(record, "b", 2, title="mine", state="new")

    assert named(steps, "title").detail == "conflict: newer_wins, remote"
    assert named(steps, "state").detail == "echo: the member was known to hold it"
    late = steps_of(record, "b", 1, title="late")
    assert named(late, "title").detail.startswith("late")
    assert named(late, "verdict").detail == "late: superseded at the member"
    agreed = steps_of(record, "c", 2, title="mine")
    assert named(agreed, "title").detail == "agreed: version 3"


def test_a_deletion_is_a_field_of_its_own() -> None:
    steps = steps_of(shared(), "a", 2, operation="delete")

    gone = named(steps, "$deleted")
    assert (gone.place, gone.output) == ("/members/a/capture", True)


def test_a_condition_that_does_not_hold_ends_the_steps() -> None:
    record = SharedRecord(definition(a={"capture_when": "state=open"}))
    steps = steps_of(record, "a", 1, operation="create", state="closed")

    condition = steps.taken[-1]
    assert (condition.name, condition.place) == (
        "capture_when",
        "/members/a/capture_when",
    )
    assert (condition.condition, condition.held) == ("state=open", False)
    assert "state is 'closed'" in condition.detail
    assert [each.name for each in steps.taken] == ["captured from a", "capture_when"]


def test_a_condition_that_holds_or_is_not_asked_is_told_apart() -> None:
    record = SharedRecord(definition(a={"capture_when": "state=open"}))
    asked = steps_of(record, "a", 1, operation="create", state="open")
    later = steps_of(record, "a", 2, state="closed")

    assert named(asked, "capture_when").held is True
    assert named(later, "capture_when").held is None
    assert named(later, "capture_when").detail == "not asked of this change"
    assert named(later, "verdict").output == "accepted"


def test_whom_the_definition_ignores_is_named() -> None:
    record = SharedRecord(definition(a={"ignore_changed_by": ["robot"]}))
    steps = steps_of(record, "a", 1, operation="create", changed_by="Robot", title="x")

    assert steps.taken[-1].place == "/members/a/ignore_changed_by"
    assert steps.taken[-1].held is False


def test_a_member_that_is_gone_takes_no_part() -> None:
    record = SharedRecord()
    captured = record.shows("a", 1, operation="create", title="x").captured
    without = definition().to_document()
    del without["members"]["a"]
    other = parse(without)
    before = branched(SharedRecord().record)
    before.judge(captured, 1, other, 2, record.now)
    decided = before.collect_events()
    case = Case(captured, 1, other, 2, record.now)
    steps = inbound(SharedRecord().record, case, list(decided))

    assert steps.taken[-1].name == "takes part"
    assert "no such member" in steps.taken[-1].detail


def test_a_value_without_a_place_is_an_error_at_its_field() -> None:
    steps = steps_of(shared(), "a", 2, title=["no", "text"])

    assert steps.error is not None
    assert (steps.error.name, steps.error.place) == ("map", "/members/a/fields/title")
    assert "'title'" in steps.error.error
    assert steps.taken[-1] is steps.error


def test_a_condition_that_cannot_be_asked_is_an_error_at_the_condition() -> None:
    document = definition(a={"capture_when": "state=open"}).to_document()
    document["fields"]["state"] = {"type": "number"}
    document["members"]["a"]["capture_when"] = "state>1"
    record = SharedRecord(parse(document))
    steps = steps_of(record, "a", 1, operation="create", state="many")

    assert steps.error is not None
    assert steps.error.place == "/members/a/capture_when"
    assert steps.error.held is None


def message(**more: Any) -> LoggedMessage:
    given: dict[str, Any] = {
        "message_id": "m",
        "correlation_id": SharedRecord().record.id,
        "process_event": "shared",
        "revision": 1,
        "member": "b",
        "system": "b",
        "table": "record",
        "operation": "update",
        "fields": {"title": "longer", "state": "new"},
        "versions": {"title": 3},
        "entries": [],
        "origin": ["a"],
        "hop": 1,
    }
    return LoggedMessage(**{**given, **more})


def test_a_message_goes_through_constants_map_and_journals_to_a_write() -> None:
    terms = definition(b={"constants": {"source": "rps {title}"}})
    entries = [{"id": "a:1", "journal": "comments", "text": "hello"}]
    steps, write = outbound(
        message(entries=entries), terms.members["b"], terms, "b-1", "7"
    )

    assert [each.name for each in steps.taken] == ["constants", "map", "journals"]
    assert named(steps, "map").output == {"title": "long", "state": "new"}
    assert write is not None
    assert write.fields == {"source": "rps longer", "title": "long", "state": "new"}
    assert (write.record_id, write.if_match, write.version) == ("b-1", "7", 3)
    assert [entry.text for entry in write.entries] == ["hello"]


def test_a_message_for_a_record_that_is_not_there_yet_makes_it() -> None:
    terms = definition()
    _, update = outbound(message(), terms.members["b"], terms, None, "7")
    _, create = outbound(
        message(operation="create"), terms.members["b"], terms, "b-1", None
    )

    assert update is not None
    assert (update.operation, update.if_match) == ("create", None)
    assert create is not None
    assert create.operation == "update"


def test_a_value_that_cannot_be_written_is_an_error_and_no_write() -> None:
    terms = definition()
    steps, write = outbound(
        message(fields={"title": ["x"]}), terms.members["b"], terms, "b-1", None
    )

    assert write is None
    assert steps.error is not None
    assert steps.error.place == "/members/b/fields/title"


def test_steps_are_measured_by_the_clock_that_is_handed_in() -> None:
    seconds = iter([1.0, 1.5])
    steps = Steps(lambda: next(seconds))
    steps.take("map", "map", "/fields", lambda: 7)

    assert steps.taken[0].seconds == 0.5
    assert steps.taken[0].output == 7


def test_after_an_error_no_step_is_taken() -> None:
    def refuse() -> None:
        raise MappingRefused("title", 1, "is none")

    steps = Steps()
    steps.take("map", "map", "/members/a/fields", refuse)
    steps.take("journals", "map", "/members/a/journals", lambda: 1)
    steps.note("verdict", "verdict", "")

    assert [each.name for each in steps.taken] == ["map"]


def test_refused_and_shared_files_are_told() -> None:
    document = definition().to_document()
    document["attachments"] = {"journal": "comments", "size_max": 10}
    record = SharedRecord(parse(document))
    files = [
        {"id": "1", "name": "a.txt", "size": 5, "type": "t/x", "sha256": "0" * 64},
        {"id": "2", "name": "b.txt", "size": 50, "type": "t/x", "sha256": "1" * 64},
    ]
    before = branched(record.record)
    record.shows("a", 1, operation="create", title="x", attachments=files)
    case = Case(record.captured, 1, record.definition, 1, record.now)
    steps = inbound(before, case, record.followed)

    step = named(steps, "attachments")
    assert [each["name"] for each in step.output] == ["a.txt"]
    assert "b.txt: the largest allowed" in step.detail
    assert any(isinstance(e, events.AttachmentRefused) for e in record.followed)


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_steps_are_plain_data(operation: str) -> None:
    steps = steps_of(shared(), "a", 2, operation=operation)

    assert all(set(each.to_json()) >= {"name", "place"} for each in steps.taken)
    assert START.tzinfo is not None
