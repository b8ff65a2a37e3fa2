"""Asks whether what a member says of its fields makes sense."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rps.domain.flow import MappingRefused, checked_value
from rps.domain.problem import listed, pointer, shown
from rps.domain.visibility import is_hidden_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.domain.agreement import Definition, Member, SharedField
    from rps.domain.field_map import FieldMap
    from rps.domain.problem import Findings


def map_is_sound(
    each: FieldMap, member: Member, definition: Definition, found: Findings
) -> None:
    shared = definition.fields[each.shared]
    place = pointer("members", member.name, "fields", each.shared)
    if found.unsure("fields", shared.name, "type"):
        return
    for key, kinds, cause in _belonging(each):
        if shared.type not in kinds:
            remedy = f"leave '{key}' out; it belongs to {' and '.join(kinds)} fields"
            said = f"a {shared.type} {cause}"
            found.add("type-mismatch", f"{place}/{key}", said, remedy)
    _default_is_a_value(each, shared, place + "/default", found)
    if each.room is not None and each.room < 1:
        cause = f"'format' takes all of the {each.truncate} characters"
        remedy = "let 'truncate' leave room for the text, or shorten 'format'"
        found.add("truncate-no-room", place + "/truncate", cause, remedy)
    if shared.type == "text" and is_hidden_name(each.field):
        cause = f"{shown(each.field)} holds internal notes, a text field is no journal"
        remedy = "share it as a journal, whose visibility is checked"
        found.add("journal-as-field", place, cause, remedy)
    if shared.type == "choice" and each.values:
        _table_is_complete(each, shared, place + "/values", found)


def _table_is_complete(
    each: FieldMap, shared: SharedField, place: str, found: Findings
) -> None:
    """Every shared value has one remote value, and every remote value one way back."""
    if pointer("fields", shared.name, "values") in found.broken:
        return
    for value in each.values:
        if value not in shared.known_values:
            cause = f"{shown(value)} is not a value of the shared field"
            remedy = found.instead_of(value, shared.values)
            found.add("values-unknown", place + pointer(value), cause, remedy)
    missing = [value for value in shared.values if value not in each.values]
    if missing and place not in found.broken:
        cause = f"no remote value for {listed(missing)}"
        found.add("values-incomplete", place, cause, "give each shared value its own")
    back: defaultdict[str, list[str]] = defaultdict(list)
    for value, remote in each.values.items():
        back[remote].append(value)
    for remote, values in back.items():
        if remote and len(values) > 1:
            cause = f"{shown(remote)} could come back as {listed(values)}"
            remedy = "give each shared value its own remote value"
            found.add("values-ambiguous", place, cause, remedy)


def _belonging(each: FieldMap) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The keys that are there, the types they belong to, and why not to others."""
    if each.values:
        yield "values", ("choice",), "field has no table of values"
    if each.truncate is not None:
        yield "truncate", ("text",), "value cannot be cut"
    if each.format:
        yield "format", ("text", "user", "reference"), "value has nothing put round it"
    if each.written_as != "seconds":
        yield "as", ("duration",), "value is written in one way only"


def _default_is_a_value(
    each: FieldMap, shared: SharedField, place: str, found: Findings
) -> None:
    if each.default is None or found.unsure("fields", shared.name):
        return
    if shared.type == "choice" and found.unsure("fields", shared.name, "values"):
        return
    try:
        value = checked_value(shared, each.default)
    except MappingRefused as refused:
        cause = f"the default {shown(each.default)} {refused.detail}"
    else:
        room = each.room if shared.type == "text" else None
        if value is not None and (room is None or len(value) <= room):
            return
        cause = "the default is empty" if value is None else "the default would be cut"
    remedy = "write a value that the shared field can have, in its own words"
    found.add("default-value", place, cause, remedy)


def constants_are_sound(
    member: Member, definition: Definition, found: Findings
) -> None:
    """Add what is wrong with what is written beside the mapped fields to `found`."""
    place = pointer("members", member.name, "constants")
    if not member.constants:
        return
    unsure = found.unsure("members", member.name, "deliver")
    if not member.takes_values and not unsure:
        cause = "nothing is written to the member"
        remedy = "deliver create or update there, or leave 'constants' out"
        found.add("constant-unused", place, cause, remedy)
    if found.unsure("fields"):
        return
    for remote, each in member.constants.items():
        for name in sorted(each.fields):
            if name not in definition.fields:
                cause = f"there is no shared field {shown(name)}"
                remedy = found.instead_of(name, definition.fields)
                found.add("constant-field", place + pointer(remote), cause, remedy)
