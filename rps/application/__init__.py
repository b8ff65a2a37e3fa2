"""RemoteProcessSync: the event-sourced application. Load, tell, save."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import IntegrityError
from psycopg import OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from rps.application.blobs import Blobs
from rps.application.capture import Intake
from rps.application.configuration import ConfigurationReader
from rps.config import Config
from rps.domain.account import Account
from rps.domain.definition_story import Story
from rps.domain.document import parse
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.remote_system import ConnectorFixed, RemoteSystem
from rps.domain.tenancy import Domain
from rps.keys.cipher import Cipher
from rps.keys.key_source import Keyring, source_of
from rps.log.mapper import EventMapper
from rps.log.recorder import LogFactory, LogRecorder
from rps.log.transcoder import OrjsonTranscoder
from rps.projections.inline import InlineProjection
from rps.projections.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from eventsourcing.persistence import (
        ApplicationRecorder,
        InfrastructureFactory,
        Mapper,
        Transcoder,
    )
    from eventsourcing.postgres import PostgresDatastore
    from eventsourcing.utils import Environment

    from rps.domain.aggregate import Aggregate
    from rps.domain.agreement import Definition
    from rps.keys.key_source import KeySource

A = TypeVar("A", bound="Aggregate")

TRIES = 5


class Contended(Exception):
    """Several people changed this at once; the last one tried too often."""


BY_INDEX = (
    "-c enable_seqscan=off",
    "-c enable_hashjoin=off",
    "-c enable_mergejoin=off",
    "-c jit=off",
)
"""Our statements find a few rows by index. While tables are small the planner would
rather read them whole, and keeps such a plan while they grow: measured at 5 ms of the
server's time a change instead of one."""

CLOSE_BREAKER = "DELETE FROM breakers WHERE domain = %b AND system = %b RETURNING trips"
END_PAUSE = "DELETE FROM breakers WHERE domain = %b AND system = %b AND trips = 0"

SERVING_ROLE = "rps_serving"

NAMED = {"dbname", "host", "port", "user", "password"}
"""Connection settings the library knows; the others go to libpq beside them."""


