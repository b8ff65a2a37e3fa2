"""The server's worker: gunicorn's threads, each staying with its connection a while.

gunicorn hands every request from its poller to a thread and back: with several clients
those changes of thread cost more than the request itself. Here a thread that has
answered waits for the next request of the same connection, as long as other threads
are free for other connections.
"""

from __future__ import annotations

import gc
import threading
from datetime import datetime
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

if TYPE_CHECKING:
    from gunicorn.http.message import Request
    from gunicorn.workers.gthread import TConn

STAY_MILLISECONDS = 1000
"""Less than gunicorn leaves a kept-alive connection when it stops."""

FREE_SHARE = 8
"""One thread in so many, and one at least, never stays: it serves the others."""


class StayingWorker(ThreadWorker):  # type: ignore[misc]  # no types
    """A connection's thread stays with it while there are threads to spare."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._may_stay = threading.Semaphore(
            self.cfg.threads - -(-self.cfg.threads // FREE_SHARE)
        )
        # Settings are looked up some thirty times a request, each through two calls.
        self.cfg.__dict__.update({k: v.get() for k, v in self.cfg.settings.items()})

    def load_wsgi(self) -> None:
        super().load_wsgi()
        gc.freeze()  # what is there now stays: never look through it again

    def handle(self, conn: TConn) -> Any:
        """Answer requests of `conn` until it ends or its thread is to be free."""
        goes_on = super().handle(conn)
        if goes_on is not True or not self._may_stay.acquire(blocking=False):
            return goes_on
        try:
            readable = poll()
            readable.register(conn.sock, POLLIN)
            while goes_on is True and self.alive:
                # A request that was sent with the one before has been read already.
                if not (
                    conn.parser.unreader.buf.getbuffer().nbytes
                    or readable.poll(STAY_MILLISECONDS)
                ):
                    break
                goes_on = super().handle(conn)
            return goes_on
        finally:
            self._may_stay.release()

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """As the library's, of which it leaves out what we never set; True where the
        connection goes on."""
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
