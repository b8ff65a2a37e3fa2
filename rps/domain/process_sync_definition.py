"""A process sync definition's life: drafted, published in revisions, retired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Aggregate, Event, identity, records
from rps.domain.document import parse
from rps.domain.loops import loops
from rps.domain.problem import DefinitionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from rps.domain.agreement import Definition


class NothingToPublish(Exception):
    """There is no draft that differs from what is published."""


class ProcessSyncDefinition(Aggregate):
    """`document` is the draft, `published` what is in force, None if nothing is.

    Revisions count from 1 and never come back.
    """

    process_event: str
    document: dict[str, Any]
    published: dict[str, Any] | None
    revision: int
    retired: bool

    @staticmethod
    def id_of(domain: str, process_event: str) -> UUID:
        return identity("definition", domain, process_event)

    def start(self) -> None:
        self.process_event = self.domain = ""
        self.document, self.published = {}, None
        self.revision, self.retired = 0, False

    @classmethod
    def drafted(
        cls, definition: Definition, actor: str, now: datetime
    ) -> ProcessSyncDefinition:
        """A definition nobody has drafted before."""
        made = cls.blank(cls.id_of(definition.domain, definition.process_event), now)
        made.draft(definition, actor, now)
        return made

    def draft(self, definition: Definition, actor: str, now: datetime) -> None:
        """Replace the draft. Saying it twice changes nothing."""
        document = definition.to_document()
        if document == self.document:
            return
        self.domain = definition.domain
        self.happened(
            DefinitionDrafted,
            now,
            process_event=definition.process_event,
            document=document,
            actor=actor,
        )

    def publish(self, others: Iterable[Definition], actor: str, now: datetime) -> None:
        """Put the draft in force, beside the `others` that are.

        Raises DefinitionRefused when together they would loop.
        """
        if self.document == self.published and not self.retired:
            return
        if not self.document:
            raise NothingToPublish(self.process_event)
        if problems := loops(parse(self.document), others):
            raise DefinitionRefused(problems)
        self.happened(
            DefinitionPublished,
            now,
            process_event=self.process_event,
            revision=self.revision + 1,
            document=self.document,
            actor=actor,
        )

    def retire(self, reason: str, actor: str, now: datetime) -> None:
        """Capture nothing under it any more; what waits is still delivered."""
        if not self.retired:
            self.happened(DefinitionRetired, now, reason=reason, actor=actor)


@records(ProcessSyncDefinition)
class DefinitionDrafted(Event):
    TOPIC = "definition.drafted"

    process_event: str
    document: dict[str, Any]
    actor: str

    def apply(self, aggregate: ProcessSyncDefinition) -> None:
        aggregate.domain, aggregate.process_event = self.domain, self.process_event
        aggregate.document = self.document


@records(ProcessSyncDefinition)
class DefinitionPublished(Event):
    TOPIC = "definition.published"

    process_event: str
    revision: int
    document: dict[str, Any]
    actor: str

    def apply(self, aggregate: ProcessSyncDefinition) -> None:
        aggregate.published, aggregate.revision = self.document, self.revision
        aggregate.retired = False


@records(ProcessSyncDefinition)
class DefinitionRetired(Event):
    TOPIC = "definition.retired"

    reason: str
    actor: str

    def apply(self, aggregate: ProcessSyncDefinition) -> None:
        aggregate.retired, aggregate.published = True, None
