"""Requests under way, side by side in one thread, each on a connection of its own.

Sockets do not block: a request costs one send and one recv, and one poll is shared by
all that are under way. One deadline runs over connecting, sending and the whole answer.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from math import ceil
from typing import TYPE_CHECKING

from rps.connectors import http1
from rps.connectors.dialing import AddressRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.connectors.dialing import Dialer
    from rps.connectors.http1 import Target

# Servers close idle connections after 5 s (gunicorn) to 75 s (nginx). One that is about
# to be closed loses the request sent on it, so what has been quiet is not used again.
IDLE_SECONDS = 20.0
_DIALS = 4
"""New connections a group opens before it has an answer on one of them."""
_RECEIVED_BYTES = 65536
_READ_OR_WRITE = select.POLLIN | select.POLLOUT
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Place = tuple[str, str, int]


class Line:
    """A connection, when it was opened, and since when it has been quiet."""

    __slots__ = ("opened", "place", "quiet_since", "sock")

    def __init__(self, sock: socket.socket, place: Place, opened: float) -> None:
        self.sock = sock
        self.place = place
        self.opened = self.quiet_since = opened

    def is_usable(self, now: float) -> bool:
        """Whether it may carry another request: it is quiet, and not for too long."""
        if now - self.quiet_since >= IDLE_SECONDS:
            return False
        try:
            # Below TLS as well: an end, or words nobody asked for.
            socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


class Lines:
    """Idle connections by where they lead; thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._idle: dict[Place, deque[Line]] = {}
        self._swept = clock()

    def take(self, place: Place, opened_after: float) -> Line | None:
        """The one used last, if it can be used again."""
        idle = self._idle.get(place)
        while idle:
            try:
                line = idle.pop()
            except IndexError:  # another thread was faster
                return None
            if line.opened <= opened_after:
                idle.append(line)
                return None
            if line.is_usable(self._clock()):
                return line
            line.sock.close()
        return None

    def give(self, line: Line) -> None:
        line.quiet_since = self._clock()
        self._idle.setdefault(line.place, deque()).append(line)
        if line.quiet_since - self._swept > IDLE_SECONDS:
            self._swept = line.quiet_since
            self._sweep(line.quiet_since)

    def close(self) -> None:
        self._sweep(float("inf"))

    def _sweep(self, now: float) -> None:
        """Close those that are not used any more."""
        for idle in list(self._idle.values()):
            for line in list(idle):
                if now - line.quiet_since >= IDLE_SECONDS:
                    try:
                        idle.remove(line)
                    except ValueError:  # somebody took it
                        continue
                    line.sock.close()


class Exchange:
    """One request and how far it got. In the end `answer` is there, or `error`; `sent`
    where it may have arrived."""

    __slots__ = (
        "_unsent",
        "again",
        "answer",
        "data",
        "deadline",
        "error",
        "index",
        "limit",
        "line",
        "retry_safe",
        "reused",
        "seconds",
        "sent",
        "started",
        "to",
    )

    def __init__(
        self, index: int, to: Target, data: bytes, limit: int, *, retry_safe: bool
    ) -> None:
        self.index = index
        self.to = to
        self.data = data
        self.limit = limit
        self.retry_safe = retry_safe
        self.again = self.reused = self.sent = False
        self.deadline: float | None = None
        self.started = self.seconds = 0.0
        self.error: BaseException | None = None
        self.line: Line
        self.answer: http1.Reading
        self._unsent: memoryview | bytes = b""

    def begin(self, line: Line) -> bool:
        """Send what the connection takes at once; whether that was all."""
        self.line = line
        self.sent = True
        self.answer = http1.Reading(self.limit)
        self._unsent = self.data
        return self.send()

    def send(self) -> bool:
        """Go on sending. Raises OSError."""
        while self._unsent:
            try:
                count = self.line.sock.send(self._unsent)
            except _AGAIN:
                return False
            if count == len(self._unsent):
                self._unsent = b""
            else:
                self._unsent = memoryview(self._unsent)[count:]
        return True

    def receive(self) -> bool:
        """Take what has come; whether the answer is whole. Raises OSError, or
        Unreadable."""
        while True:
            try:
                data = self.line.sock.recv(_RECEIVED_BYTES)
            except _AGAIN:
                return False
            if not data:
                self.answer.end()
                return True
            if self.answer.feed(data):
                self.answer.keeps &= not self._unsent
                return True


