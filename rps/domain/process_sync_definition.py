"""A process sync definition's life: drafted, published in revisions, retired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Aggregate, Event, identity, records
from rps.domain.beside_scan import contradictions
from rps.domain.document import parse, recorded
from rps.domain.problem import DefinitionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from rps.domain.agreement import Definition


class NothingToPublish(Exception):
    """There is no draft that differs from what is published."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A document that was put in force, and the text it was written as ("" where it
    came as data). `stands_for`: the revision whose document it is, itself if new."""

    number: int
    document: dict[str, Any]
    source: str
    stands_for: int


class ProcessSyncDefinition(Aggregate):
    """`document` is the draft and `source` the text it was written as, `published` what
    is in force (None if nothing is), `latest` what was put in force last.

    Revisions count from 1 and never come back.
    """

    process_event: str
    document: dict[str, Any]
    source: str
    published: dict[str, Any] | None
    latest: dict[str, Any]
    revision: int
    retired: bool

    @staticmethod
    def id_of(domain: str, process_event: str) -> UUID:
        return identity("definition", domain, process_event)

    def start(self) -> None:
        self.process_event = self.domain = self.source = ""
        self.document, self.latest, self.published = {}, {}, None
        self.revision, self.retired = 0, False

    @classmethod
    def drafted(
        cls, definition: Definition, actor: str, now: datetime, source: str = ""
    ) -> ProcessSyncDefinition:
        """A definition nobody has drafted before."""
        made = cls.blank(cls.id_of(definition.domain, definition.process_event), now)
        made.draft(definition, actor, now, source)
        return made

    def draft(
        self, definition: Definition, actor: str, now: datetime, source: str = ""
    ) -> None:
        """Replace the draft. Saying it twice changes nothing; another `source` that
        says the same is kept."""
        document = definition.to_document()
        if document == self.document and source in ("", self.source):
            return
        self.domain = definition.domain
        self.happened(
            DefinitionDrafted,
            now,
            process_event=definition.process_event,
            document=document,
            actor=actor,
            source=source,
        )

    def publish(self, others: Iterable[Definition], actor: str, now: datetime) -> None:
        """Put the draft in force, beside the `others` that are.

        Raises DefinitionRefused where they cannot be together.
        """
        if self.document == self.published and not self.retired:
            return
        if not self.document:
            raise NothingToPublish(self.process_event)
        if problems := contradictions(parse(self.document), others):
            raise DefinitionRefused(problems)
        self.happened(
            DefinitionPublished,
            now,
            process_event=self.process_event,
            revision=self.revision + 1,
            document=self.document,
            actor=actor,
            source=self.source,
        )

    def roll_back(
        self,
        to: Revision,
        others: Iterable[Definition],
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Put the document of an earlier revision in force again, as the next one.

        It is not judged anew: it only has to go with the `others` that are in force
        (DefinitionRefused). A draft that is not published yet stays.
        """
        if to.document == self.published:
            return
        if problems := contradictions(recorded(to.document), others):
            raise DefinitionRefused(problems)
        if self.document == self.latest:
            self.happened(
                DefinitionDrafted,
                now,
                process_event=self.process_event,
                document=to.document,
                actor=actor,
                source=to.source,
            )
        self.happened(
            DefinitionPublished,
            now,
            process_event=self.process_event,
            revision=self.revision + 1,
            document=to.document,
            actor=actor,
            source=to.source,
            rolled_back_to=to.number,
            reason=reason,
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
    source: str = ""

    def apply(self, aggregate: ProcessSyncDefinition) -> None:
        aggregate.domain, aggregate.process_event = self.domain, self.process_event
        aggregate.document, aggregate.source = self.document, self.source


@records(ProcessSyncDefinition)
class DefinitionPublished(Event):
    TOPIC = "definition.published"

    process_event: str
    revision: int
    document: dict[str, Any]
    actor: str
    source: str = ""
    rolled_back_to: int | None = None
    reason: str = ""

    def apply(self, aggregate: ProcessSyncDefinition) -> None:
        aggregate.published, aggregate.revision = self.document, self.revision
        aggregate.latest, aggregate.retired = self.document, False


@records(ProcessSyncDefinition)
class DefinitionRetired(Event):
    TOPIC = "definition.retired"

    reason: str
    actor: str

    def apply(self, aggregate: ProcessSyncDefinition) -> None:
        aggregate.retired, aggregate.published = True, None
