"""What a member's flows make of its changes and of messages to it.

Where a member has no flow, its map alone is one; that is the way of nearly every
change, so it is not run step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow
from rps.domain.between_nodes import NODE
from rps.domain.capturing import READ_BACK, MemberRecord
from rps.domain.condition import OTHER, UNKNOWN
from rps.domain.constants import constant_fields
from rps.domain.execution import Course, Run, Sight
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.agreement import Definition, Member
    from rps.domain.plan import Case
    from rps.domain.question import Answers
    from rps.domain.state import CorrelationState


class SharedRecord:
    """The record in shared names, as it was known at the member before a change."""

    def __init__(self, state: CorrelationState, member: str) -> None:
        link = state.links.get(member)
        self._base = link.base if link else {}
        self._fields = state.fields

    def now(self, name: str) -> Any:
        if (known := self._base.get(name)) is not None:
            return known.value
        return shared.value if (shared := self._fields.get(name)) else None

    before = now


class MessageRecord:
    """What a message knows beside what it carries."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._context = context

    def now(self, name: str) -> Any:
        return self._context.get(name)

    def before(self, _name: str) -> Any:
        return OTHER


class WrittenRecord:
    """The same in the member's names and values."""

    def __init__(
        self, member: Member, definition: Definition, context: Mapping[str, Any]
    ) -> None:
        self._member, self._definition = member, definition
        self._context = context

    def now(self, name: str) -> Any:
        each = self._member.by_field.get(name)
        if each is None or each.shared not in self._context:
            return None
        known = {each.shared: self._context[each.shared]}
        try:
            return flow.outbound(self._member, self._definition, known)[name]
        except flow.MappingRefused:
            return UNKNOWN

    def before(self, _name: str) -> Any:
        return OTHER


def inbound(
    state: CorrelationState,
    case: Case,
    fields: Mapping[str, Any],
    answers: Answers,
    clock: Callable[[], float] | None = None,
) -> Course:
    """What the change's `fields` come to, in shared names. Raises MappingRefused."""
    member, definition, captured = case.member, case.definition, case.captured
    steps = member.flows.get("inbound")
    if steps is None or captured.operation == "delete":
        return Course(flow.inbound(member, definition, fields).fields)
    is_decided = captured.if_match is not None or captured.source in (NODE, READ_BACK)
    link = state.links.get(member.name)
    shared = SharedRecord(state, member.name)
    return Run(
        steps,
        member.name,
        definition.step_conditions[(member.name, "inbound")],
        Sight("member", dict(fields), MemberRecord(state, case)),
        lambda told: Sight(
            "shared", flow.inbound(member, definition, told).fields, shared
        ),
        answers,
        is_asked=not is_decided,
        is_new=link is None or link.record_id is None,
        clock=clock,
    ).go()


def outbound(
    member: Member,
    definition: Definition,
    fields: Mapping[str, Any],
    context: Mapping[str, Any],
    answers: Answers,
    *,
    is_new: bool,
    clock: Callable[[], float] | None = None,
) -> Course:
    """What the shared `fields` of a message come to, in the member's names; `context`
    are others that are known. Raises MappingRefused."""

    def mapped(told: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **constant_fields(member, told, context, is_new=is_new),
            **flow.outbound(member, definition, told),
        }

    steps = member.flows.get("outbound")
    if steps is None or DELETED in fields:
        return Course(mapped(fields))
    return Run(
        steps,
        member.name,
        definition.step_conditions[(member.name, "outbound")],
        Sight("shared", dict(fields), MessageRecord(context)),
        lambda told: Sight(
            "member", mapped(told), WrittenRecord(member, definition, context)
        ),
        answers,
        is_new=is_new,
        clock=clock,
    ).go()


def held(
    member: Member,
    definition: Definition,
    fields: Mapping[str, Any],
    there: Mapping[str, Any],
) -> dict[str, Any]:
    """What the member is known to hold, in shared form, once it was written the shared
    `fields` and has `there` in its own: what its changes will show. What a step of the
    way in has a say in is what was sent."""
    known = {
        name: flow.normalised(member, definition, name, value)
        for name, value in fields.items()
    }
    steps = member.flows.get("inbound")
    told_in = steps.targets if steps else frozenset()
    for remote, value in there.items():
        each = member.by_field.get(remote)
        if each is None:
            continue
        if ("member", remote) in told_in or ("shared", each.shared) in told_in:
            if each.shared in fields:
                known[each.shared] = fields[each.shared]
            continue
        try:
            known |= flow.inbound(member, definition, {remote: value}).fields
        except flow.MappingRefused:
            continue  # its own words for it; what was sent is what is known
    return known


def normalised(
    state: CorrelationState,
    member: Member,
    definition: Definition,
    name: str,
    value: Any,
) -> Any:
    """The shared value that the member will show once `value` is written to it."""
    if not member.flows:
        return flow.normalised(member, definition, name, value)
    values = {each: shared.value for each, shared in state.fields.items()}
    told = {name: value}
    try:
        course = outbound(member, definition, told, values, {}, is_new=False)
    except flow.MappingRefused:
        return value
    if course.asks or course.skipped:
        return value
    return held(member, definition, told, course.told).get(name, value)
