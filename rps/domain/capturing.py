"""Whether a member's change is one that its definition wants to hear of.

`capture_when` is asked until the member's record is shared, with `capture_while` also
after that. What a change showed that was not taken for it is remembered: the change
that is taken at last brings all of it along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow
from rps.domain.condition import UNKNOWN, FieldUnreadable
from rps.domain.problem import shown

if TYPE_CHECKING:
    from rps.domain.plan import Case
    from rps.domain.state import CorrelationState

CONDITION = "not captured: condition does not hold: "
SKIPPED = "not captured: "
"""Followed by the step of the flow that wants it so."""
READ_BACK = "read_back"
"""The source of what rps read because it had to know how the record stands: not asked
about, else what is written there could never be settled."""


def objection(state: CorrelationState, case: Case) -> str:
    """Why the change is not taken, else "". Raises MappingRefused for a value that
    cannot be compared."""
    member, captured = case.member, case.captured
    if not member.is_choosy or captured.source == READ_BACK:
        return ""
    if captured.if_match is not None:  # decided already, by a node that knew all
        return ""
    if captured.changed_by.casefold() in member.ignored_people:
        return f"not captured: changed by {shown(captured.changed_by)}, who is ignored"
    condition = case.definition.conditions.get(member.name)
    if condition is None or not is_asked(state, case):
        return ""
    try:
        why = condition.objection(MemberRecord(state, case))
    except FieldUnreadable as unreadable:
        field, value = unreadable.field, unreadable.value
        raise flow.MappingRefused(field, value, str(unreadable)) from None
    return f"{CONDITION}{why}" if why else ""


def is_asked(state: CorrelationState, case: Case) -> bool:
    """Whether the member's condition counts for the change."""
    member, captured = case.member, case.captured
    if captured.operation == "delete" or captured.source == READ_BACK:
        return False
    if captured.if_match is not None:
        return False
    link = state.links.get(member.name)
    return member.capture_while or link is None or link.record_id is None


def missed(case: Case, reason: str) -> dict[str, Any]:
    """What the change shows that has to be remembered, by shared name; the values are
    the member's, some of which nobody may be able to map."""
    if not reason.startswith((CONDITION, f"{SKIPPED}step ")):
        return {}
    maps = case.member.by_field
    return {
        maps[field].shared: value
        for field, value in case.captured.fields.items()
        if field in maps
    }


def with_missed(state: CorrelationState, case: Case) -> dict[str, Any]:
    """The fields of the change, and those that earlier ones showed in vain."""
    captured = case.captured
    before = state.missed.get(captured.member)
    is_whole = captured.operation != "update" or captured.if_match is not None
    if not before or is_whole:
        return captured.fields
    maps = case.member.fields
    remembered = {
        maps[name].field: known.value for name, known in before.items() if name in maps
    }
    return {**remembered, **captured.fields}


class MemberRecord:
    """What is known of the member's record, for a condition to be asked about."""

    def __init__(self, state: CorrelationState, case: Case) -> None:
        self._case = case
        link = state.links.get(case.captured.member)
        self._base = link.base if link else {}
        self._missed = state.missed.get(case.captured.member, {})

    def is_told(self, field: str) -> bool:
        return field in self._case.captured.fields

    def now(self, field: str) -> Any:
        fields = self._case.captured.fields
        return self._read(
            field, fields[field] if field in fields else self._held(field)
        )

    def before(self, field: str) -> Any:
        told = self._case.captured.before
        return self._read(field, told[field] if field in told else self._held(field))

    def _read(self, field: str, value: Any) -> Any:
        """An empty field with a default counts as that: once it has been read, nobody
        can tell it from one that holds it."""
        each = self._case.member.by_field.get(field)
        if each is None:
            return value
        if (value is None or value == "") and each.has_default:
            member, definition = self._case.member, self._case.definition
            return flow.outbound(member, definition, {each.shared: each.default})[field]
        return value

    def _held(self, field: str) -> Any:
        if self._case.captured.operation == "create":
            return None
        member, definition = self._case.member, self._case.definition
        if field not in member.by_field:
            return UNKNOWN
        name = member.by_field[field].shared
        if name in self._missed:
            return self._missed[name].value
        if name not in self._base:
            return UNKNOWN
        held = {name: self._base[name].value}
        try:
            return flow.outbound(member, definition, held)[field]
        except flow.MappingRefused:
            return UNKNOWN
