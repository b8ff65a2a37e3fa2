"""The recorder: group commit, append lock, versions, hash chain, inline views.

Extends the library's PostgreSQL recorder at the points it offers; its table and its
reading side are untouched.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory
from psycopg.rows import tuple_row

from rps.log import chain
from rps.log.append import (
    NEXT,
    Append,
    Appended,
    AppendRefused,
    ChangeIdReused,
    ConfigurationMoved,
    Duplicate,
    IntakeKey,
    LeaseLost,
    NoViews,
    Recorded,
    VersionTaken,
)
from rps.log.chain import Row
from rps.log.group import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventsourcing.postgres import PostgresDatastore
    from psycopg import Connection

    from rps.domain.events import ChangeCaptured
    from rps.log.append import Fence, InlineViews
    from rps.log.mapper import EventMapper

Outcome = Appended | AppendRefused | Exception
Outcomes = list[Outcome]

CONFIGURATION = (
    "topic LIKE 'definition.%%' OR topic LIKE 'system.%%'"
    " OR topic LIKE 'account.%%' OR topic LIKE 'domain.%%'"
)
"""Events every process follows; the partial index of the migration says the same."""

HEAD = f"""
SELECT notification_id, hash,
       (SELECT coalesce(max(notification_id), 0) FROM rps_events WHERE {CONFIGURATION})
FROM rps_log_head
"""  # noqa: S608 - constants of this module
VERSIONS = """
SELECT s.id, coalesce((SELECT max(e.originator_version) FROM rps_events e
                       WHERE e.originator_id = s.id), 0)
FROM unnest(%b::uuid[]) AS s(id)
"""
INTAKE = """
SELECT i.domain, i.system, i.change_id, i.definition, i.fingerprint, i.position,
       i.correlation_id
FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[])
       AS k(domain, system, change_id, definition)
JOIN intake i USING (domain, system, change_id, definition)
"""
KEYS = """
SELECT DISTINCT i.domain, i.idempotency_key, i.request_fingerprint
FROM unnest(%b::text[], %b::text[]) AS k(domain, idempotency_key)
JOIN intake i USING (domain, idempotency_key)
"""
FENCES = """
UPDATE lanes l
SET holder = CASE WHEN f.keep IS NULL THEN NULL ELSE l.holder END,
    leased_until = clock_timestamp() + f.keep * interval '1 second'
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::bigint[], %b::float8[])
       AS f(correlation_id, direction, member, epoch, keep)
WHERE (l.correlation_id, l.direction, l.member, l.epoch)
    = (f.correlation_id, f.direction, f.member, f.epoch)
  AND l.holder IS NOT NULL
RETURNING l.correlation_id, l.direction, l.member, l.epoch
"""
INSERT = """
INSERT INTO rps_events
    (originator_id, originator_version, topic, state, notification_id, hash)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[], %b::bigint[],
                     %b::bytea[])
