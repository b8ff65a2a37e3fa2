"""Stands before a PostgreSQL server and cuts connections at chosen moments."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Moment = Literal["committed", "written"]

COMPLETED = b"COMMIT\x00"
"""The server's word that a commit is done."""
EVENT = b"change.captured"
"""Part of what is inserted, in the message that also carries the commit."""


class CuttingProxy:
    """`cut_next` names where the next connections end: `committed`, after the server
    said so and before the client heard it; `written`, before the server saw anything
    of what was to be written."""

    def __init__(self, folder: Path, dsn: str) -> None:
        settings = conninfo_to_dict(dsn)
        name = f".s.PGSQL.{settings['port']}"
        self._server = f"{settings['host']}/{name}"
        self.dsn = make_conninfo(dsn, host=str(folder))
        self.cuts = 0
        self._next: list[Moment] = []
        self._lock = Lock()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / name))
        self._listening.listen()
        Thread(target=self._accept, daemon=True).start()

    def cut_next(self, *moments: Moment) -> None:
        with self._lock:
            self._next = list(moments)

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                for ends, moment, sign in (
                    ((client, server), "written", EVENT),
                    ((server, client), "committed", COMPLETED),
                ):
                    Thread(
                        target=self._forward, args=(*ends, moment, sign), daemon=True
                    ).start()

    def _forward(
        self, source: socket.socket, target: socket.socket, moment: Moment, sign: bytes
    ) -> None:
        before = b""
        with suppress(OSError):
            while data := source.recv(65536):
                if sign in before + data and self._cuts(moment):
                    break
                before = data[-len(sign) :]
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _cuts(self, moment: Moment) -> bool:
        with self._lock:
            if self._next[:1] != [moment]:
                return False
            del self._next[0]
            self.cuts += 1
            return True


@contextmanager
def cutting(folder: Path, dsn: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(folder, dsn)
    try:
        yield proxy
    finally:
        proxy.close()
