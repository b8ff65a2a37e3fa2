"""What a definition says that works, and may not be what its author wants."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from rps.domain.problem import pointer, shown

if TYPE_CHECKING:
    from rps.domain.agreement import Definition, Member, SharedField
    from rps.domain.problem import Findings

DECIDING = ("merge", "manual", "remote_wins", "local_wins")
"""Policies that mean something only where two members change a field."""


def advise(definition: Definition, found: Findings) -> None:
    """Add what the document alone gives reason to warn of to `found`."""
    for one, other in combinations(definition.members.values(), 2):
        _both_create(one, other, found)
    for member in definition.members.values():
        _made_and_forgotten(member, found)
        _never_linked(member, found)
        _cuts_nothing(member, definition, found)
    for shared in definition.fields.values():
        _decides_nothing(shared, definition, found)


def _both_create(one: Member, other: Member, found: Findings) -> None:
    if _opens(one) and _opens(other) and not one.capture_when + other.capture_when:
        cause = (
            f"{shown(one.name)} and {shown(other.name)} both share every record of"
            " theirs and get every record of the other: where people make the same"
            " ticket on both sides by hand, each side ends up with two"
        )
        remedy = (
            "say with 'capture_when' which records are handed over, or leave create"
            " out of 'deliver' on one side"
        )
        found.add("both-create", pointer("members", other.name), cause, remedy)


def _opens(member: Member) -> bool:
    return member.captures_values and "create" in member.deliver


def _made_and_forgotten(member: Member, found: Findings) -> None:
    if "create" in member.deliver and "update" not in member.deliver:
        cause = f"records are made at {shown(member.name)} and never updated there"
        remedy = "add update to 'deliver', unless a first copy is all it should get"
        place = pointer("members", member.name, "deliver")
        found.add("create-only", place, cause, remedy)


def _never_linked(member: Member, found: Findings) -> None:
    if member.deliver and not member.captures_values and "create" not in member.deliver:
        cause = (
            f"nothing is made at {shown(member.name)} and nothing captured from it, so"
            " none of its records comes to be shared"
        )
        remedy = "deliver create there, or capture create or update"
        place = pointer("members", member.name, "deliver")
        found.add("never-linked", place, cause, remedy)


def _cuts_nothing(member: Member, definition: Definition, found: Findings) -> None:
    for each in member.fields.values():
        shared = definition.fields[each.shared]
        longest = shared.max_length
        if longest is not None and each.room is not None and each.room >= longest:
            cause = f"no text is longer than the {longest} characters shared"
            remedy = "leave 'truncate' out, or correct it or the field's 'max_length'"
            place = pointer("members", member.name, "fields", each.shared, "truncate")
            found.add("truncate-unused", place, cause, remedy)


def _decides_nothing(
    shared: SharedField, definition: Definition, found: Findings
) -> None:
    sources = [
        member.name
        for member in definition.members.values()
        if shared.name in member.fields and member.captures_values
    ]
    if shared.policy in DECIDING and len(sources) == 1:
        cause = f"only {shown(sources[0])} changes it, so nothing is to be decided"
        remedy = "leave 'policy' out, or capture the field in another member too"
        place = pointer("fields", shared.name, "policy")
        found.add("policy-unused", place, cause, remedy)