class Group:
    """Exchanges that are carried out side by side."""

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        lines: Lines,
        dialer: Dialer,
        clock: Callable[[], float],
        seconds: float,
    ) -> None:
        self._waiting = deque(exchanges)
        self._lines = lines
        self._dialer = dialer
        self._clock = clock
        self._seconds = seconds
        self._poll = select.poll()
        self._under_way: dict[int, Exchange] = {}
        self._done: list[Exchange] = []
        self._dials = 0

    def done(self) -> Iterator[list[Exchange]]:
        """Each of them once, as they come to their end."""
        try:
            while self._waiting or self._under_way:
                self._start()
                if not self._done:
                    self._step()
                if self._done:
                    done, self._done = self._done, []
                    yield done
        finally:
            for exchange in self._under_way.values():
                exchange.line.sock.close()

    # --- starting -------------------------------------------------------------------

    def _start(self) -> None:
        while self._waiting:
            exchange = self._waiting[0]
            now = self._clock()
            if exchange.deadline is None:
                exchange.started, exchange.deadline = now, now + self._seconds
            place = exchange.to[:3]
            # After a restart of the server all that were open before are closed.
            line = self._lines.take(place, exchange.started if exchange.again else 0.0)
            exchange.reused = line is not None
            if line is None:
                if self._under_way and self._dials >= _DIALS:
                    return  # one of those will be free soon
                line = self._dialled(exchange, place)
            if line is not None:
                self._waiting.popleft()
                self._begin(exchange, line)

    def _dialled(self, exchange: Exchange, place: Place) -> Line | None:
        """A new connection. Where there is none for the first, there is none for those
        behind it."""
        deadline = exchange.deadline or 0.0
        try:
            sock = self._dialer.dial(*place, deadline)
        except (AddressRefused, OSError, ValueError) as error:
            while self._waiting:
                self._end(self._waiting.popleft(), error)
            return None
        self._dials += 1
        return Line(sock, place, self._clock())

    def _begin(self, exchange: Exchange, line: Line) -> None:
        number = line.sock.fileno()
        try:
            whole = exchange.begin(line)
        except OSError as error:
            self._lost(exchange, error)
            return
        self._under_way[number] = exchange
        self._poll.register(number, select.POLLIN if whole else _READ_OR_WRITE)

    # --- going on -------------------------------------------------------------------

    def _step(self) -> None:
        """Wait until something comes, and take it."""
        if not self._under_way:
            return
        soonest = min(e.deadline or 0.0 for e in self._under_way.values())
        left = max(soonest - self._clock(), 0.0)
        for number, event in self._poll.poll(ceil(left * 1000)):
            self._go_on(number, event)
        now = self._clock()
        if now >= soonest:
            late = [
                (number, e)
                for number, e in self._under_way.items()
                if now >= (e.deadline or 0.0)
            ]
            for number, exchange in late:
                self._leave(number)
                self._lost(exchange, TimeoutError("the deadline has passed"))

    def _go_on(self, number: int, event: int) -> None:
        exchange = self._under_way[number]
        try:
            if event & select.POLLOUT and exchange.send():
                self._poll.modify(number, select.POLLIN)
            if not event & ~select.POLLOUT or not exchange.receive():
                return
        except (OSError, http1.Unreadable) as error:
            self._leave(number)
            self._lost(exchange, error)
            return
        self._leave(number)
        if exchange.answer.keeps:
            self._lines.give(exchange.line)
        else:
            exchange.line.sock.close()
        self._end(exchange)

    def _leave(self, number: int) -> None:
        del self._under_way[number]
        self._poll.unregister(number)

    def _lost(self, exchange: Exchange, error: BaseException) -> None:
        """A connection that was found closed costs one more try, where that is safe."""
        exchange.line.sock.close()
        now = self._clock()
        stale = exchange.reused and exchange.retry_safe and not exchange.again
        if stale and now < (exchange.deadline or 0.0):
            exchange.again = True
            self._waiting.appendleft(exchange)
        else:
            self._end(exchange, error)

    def _end(self, exchange: Exchange, error: BaseException | None = None) -> None:
        exchange.error = error
        exchange.seconds = self._clock() - exchange.started
        self._done.append(exchange)
