"""A real server on loopback that answers, drips, cuts and lies as it is told."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable


LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Line:
    """One accepted connection, as an answer sees it."""

    def __init__(self, connected: socket.socket, stopping: threading.Event) -> None:
        self.connected = connected
        self.stopping = stopping

    def write(self, data: bytes) -> None:
        self.connected.sendall(data)

    def drip(self, data: bytes, every_seconds: float = 0.03) -> None:
        """One byte at a time, for as long as the other side stays."""
        for position in range(len(data)):
            if self.stopping.wait(every_seconds):
                return
            self.connected.sendall(data[position : position + 1])

    def flood(self, megabytes: int) -> None:
        for _ in range(megabytes):
            self.connected.sendall(b"x" * 1_000_000)

    def hang(self) -> None:
        self.stopping.wait(10)

    def reset(self) -> None:
        self.connected.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.connected.close()


# Answers one request; True keeps the connection open for the next one.
Respond = Callable[[Line, Received], bool]


class LoopbackServer:
    """Answers the n-th request with the n-th of `responses`, then with the last.

    `on_connect` takes a connection over before anything is read from it.
    """

    def __init__(
        self,
        *responses: Respond,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        on_connect: Callable[[Line], None] | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self._on_connect = on_connect
        self._responses = responses
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family, backlog=128)
        self.host = host
        self.port: int = self._listening.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.stop()

    def stop(self) -> None:
        """Accept nothing more; what is connected goes on."""
        with contextlib.suppress(OSError):  # stopped already
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._talk, args=(connected,), daemon=True).start()

    def _talk(self, connected: socket.socket) -> None:
        try:
            if self._on_connect is not None:
                self._on_connect(Line(connected, self._stopping))
            elif self._tls is not None:
                self._converse(self._tls.wrap_socket(connected, server_side=True))
            else:
                self._converse(connected)
        except OSError:
            return  # the client went away, which many of the tests are about
        finally:
            connected.close()
            self.closed.release()

    def _converse(self, connected: socket.socket) -> None:
        with connected:
            line = Line(connected, self._stopping)
            unread = b""
            while True:
                request, unread = _read(connected, unread)
                if request is None or not self._chosen(request)(line, request):
                    return

    def _chosen(self, request: Received) -> Respond:
        with self._lock:
            self.received.append(request)
            return self._responses[min(len(self.received), len(self._responses)) - 1]


def _read(connected: socket.socket, unread: bytes) -> tuple[Received | None, bytes]:
    while b"\r\n\r\n" not in unread:
        part = connected.recv(65536)
        if not part:
            return None, b""
        unread += part
    head, _, body = unread.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        part = connected.recv(65536)
        if not part:
            return None, b""
        body += part
    return Received(method, target, headers, body[:length]), body[length:]


def answer(
    status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
) -> Respond:
    """A whole answer on a connection that stays open."""
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers]
    return raw("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def raw(data: bytes, *, keep: bool = True) -> Respond:
    """Exactly these bytes."""

    def respond(line: Line, _: Received) -> bool:
        line.write(data)
        return keep

    return respond
