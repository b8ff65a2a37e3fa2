"""A definition at work, step by step: what went into each step and what came out.

The one place that turns definition and input into steps; what is shown is what the
judgement and the write are made by. A new kind of step is put in here.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rps.domain import capturing, courses, events, flow
from rps.domain.constants import constant_fields
from rps.domain.events import (
    ChangeAccepted,
    ChangeFailed,
    ChangeIgnored,
    QuestionAsked,
)
from rps.domain.problem import pointer
from rps.domain.question import subject_of
from rps.domain.state import DELETED, Link
from rps.domain.trial_steps import Steps
from rps.domain.writing import operation_of, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition, Member
    from rps.domain.delivery import Write
    from rps.domain.plan import Case
    from rps.domain.question import Question
    from rps.domain.state import CorrelationState
    from rps.domain.writing import Outgoing

Verdict = ChangeAccepted | ChangeIgnored | ChangeFailed
Decided = Verdict | QuestionAsked
"""What a change comes to; where its flow has to know something, that comes first."""

TAKES_NO_PART = ("not captured", "hop limit", "not linked", "elsewhere", "moved on")
"""How reasons begin for which a change is not looked at any further."""


# --- what comes in ------------------------------------------------------------------


def inbound(
    before: CorrelationState,
    case: Case,
    decided: Sequence[Event],
    clock: Callable[[], float] | None = None,
) -> Steps:
    """The steps of a change that made the events `decided` of the correlation as it was
    `before`."""
    steps, captured = Steps(clock), case.captured
    verdict = verdict_of(decided)
    place = pointer("members", captured.member)
    steps.note(
        f"captured from {captured.member}",
        "capture",
        f"{place}/capture",
        input={
            "operation": captured.operation,
            "record_id": captured.record_id,
            "revision": captured.record_revision,
            "source": captured.source,
        },
        output=dict(captured.fields),
    )
    if captured.member not in case.definition.members:
        steps.note(
            "takes part", "condition", "/members", held=False, detail=reason_of(verdict)
        )
        return steps
    if _takes_part(steps, before, case, verdict):
        shown = _mapped(steps, before, case)
        _entries(steps, case)
        _files(steps, case, decided)
        _merged(steps, before, case, decided, shown or {})
        told = {"output": outcome_of(verdict), "detail": reason_of(verdict)}
        steps.note("verdict", "verdict", "", **told)
    return steps


def verdict_of(decided: Sequence[Event]) -> Decided:
    """The one event of a judgement that says what became of the change."""
    for event in decided:
        if isinstance(event, Decided):
            return event
    raise LookupError("a judgement without a verdict")


def outcome_of(verdict: Event) -> str:
    """In a word: accepted, ignored, failed, or asked."""
    return verdict.TOPIC.rpartition(".")[2]


def reason_of(verdict: Event) -> str:
    """Why; "" where it was accepted."""
    match verdict:
        case ChangeIgnored():
            return verdict.reason
        case ChangeFailed():
            return verdict.detail
        case QuestionAsked():
            return f"step {verdict.question['step']!r} has to be answered first"
        case _:
            return ""


def _takes_part(
    steps: Steps, before: CorrelationState, case: Case, verdict: Event
) -> bool:
    """Whether the change is looked at: a condition of the definition, or how things
    stand with the shared record."""
    member, place = case.member, pointer("members", case.member.name)
    if reason_of(verdict).startswith(f"{capturing.SKIPPED}step "):
        return True
    why = reason_of(verdict) if isinstance(verdict, ChangeIgnored) else ""
    is_out = why.startswith(TAKES_NO_PART)
    is_condition = why.startswith(capturing.CONDITION)
    if is_out and not is_condition:
        name = "ignore_changed_by" if "who is ignored" in why else ""
        place = f"{place}/{name}" if name else place
        steps.note(name or "takes part", "condition", place, held=False, detail=why)
        return False
    if member.capture_when and capturing.is_asked(before, case):
        steps.take(
            "capture_when",
            "condition",
            f"{place}/capture_when",
            lambda: capturing.objection(before, case) or None,
            condition=member.capture_when,
            held=not is_condition,
            detail=why.removeprefix(capturing.CONDITION) if is_condition else "",
            output=None,
        )
    elif member.capture_when:
        steps.note(
            "capture_when",
            "condition",
            f"{place}/capture_when",
            condition=member.capture_when,
            detail="not asked of this change",
        )
    return not is_out


def _mapped(
    steps: Steps, before: CorrelationState, case: Case
) -> Mapping[str, Any] | None:
    captured, member = case.captured, case.member
    place = pointer("members", member.name, "fields")
    remote = capturing.with_missed(before, case)
    if "inbound" in member.flows and captured.operation != "delete":
        return _flowed(steps, before, case, remote, place)
    unmapped = [name for name in remote if name not in member.by_field]
    found: Mapping[str, Any] | None = steps.take(
        "map",
        "map",
        place,
        lambda: flow.inbound(member, case.definition, remote).fields,
        input=dict(remote),
        detail=f"not mapped: {', '.join(unmapped)}" if unmapped else "",
        places=lambda: {
            each.field: f"{place}{pointer(each.shared)}"
            for each in member.fields.values()
        },
    )
    return {DELETED: True} if captured.operation == "delete" else found


def _flowed(
    steps: Steps,
    before: CorrelationState,
    case: Case,
    remote: Mapping[str, Any],
    place: str,
) -> Mapping[str, Any] | None:
    answers = before.answers.get(subject_of(case.sequence), {})
    try:
        course = courses.inbound(before, case, remote, answers, steps.clock)
    except flow.MappingRefused as refused:
        steps.ran(refused.ran, place)
        return None
    steps.ran(course.ran, place)
    return course.told


def _entries(steps: Steps, case: Case) -> None:
    captured, member = case.captured, case.member
    if captured.entries:
        steps.take(
            "journals",
            "map",
            pointer("members", member.name, "journals"),
            lambda: flow.inbound_entries(
                member,
                case.definition,
                [{"text": "", **each} for each in captured.entries],
            ),
            input=list(captured.entries),
        )


def _files(steps: Steps, case: Case, decided: Sequence[Event]) -> None:
    if not case.captured.attachments:
        return
    shared = [
        each
        for event in decided
        if isinstance(event, events.AttachmentsShared)
        for each in event.attachments
    ]
    refused = [
        f"{event.attachment['name']}: {event.reason}"
        for event in decided
        if isinstance(event, events.AttachmentRefused)
    ]
    steps.note(
        "attachments",
        "files",
        "/attachments",
        input=list(case.captured.attachments),
        output=shared,
        detail="; ".join(refused),
    )


def _merged(
    steps: Steps,
    before: CorrelationState,
    case: Case,
    decided: Sequence[Event],
    shown: Mapping[str, Any],
) -> None:
    """Field by field the rule that decided; the fields held back are in `decided`."""
    verdict = verdict_of(decided)
    if not isinstance(verdict, ChangeAccepted | ChangeIgnored):
        return
    link = before.links.get(case.captured.member) or Link()
    conflicts = {
        event.field: event
        for event in decided
        if isinstance(event, events.ConflictOpened | events.ConflictRecorded)
    }
    for name in dict.fromkeys([*shown, *conflicts]):
        base, shared = link.base.get(name), before.fields.get(name)
        is_gone = name == DELETED
        place = pointer("members", case.captured.member, "capture")
        steps.note(
            name,
            "merge",
            place if is_gone else pointer("fields", name),
            input={
                "base": base.value if base else None,
                "shared": shared.value if shared else None,
                "shown": shown.get(name),
            },
            output=_becomes(name, verdict, shared.value if shared else None),
            detail=_rule(name, verdict, conflicts.get(name)),
        )


def _becomes(name: str, verdict: Event, shared: Any) -> Any:
    if isinstance(verdict, ChangeAccepted) and name in verdict.values:
        return verdict.values[name]
    return shared


def _rule(name: str, verdict: ChangeAccepted | ChangeIgnored, conflict: Any) -> str:
    if conflict is not None:
        winner = getattr(conflict, "winner", "left to a person")
        return f"conflict: {conflict.policy}, {winner}"
    if isinstance(verdict, ChangeAccepted) and name in verdict.values:
        return f"accepted: version {verdict.version}"
    if name in verdict.late:
        return "late: replaced at the member by what is known"
    if name in verdict.agreed:
        return f"agreed: version {verdict.agreed[name]}"
    return "echo: the member was known to hold it"


# --- what goes out ------------------------------------------------------------------


def outbound(
    message: Outgoing,
    member: Member,
    definition: Definition,
    record_id: str | None,
    revision: str | None,
    clock: Callable[[], float] | None = None,
) -> tuple[Steps, Write | None]:
    """The steps that make a message a write, and the write; None where one of them was
    refused."""
    steps, place = Steps(clock), pointer("members", member.name)
    operation = operation_of(message, record_id)
    known = (message, member, definition, record_id, revision)
    if "outbound" in member.flows and DELETED not in message.fields:
        return _flowed_out(steps, place, known, clock)
    if member.constants:
        steps.take(
            "constants",
            "constants",
            f"{place}/constants",
            lambda: constant_fields(
                member, message.fields, message.context, is_new=operation == "create"
            ),
            input={**message.context, **message.fields},
        )
    steps.take(
        "map",
        "map",
        f"{place}/fields",
        lambda: flow.outbound(member, definition, message.fields),
        input=dict(message.fields),
        places=lambda: {
            each.field: f"{place}/fields{pointer(name)}"
            for name, each in member.fields.items()
        },
    )
    _entries_out(steps, message, member, definition)
    if steps.error is not None:
        return steps, None
    return steps, written(*known)[0]


def asked_by(
    message: Outgoing,
    member: Member,
    definition: Definition,
    record_id: str | None,
    revision: str | None,
) -> Question | None:
    """What the member's flow has to know before there is a write."""
    try:
        _, course = written(message, member, definition, record_id, revision)
    except flow.MappingRefused:
        return None
    return course.asks


def _entries_out(
    steps: Steps, message: Outgoing, member: Member, definition: Definition
) -> None:
    if message.entries:
        steps.take(
            "journals",
            "map",
            f"{pointer('members', member.name)}/journals",
            lambda: [
                asdict(each)
                for each in flow.outbound_entries(member, definition, message.entries)
            ],
            input=list(message.entries),
        )


def _flowed_out(
    steps: Steps,
    place: str,
    known: tuple[Outgoing, Member, Definition, str | None, str | None],
    clock: Callable[[], float] | None,
) -> tuple[Steps, Write | None]:
    """The same with the steps of a flow; no write where it asks or skips."""
    message, member, definition, *_ = known
    try:
        write, course = written(*known, clock=clock)
    except flow.MappingRefused as refused:
        steps.ran(refused.ran, f"{place}/fields")
        return steps, None
    steps.ran(course.ran, f"{place}/fields")
    _entries_out(steps, message, member, definition)
    return steps, None if course.asks or course.skipped else write
