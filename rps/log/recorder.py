"""The recorder: group commit, append lock, versions, hash chain, inline views.

Extends the library's PostgreSQL recorder at the points it offers; its table and its
reading side are untouched.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    Notification,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory
from psycopg.rows import tuple_row

from rps.log import statements
from rps.log.append import (
    Append,
    Appended,
    Duplicate,
    IntakeKey,
    NoViews,
    VersionTaken,
)
from rps.log.attempt import Attempt, Ground, Outcome, Outcomes, Prepared
from rps.log.chain import Row
from rps.log.columns import column, columns
from rps.log.connection import OwnConnection, TransactionLost
from rps.log.group import GroupCommit
from rps.log.questions import Questions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from eventsourcing.persistence import ApplicationRecorder
    from eventsourcing.postgres import PostgresDatastore
    from psycopg import Connection

    from rps.log.append import InlineViews
    from rps.log.mapper import EventMapper
    from rps.log.pipeline import Pipeline

TRIES = 3
"""How often a commit is tried whose transaction was lost."""

# Plans are made once: how many rows an array holds changes none of them, and planning
# took a quarter of the server's time of a small append.
SESSION = """
SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s';
SET plan_cache_mode = force_generic_plan
"""


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
        self.lock_key = int.from_bytes(
            blake2b(name, digest_size=8).digest(), "big", signed=True
        )
        """Of the advisory lock that every append takes."""
        self._connection = OwnConnection(datastore, _prepare)
        self.questions = Questions(OwnConnection(datastore, _prepare))
        self._group: GroupCommit[Prepared, Outcome] = GroupCommit(
            self._commit, size=lambda prepared: len(prepared.stored)
        )

    # --- appending ------------------------------------------------------------------

    def append(self, appends: Sequence[Append]) -> Outcomes:
        """Record each of `appends`, all or nothing of each; outcomes in their order.

        An outcome is `Appended` or the reason nothing was recorded: AppendRefused,
        IntegrityError where a view refused it, DataError where it cannot be stored. An
        OperationalError, raised or as an outcome, acknowledges nothing.
        """
        return self._group.submit([self._prepared(append) for append in appends])

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **_kwargs: Any
    ) -> Sequence[int] | None:
        """The library's way in: versions are given, a taken one is IntegrityError."""
        if not stored_events:
            return []
        events = [self.mapper.to_domain_event(stored) for stored in stored_events]
        outcome = self._group.submit([Prepared(Append(events), list(stored_events))])[0]
        if isinstance(outcome, Appended):
            return [cast("int", position) for position in outcome.positions]
        if isinstance(outcome, VersionTaken):
            raise IntegrityError(str(outcome))
        raise outcome

    def close(self) -> None:
        self._connection.close()
        self.questions.close()

    def _prepared(self, append: Append) -> Prepared:
        return Prepared(
            append, [self.mapper.to_stored_event(event) for event in append.events]
        )

    def _commit(self, group: Sequence[Prepared]) -> Outcomes:
        """One transaction for the group; halves of it where one item spoils it, so
        that in the end only that item is refused."""
        try:
            return self._transaction(group)
        except (OperationalError, InterfaceError) as away:
            return [away] * len(group)
        except Exception as error:  # noqa: BLE001 - it is that item's outcome
            if len(group) == 1:
                return [error]
            half = len(group) // 2
            return self._commit(group[:half]) + self._commit(group[half:])

    def _transaction(self, group: Sequence[Prepared]) -> Outcomes:
        lost: TransactionLost | None = None
        for _ in range(TRIES):
            attempt = Attempt(group)
            try:
                self._run(attempt)
            except TransactionLost as error:
                # Whether the commit got through is told by the hash that only our own
                # rows can have.
                if attempt.sent and self._is_committed(attempt):
                    return attempt.outcomes
                lost = error
            else:
                return attempt.outcomes
        raise OperationalError(f"lost the transaction {TRIES} times: {lost}") from lost

    def _run(self, attempt: Attempt) -> None:
        """Two round trips: look under the lock, then write and commit."""
        with self._connection.pipeline() as pipeline:
            pipeline.send("BEGIN")
            attempt.judge(self._look(pipeline, attempt))
            if attempt.rows or attempt.held:
                self._write(pipeline, attempt)
                attempt.sent = bool(attempt.rows)
            pipeline.send("COMMIT")

    def _look(self, pipeline: Pipeline, attempt: Attempt) -> Ground:
        """Lock, then see where log, streams, intake and lanes stand."""
        pipeline.send(statements.LOCK, self.lock_key)
        pipeline.send(statements.GROUND, column("uuid", attempt.streams))
        questions = (
            (statements.INTAKE, statements.INTAKE_KINDS, attempt.intake_keys),
            (statements.KEYS, statements.KEY_KINDS, attempt.idempotency_keys),
            (
                statements.FENCES,
                statements.FENCE_KINDS,
                [fence[:4] for fence in attempt.fences],
            ),
            (statements.HELD, statements.HELD_KINDS, attempt.quiet),
        )
        for sql, kinds, asked in questions:
            if asked:
                pipeline.send(sql, *columns(kinds, asked))
        _, _, ground, *answers = pipeline.answers()
        found = iter(answers)
        intake, keys, fences, lanes = (
            next(found) if asked else [] for _, _, asked in questions
        )
        position, digest, configuration, versions = ground[0]
        return Ground(
            position,
            digest,
            configuration,
            dict(zip(attempt.streams, versions, strict=True)),
            {IntakeKey(*r[:4]): (r[4], Duplicate(r[5], r[6])) for r in intake},
            {row[:2]: row[2] for row in keys},
            set(fences),
            {lane[:2] for lane in lanes if lane[2]},
        )

    def _write(self, pipeline: Pipeline, attempt: Attempt) -> None:
        if rows := attempt.rows:
            pipeline.send(
                statements.INSERT,
                *columns(statements.EVENT_KINDS, rows),
                *rows[-1][4:],
                self.channel_name,
            )
        held = list(attempt.held.values())
        for sql, params in self.views.statements(attempt.recorded, held):
            pipeline.send(sql, *params)

    def _is_committed(self, attempt: Attempt) -> bool:
        """Whether the rows are there, once the transaction that lost us has ended."""
        lost: TransactionLost | None = None
        for _ in range(TRIES):
            try:
                with self._connection.use() as conn:
                    conn.execute("BEGIN; SET LOCAL lock_timeout = '15s'")
                    conn.execute(statements.LOCK, (self.lock_key,))
                    found = conn.execute(
                        statements.IS_COMMITTED, attempt.rows[0][4:]
                    ).fetchone()
                    conn.execute("ROLLBACK")
                    return found is not None
            except TransactionLost as error:
                lost = error
        raise OperationalError(f"lost the transaction {TRIES} times: {lost}") from lost

    # --- reading --------------------------------------------------------------------

    def configuration_events(
        self, after: int, *asked: tuple[str, tuple[Any, ...]]
    ) -> list[list[tuple[Any, ...]]]:
        """Definition, system, account and domain events past position `after`, as
        (stream, version, topic, state, position); and the rows of what is asked with
        it, in one round trip."""
        return self.questions.ask_all(
            (statements.FOLLOW_CONFIGURATION, (after,)), *asked
        )

    def streams(self, after: Mapping[UUID, int]) -> list[Notification]:
        """The events of several streams past the versions given, stream by stream."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(
                statements.FOLLOW_STREAMS,
                (list(after), list(after.values())),
                prepare=True,
            )
            return [Notification(*row) for row in cursor.fetchall()]

    def read(self, after: int, limit: int) -> list[Row]:
        """The log itself past position `after`, hashes included."""
        with self.datastore.get_connection() as conn:
            return rows_after(conn, after, limit)

    def genesis(self) -> str:
        """The hash of the log's first event, which no other log has; "" before that."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            row = cursor.execute(statements.GENESIS).fetchone()
            return row[0].hex() if row else ""

    def head(self) -> tuple[int, bytes]:
        """Where the log ends: last position and hash."""
        with self.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            row = cursor.execute(statements.HEAD).fetchone()
            return cast("tuple[int, bytes]", row)


def rows_after(conn: Connection[Any], after: int, limit: int) -> list[Row]:
    """The log past position `after`, as the transaction of `conn` sees it."""
    cursor = conn.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(statements.READ, (after, limit), prepare=True)
    return [Row(*row) for row in cursor.fetchall()]


def _prepare(conn: Connection[Any]) -> None:
    conn.execute(SESSION)


class LogFactory(PostgresFactory):
    """Makes the application's recorder a LogRecorder (`PERSISTENCE_MODULE`)."""

    application_recorder_class = LogRecorder

    _recorder: LogRecorder | None = None

    def application_recorder(self) -> ApplicationRecorder:
        self._recorder = cast("LogRecorder", super().application_recorder())
        return self._recorder

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
        super().close()
