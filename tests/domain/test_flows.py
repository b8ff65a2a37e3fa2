"""Steps of flows: what they do to a change on its way in and to a message on its way
out, what they ask, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from shared_record import SharedRecord, definition

from rps.domain import courses
from rps.domain.document import DefinitionRefused, parse
from rps.domain.events import (
    ChangeAccepted,
    ChangeFailed,
    ChangeIgnored,
    CorrelationLinked,
    CorrelationOpened,
    FlowNotified,
    MessageRevised,
    MessageSkipped,
    QuestionAnswered,
    QuestionAsked,
)
from rps.domain.execution import StepFailed
from rps.domain.question import Question

if TYPE_CHECKING:
    from rps.domain.execution import Course
    from rps.domain.question import Answers

OPENED = (CorrelationOpened, CorrelationLinked)


def flowing(inbound: Any = (), outbound: Any = (), **more: Any) -> Any:
    """`a` has these flows."""
    flows = {"inbound": list(inbound), "outbound": list(outbound)}
    return definition(a={"flows": {k: v for k, v in flows.items() if v}, **more})


def coming(*steps: Any, **more: Any) -> SharedRecord:
    return SharedRecord(flowing(inbound=steps, **more))


def going(
    *steps: Any, fields: dict[str, Any], answers: Answers | None = None, **more: Any
) -> Course:
    """What is written to `a` for these shared fields."""
    known = flowing(outbound=steps)
    how = {"context": {}, "is_new": False, **more}
    context = how.pop("context")
    return courses.outbound(
        known.members["a"], known, fields, context, answers or {}, **how
    )


def values(record: SharedRecord) -> dict[str, Any]:
    """What was accepted last."""
    (accepted,) = [e for e in record.followed if isinstance(e, ChangeAccepted)]
    return dict(accepted.values)


# --- on the way in ------------------------------------------------------------------


def test_a_step_behind_the_map_sets_shared_fields() -> None:
    record = coming({"name": "x", "when": "title=urgent", "set": {"state": "hot"}})
    assert values(record.shows("a", 1, title="urgent")) == {
        "title": "urgent",
        "state": "hot",
    }
    assert values(record.shows("a", 2, title="calm")) == {"title": "calm"}


def test_a_step_before_the_map_sees_the_members_own_fields() -> None:
    steps = (
        {"name": "x", "set": {"title": "{number}: {title}"}},
        "map",
        {"name": "y", "set": {"state": "{title}!"}},
    )
    record = coming(*steps)
    shown = values(record.shows("a", 1, title="disk", number=7))
    assert shown == {"title": "7: disk", "state": "7: disk!"}


def test_a_step_before_the_map_makes_shared_values_of_others() -> None:
    """A member may know more values than are shared: it was refused to ask for them."""
    steps = [{"name": "x", "when": "state=chatting", "set": {"state": "new"}}, "map"]
    fields = {"title": {"type": "text"}}
    fields["state"] = {"type": "choice", "values": ["new", "done"]}
    known = flowing(inbound=steps).to_document()
    record = SharedRecord(parse({**known, "fields": {**known["fields"], **fields}}))
    shown = values(record.shows("a", 1, state="chatting"))
    assert shown == {"state": "new"}


def test_a_text_that_is_one_field_alone_keeps_its_kind() -> None:
    record = coming({"name": "x", "set": {"title": None, "tags": "{labels}"}}, "map")
    shown = values(record.shows("a", 1, title="gone", labels=["b", "a"]))
    assert shown == {"title": None, "tags": ["a", "b"]}


def test_a_step_that_reads_nothing_that_was_told_has_nothing_to_say() -> None:
    record = coming({"name": "x", "set": {"state": "of {title}"}})
    assert values(record.shows("a", 1, title="disk"))["state"] == "of disk"
    record.shows("b", 1, state="closed")
    assert values(record.shows("a", 2, tags=["x"])) == {"tags": ["x"]}


def test_what_is_known_is_in_a_text_beside_what_was_told() -> None:
    record = coming({"name": "x", "set": {"state": "{title}/{tags}"}})
    record.shows("a", 1, title="disk", tags=["x"])
    assert values(record.shows("a", 2, tags=["x", "y"]))["state"] == "disk/x, y"


def test_a_change_that_is_skipped_is_not_taken_and_what_it_showed_comes_along() -> None:
    record = coming({"name": "old", "skip_when": "state=closed"})
    (ignored,) = record.shows("a", 1, title="disk", state="closed").then(ChangeIgnored)
    assert ignored.reason == "not captured: step 'old': state=closed"
    assert values(record.shows("a", 2, state="open")) == {
        "state": "open",
        "title": "disk",
    }


def test_what_is_required_and_not_there_waits_for_a_person_who_reads_why() -> None:
    record = coming(
        {"name": "x", "require": "titleISNOTEMPTY", "otherwise": "give it a title"}
    )
    (failed,) = record.shows("a", 1, state="open").then(ChangeFailed)
    assert failed.step == "x"
    assert failed.detail == (
        "step 'x': give it a title (titleISNOTEMPTY (title is empty))"
    )


def test_what_was_read_to_settle_a_write_is_refused_by_nobody() -> None:
    record = coming(
        {"name": "x", "require": "state=open"}, {"name": "y", "skip_when": "title=no"}
    )
    record.shows("a", 1, title="disk", state="open")
    record.shows("a", 2, title="no", state="closed", source="read_back")
    assert values(record) == {"title": "no", "state": "closed"}


def test_a_deletion_goes_by_no_flow() -> None:
    record = coming({"name": "y", "skip_when": "titleISNOTEMPTY^ORtitleISEMPTY"})
    record.definition = definition()
    record.shows("a", 1, title="disk")
    record.definition = flowing(inbound=[{"name": "y", "skip_when": "title=disk"}])
    record.shows("a", 2, operation="delete").then(ChangeAccepted)


def test_a_condition_may_ask_what_changes() -> None:
    record = coming(
        {"name": "x", "when": "stateCHANGESTOclosed", "set": {"title": "done"}}
    )
    assert values(record.shows("a", 1, state="open")) == {"state": "open"}
    assert values(record.shows("a", 2, state="closed"))["title"] == "done"
    assert values(record.shows("a", 3, state="closed", tags=["x"])) == {"tags": ["x"]}


def test_people_are_told_once_it_is_accepted_and_not_of_an_echo() -> None:
    record = coming({"name": "tell", "when": "title=fire", "notify": "{title} here"})
    *_, told = record.shows("a", 1, title="fire").then(
        *OPENED, ChangeAccepted, FlowNotified
    )
    assert (told.step, told.text, told.change_id) == ("tell", "fire here", "change 1")
    record.shows("a", 2, title="fire").then(ChangeIgnored)


# --- questions ----------------------------------------------------------------------

WHO = {
    "name": "who",
    "lookup": {"table": "users", "by": "id", "value": "{title}", "take": "mail"},
    "into": "title",
}


def answered(record: SharedRecord, answer: dict[str, Any]) -> QuestionAnswered:
    """The one question that is open gets its answer."""
    ((question_id, _),) = record.record.questions.items()
    about = {"member": "a", "sequence": record.sequence, "change_id": "c"}
    record.when(
        lambda each: each.answer_question(
            question_id, {**about, "message_id": ""}, answer, 0.1, record.now
        )
    )
    (event,) = record.then(QuestionAnswered)
    return event  # type: ignore[no-any-return]


def again(record: SharedRecord) -> SharedRecord:
    """The change that waited is judged again."""
    captured = record.captured
    return record.when(
        lambda each: each.judge(
            captured, record.sequence, record.definition, 1, record.now
        )
    )


def test_a_look_up_asks_and_goes_on_with_the_answer() -> None:
    record = coming(WHO, "map")
    (asked,) = record.shows("a", 1, title="u1", state="open").then(QuestionAsked)
    assert asked.system == "a"
    assert asked.question == {
        "step": "who",
        "kind": "lookup",
        "member": "a",
        "asked": {"table": "users", "by": "id", "value": "u1", "take": "mail"},
    }
    answered(record, {"value": "ann@a.example"})
    assert values(again(record)) == {"title": "ann@a.example", "state": "open"}
    assert record.record.answers == record.record.questions == {}


def test_an_answer_is_for_its_own_question_only() -> None:
    record = coming(WHO, "map")
    record.shows("a", 1, title="u1")
    answered(record, {"value": "ann"})
    record.captured.fields["title"] = "u2"
    (asked,) = again(record).then(QuestionAsked)
    assert asked.question["asked"]["value"] == "u2"


def test_nobody_is_asked_about_nothing() -> None:
    record = coming(WHO, "map")
    assert values(record.shows("a", 1, title="", state="open"))["title"] is None


@pytest.mark.parametrize(
    ("missing", "title"), [("empty", {"title": None}), ("keep", {"title": "u1"})]
)
def test_where_nothing_is_found_the_step_says_what_to_do(
    missing: str, title: dict[str, Any]
) -> None:
    record = coming({**WHO, "missing": missing}, "map")
    record.shows("a", 1, title="u1")
    answered(record, {"missing": True})
    assert values(again(record)) == title


def test_by_default_a_person_has_to_look_and_the_step_is_named() -> None:
    record = coming(WHO, "map")
    record.shows("a", 1, title="u1")
    answered(record, {"missing": True})
    (failed,) = again(record).then(ChangeFailed)
    assert (failed.step, failed.detail) == (
        "who",
        "step 'who': no users has the id that was asked for",
    )


def test_what_is_retried_is_asked_again() -> None:
    record = coming(WHO, "map")
    record.shows("a", 1, title="u1")
    answered(record, {"error": "a: answered 400"})
    again(record).then(ChangeFailed)
    record.when(
        lambda each: each.retry_change(
            record.sequence, "c", "mended", "ann", record.now
        )
    )
    again(record).then(QuestionAsked)


def test_who_waits_no_more_is_answered_nothing() -> None:
    record = coming(WHO, "map")
    record.shows("a", 1, title="u1")
    ((question_id, _),) = record.record.questions.items()
    record.when(
        lambda each: each.skip_change(record.sequence, "c", "no", "ann", record.now)
    )
    about = {"member": "a", "sequence": 1, "change_id": "c", "message_id": ""}
    record.when(
        lambda each: each.answer_question(
            question_id, about, {"value": 1}, 0.1, record.now
        )
    )
    (event,) = record.then(QuestionAnswered)
    assert "withdrawn" in event.answer
    assert record.record.answers == {}


def test_an_action_gets_its_arguments_and_fills_fields() -> None:
    step = {
        "name": "sort",
        "call": {"action": "sorts", "with": {"text": "{title}", "deep": True}},
        "into": {"kind": "state"},
    }
    record = coming(step)
    (asked,) = record.shows("a", 1, title="disk").then(QuestionAsked)
    assert asked.question["asked"] == {
        "action": "sorts",
        "with": {"text": "disk", "deep": True},
        "seconds": 10,
        "megabytes": 256,
    }
    answered(record, {"values": {"kind": "hardware", "more": 1}})
    assert values(again(record)) == {"title": "disk", "state": "hardware"}


def test_an_action_that_leaves_out_what_is_wanted_is_named() -> None:
    record = coming({"name": "sort", "call": "sorts", "into": "state"})
    record.shows("a", 1, title="disk")
    answered(record, {"values": {"kind": "x"}})
    (failed,) = again(record).then(ChangeFailed)
    assert failed.detail == "step 'sort': sorts answered without 'result', with 'kind'"


def test_a_value_that_a_step_makes_has_to_fit_its_field_all_the_same() -> None:
    record = coming({"name": "x", "call": "sorts", "into": "tags"}, "map")
    record.shows("a", 1, title="disk")
    answered(record, {"values": {"result": 7}})
    (failed,) = again(record).then(ChangeFailed)
    assert "is not" in failed.detail


# --- on the way out -----------------------------------------------------------------


def test_a_step_of_the_way_out_writes_what_nobody_maps() -> None:
    course = going(
        {"name": "x", "when": "state=closed", "set": {"close_code": "Solved"}},
        fields={"state": "closed"},
    )
    assert course.told == {"state": "closed", "close_code": "Solved"}


def test_what_it_reads_comes_along_with_the_message() -> None:
    record = SharedRecord(
        flowing(outbound=[{"name": "x", "set": {"memo": "{title} is {state}"}}])
    )
    record.shows("b", 1, title="disk", state="open")
    record.acknowledges("a", 1)
    (accepted,) = record.shows("b", 2, state="closed").then(ChangeAccepted)
    to_a, _ = sorted(accepted.messages, key=lambda m: m["member"])
    assert to_a["context"] == {"title": "disk"}


def test_what_the_member_is_known_to_hold_is_what_was_written_there() -> None:
    """Else what it shows of that were an edit of its own."""
    known = flowing(outbound=[{"name": "x", "set": {"title": "[A] {title}"}}])
    member = known.members["a"]
    course = courses.outbound(member, known, {"title": "x"}, {}, {}, is_new=False)
    held = courses.held(member, known, {"title": "x"}, course.told)
    assert held == {"title": "[A] x"}
    record = SharedRecord(known).shows("b", 1, title="x")
    assert courses.normalised(record.record, member, known, "title", "x") == "[A] x"


def test_where_a_step_of_the_way_in_turns_it_back_it_is_what_was_sent() -> None:
    back = [{"name": "y", "call": "strips", "into": "title"}, "map"]
    known = flowing(
        inbound=back, outbound=[{"name": "x", "set": {"title": "[A] {title}"}}]
    )
    member = known.members["a"]
    course = courses.outbound(member, known, {"title": "x"}, {}, {}, is_new=False)
    assert courses.held(member, known, {"title": "x"}, course.told) == {"title": "x"}


def test_a_message_that_is_skipped_says_so_and_one_that_fails_names_its_step() -> None:
    skips = {"name": "x", "skip_when": "state=closed"}
    assert going(skips, fields={"state": "closed"}).skipped == "step 'x': state=closed"
    needs = {"name": "x", "require": "state=open"}
    with pytest.raises(StepFailed, match="step 'x'") as caught:
        going(needs, fields={"state": "closed"})
    assert [(ran.step, ran.status) for ran in caught.value.ran] == [
        ("map", "done"),
        ("x", "failed"),
    ]


def test_a_record_that_is_to_be_made_elsewhere_is_asked_for_with_its_fields() -> None:
    step = {
        "name": "firm",
        "create_if_missing": {
            "table": "firms",
            "by": "name",
            "value": "{title}",
            "with": {"vendor": True},
            "at": "b",
        },
        "into": "firm",
    }
    asks = going(step, fields={"title": "Acme"}).asks
    assert asks is not None
    assert (asks.kind, asks.member) == ("create_if_missing", "b")
    assert asks.asked["with"] == {"vendor": True}
    course = going(step, fields={"title": "Acme"}, answers={asks.key: {"value": "F1"}})
    assert course.told == {"title": "Acme", "firm": "F1"}


def test_each_step_tells_what_it_was_given_and_what_it_made() -> None:
    course = going(
        {"name": "x", "set": {"memo": "{title}!"}},
        {"name": "y", "when": "state=open", "set": {"memo": "no"}},
        fields={"title": "disk"},
        context={"state": "closed"},
    )
    mapped, made, passed = course.ran
    assert (mapped.given, mapped.made) == ({"title": "disk"}, {"title": "disk"})
    assert (made.given, made.made) == ({"title": "disk"}, {"memo": "disk!"})
    assert (passed.status, passed.why) == (
        "passed",
        "state=open (state is 'closed')",
    )
    assert [ran.place for ran in course.ran[1:]] == [
        "/members/a/flows/outbound/0",
        "/members/a/flows/outbound/1",
    ]


def test_a_create_that_the_flow_does_not_want_leaves_it_to_the_next_message() -> None:
    """Which then brings the whole record, not only what changed since."""
    known = flowing(outbound=[{"name": "x", "skip_when": "state=new"}])
    record = SharedRecord(known).shows("b", 1, title="disk", state="new")
    record.shows("b", 2, state="open")
    first, second = record.record.waiting("a")
    record.when(
        lambda each: each.pass_over_message(
            first.message_id, "step 'x': state=new", known, 1, record.now
        )
    )
    skipped, revised = record.then(MessageSkipped, MessageRevised)
    assert skipped.reason == "not sent: step 'x': state=new"
    assert revised.message_id == second.message_id
    assert (revised.operation, revised.fields) == (
        "create",
        {"title": "disk", "state": "open"},
    )


def test_an_update_that_it_does_not_want_is_not_owed_any_more() -> None:
    known = flowing(outbound=[{"name": "x", "skip_when": "state=new"}])
    record = SharedRecord(known).shows("b", 1, title="disk")
    record.acknowledges("a", 1)
    record.shows("b", 2, state="new")
    (first,) = record.record.waiting("a")
    record.when(
        lambda each: each.pass_over_message(first.message_id, "x", known, 1, record.now)
    )
    record.then(MessageSkipped)
    (accepted,) = record.shows("b", 3, title="full").then(ChangeAccepted)
    to_a, _ = sorted(accepted.messages, key=lambda m: m["member"])
    assert to_a["fields"] == {"title": "full"}


# --- the document -------------------------------------------------------------------


def test_a_flow_is_written_out_as_it_was_read() -> None:
    steps = [WHO, "map", {"name": "x", "set": {"state": "open", "title": None}}]
    known = flowing(inbound=steps, outbound=[{"name": "y", "notify": "{title}"}])
    assert parse(known.to_document()) == known
    assert known.to_document()["members"]["a"]["flows"]["inbound"] == steps
    assert known.to_document()["members"]["a"]["flows"]["outbound"] == [
        {"name": "y", "notify": "{title}"}
    ]


WRONG: dict[str, tuple[str, Any]] = {
    "neither this nor that": ("step-kind", {"name": "x"}),
    "two at once": ("step-kind", {"name": "x", "set": {}, "notify": "y"}),
    "without a name": ("missing-key", {"set": {"state": "open"}}),
    "an unknown key": ("unknown-key", {"name": "x", "notify": "y", "into": "state"}),
    "a brace too many": ("bad-text", {"name": "x", "notify": "{title"}),
    "a field nobody shares": ("step-field", {"name": "x", "set": {"nobody": "x"}}),
    "a text of such a field": ("step-field", {"name": "x", "set": {"state": "{no}"}}),
    "a value of another kind": ("step-value", {"name": "x", "set": {"title": True}}),
    "a condition that is none": (
        "condition-syntax",
        {"name": "x", "when": "state", "notify": "y"},
    ),
    "a condition about nothing": (
        "condition-field",
        {"name": "x", "skip_when": "nobody=1"},
    ),
    "a member that is none": (
        "step-member",
        {
            "name": "x",
            "lookup": {"table": "t", "by": "f", "value": "{title}", "at": "zz"},
            "into": "title",
        },
    ),
    "too much time": (
        "out-of-range",
        {"name": "x", "call": {"action": "a", "seconds": 61}, "into": "title"},
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_step_that_makes_no_sense_is_refused_where_it_stands(what: str) -> None:
    code, step = WRONG[what]
    with pytest.raises(DefinitionRefused) as caught:
        flowing(inbound=[step])
    problems = caught.value.problems
    assert [problem.code for problem in problems] == [code]
    assert problems[0].place.startswith("/members/a/flows/inbound/0")


def test_more_mistakes_of_flows_are_told_at_once() -> None:
    with pytest.raises(DefinitionRefused) as caught:
        flowing(
            inbound=[
                "map",
                "map",
                {"name": "x", "notify": "a"},
                {"name": "x", "set": 1},
            ],
            outbound=[{"name": "y", "skip_when": "stateCHANGESFROMnew"}],
        )
    codes = {problem.code for problem in caught.value.problems}
    assert codes >= {"step-map-twice", "step-name-twice", "condition-operator"}
    assert codes >= {"wrong-type"}


def test_a_flow_where_nothing_is_taken_would_never_run() -> None:
    with pytest.raises(DefinitionRefused) as caught:
        flowing(inbound=[{"name": "x", "notify": "y"}], capture=[])
    assert {problem.code for problem in caught.value.problems} == {"flow-unused"}


def test_a_field_that_only_a_step_fills_is_one_that_is_given() -> None:
    document = flowing().to_document()
    document["fields"]["kind"] = {"type": "text"}
    document["members"]["b"]["fields"]["kind"] = "kind"
    document["members"]["a"]["flows"] = {
        "inbound": [{"name": "x", "set": {"kind": "of {title}"}}]
    }
    parse(document)


def test_the_same_question_has_the_same_key_whatever_the_order() -> None:
    one = Question("s", "lookup", "a", {"table": "t", "by": "b", "value": 1})
    other = Question("s", "lookup", "a", {"value": 1, "by": "b", "table": "t"})
    assert one.key == other.key
    assert one.inquiry("top", "a", "") == other.inquiry("top", "a", "")
