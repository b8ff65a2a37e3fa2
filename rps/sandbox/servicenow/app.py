"""The application of an instance, and the process that serves it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Flask, Response, request

from rps.sandbox.reporter import Silence
from rps.sandbox.server import NOTES, KeepAliveRequestHandler, serve
from rps.sandbox.servicenow.answers import answer_errors
from rps.sandbox.servicenow.attachment_api import Uploads, attachment_api
from rps.sandbox.servicenow.batch_api import batch_api
from rps.sandbox.servicenow.certificate import server_context
from rps.sandbox.servicenow.control import control
from rps.sandbox.servicenow.faults import CUT, go_wrong
from rps.sandbox.servicenow.instance import Instance
from rps.sandbox.servicenow.oauth import oauth
from rps.sandbox.servicenow.page import page
from rps.sandbox.servicenow.table_api import table_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.wrappers import Response as AnyResponse

    from rps.sandbox.servicenow.settings import InstanceSettings

log = logging.getLogger(__name__)

BODY_BYTES_MAX = 10 * 1024 * 1024
NOW = "now"
"""A note for the server: UNIX time by the instance's clock."""
_OVERRIDES = ("PUT", "PATCH", "DELETE", "HEAD", "GET")


def create_app(instance: Instance) -> Flask:
    """Build the application alone."""
    flask_app = Flask("rps.sandbox.servicenow")
    flask_app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    go_wrong(flask_app, instance.faults)
    _tell_time(flask_app, instance)
    uploads = Uploads(instance)
    for blueprint in (
        *table_api(instance),
        *attachment_api(instance, uploads),
        *batch_api(instance, flask_app),
        oauth(instance),
        page(instance, uploads),
        control(instance),
    ):
        flask_app.register_blueprint(blueprint)
    answer_errors(flask_app)
    flask_app.wsgi_app = _Overridden(flask_app.wsgi_app)  # type: ignore[method-assign]
    return flask_app


def run(
    settings: InstanceSettings,
    announce: Callable[[str], None] = log.info,
    tell_certificate: Callable[[Path], None] = lambda _: None,
    tell_request: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is told the base URL."""
    tls = None
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    if not settings.plain:
        tls, made = server_context(settings)
        if made is not None:
            tell_certificate(made)
    instance = Instance(settings)
    serve(
        create_app(instance),
        settings,
        work=Silence(),
        announce=announce,
        handler=InstanceRequestHandler,
        tls=tls,
        tell_request=tell_request,
    )
    instance.database.close()


def _tell_time(flask_app: Flask, instance: Instance) -> None:
    @flask_app.after_request
    def tell(answer: Response) -> Response:
        request.environ.get(NOTES, {})[NOW] = instance.clock.now().timestamp()
        return answer


class _Overridden:
    """Reads `X-HTTP-Method-Override`: clients that can send only GET and POST."""

    def __init__(
        self, app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]
    ) -> None:
        self._app = app

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "").upper()
        if environ["REQUEST_METHOD"] == "POST" and method in _OVERRIDES:
            environ["REQUEST_METHOD"] = method
        return self._app(environ, start_response)


class InstanceRequestHandler(KeepAliveRequestHandler):
    """Tells the instance's time, streams attachments, and cuts connections."""

    files_path = "/attachment"
    body_bytes_max = BODY_BYTES_MAX

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The `Date` header; overrides the library's."""
        notes = getattr(self, "notes", {})  # there are none of a malformed request
        return super().date_time_string(timestamp or notes.get(NOW))

    def _send(self, answer: AnyResponse) -> None:
        cut = self.notes.get(CUT)
        if cut is None:
            super()._send(answer)
            return
        self.close_connection = True
        if cut == "half":
            body = answer.get_data()
            answer.content_length = len(body)
            self._send_head(answer)
            self.wfile.write(body[: len(body) // 2])

    def _send_pieces(self, answer: AnyResponse) -> None:
        cut = self.notes.get(CUT)
        if cut is None:
            super()._send_pieces(answer)
            return
        self.close_connection = True
        if cut == "half":
            self._send_head(answer)
            half = (answer.content_length or 0) // 2
            for piece in answer.iter_encoded():
                self.wfile.write(piece[:half])
                half -= len(piece)
                if half <= 0:
                    break
