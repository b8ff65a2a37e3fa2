"""What published definitions have to do with a table of a remote system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rps.domain.agreement import Definition, FieldType, Member, SharedAttachments


@dataclass(frozen=True, slots=True)
class Uses:
    """Names are the system's own. `fields`: what is read or written, each with the type
    it is shared as; `files`: the terms under which files of its records are shared."""

    fields: Mapping[str, FieldType] = field(default_factory=dict)
    journals: frozenset[str] = frozenset()
    captured: frozenset[str] = frozenset()
    delivered: frozenset[str] = frozenset()
    files: tuple[SharedAttachments, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Whether anything is captured from the table."""
        return bool(self.captured)


def uses_of(members: Iterable[tuple[Definition, Member]]) -> Uses:
    """Of all members that are the same table of the same system."""
    fields: dict[str, FieldType] = {}
    journals: set[str] = set()
    captured: set[str] = set()
    delivered: set[str] = set()
    files: list[SharedAttachments] = []
    for definition, member in members:
        fields |= dict.fromkeys(member.constants, "text")
        for name, each in member.fields.items():
            fields[each.field] = definition.fields[name].type
        journals |= member.by_journal.keys()
        captured |= set(member.capture)
        delivered |= set(member.deliver)
        if definition.attachments is not None and member.attachments:
            files.append(definition.attachments)
    return Uses(
        fields,
        frozenset(journals),
        frozenset(captured),
        frozenset(delivered),
        tuple(files),
    )
