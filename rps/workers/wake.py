"""Tells a worker when there is something new."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

AGAIN_SECONDS = 0.5
CONNECT_SECONDS = 5


class Wake:
    """LISTEN on a connection of its own, as a hint only: who waits also looks by the
    clock. The waiting thread listens itself; another one would cost two switches.

    Without a channel it only waits. PostgreSQL wakes whoever listens to anything in the
    database for everything that is told there, so nobody listens who is never called.
    """

    def __init__(self, database_url: str, channel: str | None) -> None:
        self._url = database_url
        self._channel = channel
        self._conn: psycopg.Connection[Any] | None = None
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._nudged = False

    def wait(self, seconds: float) -> None:
        """Return when something is new, when `nudge`d, or after `seconds`."""
        if self._conn is None and self._channel is not None:
            if self._connected(self._channel):
                return  # what came before could not be heard
            seconds = min(seconds, AGAIN_SECONDS)
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        if self._conn is not None:
            poll.register(self._conn.fileno(), select.POLLIN)
        poll.poll(seconds * 1000)
        self._hear()

    def nudge(self) -> None:
        """From any thread, or a signal handler."""
        if not self._nudged:
            self._nudged = True
            with suppress(OSError):
                self._mouth.send(b".")

    def close(self) -> None:
        self._disconnect()
        self._ear.close()
        self._mouth.close()

    def _connected(self, channel: str) -> bool:
        try:
            self._conn = psycopg.connect(
                self._url, autocommit=True, connect_timeout=CONNECT_SECONDS
            )
            self._conn.execute(SQL("LISTEN {}").format(Identifier(channel)))
        except psycopg.OperationalError:
            self._disconnect()
            return False
        return True

    def _hear(self) -> None:
        """Take what was said: how often does not matter."""
        with suppress(BlockingIOError):
            self._ear.recv(64)
        self._nudged = False
        if self._conn is None:
            return
        try:
            self._conn.pgconn.consume_input()
            while self._conn.pgconn.notifies() is not None:
                pass
        except psycopg.OperationalError:
            self._disconnect()  # only a hint was lost

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
