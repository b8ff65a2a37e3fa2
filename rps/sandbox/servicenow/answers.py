"""How an instance answers: `{"result": …}`, and its error document for a refusal."""

from __future__ import annotations

import logging
import sqlite3
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from flask import Response, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from rps.sandbox.answers import CrossSite, SandboxClosing

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)


class InstanceRefusal(Exception):
    """The request is not carried out, and nothing was changed."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    message: ClassVar[str] = ""

    def __init__(self, detail: str | None = None, message: str = "") -> None:
        super().__init__(detail or message or self.message)
        self.detail = detail
        self.said = message or self.message


class NotAuthenticated(InstanceRefusal):
    """No user with this password or token, or the user is not active."""

    status = HTTPStatus.UNAUTHORIZED
    message = "User Not Authenticated"

    def __init__(self) -> None:
        super().__init__("Required to provide Auth information")


class NoRecord(InstanceRefusal):
    """There is no such record, or the user must not know of it."""

    status = HTTPStatus.NOT_FOUND
    message = "No Record found"

    def __init__(self) -> None:
        super().__init__("Record doesn't exist or ACL restricts the record retrieval")


class NotAllowed(InstanceRefusal):
    """An ACL, a policy or a rule of the instance refuses."""

    status = HTTPStatus.FORBIDDEN
    message = "Operation Failed"


class NotUnderstood(InstanceRefusal):
    """The request is malformed."""


class NoSuchTable(InstanceRefusal):
    """There is no table of this name."""

    def __init__(self, table: str) -> None:
        super().__init__(None, f"Invalid table {table}")


class NotAcceptable(InstanceRefusal):
    status = HTTPStatus.NOT_ACCEPTABLE
    message = "Requested response format is not supported"


class WrongMediaType(InstanceRefusal):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    message = "Media type not supported"


class TooLarge(InstanceRefusal):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    message = "Request entity too large"


class RateExceeded(InstanceRefusal):
    status = HTTPStatus.TOO_MANY_REQUESTS
    message = "Rate limit exceeded"


def result(document: object, status: int = HTTPStatus.OK) -> Response:
    """Build `{"result": …}`."""
    return plain({"result": document}, status)


def plain(document: object, status: int = HTTPStatus.OK) -> Response:
    """Build a JSON answer as it is."""
    body = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, content_type="application/json;charset=UTF-8")


def error(status: int, message: str, detail: str | None) -> Response:
    """Build the error document."""
    said = {"message": message, "detail": detail}
    return plain({"error": said, "status": "failure"}, status)


def body_object() -> dict[str, Any]:
    """The request's JSON object; raises NotUnderstood."""
    try:
        document = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as wrong:
        raise NotUnderstood(
            str(wrong), "Exception while reading request: the body is not JSON"
        ) from None
    if isinstance(document, list) and document:
        document = document[0]  # of several records, only the first is heard
    if not isinstance(document, dict):
        raise NotUnderstood(None, "The payload is not valid JSON: an object is wanted")
    return document


def answer_errors(flask_app: Flask) -> None:
    """Register the one table of what each error is answered with."""

    @flask_app.errorhandler(InstanceRefusal)
    def refused(wrong: InstanceRefusal) -> Response:
        built = error(wrong.status, wrong.said, wrong.detail)
        if wrong.status is HTTPStatus.UNAUTHORIZED:
            built.headers["WWW-Authenticate"] = 'BASIC realm="Service-now"'
        return built

    @flask_app.errorhandler(ValidationError)
    def misshapen(wrong: ValidationError) -> Response:
        said = orjson.dumps(wrong.messages, option=orjson.OPT_NON_STR_KEYS)
        return error(HTTPStatus.BAD_REQUEST, "Invalid request", said.decode())

    _answer_others(flask_app)


def _answer_others(flask_app: Flask) -> None:
    @flask_app.errorhandler(CrossSite)
    def cross_site(wrong: CrossSite) -> Response:
        return error(wrong.status, "Operation Failed", str(wrong))

    @flask_app.errorhandler(SandboxClosing)
    @flask_app.errorhandler(sqlite3.OperationalError)
    def unavailable(wrong: Exception) -> Response:
        log.error("sandbox.database_unavailable", exc_info=wrong)
        built = error(HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable", None)
        built.headers["Retry-After"] = "1"
        return built

    @flask_app.errorhandler(HTTPException)
    def http(wrong: HTTPException) -> Response:
        status = HTTPStatus(wrong.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        if status is HTTPStatus.NOT_FOUND:
            uri = f"Requested URI does not represent any resource: {request.path}"
            return error(HTTPStatus.BAD_REQUEST, uri, None)
        built = error(status, status.phrase, wrong.description)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            built.headers.extend(h for h in wrong.get_headers() if h[0] == "Allow")
        return built
