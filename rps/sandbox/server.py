"""What every kind of sandbox shares: its settings, and one process that serves it."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response
from werkzeug.wsgi import LimitedStream

from rps.config import ConfigurationError
from rps.sandbox.signature import secret_is_usable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed.wsgi import WSGIApplication

BODY_BYTES_MAX = 1024 * 1024
FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""Of a request that attaches a file, which is read as it comes."""
FILES_PATH = "/attachments"
NOTES = "rps.sandbox.notes"
"""In the WSGI environment: a dict in which the application notes things for us."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """One sandbox: what it is called, where it lives, whom it trusts and tells.

    `host` must be a loopback address, because the users' side asks nobody who they
    are; `port` 0 takes a free one. Every one of `secrets` (`whsec_…`) is accepted, so
    a secret can be rotated. With `report_url` (an rps node's base URL) own users'
    edits are reported there as the remote system `system`; with `report_all` the
    writes that came from rps are reported too, as a system that cannot tell them
    apart would. Raises ConfigurationError naming everything that is wrong.
    """

    name: str
    database: Path
    secrets: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 0
    report_url: str = ""
    report_token: str = ""
    system: str = ""
    report_all: bool = False

    def __post_init__(self) -> None:
        wrong = []
        if not _is_loopback(self.host):
            wrong.append(f"host {self.host!r}: give a loopback address")
        if not self.secrets or not all(map(secret_is_usable, self.secrets)):
            wrong.append("secrets: give at least one, each whsec_ and base64")
        if self.report_url and not self.report_url.startswith(("http://", "https://")):
            wrong.append(f"report_url {self.report_url!r}: give an http(s) URL")
        if self.report_url and not (self.report_token and self.system):
            wrong.append("report_url: give report_token and system with it")
        if wrong:
            raise ConfigurationError("; ".join(wrong))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class BackgroundWork(Protocol):
    """What a sandbox does beside answering requests."""

    def run(self) -> None:
        """Work until stopped."""
        ...

    def stop(self) -> None:
        """Make `run` return soon; called from another thread."""
        ...


class Together:
    """Several works as one; what ends one of them ends all."""

    def __init__(self, *works: BackgroundWork) -> None:
        self._works = works

    def run(self) -> None:
        """Work until stopped, or until one of them ends; what ended it is raised."""
        with ThreadPoolExecutor(len(self._works), "sandbox-work") as threads:
            running = [threads.submit(work.run) for work in self._works]
            for future in running:
                future.add_done_callback(lambda _: self.stop())
        for future in running:
            future.result()

    def stop(self) -> None:
        """Let `run` return."""
        for work in self._works:
            work.stop()


class Listening(Protocol):
    """Where a server listens; port 0 takes a free one."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class KeepAliveRequestHandler(WSGIRequestHandler):
    """Serves one connection, request after request.

    Werkzeug's own handler closes the connection after each answer because it does not
    know where a body ends. This one reads the body first, by its Content-Length, and
    refuses requests framed otherwise.
    """

    server: SandboxServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave in one packet
    files_path = FILES_PATH
    body_bytes_max = BODY_BYTES_MAX
    notes: dict[str, Any]

    def run_wsgi(self) -> None:
        """Answer one request; overrides werkzeug's."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not _is_length(length):
            self.send_error(411)  # closes the connection, as the next does
            return
        streamed = self.files_path in self.path
        if int(length) > (FILE_BYTES_MAX if streamed else self.body_bytes_max):
            self.send_error(413)
            return
        self.notes = {}
        self.environ = self.make_environ()
        self.environ[NOTES] = self.notes
        if streamed:
            self._run_streamed(int(length))
            return
        self.environ["wsgi.input"] = BytesIO(self.rfile.read(int(length)))
        self._send(Response.from_app(self.server.app, self.environ, buffered=True))

    def _run_streamed(self, length: int) -> None:
        """A request or an answer that may be large: never all of it in memory."""
        body = LimitedStream(cast("IO[bytes]", self.rfile), length)
        self.environ["wsgi.input"] = body
        with closing(Response.from_app(self.server.app, self.environ)) as answer:
            self.close_connection |= body.tell() < length
            if answer.content_length is None:
                self._send(answer)
                return
            self._send_pieces(answer)

    def _send_pieces(self, answer: Response) -> None:
        self._send_head(answer)
        if self.command != "HEAD":
            for piece in answer.iter_encoded():
                self.wfile.write(piece)

    def _send(self, answer: Response) -> None:
        body = answer.get_data()
        answer.content_length = len(body)
        self._send_head(answer)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_head(self, answer: Response) -> None:
        self.send_response(answer.status_code)
        for name, text in answer.headers:
            self.send_header(name, text)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def handle_expect_100(self) -> bool:
        """Ask for the body at once; `wfile` would keep the question to itself."""
        expected = super().handle_expect_100()
        self.wfile.flush()
        return expected

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        """Tell who asked for what, where somebody wants to know."""
        if self.server.tell_request is not None:
            who = self.headers.get("User-Agent", "-")
            self.server.tell_request(f"{self.command} {self.path} {int(code)} {who}")


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16  # noqa: PLR2004 - int() of any length is slow


def free_port(host: str) -> int:
    """One that nobody has just now, for who has to know it before listening there."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class SandboxServer(ThreadedWSGIServer):
    """A thread for each connection, which does that connection's TLS as well."""

    tell_request: Callable[[str], None] | None = None

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; overrides the library's.

        The handshake is left to the thread that reads first: a client that never
        finishes it holds up nobody else.
        """
        accepted, address = super().get_request()
        if self.ssl_context is not None:
            accepted = self.ssl_context.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False
            )
        return accepted, address


def serve(
    app: WSGIApplication,
    settings: Listening,
    *,
    work: BackgroundWork,
    announce: Callable[[str], None],
    handler: type[KeepAliveRequestHandler] = KeepAliveRequestHandler,
    tls: ssl.SSLContext | None = None,
    tell_request: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; must be called from the main thread.

    `announce` is told the base URL once connections are accepted, `tell_request` of
    each request: method, path, status and who asked. What ends the server or `work`
    unasked ends this call, and is raised.
    """
    ended = {signal.SIGTERM, signal.SIGINT}
    # Waited for instead of handled: a handler that sets an Event can deadlock when it
    # interrupts the main thread within that Event.
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    server = SandboxServer(settings.host, settings.port, app, handler)
    server.ssl_context = tls
    server.tell_request = tell_request
    stopping = threading.Event()

    def end(_: Future[Any]) -> None:
        if not stopping.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(2, "sandbox") as threads:
        running = [threads.submit(server.serve_forever, 0.1), threads.submit(work.run)]
        for future in running:
            future.add_done_callback(end)
        scheme = "https" if tls else "http"
        announce(f"{scheme}://{settings.host}:{server.server_port}")
        signal.sigwait(ended)
        stopping.set()
        work.stop()
        server.shutdown()
    for future in running:
        future.result()
