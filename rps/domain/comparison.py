"""A member's record as it is, beside what the log says that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.domain import courses
from rps.domain.merge import Terms, version_of
from rps.domain.state import Link, newer

if TYPE_CHECKING:
    from rps.domain.plan import Case
    from rps.domain.state import CorrelationState


@dataclass(frozen=True, slots=True)
class Difference:
    """A shared field, in shared values: what the member was `known` to hold, and what
    is `there`. `is_counted`: the record's revision tells that it is later."""

    field: str
    known: Any
    there: Any
    is_counted: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "known": self.known, "there": self.there}


class NotComparable(ValueError):
    """What the record shows cannot be brought into shared form; the text says why."""


def differences(state: CorrelationState, case: Case) -> list[Difference]:
    """What of the record, as the change in `case` shows all of it, is neither known nor
    on its way: what a judgement would take for somebody's edit.

    Raises NotComparable, MappingRefused.
    """
    member, definition = case.member, case.definition
    course = courses.inbound(state, case, case.captured.fields, {})
    if course.asks is not None:
        raise NotComparable("its flow has to ask something first")
    if course.skipped:
        raise NotComparable(f"its flow takes none of it: {course.skipped}")
    terms = Terms(
        definition.fields,
        lambda name, value: courses.normalised(state, member, definition, name, value),
        waiting=list(state.pending.to(member.name)),
    )
    link = state.links.get(member.name) or Link()
    return [
        each
        for name, theirs in course.told.items()
        if (each := _difference(state, link, name, theirs, case, terms)) is not None
    ]


def _difference(
    state: CorrelationState,
    link: Link,
    name: str,
    theirs: Any,
    case: Case,
    terms: Terms,
) -> Difference | None:
    base, shared = link.base.get(name), state.fields.get(name)
    if base is not None and theirs == base.value:
        return None
    if shared is not None and version_of(name, theirs, shared, terms) is not None:
        return None
    if base is None:
        if shared is None and theirs in (None, "", []):
            return None  # nothing is known, and nothing is there
        return Difference(name, shared.value if shared else None, theirs)
    is_counted = newer(case.captured.record_revision, base.revision)
    return Difference(name, base.value, theirs, is_counted)
