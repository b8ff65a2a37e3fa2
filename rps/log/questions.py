"""What is asked in every turn of a worker, on a connection of its own.

The pool and psycopg's cursors cost such a question several times what the server takes
to answer it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rps.log.connection import OwnConnection


class Questions:
    """Any thread may ask, one at a time. Parameters are those of a Pipeline."""

    def __init__(self, connection: OwnConnection) -> None:
        self._connection = connection
        self._lock = Lock()

    def ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """The rows, as tuples. The statement is a transaction of its own."""
        return self.ask_all((sql, params))[0]

    def ask_all(
        self, *asked: tuple[str, tuple[Any, ...]]
    ) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement; one round trip and one transaction for all."""
        with self._lock, self._connection.pipeline() as pipeline:
            for sql, params in asked:
                pipeline.send(sql, *params)
            return pipeline.answers(last=True)

    def close(self) -> None:
        self._connection.close()
