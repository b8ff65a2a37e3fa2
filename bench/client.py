"""Clients of rps over HTTP: one process, any number of keep-alive connections.

As cheap as Python allows: requests are made beforehand, written to raw sockets, and
of an answer only the status and the number of captured changes are looked at. Closed
loop: each client posts its share, one request after the other. Open loop: a change is
posted when it is due, unless the former one of its connection is not answered yet.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from bench.workload import Change, Workload, chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

RECEIVED = b"HTTP/1.1 202"
AWAY = b"HTTP/1.1 503"
CAPTURED = b'"status":"captured"'
ANSWER_SECONDS_MAX = 60.0
MAKING_NS = 50_000


@dataclass(frozen=True, slots=True)
class Request:
    bytes: bytes
    changes: int
    due: int = 0


@dataclass(slots=True)
class Client:
    """One connection: what it has to send, and what it waits for."""

    socket: socket.socket
    ready: deque[Request] = field(default_factory=deque)
    sent: Request | None = None
    unread: bytes = b""

    def send(self) -> None:
        if self.sent is None and self.ready:
            self.sent = self.ready.popleft()
            self.socket.sendall(self.sent.bytes)

    def read(self) -> int:
        """Changes captured by the answer that is complete now; 0 for none, or a 503."""
        got = self.socket.recv(1 << 18)
        if not got or self.sent is None:
            raise ConnectionError("rps closed the connection")
        self.unread += got
        if not _complete(self.unread):
            return 0
        answer, self.unread = self.unread, b""
        request, self.sent = self.sent, None
        if answer.startswith(AWAY):
            self.ready.appendleft(request)
            return 0
        captured = answer.count(CAPTURED)
        if not answer.startswith(RECEIVED) or captured != request.changes:
            raise ValueError(f"rps answered {answer[:1000].decode(errors='replace')}")
        return captured


class Clients:
    def __init__(self, port: int, count: int) -> None:
        self._clients: dict[int, Client] = {}
        self._poll = select.epoll()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[connection.fileno()] = Client(connection)
            self._poll.register(connection, select.EPOLLIN)

    def closed_loop(self, shares: list[list[Request]]) -> float:
        """Seconds from the first byte sent to the last answer."""
        waiting = sum(request.changes for share in shares for request in share)
        for client, share in zip(self._clients.values(), shares, strict=True):
            client.ready.extend(share)
        start = time.monotonic()
        for client in self._clients.values():
            client.send()
        while waiting:
            ready = self._poll.poll(ANSWER_SECONDS_MAX)
            if not ready:
                raise TimeoutError("rps does not answer")
            for number, _ in ready:
                client = self._clients[number]
                waiting -= client.read()
                client.send()
        return time.monotonic() - start

    def open_loop(self, shares: list[list[Request]]) -> None:
        """Each request when it is due."""
        coming = sorted(
            (request.due, number, request)
            for number, share in zip(self._clients, shares, strict=True)
            for request in share
        )
        waiting = sum(request.changes for _, _, request in coming)
        due = deque(coming)
        numbers = list(self._clients)
        while waiting:
            now = time.monotonic_ns()
            while due and due[0][0] <= now:
                _, number, request = due.popleft()
                self._clients[number].ready.append(request)
                self._clients[number].send()
            # select counts in microseconds, epoll in whole milliseconds
            pause = (due[0][0] - now) / 1e9 if due else ANSWER_SECONDS_MAX
            for number in select.select(numbers, [], [], max(pause, 0))[0]:
                client = self._clients[number]
                waiting -= client.read()
                client.send()


def _complete(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        return answer.endswith(b"\r\n0\r\n\r\n")
    at = head.find(b"\r\ncontent-length:")
    length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return len(answer) >= end + 4 + length


def _request(token: str, changes: Sequence[Change], *, stream: bool = False) -> Request:
    bodies = [change.body for change in changes]
    kind = "application/x-ndjson" if stream else "application/json"
    if stream:
        body = b"\n".join(bodies)
    else:
        body = bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
    head = (
        "POST /v1/changes HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Request(head.encode() + body, len(bodies), changes[0].due)


def run(order: dict[str, Any]) -> dict[str, float]:
    """`order`: port, token, clients, a workload, and batch, stream, rate."""
    work = Workload.of(order)
    count: int = order["clients"]
    clients = Clients(order["port"], count)
    if rate := order.get("rate"):
        shares: list[list[Request]] = [[] for _ in range(count)]
        # Requests are made before the first is due.
        start = time.monotonic_ns() + 500_000_000 + work.changes * MAKING_NS
        for change in work.paced(rate, start):
            shares[change.key % count].append(_request(order["token"], (change,)))
        clients.open_loop(shares)
        return {}
    batch, stream = order.get("batch", 1), order.get("stream", False)
    requests = [
        [_request(order["token"], part, stream=stream) for part in chunks(share, batch)]
        for share in work.shares(count)
    ]
    return {"seconds": clients.closed_loop(requests)}


if __name__ == "__main__":
    print(orjson.dumps(run(orjson.loads(sys.argv[1]))).decode())
