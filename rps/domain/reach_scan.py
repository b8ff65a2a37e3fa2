"""Asks whether each member can be reached with what its definition promises it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.domain.problem import pointer, shown

if TYPE_CHECKING:
    from rps.domain.agreement import Definition, Member
    from rps.domain.problem import Findings


def members_are_reached(definition: Definition, found: Findings) -> None:
    """Add to `found` the members whose records cannot be known, and what they are
    promised that nobody reports."""
    for member in definition.members.values():
        if member.capture or member.deliver:
            _can_be_linked(member, found)
        _deletes_are_heard_of(member, definition, found)
        _people_are_ignored(member, found)


def _can_be_linked(member: Member, found: Findings) -> None:
    if not member.captures_values and not member.takes_values:
        cause = (
            "only deletions are captured or delivered, so no record of"
            f" {shown(member.name)} can come to be shared"
        )
        remedy = "capture or deliver create or update there, or leave the member out"
        place = pointer("members", member.name)
        found.add("member-unreachable", place, cause, remedy)


def _deletes_are_heard_of(
    member: Member, definition: Definition, found: Findings
) -> None:
    others = [m for m in definition.members.values() if m.name != member.name]
    if "delete" in member.deliver and not any("delete" in m.capture for m in others):
        cause = "no other member captures delete, so there is none to deliver"
        remedy = "capture delete in another member, or leave it out of 'deliver'"
        place = pointer("members", member.name, "deliver")
        found.add("delete-not-captured", place, cause, remedy)


def _people_are_ignored(member: Member, found: Findings) -> None:
    if member.ignore_changed_by and not member.capture:
        cause = "nothing is captured from the member, so nobody is ignored"
        remedy = "capture something there, or leave 'ignore_changed_by' out"
        place = pointer("members", member.name, "ignore_changed_by")
        found.add("ignore-unused", place, cause, remedy)