"""
FOLLOW_CONFIGURATION = f"""
SELECT originator_id, originator_version, topic, state, notification_id
FROM rps_events WHERE ({CONFIGURATION}) AND notification_id > %b
ORDER BY notification_id
"""  # noqa: S608 - constants of this module
FOLLOW_STREAMS = """
SELECT e.originator_id, e.originator_version, e.topic, e.state, e.notification_id
FROM unnest(%b::uuid[], %b::bigint[]) AS s(id, version)
JOIN rps_events e ON e.originator_id = s.id AND e.originator_version > s.version
ORDER BY e.originator_id, e.originator_version
"""
READ = """
SELECT notification_id, originator_id, originator_version, topic, state, hash
FROM rps_events WHERE notification_id > %b ORDER BY notification_id LIMIT %b
"""
MOVE_HEAD = "UPDATE rps_log_head SET notification_id = %b, hash = %b"


class LogRecorder(PostgresApplicationRecorder):
    """Appends are serialised by an advisory lock over all processes and grouped within
    one; positions are without gaps and in commit order, so readers never skip.

    The application sets `mapper` and `views` when it puts the parts together.
    """

    mapper: EventMapper

    def __init__(
        self,
        datastore: PostgresDatastore,
        *,
        events_table_name: str = "rps_events",
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.views: InlineViews = NoViews()
        name = f"{datastore.schema}.{events_table_name}".encode()
        self._lock_key = int.from_bytes(
            blake2b(name, digest_size=8).digest(), "big", signed=True
        )
        self._group: GroupCommit[_Prepared, Outcome] = GroupCommit(
            self._commit, size=lambda prepared: len(prepared.stored)
        )

    # --- appending ------------------------------------------------------------------

    def append(self, appends: Sequence[Append]) -> Outcomes:
        """Record each of `appends`, all or nothing of each; outcomes in their order.

        An outcome is `Appended` or the reason nothing was recorded. Raises
        OperationalError when the database cannot be reached: nothing is acknowledged.
        """
        return self._group.submit([self._prepared(append) for append in appends])

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **_kwargs: Any
    ) -> Sequence[int] | None:
        """The library's way in: versions are given, a taken one is IntegrityError."""
        if not stored_events:
            return []
        events = [self.mapper.to_domain_event(stored) for stored in stored_events]
        outcome = self._group.submit(
            [_Prepared(Append(cast("Any", events)), list(stored_events))]
        )[0]
        if isinstance(outcome, Appended):
            return [cast("int", position) for position in outcome.positions]
        if isinstance(outcome, VersionTaken):
            raise IntegrityError(str(outcome))
        raise outcome

    def _prepared(self, append: Append) -> _Prepared:
        return _Prepared(
            append, [self.mapper.to_stored_event(event) for event in append.events]
        )

    def _commit(self, group: Sequence[_Prepared]) -> Outcomes:
        """One transaction for the group; alone where one item spoils it for others."""
        try:
            return self._transaction(group)
        except IntegrityError as error:
            if len(group) == 1:
                return [error]
            return [self._commit([prepared])[0] for prepared in group]

    def _transaction(self, group: Sequence[_Prepared]) -> Outcomes:
        attempt = _Attempt(group)
        try:
            self._run(attempt)
        except OperationalError:
            # A cut connection: the pool hands out another. Whether the commit got
            # through is told by the hash that only our own rows can have.
            if attempt.sent and self._is_committed(attempt):
                return attempt.outcomes
            attempt = _Attempt(group)
            self._run(attempt)
        return attempt.outcomes

    def _run(self, attempt: _Attempt) -> None:
        with (
            self.datastore.get_connection() as conn,
            conn.pipeline(),
            conn.transaction(),
        ):
            attempt.judge(self._read(conn, attempt))
            if attempt.rows:
                attempt.sent = True
                self._write(conn, attempt)

    def _read(self, conn: Connection[Any], attempt: _Attempt) -> _Ground:
        """Lock, then see where log, streams, intake and lanes stand. One round trip."""

        def ask(sql: str, *params: Any) -> psycopg.Cursor[Any]:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(sql, params, prepare=True)

        conn.execute("SET LOCAL lock_timeout = '5s'")
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_key,))
        head = ask(HEAD)
        versions = ask(VERSIONS, attempt.streams)
        intake = ask(INTAKE, *_columns(attempt.intake_keys, 4))
        keyed = attempt.idempotency_keys
        keys = ask(KEYS, *_columns(keyed, 2)) if keyed else None
        fences = ask(FENCES, *_columns(attempt.fences, 5)) if attempt.fences else None
        position, digest, configuration = cast("Any", head.fetchone())
        return _Ground(
            position,
            bytes(digest),
            configuration,
            dict(versions.fetchall()),
            {
                IntakeKey(*row[:4]): (row[4], Duplicate(row[5], row[6]))
                for row in (intake.fetchall() if attempt.intake_keys else ())
            },
            {(row[0], row[1]): row[2] for row in (keys.fetchall() if keys else ())},
            set(fences.fetchall()) if fences else set(),
        )

    def _write(self, conn: Connection[Any], attempt: _Attempt) -> None:
        rows = attempt.rows
        conn.execute(INSERT, _columns(rows, 6), prepare=True)
        conn.execute(MOVE_HEAD, (rows[-1][4], rows[-1][5]), prepare=True)
        for sql, params in self.views.statements(attempt.recorded):
            conn.execute(sql, params, prepare=True)
        conn.execute(f"NOTIFY {self.channel_name}")

    # --- reading --------------------------------------------------------------------

    def configuration_events(self, after: int) -> list[Notification]:
        """Definition, system, account and domain events past position `after`."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(FOLLOW_CONFIGURATION, (after,), prepare=True)
            return [Notification(*row) for row in cursor.fetchall()]

    def streams(self, after: Mapping[UUID, int]) -> list[Notification]:
        """The events of several streams past the versions given, stream by stream."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(
                FOLLOW_STREAMS, (list(after), list(after.values())), prepare=True
            )
            return [Notification(*row) for row in cursor.fetchall()]

    def read(self, after: int, limit: int) -> list[Row]:
        """The log itself past position `after`, hashes included."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(READ, (after, limit), prepare=True)
            return [Row(*row) for row in cursor.fetchall()]

    def head(self) -> tuple[int, bytes]:
        """Where the log ends: last position and hash."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            row = cursor.execute(
                "SELECT notification_id, hash FROM rps_log_head"
            ).fetchone()
            return cast("tuple[int, bytes]", row)

    def lock(self, conn: Connection[Any]) -> None:
        """Let nobody append until the transaction of `conn` ends."""
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_key,))

    # --- one transaction ------------------------------------------------------------

    def _is_committed(self, attempt: _Attempt) -> bool:
        with self.datastore.transaction(commit=False) as cursor:
            # Waits until the server has ended the transaction whose client it lost.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_key,))
            cursor.execute(
                "SELECT 1 AS found FROM rps_events WHERE notification_id = %s"
                " AND hash = %s",
                (attempt.rows[0][4], attempt.rows[0][5]),
            )
            return cursor.fetchone() is not None


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [
        [] for _ in range(width)
    ]


