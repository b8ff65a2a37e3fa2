"""How a sandbox answers: JSON, and problem+json (RFC 9457) for every refusal."""

from __future__ import annotations

import logging
import sqlite3
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from flask import Response
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

log = logging.getLogger(__name__)


class SandboxRefusal(Exception):
    """The request is not carried out, and nothing was changed.

    `facts` are added to the problem document.
    """

    status: ClassVar[HTTPStatus]

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.facts = facts


class NotSigned(SandboxRefusal):
    """The request carries no signature of a secret we share."""

    status = HTTPStatus.UNAUTHORIZED


class NotJson(SandboxRefusal):
    """The body is not the JSON that RFC 8259 allows."""

    status = HTTPStatus.BAD_REQUEST


class CrossSite(SandboxRefusal):
    """Another site's page tried to write through a user's browser."""

    status = HTTPStatus.FORBIDDEN


class SandboxClosing(SandboxRefusal):
    """The process is about to end; nothing was written."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def decoded(body: bytes) -> Any:
    """Decode JSON; raises NotJson for NaN, 1e400, lone surrogates, depth, not UTF-8."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"the body is not JSON: {error}") from None


def answer(document: object, status: int = HTTPStatus.OK) -> Response:
    """Build a JSON answer."""
    return Response(orjson.dumps(document), status, mimetype="application/json")


def problem(status: HTTPStatus, detail: str, facts: Mapping[str, object]) -> Response:
    """Build a problem+json answer; one that may be tried again says when."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        **facts,
    }
    # marshmallow numbers the items of a list with integer keys.
    body = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    built = Response(body, status, mimetype="application/problem+json")
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        built.headers["Retry-After"] = "1"
    return built


def answer_errors(flask_app: Flask) -> None:
    """Register the one table of what each error is answered with."""

    @flask_app.errorhandler(SandboxRefusal)
    def refused(error: SandboxRefusal) -> Response:
        return problem(error.status, str(error), error.facts)

    @flask_app.errorhandler(ValidationError)
    def unprocessable(error: ValidationError) -> Response:
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the body does not have the shape this resource takes",
            {"errors": error.messages},
        )

    @flask_app.errorhandler(sqlite3.OperationalError)
    def unavailable(error: sqlite3.OperationalError) -> Response:
        log.error("sandbox.database_unavailable", exc_info=error)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database is busy", {})

    @flask_app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        built = problem(status, error.description or status.phrase, {})
        if error.response is None and status is HTTPStatus.METHOD_NOT_ALLOWED:
            built.headers.extend(h for h in error.get_headers() if h[0] == "Allow")
        return built
