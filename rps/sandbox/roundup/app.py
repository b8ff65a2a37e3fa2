"""The process that serves a tracker.

Roundup's own server does not run as root, where tests and demonstrations may.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rps.sandbox.reporter import Silence
from rps.sandbox.roundup.tracker import TrackerSettings, set_up
from rps.sandbox.server import KeepAliveRequestHandler, free_port, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

UPLOAD_BYTES_MAX: Final = 64 * 1024 * 1024


class TrackerRequestHandler(KeepAliveRequestHandler):
    """Takes files within forms."""

    files_path = "//"  # nothing: Roundup wants its requests whole
    body_bytes_max = UPLOAD_BYTES_MAX


def run(
    settings: TrackerSettings,
    announce: Callable[[str], None] = log.info,
    tell_request: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is told the base URL. Raises
    RoundupMissing."""
    if not settings.port:
        settings = replace(settings, port=free_port(settings.host))
    set_up(settings)
    from roundup.cgi.wsgi_handler import RequestDispatcher  # noqa: PLC0415

    serve(
        _returning(RequestDispatcher(str(settings.home))),
        settings,
        work=Silence(),
        announce=announce,
        handler=TrackerRequestHandler,
        tell_request=tell_request,
    )


def _returning(app: WSGIApplication) -> WSGIApplication:
    """Roundup calls `write` with its answer, as the oldest WSGI applications do; the
    server takes what is returned."""

    def call(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        pieces: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            start_response(status, headers, *more)
            return pieces.append

        pieces += app(environ, start)
        return pieces

    return call
