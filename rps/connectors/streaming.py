"""One answer, or one request, whose body may be of any length, taken as it comes.

The same care as with other requests (where it leads, who answers, how it is framed),
but no deadline over the whole: bytes have to keep coming. Nobody trickles for ever:
after a while the stream is cut, which costs little, as it is gone on with from there.
"""

from __future__ import annotations

import select
import ssl
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from rps.connectors import http1
from rps.domain.delivery import CutOff

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterator, Mapping

    from rps.connectors.dialing import Dialer
    from rps.connectors.http1 import Target

IDLE_SECONDS = 30.0
LONGEST_SECONDS = 900.0
SENDING_SECONDS = 4 * 3600.0
"""What is sent cannot be gone on with where it was cut: it gets longer."""
_RECEIVED_BYTES = 65536
"""Not more than what is kept of an answer: a body that is drained meets no limit."""
_GOOD = (200, 206)


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer whose body has begun to come. `pieces` raises CutOff; close it."""

    status: int
    headers: Mapping[str, str]
    pieces: Generator[bytes, None, None]


class Streams:
    """Opens streams; `seconds` are for everything up to the answer's head."""

    def __init__(
        self,
        dialer: Dialer,
        clock: Callable[[], float],
        seconds: float,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._dialer = dialer
        self._clock = clock
        self._seconds = seconds
        self._idle = idle_seconds

    def open(self, to: Target, data: bytes) -> Opened | http1.Reading:
        """A body that comes (200, 206), or the whole of another answer, cut at the
        limit. Raises what dialing raises, and Lost once the request is on its way."""
        deadline = self._clock() + self._seconds
        sock = self._dialer.dial(to.scheme, to.host, to.port, deadline)
        reading = http1.Reading(_RECEIVED_BYTES)
        try:
            try:
                done = self._asked(sock, data, reading, deadline)
                while not done and reading.status not in _GOOD:
                    done = self._fed(sock, reading, deadline)
            except (OSError, http1.Unreadable) as error:
                raise Lost from error
        except BaseException:
            sock.close()
            raise
        if reading.status in _GOOD:
            pieces = self._pieces(sock, reading, done=done)
            return Opened(reading.status, reading.headers, pieces)
        sock.close()
        return reading

    def send(
        self,
        to: Target,
        head: bytes,
        pieces: Iterator[bytes],
        reading: http1.Reading,
    ) -> None:
        """A request whose body comes in `pieces`, and the whole answer into `reading`.
        Who answers before all of it was sent wants no more. Raises what dialing raises,
        and Lost once the request is on its way."""
        sock = self._dialer.dial(
            to.scheme, to.host, to.port, self._clock() + self._seconds
        )
        try:
            self._sent(sock, head, pieces)
            deadline = self._clock() + self._seconds
            while not self._fed(sock, reading, deadline):
                pass
        except (OSError, http1.Unreadable) as error:
            raise Lost from error
        finally:
            sock.close()

    def _sent(
        self,
        sock: socket.socket,
        head: bytes,
        pieces: Iterator[bytes],
    ) -> None:
        """Bytes have to keep going out; who refuses them may end the connection."""
        latest = self._clock() + SENDING_SECONDS
        for data in chain((head,), pieces):
            unsent = memoryview(data)
            while unsent:
                try:
                    unsent = unsent[sock.send(unsent) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    deadline = min(latest, self._clock() + self._idle)
                    self._wait(sock, select.POLLOUT, deadline)
                except (BrokenPipeError, ConnectionResetError):
                    return  # what it said before that is still to be read

    def _asked(
        self, sock: socket.socket, data: bytes, reading: http1.Reading, deadline: float
    ) -> bool:
        """Send the request and read the answer's head; whether that was all."""
        unsent = memoryview(data)
        while unsent:
            try:
                unsent = unsent[sock.send(unsent) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(sock, select.POLLOUT, deadline)
        done = False
        while not reading.status:
            done = self._fed(sock, reading, deadline)
        return done

    def _pieces(
        self, sock: socket.socket, reading: http1.Reading, *, done: bool
    ) -> Generator[bytes, None, None]:
        """The body as it comes; raises CutOff where it ends too early."""
        latest = self._clock() + LONGEST_SECONDS
        try:
            while not done:
                if piece := reading.drain():
                    yield piece
                deadline = min(latest, self._clock() + self._idle)
                done = self._fed(sock, reading, deadline)
            if reading.body:
                yield reading.body
        except TimeoutError as error:
            raise CutOff("no more bytes came in time") from error
        except (OSError, http1.Unreadable) as error:
            raise CutOff("the connection ended in the middle") from error
        finally:
            sock.close()

    def _fed(
        self, sock: socket.socket, reading: http1.Reading, deadline: float
    ) -> bool:
        """Take what comes next; whether the answer is whole."""
        while True:
            try:
                data = sock.recv(_RECEIVED_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(sock, select.POLLIN, deadline)
            else:
                break
        if data:
            return reading.feed(data)
        reading.end()
        return True

    def _wait(self, sock: socket.socket, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(sock, event)
        left = deadline - self._clock()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("the deadline has passed")


class Lost(Exception):
    """The request may have arrived; no head of an answer came. Its cause says why."""
