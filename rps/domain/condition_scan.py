"""Asks whether a member's capture condition makes sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.domain.condition import ConditionRefused, Subject, bind, subjects_of
from rps.domain.problem import pointer

if TYPE_CHECKING:
    from rps.domain.agreement import Definition, Member
    from rps.domain.problem import Findings


def condition_is_sound(member: Member, definition: Definition, found: Findings) -> None:
    """Add what is wrong with `capture_when` and `capture_while` to `found`."""
    place = pointer("members", member.name)
    if member.capture_while and not member.capture_when:
        cause = "there is no condition to match"
        remedy = "add 'capture_when:', or leave 'capture_while' out"
        found.add("condition-missing", place + "/capture_while", cause, remedy)
    if not member.capture_when or found.unsure("members", member.name, "capture_when"):
        return
    unsure = found.unsure("members", member.name, "capture")
    place += "/capture_when"
    if not member.captures_values and not unsure:
        cause = "nothing is captured from the member, so nothing is asked"
        remedy = "capture create or update there, or leave the condition out"
        found.add("condition-unused", place, cause, remedy)
    if found.unsure("members", member.name, "fields") or found.unsure("fields"):
        return
    try:
        bind(member.capture_when, _subjects(member, definition, found))
    except ConditionRefused as refused:
        for flaw in refused.flaws:
            cause = f"column {flaw.column} of the condition: {flaw.cause}"
            found.add(flaw.code, place, cause, flaw.remedy)


def _subjects(
    member: Member, definition: Definition, found: Findings
) -> dict[str, Subject]:
    """Without the types of shared fields that could not be read."""
    subjects = subjects_of(member, definition.fields)
    for each in member.fields.values():
        map_unsure = found.unsure("members", member.name, "fields", each.shared)
        if map_unsure or any(
            found.unsure("fields", each.shared, key) for key in ("type", "values")
        ):
            subjects[each.field] = Subject(None)
    return subjects
