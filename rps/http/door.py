"""In front of Flask: plain posts of changes, which are nearly all there is to do.

Flask and werkzeug take longer for a request than taking in its change does. So good
posts are answered here; whatever is anything else, or goes wrong, is Flask's: it
raises again what was raised here, so that errors have one table.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
from flask import g, request

from rps.http import json_body
from rps.http.access import admitted
from rps.http.answers import JSON
from rps.http.changes import LIMITS, POSTING, Asked, poster_of
from rps.http.routes import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from rps.http.changes import Changes
    from rps.http.parts import Parts

BODY_BYTES_MAX = 1024 * 1024
SECURED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
)
"""Headers of every answer."""

PATH = f"{PREFIX}/changes"
_UNUSUAL = (
    "HTTP_IDEMPOTENCY_KEY",
    "HTTP_CONTENT_ENCODING",
    "HTTP_TRANSFER_ENCODING",
)
_RAISED = "rps.raised"
_SINGLE = "rps.single_change"


class Door:
    """`counted` is told method, route, status and start of what was answered here."""

    def __init__(
        self,
        flask: WSGIApplication,
        parts: Parts,
        changes: Changes,
        counted: Callable[[str, str, int, float], None],
    ) -> None:
        self._flask = flask
        self._parts = parts
        self._changes = changes
        self._counted = counted

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if not _is_plain_post(environ):
            return self._flask(environ, start_response)
        started = time.perf_counter()
        try:
            body = orjson.dumps(self._taken(environ))
        except Exception as error:  # noqa: BLE001 - Flask's table answers each
            environ[_RAISED] = error
            return self._flask(environ, start_response)
        self._counted("POST", PATH, 202, started)
        headers = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(body))),
            *SECURED,
        ]
        start_response("202 ACCEPTED", headers)
        return [body]

    def _taken(self, environ: WSGIEnvironment) -> dict[str, Any]:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        asked = Asked(
            admitted(self._parts, POSTING, authorization),
            authorization,
            traceparent=environ.get("HTTP_TRACEPARENT", ""),
            request_id=environ.get("HTTP_X_REQUEST_ID", ""),
        )
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        posted = json_body.decode(body, limits=LIMITS)
        environ[_SINGLE] = isinstance(posted, dict)
        return self._changes.taken(asked, poster_of(asked), posted)


def raise_again() -> None:
    """Before any view of Flask: what had been raised in front of it."""
    if _RAISED in request.environ:
        g.single_change = request.environ.get(_SINGLE, False)
        raise request.environ[_RAISED]


def _is_plain_post(environ: WSGIEnvironment) -> bool:
    """One body of JSON, as long as it says, without a key to look up first."""
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ["PATH_INFO"] == PATH
        and environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == JSON
        and not environ.get("QUERY_STRING")
        and length.isascii()
        and length.isdecimal()
        and int(length) <= BODY_BYTES_MAX
        and not any(name in environ for name in _UNUSUAL)
    )
