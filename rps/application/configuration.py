"""What the operator configured, as every process holds it in memory.

Folded from the log's definition, system, account and domain events, the same
aggregates the commands use. `refresh` reads what is new; an append that was decided
on an older position is refused by the log, so nobody acts on a stale one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from rps.domain.account import Account
from rps.domain.document import recorded
from rps.domain.events import ChangeCaptured  # noqa: F401 - registers the topics
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.remote_system import RemoteSystem
from rps.domain.tenancy import Domain
from rps.domain.treatment import Treatment  # noqa: F401 - registers the topics
from rps.domain.uses import Uses, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from rps.domain.agreement import Definition, Member
    from rps.log.mapper import EventMapper
    from rps.log.recorder import LogRecorder


@dataclass(frozen=True, slots=True)
class Route:
    """A definition that captures from a system's table, and as which member."""

    definition_id: UUID
    revision: int
    definition: Definition
    member: Member


@dataclass(frozen=True, slots=True)
class TokenHolder:
    sha256: str
    account: Account


@dataclass
class Configuration:
    """Everything configured, at log position `position`."""

    position: int = 0
    aggregates: dict[UUID, Any] = field(default_factory=dict)
    revisions: dict[UUID, dict[int, Definition]] = field(default_factory=dict)
    routes: dict[tuple[str, str, str], list[Route]] = field(default_factory=dict)
    tokens: dict[str, TokenHolder] = field(default_factory=dict)
    named: dict[tuple[str, str], RemoteSystem] = field(default_factory=dict)
    used: dict[tuple[str, str, str], Uses] = field(default_factory=dict)

    def system(self, domain: str, name: str) -> RemoteSystem | None:
        return self.named.get((domain, name))

    def systems(self) -> Iterator[RemoteSystem]:
        return (a for a in self.aggregates.values() if isinstance(a, RemoteSystem))

    def definitions(self) -> Iterator[ProcessSyncDefinition]:
        return (
            a for a in self.aggregates.values() if isinstance(a, ProcessSyncDefinition)
        )

    def accounts(self) -> Iterator[Account]:
        return (a for a in self.aggregates.values() if isinstance(a, Account))

    def domains(self) -> Iterator[Domain]:
        return (a for a in self.aggregates.values() if isinstance(a, Domain))

    def in_force(self, domain: str) -> Iterator[Definition]:
        """The definitions published in `domain`."""
        for definition in self.definitions():
            if definition.domain == domain and definition.published is not None:
                yield self.revisions[definition.id][definition.revision]

    def uses(self, domain: str, system: str, table: str) -> Uses:
        """What the definitions in force have to do with a table."""
        key = (domain, system, table)
        found = self.used.get(key)
        if found is None:
            routes = self.routes.get(key, ())
            found = uses_of((route.definition, route.member) for route in routes)
            if routes:  # else whoever asks for tables that are none would fill it
                self.used[key] = found
        return found

    def definition_at(self, definition_id: UUID, revision: int) -> Definition:
        return self.revisions[definition_id][revision]

    def newest(self, definition_id: UUID, captured: int) -> tuple[int, Definition]:
        """The revision in force; the one a change was captured under if none is."""
        aggregate = self.aggregates[definition_id]
        revision = aggregate.revision if aggregate.published else captured
        return revision, self.revisions[definition_id][revision]


class ConfigurationReader:
    """Keeps a Configuration up to the log. Thread-safe."""

    def __init__(self, recorder: LogRecorder, mapper: EventMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._lock = Lock()
        self._configuration = Configuration()

    @property
    def current(self) -> Configuration:
        """As of the last refresh."""
        return self._configuration

    def refresh(self) -> Configuration:
        """Read what was configured since; answers the newest."""
        self.refresh_and_ask()
        return self._configuration

    def refresh_and_ask(
        self, *asked: tuple[str, tuple[Any, ...]]
    ) -> list[list[tuple[Any, ...]]]:
        """As `refresh`, and the rows of other questions from the same round trip."""
        with self._lock:
            stored, *answers = self._recorder.configuration_events(
                self._configuration.position, *asked
            )
            if stored:
                self._fold(stored)
            return answers

    def _fold(self, stored: list[tuple[Any, ...]]) -> None:
        old = self._configuration
        # Aggregates are folded in place: readers look at indexes, which are new.
        aggregates = dict(old.aggregates)
        revisions = {key: dict(value) for key, value in old.revisions.items()}
        for row in stored:
            event = self._mapper.event(*row[:4])
            key = event.originator_id
            aggregates[key] = event.mutate(aggregates.get(key))
            if event.TOPIC == "definition.published":
                revisions.setdefault(key, {})[event.revision] = recorded(event.document)
        self._configuration = _indexed(stored[-1][4], aggregates, revisions)


def _indexed(
    position: int,
    aggregates: dict[UUID, Any],
    revisions: dict[UUID, dict[int, Definition]],
) -> Configuration:
    made = Configuration(position, aggregates, revisions)
    made.named.update({(each.domain, each.name): each for each in made.systems()})
    for definition in made.definitions():
        if definition.published is None:
            continue
        parsed = revisions[definition.id][definition.revision]
        for member in parsed.members.values():
            key = (definition.domain, member.system, member.table)
            route = Route(definition.id, definition.revision, parsed, member)
            made.routes.setdefault(key, []).append(route)
    for account in made.accounts():
        for token_id, token in account.tokens.items():
            made.tokens[token_id] = TokenHolder(token.sha256, account)
    return made
