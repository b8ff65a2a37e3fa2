"""Asks how a definition goes with the others that are in force beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rps.domain.loops import loops
from rps.domain.problem import Problem, in_order, listed, pointer, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rps.domain.agreement import Definition, Member
    from rps.domain.field_map import FieldMap
    from rps.domain.problem import Findings


class _Pair(NamedTuple):
    """The same table of the same system in two definitions; `there` is published."""

    here: Definition
    member: Member
    there: Definition
    other: Member

    @property
    def table(self) -> str:
        return shown(f"{self.member.system}.{self.member.table}")

    @property
    def name(self) -> str:
        return shown(self.there.process_event)

    def fields(self) -> Iterator[tuple[FieldMap, FieldMap]]:
        """What both map of the table's fields."""
        for remote, own in self.member.by_field.items():
            if remote in self.other.by_field:
                yield own, self.other.by_field[remote]


def contradictions(
    candidate: Definition, published: Iterable[Definition]
) -> tuple[Problem, ...]:
    """Why `candidate` cannot be published next to `published`; empty if it can."""
    others = list(published)
    found = [
        problem
        for pair in _pairs(candidate, others)
        for problem in _readers_contradicted(pair)
    ]
    return in_order([*loops(candidate, others), *found])


def compare(
    candidate: Definition, published: Iterable[Definition], found: Findings
) -> None:
    """Add what should give its author pause to `found`."""
    for pair in _pairs(candidate, published):
        _conditions_differ(pair, found)
        _attachments_differ(pair, found)
        for own, their in pair.fields():
            _owners_differ(pair, own, their, found)
            _types_differ(pair, own, their, found)
            _cut_differs(pair, own, their, found)


def _pairs(here: Definition, published: Iterable[Definition]) -> Iterator[_Pair]:
    name = (here.domain, here.process_event)
    for there in published:
        if (there.domain, there.process_event) == name:
            continue
        by_table = {(m.system, m.table): m for m in there.members.values()}
        for member in here.members.values():
            if other := by_table.get((member.system, member.table)):
                yield _Pair(here, member, there, other)


def _readers_contradicted(pair: _Pair) -> Iterator[Problem]:
    """What one definition puts into a journal as internal would leave it as public by
    the other."""
    for remote, own in pair.member.by_journal.items():
        their = pair.other.by_journal.get(remote)
        if their is not None and their.visibility != own.visibility:
            yield Problem(
                "visibility-differs",
                pointer("members", pair.member.name, "journals", own.shared),
                f"{shown(remote)} is {own.visibility} here and {their.visibility} by"
                f" {pair.name}, which is published",
                "say the same of who reads it in both",
            )


def _conditions_differ(pair: _Pair, found: Findings) -> None:
    own, other = pair.member, pair.other
    if not own.captures_values or not other.captures_values:
        return
    if own.capture_when != other.capture_when:
        theirs = shown(other.capture_when) if other.capture_when else "all records"
        cause = (
            f"{pair.name} captures {pair.table} under another condition ({theirs}):"
            " a record that fits both is shared twice"
        )
        remedy = "let the conditions exclude each other, unless that is meant"
        place = pointer("members", own.name, "capture_when")
        found.add("condition-differs", place, cause, remedy)


def _attachments_differ(pair: _Pair, found: Findings) -> None:
    own, their = pair.here.attachments, pair.there.attachments
    if own is None or their is None:
        return
    if not pair.member.attachments or not pair.other.attachments:
        return
    if (own.size_max, set(own.extensions)) != (their.size_max, set(their.extensions)):
        cause = (
            f"{pair.name} takes other files of {pair.table}: {_limits(their)},"
            f" here {_limits(own)}"
        )
        remedy = "give both the same 'size_max' and 'extensions', unless that is meant"
        found.add("attachment-limits", "/attachments", cause, remedy)


def _limits(terms: object) -> str:
    size, extensions = terms.size_max, terms.extensions  # type: ignore[attr-defined]
    kinds = listed(sorted(extensions)) if extensions else "all kinds"
    return f"{kinds} up to {size} bytes"


def _owners_differ(
    pair: _Pair, own: FieldMap, their: FieldMap, found: Findings
) -> None:
    mine, theirs = _owner(pair.here, own), _owner(pair.there, their)
    if mine and theirs and mine != theirs:
        cause = (
            f"{shown(own.field)} of {pair.table} is owned by {shown('.'.join(mine))}"
            f" here and by {shown('.'.join(theirs))} in {pair.name}"
        )
        remedy = "name the same owner in both, or share the field in one of them only"
        place = pointer("fields", own.shared, "owner")
        found.add("owners-differ", place, cause, remedy)


def _owner(definition: Definition, each: FieldMap) -> tuple[str, str] | None:
    """The table whose value counts."""
    owner = definition.members.get(definition.fields[each.shared].owner or "")
    return (owner.system, owner.table) if owner else None


def _types_differ(pair: _Pair, own: FieldMap, their: FieldMap, found: Findings) -> None:
    mine, theirs = pair.here.fields[own.shared], pair.there.fields[their.shared]
    place = pointer("members", pair.member.name, "fields", own.shared)
    if mine.type != theirs.type:
        cause = (
            f"{shown(own.field)} of {pair.table} is read as {mine.type} here, as"
            f" {theirs.type} by {pair.name}"
        )
        remedy = "give the field the same type in both"
        found.add("types-differ", place, cause, remedy)
    elif mine.type == "choice" and pair.member.captures_values:
        known = {own.values.get(value, value) for value in mine.values}
        missing = [
            said
            for value in theirs.values
            if (said := their.values.get(value, value)) not in known
        ]
        if missing:
            cause = (
                f"{pair.name} knows {listed(missing)} of {shown(own.field)}: such a"
                " value would stop the change here"
            )
            remedy = "add the values, or correct the table of the other definition"
            found.add("values-differ", place, cause, remedy)


def _cut_differs(pair: _Pair, own: FieldMap, their: FieldMap, found: Findings) -> None:
    shared = pair.here.fields[own.shared]
    if their.truncate is None or shared.type != "text" or not pair.member.takes_values:
        return
    longest = own.truncate or shared.max_length
    if longest is None or longest > their.truncate:
        said = f"up to {longest} characters" if longest else "texts of any length"
        cause = (
            f"{pair.name} cuts {shown(own.field)} of {pair.table} to"
            f" {their.truncate} characters, here {said} are written: what the system"
            " cuts itself comes back as an edit"
        )
        remedy = f"add 'truncate: {their.truncate}', or correct the other definition"
        place = pointer("members", pair.member.name, "fields", own.shared)
        found.add("truncate-differs", place, cause, remedy)
