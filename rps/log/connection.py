"""Connections of one's own, beside the pool: for the append, and for rebuilding.

The pool costs an append as much as its statements, and after the server went away it
hands out its dead connections one by one.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import psycopg
from eventsourcing.persistence import DataError, IntegrityError, OperationalError
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from rps.log.columns import register
from rps.log.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing.postgres import PostgresDatastore
    from psycopg import Connection

CONNECT_SECONDS = 5.0
"""For a server that is restarting, or a standby that is taking over."""
PAUSE_SECONDS = 0.1

# A server that vanished is noticed within 15 seconds. Not used on local sockets.
WATCHED = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class TransactionLost(OperationalError):
    """The connection broke, or the server gave the transaction up to others.

    Whether a commit got through has to be looked up; then try again.
    """


def connect(datastore: PostgresDatastore) -> Connection[Any]:
    """A new connection in autocommit. Raises OperationalError after CONNECT_SECONDS."""
    settings = {
        **WATCHED,
        **cast("dict[str, Any]", datastore.pool.kwargs),
        "autocommit": True,
        "row_factory": dict_row,
    }
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            conn: Connection[Any] = psycopg.connect(**settings)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise OperationalError(str(error)) from error
            time.sleep(PAUSE_SECONDS)
        else:
            register(conn)
            return conn


class OwnConnection:
    """One connection, used by one thread at a time and made anew when it broke."""

    def __init__(
        self, datastore: PostgresDatastore, prepare: Callable[[Connection[Any]], None]
    ) -> None:
        self._datastore = datastore
        self._prepare = prepare
        self._lock = Lock()
        self._conn: Connection[Any] | None = None
        self._pipeline: Pipeline | None = None
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[Connection[Any]]:
        """Errors are the library's; whatever transaction is left open is undone."""
        conn = self._connected()
        try:
            yield conn
        except psycopg.Error as error:
            raise self._meaning(conn, error) from error
        except BaseException:
            self._undo(conn)
            raise

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """The same connection, sent statements without waiting for each."""
        with self.use() as conn:
            if self._pipeline is None or self._pipeline.conn is not conn:
                self._pipeline = Pipeline(conn)
            with self._pipeline.use() as pipeline:
                yield pipeline

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._conn is not None:
                self._conn.close()

    def _connected(self) -> Connection[Any]:
        with self._lock:
            if self._closed:
                raise OperationalError("the log was closed")
            if self._conn is None or self._conn.closed:
                conn = connect(self._datastore)
                self._prepare(conn)
                self._conn = conn
            return self._conn

    def _meaning(self, conn: Connection[Any], error: psycopg.Error) -> Exception:
        self._undo(conn)
        match error:
            case psycopg.errors.ReadOnlySqlTransaction():
                conn.close()  # no primary any more: the next connection finds it
                return TransactionLost(str(error))
            case (
                psycopg.errors.DeadlockDetected()
                | psycopg.errors.SerializationFailure()
            ):
                return TransactionLost(str(error))
            case _ if conn.closed:
                return TransactionLost(str(error) or "the connection was cut")
            case psycopg.IntegrityError():
                return IntegrityError(str(error))
            case psycopg.DataError():
                return DataError(str(error))
            case psycopg.OperationalError():
                return OperationalError(str(error))
            case _:
                return error

    def _undo(self, conn: Connection[Any]) -> None:
        status = conn.info.transaction_status
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            try:
                conn.rollback()
            except psycopg.Error:
                conn.close()
        elif status is not TransactionStatus.IDLE:
            conn.close()
