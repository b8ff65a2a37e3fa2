"""Prepared statements by libpq's pipeline mode, without a cursor for each.

An append asks and writes about ten statements. psycopg's `execute` takes 40 to 80
microseconds of Python for each, these take about 5.
"""

from __future__ import annotations

import select
from contextlib import contextmanager
from functools import cache
from itertools import count
from struct import Struct
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format

from rps.log.columns import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from psycopg.pq.abc import PGresult

_BIGINT = Struct(">q").pack
_FLOAT8 = Struct(">d").pack
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)


class Pipeline:
    """One connection's statements, each prepared when it is first sent.

    Parameters are Columns, texts, bytes, integers (bigint) and floats (float8); the
    casts in a statement name their types. Answers come in binary, as tuples.
    """

    def __init__(self, conn: Connection[Any]) -> None:
        self.conn = conn
        self._pg = conn.pgconn
        self._numbers = count()
        self._names: dict[str, bytes] = {}
        self._awaited: list[str | None] = []
        """What answers are due: to a statement's preparation, or None: to itself."""
        self._ending = False
        self._readable, self._either = select.poll(), select.poll()
        self._readable.register(self._pg.socket, select.POLLIN)
        self._either.register(self._pg.socket, select.POLLIN | select.POLLOUT)

    @contextmanager
    def use(self) -> Iterator[Pipeline]:
        """On leaving, everything was answered. Errors are psycopg's; whoever interrupts
        the wait finds the connection closed."""
        self._pg.enter_pipeline_mode()
        self._ending = False
        try:
            yield self
            self._settle()
        except Exception:
            self._give_up()
            raise
        except BaseException:
            self.conn.close()
            raise
        self._pg.exit_pipeline_mode()

    def send(self, sql: str, *params: Any) -> None:
        name = self._names.get(sql)
        if name is None:
            name = self._names[sql] = b"rps%d" % next(self._numbers)
            self._pg.send_prepare(name, _numbered(sql))
            self._awaited.append(sql)
        self._pg.send_query_prepared(
            name,
            [_encoded(each) for each in params],
            [Format.BINARY] * len(params),
            Format.BINARY,
        )
        self._awaited.append(None)

    def answers(self, *, last: bool = False) -> list[list[Any]]:
        """The rows of each statement sent since the last answers. `last`: nothing more
        is sent, which saves a round trip."""
        if last:
            self._end()
        else:
            self._pg.send_flush_request()
            self._flush()
        found = []
        while self._awaited:
            result = self._result()
            if result is not None:
                found.append(self._rows(result))
        return found

    def _settle(self) -> None:
        if not self._ending:
            self._end()
        while self._awaited:
            self._result()
        self._next()  # the synchronisation itself

    def _end(self) -> None:
        self._ending = True
        self._pg.pipeline_sync()
        self._flush()

    def _give_up(self) -> None:
        """Past whatever was still sent, to where a transaction can be undone."""
        try:
            if not self._ending:
                self._end()
            while not self.conn.closed:
                result = self._next()
                if result is None:
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    self._pg.exit_pipeline_mode()
                    return
                self._noted(result)
        except psycopg.Error:
            self.conn.close()

    def _result(self) -> PGresult | None:
        """The next answer, None where it is to a preparation; raises its error."""
        result = self._next()
        assert result is not None  # noqa: S101
        self._next()  # None: that was all of it
        prepared = self._noted(result)
        if result.status in _FAILED:
            raise error_from_result(result, "utf-8")
        return None if prepared else result

    def _noted(self, result: PGresult) -> bool:
        """Whether it was a preparation; forgotten where it failed."""
        prepared = self._awaited.pop(0)
        if prepared is not None and result.status in _FAILED:
            del self._names[prepared]
        return prepared is not None

    def _rows(self, result: PGresult) -> list[Any]:
        if not result.ntuples:
            return []
        transformer = Transformer.from_context(self.conn)
        transformer.set_pgresult(result, format=Format.BINARY)
        return transformer.load_rows(0, result.ntuples, tuple)

    def _flush(self) -> None:
        """Send what is queued, reading meanwhile: the server may be doing the same."""
        while self._pg.flush():
            self._either.poll()
            self._pg.consume_input()

    def _next(self) -> PGresult | None:
        while self._pg.is_busy():
            self._readable.poll()  # libpq's own wait would hold up other threads
            self._pg.consume_input()
        return self._pg.get_result()


def _encoded(value: Any) -> bytes:
    match value:
        case Column():
            return value.encoded
        case str():
            return value.encode()
        case int():
            return _BIGINT(value)
        case float():
            return _FLOAT8(value)
        case _:
            return bytes(value)


@cache
def _numbered(sql: str) -> bytes:
    """The statement with its parameters as the server counts them."""
    first, *others = sql.replace("%%", "%").split("%b")
    return "".join(
        [first, *(f"${n}{part}" for n, part in enumerate(others, 1))]
    ).encode()
