"""A capture condition: an encoded query about a member's own fields, typed and asked.

Values compare as the type of the shared field says. As in a list filter, texts and
choices compare without regard to case, and an empty field is unlike no value: `!=` and
`NOT IN` do not hold for it, `NOT LIKE` does. A date without a time is that whole day.
Where nothing is known of a field, no condition about it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from rps.domain.canonical import READERS, Unreadable
from rps.domain.comparing import MEANT, passing
from rps.domain.encoded_query import AllOf, Comparison, QueryRefused, read_query
from rps.domain.problem import listed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.agreement import FieldType, Member, SharedField
    from rps.domain.encoded_query import Node

REASON_MAX = 400

UNKNOWN: Final = object()
"""What a field holds of which nothing is known."""
OTHER: Final = object()
"""What a field held that is told now: something else, nobody knows what."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A field that may be asked about; `values` are a choice's, in the member's words.

    None where the definition is too broken to know.
    """

    type: FieldType | None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a condition. `column` counts from 1."""

    code: str
    column: int
    cause: str
    remedy: str


class FieldUnreadable(Unreadable):
    """A value of the record that is not of its field's type."""

    def __init__(self, field: str, value: Any, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.value = value


class ConditionRefused(ValueError):
    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        super().__init__("; ".join(f"column {f.column}: {f.cause}" for f in flaws))
        self.flaws = flaws


class Record(Protocol):
    """What is known of the member's record; values as the member says them."""

    def now(self, field: str) -> Any:
        """The value with the change made, None where empty, or UNKNOWN."""

    def before(self, field: str) -> Any:
        """The value the change found, None where empty, UNKNOWN, or OTHER."""

    def is_told(self, field: str) -> bool:
        """Whether the change itself carries the field."""


Test = tuple[str, str, "Callable[[Any], bool]"]
"""Field, operator, and what a value has to pass."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`objection` says why the condition does not hold, "" where it does."""

    text: str
    tree: Node
    subjects: Mapping[str, Subject]
    tests: Mapping[int, Callable[[Any], bool]]

    def objection(self, record: Record) -> str:
        why = self._why(self.tree, record)
        return why if len(why) <= REASON_MAX else why[:REASON_MAX] + "…"

    def _why(self, node: Node, record: Record) -> str:
        if isinstance(node, Comparison):
            why = self._compared(node, record)
            return f"{node.text} ({why})" if why else ""
        if isinstance(node, AllOf):
            return next((why for p in node.parts if (why := self._why(p, record))), "")
        whys = []
        for part in node.parts:
            why = self._why(part, record)
            if not why:
                return ""
            whys.append(why)
        return " and ".join(whys)

    def _compared(self, asked: Comparison, record: Record) -> str:
        test = self.tests[asked.column]
        if asked.operator.startswith("CHANGES"):
            return self._changed(asked, test, record)
        if asked.operator == "ANYTHING":
            return ""
        value = record.now(asked.field)
        if value is UNKNOWN:
            return f"nothing is known of {asked.field}"
        if test(self._canonical(asked.field, value)):
            return ""
        return f"{asked.field} is {_said(value)}"

    def _changed(
        self, asked: Comparison, test: Callable[[Any], bool], record: Record
    ) -> str:
        if not record.is_told(asked.field):
            return f"the change does not carry {asked.field}"
        before, now = record.before(asked.field), record.now(asked.field)
        if before is UNKNOWN or (before is OTHER and asked.operator == "CHANGESFROM"):
            return f"what {asked.field} was before is not known"
        if before is OTHER:
            if test(self._canonical(asked.field, now)):
                return ""
            return f"{asked.field} goes to {_said(now)}"
        was = self._canonical(asked.field, before)
        is_now = self._canonical(asked.field, now)
        if was == is_now:
            return f"{asked.field} stays {_said(now)}"
        tested = was if asked.operator == "CHANGESFROM" else is_now
        if test(tested):
            return ""
        return f"{asked.field} goes from {_said(before)} to {_said(now)}"

    def _canonical(self, field: str, value: Any) -> Any:
        if value is None or value == "":
            return None
        kind = self.subjects[field].type
        try:
            return READERS[kind](value) if kind else value
        except Unreadable as unreadable:
            raise FieldUnreadable(field, value, str(unreadable)) from None


def subjects_of(
    member: Member, fields: Mapping[str, SharedField]
) -> dict[str, Subject]:
    """The fields of `member` by its own names."""
    found = {}
    for each in member.fields.values():
        shared = fields.get(each.shared)
        if shared is None:
            found[each.field] = Subject(None)
            continue
        values = tuple(each.values.values()) or shared.values
        found[each.field] = Subject(shared.type, values)
    return found


def bind(text: str, subjects: Mapping[str, Subject]) -> Condition:
    """The condition that `text` says. Raises ConditionRefused with all its flaws."""
    try:
        tree = read_query(text, subjects)
    except QueryRefused as refused:
        flaw = Flaw("condition-syntax", refused.column, refused.cause, refused.remedy)
        raise ConditionRefused((flaw,)) from None
    tests: dict[int, Callable[[Any], bool]] = {}
    flaws: list[Flaw] = []
    for asked in comparisons(tree):
        try:
            tests[asked.column] = _test(asked, subjects)
        except _Flawed as flawed:
            flaws.append(flawed.flaw)
    if flaws:
        raise ConditionRefused(tuple(flaws))
    return Condition(text, tree, subjects, tests)


def comparisons(node: Node) -> list[Comparison]:
    if isinstance(node, Comparison):
        return [node]
    return [asked for part in node.parts for asked in comparisons(part)]


class _Flawed(ValueError):
    def __init__(self, code: str, column: int, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.flaw = Flaw(code, column, cause, remedy)


def _test(asked: Comparison, subjects: Mapping[str, Subject]) -> Callable[[Any], bool]:
    subject = subjects.get(asked.field)
    if subject is None:
        cause = f"the member maps no field {shown(asked.field)}"
        remedy = f"map it under 'fields', or ask about {listed(subjects)}"
        raise _Flawed("condition-field", asked.column, cause, remedy)
    kind = subject.type
    if kind is None:
        return bool
    if asked.operator not in MEANT[kind]:
        cause = f"{asked.operator} says nothing about a {kind} field"
        remedy = f"use one of {', '.join(MEANT[kind])}"
        raise _Flawed("condition-operator", asked.column, cause, remedy)
    try:
        return passing(asked, kind, subject.values)
    except Unreadable as unreadable:
        cause = str(unreadable)
        remedy = "write a value that the field can have"
        raise _Flawed("condition-value", asked.at_value, cause, remedy) from None


def _said(value: Any) -> str:
    return "empty" if value is None or value == "" else shown(value)