class _Prepared:
    """An append with its events encoded, before any lock is held."""

    __slots__ = ("append", "stored")

    def __init__(self, append: Append, stored: list[StoredEvent]) -> None:
        self.append = append
        self.stored = stored


class _Ground:
    """What the log said under the lock."""

    def __init__(
        self,
        position: int,
        digest: bytes,
        configuration: int,
        versions: dict[UUID, int],
        intake: dict[IntakeKey, tuple[str, Duplicate]],
        keys: dict[tuple[str, str], str],
        fences: set[tuple[Any, ...]],
    ) -> None:
        self.position, self.digest = position, digest
        self.configuration = configuration
        self.versions = versions
        self.intake = intake
        self.keys = keys
        self.fences = fences


class _Attempt:
    """One try at committing a group: what to ask, and what follows from the answer."""

    def __init__(self, group: Sequence[_Prepared]) -> None:
        self.group = group
        self.outcomes: Outcomes = []
        self.rows: list[tuple[Any, ...]] = []
        self.recorded: list[Recorded] = []
        self.sent = False
        self.streams = list({e.originator_id for p in group for e in p.stored})
        self.fences: list[Fence] = [p.append.fence for p in group if p.append.fence]
        captures = [e for p in group if p.append.capture for e in p.append.events]
        self.intake_keys = [_intake_key(event) for event in captures]
        self.idempotency_keys = list(
            {
                (event.domain, key)
                for event in captures
                if (key := cast("ChangeCaptured", event).idempotency_key)
            }
        )

    def judge(self, ground: _Ground) -> None:
        """Decide about each append in turn; what is refused leaves no trace."""
        for prepared in self.group:
            try:
                self.outcomes.append(self._one(prepared, ground))
            except AppendRefused as refused:
                self.outcomes.append(refused)

    def _one(self, prepared: _Prepared, ground: _Ground) -> Appended:
        append = prepared.append
        if append.fence and tuple(append.fence[:4]) not in ground.fences:
            raise LeaseLost(f"lane {append.fence.correlation_id} {append.fence.member}")
        if append.configuration is not None and (
            append.configuration < ground.configuration
        ):
            raise ConfigurationMoved(f"now at {ground.configuration}")
        duplicates = _duplicates(prepared, ground) if append.capture else {}
        versions = _versions(prepared, ground, duplicates)
        positions: list[int | Duplicate] = []
        for index, (stored, event) in enumerate(
            zip(prepared.stored, append.events, strict=True)
        ):
            if index in duplicates:
                positions.append(duplicates[index])
                continue
            self._place(stored, event, versions[index], ground)
            positions.append(ground.position)
            if append.capture:
                _remember(cast("ChangeCaptured", event), ground)
        return Appended(tuple(positions), tuple(versions))

    def _place(
        self, stored: StoredEvent, event: Any, version: int, ground: _Ground
    ) -> None:
        stream = cast("UUID", stored.originator_id)
        ground.versions[stream] = version
        ground.position += 1
        ground.digest = chain.hash_of(
            ground.digest, ground.position, stream, version, stored.topic, stored.state
        )
        self.rows.append(
            (
                stream,
                version,
                stored.topic,
                stored.state,
                ground.position,
                ground.digest,
            )
        )
        self.recorded.append(Recorded(ground.position, event))