class RemoteProcessSync(Application[UUID]):
    """One node's log, and what may be done to it.

    Make one in each process, after it was forked; it holds connections and threads.
    It works as `role`, which may add to the log and read it, and nothing else; with ""
    as whoever connects (rebuilding views takes their owner). `options` are the
    server's, for each connection; `keys` None: they are where the environment says.
    """

    name = "rps"
    env: ClassVar[dict[str, str]] = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "CREATE_TABLE": "n",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "n",
        "POSTGRES_LOCK_TIMEOUT": "5",
        "POSTGRES_CONNECT_TIMEOUT": "5",
        "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": "5",
    }

    recorder: LogRecorder

    def __init__(
        self,
        database_url: str,
        *,
        connections: int = 8,
        role: str = SERVING_ROLE,
        options: Sequence[str] = (),
        keys: KeySource | None = None,
    ) -> None:
        settings = conninfo_to_dict(database_url)
        self._beside = {k: v for k, v in settings.items() if k not in NAMED}
        role_option = [f"-c role={role}"] if role else []
        given = [str(settings["options"])] if settings.get("options") else []
        self._beside["options"] = " ".join([*given, *BY_INDEX, *options, *role_option])
        super().__init__(
            {
                "POSTGRES_DBNAME": str(settings.get("dbname", "rps")),
                "POSTGRES_HOST": str(settings.get("host", "")),
                "POSTGRES_PORT": str(settings.get("port", "5432")),
                "POSTGRES_USER": str(settings.get("user", "")),
                "POSTGRES_PASSWORD": str(settings.get("password", "")),
                "POSTGRES_POOL_SIZE": "1",
                "POSTGRES_MAX_OVERFLOW": str(connections - 1),
            }
        )
        self.database_url = database_url
        self.cipher = Cipher(
            self.datastore, Keyring(keys or source_of(Config.from_environ()))
        )
        self.lookup = Lookup(self.datastore, self.recorder.questions)
        self.configuration = ConfigurationReader(self.recorder, self.event_mapper)
        self.blobs = Blobs(self.datastore)
        self.intake = Intake(self.recorder, self.lookup, self.configuration)

    # --- how it is put together -----------------------------------------------------

    @property
    def datastore(self) -> PostgresDatastore:
        return self.recorder.datastore

    @property
    def event_mapper(self) -> EventMapper:
        return cast("EventMapper", self.mapper)

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        factory = LogFactory(env)
        cast("dict[str, Any]", factory.datastore.pool.kwargs).update(self._beside)
        return factory

    def construct_transcoder(self) -> Transcoder:
        transcoder = OrjsonTranscoder()
        self.register_transcodings(transcoder)
        return transcoder

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper(self.construct_transcoder())

    def construct_recorder(self) -> ApplicationRecorder:
        recorder = cast("LogRecorder", super().construct_recorder())
        recorder.mapper = self.event_mapper
        recorder.views = InlineProjection()
        return recorder

    def drop_dead_connections(self) -> None:
        """Look at the pooled connections after one had died: a restarted server leaves
        the others just as dead."""
        with suppress(OperationalError, PoolTimeout):
            self.datastore.pool.check()

    # --- configuration --------------------------------------------------------------

    def find(self, kind: type[A], aggregate_id: UUID) -> A | None:
        """The aggregate, or None where no such thing has that id."""
        try:
            found: object = self.repository.get(aggregate_id)
        except AggregateNotFoundError:
            return None
        return found if isinstance(found, kind) else None

    def change(
        self, kind: type[A], aggregate_id: UUID, say: Callable[[A], object]
    ) -> A:
        """Load, tell, save; again from the start when someone else was faster.

        Raises AggregateNotFoundError where nothing ever happened to it.
        """
        for _ in range(TRIES):
            aggregate = self.find(kind, aggregate_id)
            if aggregate is None:
                raise AggregateNotFoundError(aggregate_id)
            say(aggregate)
            try:
                self.save(aggregate)
            except IntegrityError:
                continue
            return aggregate
        raise Contended(f"{kind.__name__} {aggregate_id} keeps changing; try again")

    def draft_definition(
        self, document: object, actor: str, now: datetime, source: str = ""
    ) -> ProcessSyncDefinition:
        """Check a document and keep it as the draft, with the text it was written as;
        raises DefinitionRefused."""
        definition = parse(document)
        aggregate_id = ProcessSyncDefinition.id_of(
            definition.domain, definition.process_event
        )
        aggregate = self.find(ProcessSyncDefinition, aggregate_id)
        if aggregate is None:
            aggregate = ProcessSyncDefinition.drafted(definition, actor, now, source)
        else:
            aggregate.draft(definition, actor, now, source)
        self.save(aggregate)
        return aggregate

    def publish_definition(
        self, aggregate: ProcessSyncDefinition, actor: str, now: datetime
    ) -> ProcessSyncDefinition:
        """Put a draft in force; DefinitionRefused where it does not go with others."""
        aggregate.publish(self.others_in_force(aggregate), actor, now)
        self.save(aggregate)
        return aggregate

    def apply_definition(
        self, document: object, actor: str, now: datetime, source: str = ""
    ) -> tuple[ProcessSyncDefinition, bool]:
        """Draft and publish; False where that document was in force already."""
        aggregate = self.draft_definition(document, actor, now, source)
        before = aggregate.revision
        self.publish_definition(aggregate, actor, now)
        return aggregate, aggregate.revision != before

    def roll_back_definition(
        self,
        aggregate: ProcessSyncDefinition,
        revision: int | None,
        reason: str,
        actor: str,
        now: datetime,
    ) -> ProcessSyncDefinition:
        """Put an earlier revision in force again, as the next. None: the one before, or
        the last one of what is retired. Raises RevisionUnknown, DefinitionRefused."""
        story = self.definition_story(aggregate.id)
        if revision is None and not aggregate.retired:
            to = story.before(aggregate.revision)
        else:
            to = story.revision(revision or aggregate.revision)
        others = self.others_in_force(aggregate)
        aggregate.roll_back(to, others, reason, actor, now)
        self.save(aggregate)
        return aggregate

    def definition_story(self, definition_id: UUID) -> Story:
        """What happened to a definition, and every revision of it."""
        return Story(cast("Any", self.events.get(definition_id)))

    def others_in_force(self, aggregate: ProcessSyncDefinition) -> list[Definition]:
        """The definitions published beside this one."""
        return [
            definition
            for definition in self.configuration.refresh().in_force(aggregate.domain)
            if definition.process_event != aggregate.process_event
        ]

    def register_system(
        self,
        domain: str,
        name: str,
        connector: str,
        description: str,
        settings: dict[str, Any],
        actor: str,
        now: datetime,
    ) -> tuple[RemoteSystem, bool]:
        """Register or change a system; True where it is new. ConnectorFixed."""
        system = self.find(RemoteSystem, RemoteSystem.id_of(domain, name))
        made = system is None
        if system is not None and system.connector != connector:
            raise ConnectorFixed(f"{name} is a {system.connector} system")
        if system is None:
            system = RemoteSystem.registered(
                domain, name, connector, description, settings, actor, now
            )
        else:
            system.change(description, settings, actor, now)
        self.save(system)
        return system, made

    def activate_system(
        self, system_id: UUID, actor: str, now: datetime
    ) -> RemoteSystem:
        """Let a system take part from now on, whatever its breaker remembers."""
        system = self.change(RemoteSystem, system_id, lambda s: s.activate(actor, now))
        with self.datastore.get_connection() as conn:
            conn.execute(CLOSE_BREAKER, (system.domain, system.name))
        return system

    def end_pause(self, system: RemoteSystem) -> None:
        """Let a system that had asked for a pause, and is not in error, be sent to."""
        with self.datastore.get_connection() as conn:
            conn.execute(END_PAUSE, (system.domain, system.name))

    def ensure_account(
        self, domain: str, name: str, roles: list[str], actor: str, now: datetime
    ) -> Account:
        """The account, made and granted `roles` where it was not."""
        account = self.find(Account, Account.id_of(domain, name)) or Account.created(
            domain, name, actor, now
        )
        for role in roles:
            account.grant(role, actor, now)
        self.save(account)
        return account

    def ensure_domain(
        self, path: str, description: str, actor: str, now: datetime
    ) -> Domain:
        domain = self.find(Domain, Domain.id_of(path)) or Domain.created(
            path, description, actor, now
        )
        self.save(domain)
        return domain


__all__ = ["RemoteProcessSync"]
