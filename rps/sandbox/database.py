"""One sandbox's SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rps.sandbox.answers import SandboxClosing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUSY_SECONDS = 5.0


class Database:
    """One connection that its threads take in turn.

    In WAL mode with synchronous=NORMAL a commit is a write without fsync: tens of
    microseconds, so turns are short, and what is committed survives the death of the
    process (not a power cut, which a sandbox may lose a moment to).
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(schema)
        self._turn = threading.Lock()
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block's statements or, when it raises, none of them."""
        with self._turn:
            if self._closed:
                raise SandboxClosing("the sandbox is shutting down")
            with self._connection as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection

    def close(self) -> None:
        """Close the file; transactions begun later raise SandboxClosing."""
        with self._turn:
            self._closed = True
            self._connection.close()