def _versions(
    prepared: _Prepared, ground: _Ground, duplicates: dict[int, Duplicate]
) -> list[int]:
    """The version of each event, checked before any is placed."""
    upcoming: dict[UUID, int] = {}
    versions = []
    at_next = prepared.append.capture or prepared.append.fence is not None
    for index, stored in enumerate(prepared.stored):
        stream = cast("UUID", stored.originator_id)
        current = upcoming.get(stream, ground.versions[stream])
        wanted = NEXT if at_next else stored.originator_version
        if index in duplicates:
            versions.append(current)
            continue
        if wanted not in (NEXT, current + 1):
            raise VersionTaken(f"{stream} is at {current}, not at {wanted - 1}")
        upcoming[stream] = current + 1
        versions.append(current + 1)
    return versions


def _intake_key(event: Any) -> IntakeKey:
    return IntakeKey(
        event.domain, event.system, event.change_id, UUID(event.definition)
    )


def _duplicates(prepared: _Prepared, ground: _Ground) -> dict[int, Duplicate]:
    found: dict[int, Duplicate] = {}
    for index, event in enumerate(prepared.append.events):
        captured = cast("ChangeCaptured", event)
        key = captured.idempotency_key
        if key and (
            ground.keys.get((captured.domain, key), captured.request_fingerprint)
            != captured.request_fingerprint
        ):
            raise ChangeIdReused(
                "this Idempotency-Key was used before with another body", None
            )
        if known := ground.intake.get(_intake_key(captured)):
            fingerprint, duplicate = known
            if fingerprint != captured.fingerprint:
                raise ChangeIdReused(
                    f"change id {captured.change_id!r} was used before for another "
                    "change",
                    index,
                )
            found[index] = duplicate
    return found


def _remember(captured: ChangeCaptured, ground: _Ground) -> None:
    """Let the rest of the group see what was just taken."""
    ground.intake[_intake_key(captured)] = (
        captured.fingerprint,
        Duplicate(ground.position, captured.originator_id),
    )
    if captured.idempotency_key:
        ground.keys[(captured.domain, captured.idempotency_key)] = (
            captured.request_fingerprint
        )


class LogFactory(PostgresFactory):
    """Makes the application's recorder a LogRecorder (`PERSISTENCE_MODULE`)."""

    application_recorder_class = LogRecorder
