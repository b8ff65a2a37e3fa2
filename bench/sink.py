"""The receiver of both sides: as cheap as Python allows, and the judge of order.

    POST any path    a delivery with a mark (`workload.py`) somewhere in its body; 200
                     with the record id and revision a push receiver answers
    POST /reset      forget everything
    GET /stats       what was seen, as JSON
    GET any path     200 {}

It checks no signature and no If-Match, for neither side.
"""

from __future__ import annotations

import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field

import orjson

from bench.workload import WARM_UP_KEY

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MARK = re.compile(rb'"mark": ?"(\d+)\.(\d+)\.(\d+)"')
_SIZE = 1 << 18


@dataclass(slots=True)
class Judge:
    """Knows of each key which number comes next."""

    accepted: int = 0
    warm_ups: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    first: int = 0
    last: int = 0
    expected: dict[int, int] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)
    waits: list[int] = field(default_factory=list)

    def take(self, key: int, number: int, due: int) -> None:
        if key >= WARM_UP_KEY:
            self.warm_ups += 1
            return
        now = time.monotonic_ns()
        self.first = self.first or now
        self.last = now
        self.accepted += 1
        if (key, number) in self.seen:
            self.duplicates += 1
            return
        self.seen.add((key, number))
        if number != self.expected.get(key, 1):
            self.out_of_order += 1
        self.expected[key] = number + 1
        if due:
            self.waits.append(now - due)

    def stats(self) -> bytes:
        return orjson.dumps(
            {
                "accepted": self.accepted,
                "distinct": len(self.seen),
                "warm_ups": self.warm_ups,
                "duplicates": self.duplicates,
                "out_of_order": self.out_of_order,
                "first": self.first,
                "last": self.last,
                "waits": self.waits,
            }
        )


class Sink:
    def __init__(self, port: int) -> None:
        self._judge = Judge()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._unread: dict[int, bytes] = {}

    def run(self) -> None:
        listener = self._listener.fileno()
        while True:
            for number, _ in self._poll.poll():
                if number == listener:
                    self._accept()
                else:
                    self._read(number)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = connection
        self._unread[connection.fileno()] = b""
        self._poll.register(connection, select.EPOLLIN)

    def _read(self, number: int) -> None:
        connection = self._connections[number]
        try:
            got = connection.recv(_SIZE)
        except ConnectionResetError:
            got = b""
        if not got:
            self._poll.unregister(number)
            del self._connections[number], self._unread[number]
            connection.close()
            return
        unread = self._unread[number] + got
        answers = b""
        while (end := unread.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(unread, 0, end)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(unread) < size:
                break
            answers += self._answer(unread[:size], end)
            unread = unread[size:]
        self._unread[number] = unread
        if answers:
            connection.sendall(answers)

    def _answer(self, request: bytes, head: int) -> bytes:
        if request.startswith(b"POST /reset"):
            self._judge = Judge()
        elif request.startswith(b"POST"):
            mark = _MARK.search(request, head)
            if mark is None:
                return _response(b"{}", b"422 Unprocessable Content")
            self._judge.take(int(mark[1]), int(mark[2]), int(mark[3]))
            return _response(b'{"record_id":"S%b","revision":"%b"}' % mark.groups()[:2])
        elif request.startswith(b"GET /stats"):
            return _response(self._judge.stats())
        return _response(b"{}")


def _response(body: bytes, status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (status, len(body), body)
    )


if __name__ == "__main__":
    Sink(int(sys.argv[1])).run()
