"""The server's worker: gunicorn's threads, each staying with its connection a while.

gunicorn hands every request from its poller to a thread and back: with several clients
those changes of thread cost more than the request itself. Here a thread that has
answered waits for the next request of the same connection, as long as other threads
are free for other connections.
"""

from __future__ import annotations

import gc
import socket
import threading
from datetime import datetime
from struct import Struct
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import ThreadWorker

if TYPE_CHECKING:
    from gunicorn.http.body import Body
    from gunicorn.http.message import Request
    from gunicorn.workers.gthread import TConn

STAY_SECONDS = 1
"""Less than gunicorn leaves a kept-alive connection when it stops."""

FREE_SHARE = 8
"""One thread in so many, and one at least, never stays: it serves the others."""


_TIMEVAL = Struct("@ll")
_STAY = _TIMEVAL.pack(STAY_SECONDS, 0)
_NO_TIMEOUT = _TIMEVAL.pack(0, 0)


class StayingWorker(ThreadWorker):  # type: ignore[misc]  # no types
    """A connection's thread stays with it while there are threads to spare."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._may_stay = threading.Semaphore(
            self.cfg.threads - -(-self.cfg.threads // FREE_SHARE)
        )

    def load_wsgi(self) -> None:
        super().load_wsgi()
        # Settings are looked up some thirty times a request, each through two calls.
        self.cfg.__dict__.update({k: v.get() for k, v in self.cfg.settings.items()})
        gc.freeze()  # what is there now stays: never look through it again

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """Answer requests of `conn` until it ends or its thread is to be free; True
        where the connection goes on."""
        goes_on = self._answered(req, conn)
        if not goes_on or not self._may_stay.acquire(blocking=False):
            return goes_on
        try:
            while goes_on and self.alive:
                if not self._keepalive_after(conn, goes_on):
                    return False
                if not _comes(conn):
                    break
                goes_on = self._answered(next(conn.parser), conn)
            return goes_on
        finally:
            self._may_stay.release()

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """As the library's, which touches the socket's timeout four times to find that
        there is nothing left to read."""
        message = conn.parser.mesg
        if keepalive and message and _is_read(message.body):
            conn.parser.mesg = None
        return bool(super()._keepalive_after(conn, keepalive))

    def _answered(self, req: Request, conn: TConn) -> bool:
        """As the library's handle_request, without what we never set."""
        started = datetime.now()  # noqa: DTZ005 - what its log takes
        answer, environ = wsgi.create(
            req, conn.sock, conn.client, conn.server, self.cfg, OneSend
        )
        environ["wsgi.multithread"] = True
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            answer.force_close()
        try:
            self._send(req, answer, environ, started)
        except OSError:
            raise
        except Exception:
            if not answer.headers_sent:
                raise
            # A 500 after the start of another answer would be taken for its body.
            self.log.exception("Error handling request")
            util.close_graceful(conn.sock)
            raise StopIteration from None
        return not answer.should_close()

    def _send(
        self, req: Request, answer: OneSend, environ: Any, started: datetime
    ) -> None:
        parts = self.wsgi(environ, answer.start_response)
        try:
            for part in parts:
                answer.write(part)
            answer.close()
        finally:
            took = datetime.now() - started  # noqa: DTZ005
            self.log.access(answer, req, environ, took)
            if hasattr(parts, "close"):
                parts.close()


def _comes(conn: TConn) -> bool:
    """Whether `conn` has a next request, waited for STAY_SECONDS.

    One call waits and reads: each call that could wait lets another thread run, and
    this one queue up again.
    """
    unreader = conn.parser.unreader
    if unreader.buf.getbuffer().nbytes:
        return True  # sent together with the one before
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STAY)
    try:
        read = conn.sock.recv(unreader.mxchunk)
    except BlockingIOError:
        return False
    finally:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _NO_TIMEOUT)
    if not read:
        raise StopIteration  # closed by the client: the library expects it so
    unreader.unread(read)
    return True


def _is_read(body: Body) -> bool:
    """Whether nothing of a body of known length is left."""
    return (
        isinstance(body.reader, LengthReader)
        and body.reader.length == 0
        and body.buf.tell() == 0
    )


class OneSend(wsgi.Response):  # type: ignore[misc]  # no types
    """Sends the head of an answer together with the start of its body."""

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        if self.headers_sent:
            return
        lines = [*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers)]
        self._head = "".join([*lines, "\r\n"]).encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        head, self._head = self._head, b""
        self.sock.sendall(head + data)

    def close(self) -> None:
        self.send_headers()
        end = b"0\r\n\r\n" if self.chunked else b""
        if self._head or end:
            self.sock.sendall(self._head + end)
