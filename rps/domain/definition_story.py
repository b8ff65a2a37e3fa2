"""A definition's revisions and what became of them, read off its stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rps.domain.process_sync_definition import (
    DefinitionDrafted,
    DefinitionPublished,
    DefinitionRetired,
    Revision,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rps.domain.aggregate import Event

Kind = Literal["published", "rolled back", "retired"]


class RevisionUnknown(LookupError):
    """There is no such revision; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Step:
    """`revision` is the one put in force, or (retired) the one that was."""

    kind: Kind
    revision: int
    at: datetime
    actor: str
    reason: str = ""
    rolled_back_to: int | None = None


class Story:
    """What happened to a definition, oldest first."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.steps: list[Step] = []
        self.revisions: dict[int, Revision] = {}
        self._sources: list[tuple[object, str]] = []
        for event in events:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        match event:
            case DefinitionDrafted(document=document, source=source):
                self._sources.append((document, source))
            case DefinitionPublished():
                self._published(event)
            case DefinitionRetired(actor=actor, reason=reason):
                at = event.timestamp
                step = Step("retired", self.newest, at, actor, reason)
                self.steps.append(step)

    def _published(self, event: DefinitionPublished) -> None:
        back = event.rolled_back_to
        stands_for = event.revision if back is None else self.revisions[back].stands_for
        self._sources.append((event.document, event.source))
        self.revisions[event.revision] = Revision(
            event.revision, event.document, event.source, stands_for
        )
        self.steps.append(
            Step(
                "published" if back is None else "rolled back",
                event.revision,
                event.timestamp,
                event.actor,
                event.reason,
                back,
            )
        )

    @property
    def newest(self) -> int:
        """The number of the newest revision, 0 before the first."""
        return max(self.revisions, default=0)

    def revision(self, number: int) -> Revision:
        """Raises RevisionUnknown."""
        if number not in self.revisions:
            if not self.revisions:
                raise RevisionUnknown("nothing was ever published")
            raise RevisionUnknown(f"no revision {number}: there are 1 to {self.newest}")
        return self.revisions[number]

    def before(self, number: int) -> Revision:
        """What to go back to from revision `number`: the one before that whose document
        it has. Raises RevisionUnknown."""
        earlier = self.revision(number).stands_for - 1
        if not earlier:
            raise RevisionUnknown(
                f"revision {number} has the first document there was: "
                "name the revision to go back to, or retire the definition"
            )
        return self.revision(earlier)

    def source(self, number: int) -> str:
        """The newest text that says what revision `number` does, "" where none was
        kept: comments may have been added to it since. Raises RevisionUnknown."""
        document = self.revision(number).document
        said = (text for each, text in reversed(self._sources) if each == document)
        return next(filter(None, said), "")
