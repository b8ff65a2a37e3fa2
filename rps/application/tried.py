"""Which definition is tried: a draft, a revision, or a document that nobody keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.application.lane_commands import NotFound
from rps.domain.document import parse, recorded
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.trial_steps import no_line
from rps.domain.yaml_document import line_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.domain.agreement import Definition
    from rps.domain.trial_steps import LineOf

DRAFT, PUBLISHED = "draft", "published"


@dataclass(frozen=True, slots=True)
class Tried:
    """`revision` is what it is published as, or would be; `source` says in words where
    it is from; `at` is now; `line_of` tells lines where the file is known."""

    definition: Definition
    definition_id: UUID
    revision: int
    source: str
    at: datetime
    line_of: LineOf = no_line

    @property
    def domain(self) -> str:
        return self.definition.domain

    def to_json(self) -> dict[str, Any]:
        return {
            "process_event": self.definition.process_event,
            "domain": self.domain,
            "revision": self.revision,
            "source": self.source,
        }


def of_document(
    application: RemoteProcessSync,
    document: object,
    now: datetime,
    line_of: LineOf = no_line,
) -> Tried:
    """A document by itself, kept nowhere. Raises DefinitionRefused."""
    definition = parse(document)
    key = ProcessSyncDefinition.id_of(definition.domain, definition.process_event)
    known = application.configuration.refresh().revisions.get(key, {})
    revision = max(known, default=0) + 1
    return Tried(definition, key, revision, "document", now, line_of)


def of_definition(
    application: RemoteProcessSync,
    domain: str,
    process_event: str,
    which: str | int,
    now: datetime,
) -> Tried:
    """The `draft`, what is `published`, or a revision by its number. NotFound."""
    key = ProcessSyncDefinition.id_of(domain, process_event)
    configuration = application.configuration.refresh()
    story = application.definition_story(key)
    found = configuration.aggregates.get(key)
    if not isinstance(found, ProcessSyncDefinition):
        raise NotFound(f"no definition {process_event} in {domain}")
    known = configuration.revisions.get(key, {})
    if which == DRAFT:
        next_one = found.revision + (found.document != found.published)
        return Tried(
            *(recorded(found.document), key, max(next_one, 1), DRAFT, now),
            lines_of(found.source),
        )
    revision = found.revision if which == PUBLISHED else which
    if revision not in known:
        raise NotFound(f"{process_event} has no revision {revision}")
    number = int(revision)
    lines = lines_of(story.source(number))
    return Tried(known[number], key, number, f"revision {number}", now, lines)


def lines_of(source: str) -> LineOf:
    """Of places of a definition in its text, "" where none was kept."""

    def line(place: str) -> int | None:
        position = line_of(source, place)
        return position.line if position else None

    return line
