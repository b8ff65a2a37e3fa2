"""Errors become answers here, in one table, as RFC 9457 problems.

Views raise; `install` makes Flask look up the answer by the exception's type. Nothing
an exception says gets into a body unless its row of the table puts it there.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import psycopg
from eventsourcing import persistence
from flask import Flask, Response, request
from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA
from werkzeug.exceptions import HTTPException, InternalServerError

from rps.http.cursor import CursorRefused
from rps.http.json_body import BodyRefused, pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("rps.http")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
_ERRORS_MOST = 100
_OF_THE_BODY = {"content-type", "content-length"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as the caller sees it.

    `code` is lower case with dashes and never changes once published; `title` is the
    same for every problem of a code, `detail` says what is wrong this time. `place` is
    a JSON pointer into the body, "byte 17" of it, or "query cursor". `extra` are
    further members of the body, `headers` further headers.
    """

    status: int
    code: str
    title: str
    detail: str
    place: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


# Any, so that a row may name the type it answers.
Table = Mapping[type[Exception], Callable[[Any], Problem]]


def response(problem: Problem, instance: str | None = None) -> Response:
    """Write `problem` as application/problem+json.

    `instance` is the id this one occurrence is logged under, a new one by default.
    """
    # In ASCII: half a surrogate pair in a text must not break the answer.
    answer = Response(
        json.dumps(document(problem, instance), ensure_ascii=True),
        problem.status,
        content_type=MEDIA_TYPE,
    )
    answer.headers.extend(problem.headers)
    if (
        problem.status == HTTPStatus.UNAUTHORIZED
        and problem.code != "signature-refused"
    ):
        answer.headers.setdefault("WWW-Authenticate", "Bearer")
    return answer


def document(problem: Problem, instance: str | None = None) -> dict[str, Any]:
    """The members of `problem` as its JSON has them."""
    body: dict[str, Any] = {
        **problem.extra,
        "type": f"urn:rps:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance or new_instance(),
    }
    if problem.place is not None:
        body["place"] = problem.place
    return body


def problem_of(error: Exception, table: Table) -> Problem:
    """The answer to `error` by `table` and the rows known here."""
    rows: Table = {**_ROWS, **table}
    return next(
        (rows[kind](error) for kind in type(error).__mro__ if kind in rows), _UNFORESEEN
    )


def new_instance() -> str:
    """Make an id that says nothing: "urn:uuid:" and a random UUID."""
    return uuid.uuid4().urn


def install(
    flask_app: Flask,
    table: Table,
    write: Callable[[Problem, str], Response] = response,
) -> None:
    """Answer every exception of `flask_app` by `table`, before the rows known here; the
    answer is what `write` makes of problem and instance.

    The row of the nearest type in the exception's line of descent answers. What no row
    foresees is logged once with its traceback and answered 500 with the log line's id.
    """

    def answer(error: Exception) -> Response:
        if isinstance(error, InternalServerError):
            error = _cause(error)
        instance = new_instance()
        problem = problem_of(error, table)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log(error, problem, instance)
        return write(problem, instance)

    flask_app.register_error_handler(Exception, answer)


def _cause(error: InternalServerError) -> Exception:
    """Unwrap what Flask wraps: exceptions raised after the view."""
    cause = error.original_exception
    return cause if isinstance(cause, Exception) else error


def _log(error: Exception, problem: Problem, instance: str) -> None:
    unforeseen = problem is _UNFORESEEN
    logger.log(
        logging.ERROR if unforeseen else logging.WARNING,
        "request.failed problem=%s instance=%s method=%s endpoint=%s error=%s",
        problem.code,
        instance,
        request.method,
        request.endpoint,
        type(error).__qualname__,
        exc_info=error if unforeseen else None,
    )


_UNFORESEEN = Problem(
    500,
    "internal-error",
    "Something went wrong in rps",
    "Tell your operator the instance: the log has more under it.",
)
_DATABASE_AWAY = Problem(
    503,
    "database-unavailable",
    "The database cannot be reached",
    "Nothing is acknowledged that was not committed; try again.",
    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
)
_BODY_TITLES = {
    400: "The body is not JSON",
    413: "The body is too large",
    422: "The body holds something rps does not take",
}


def _http(error: HTTPException) -> Problem:
    status = error.code or 500
    code = error.name.lower().replace(" ", "-").replace("'", "")
    kept = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in _OF_THE_BODY
    }
    return Problem(status, code, error.name, error.description or "", headers=kept)


def _body(error: BodyRefused) -> Problem:
    place = error.place if isinstance(error.place, str) else f"byte {error.place}"
    title = _BODY_TITLES[error.status]
    return Problem(error.status, error.code, title, error.detail, place)


def _page(error: CursorRefused) -> Problem:
    title = "The page asked for is not one of this list"
    return Problem(400, "page-refused", title, error.detail, f"query {error.parameter}")


def _shape(error: ValidationError) -> Problem:
    found = list(_complaints({error.field_name: error.messages}, ()))
    return Problem(
        422,
        "wrong-shape",
        "The body has not the shape asked for",
        f"errors names what is wrong, at most {_ERRORS_MOST} places of {len(found)}",
        found[0]["place"] if found else None,
        extra={"errors": found[:_ERRORS_MOST]},
    )


def _complaints(messages: Any, path: tuple[str | int, ...]) -> Iterator[dict[str, str]]:
    """Flatten marshmallow's nested messages into places and details."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            yield from _complaints(below, path if key == SCHEMA else (*path, key))
    elif isinstance(messages, list):
        for below in messages:
            yield from _complaints(below, path)
    else:
        yield {"place": pointer(path), "detail": str(messages)}


def _database_away(_: Exception) -> Problem:
    return _DATABASE_AWAY


def _unforeseen(_: Exception) -> Problem:
    return _UNFORESEEN


_ROWS: Table = {
    HTTPException: _http,
    InternalServerError: _unforeseen,
    BodyRefused: _body,
    CursorRefused: _page,
    ValidationError: _shape,
    psycopg.OperationalError: _database_away,  # psycopg_pool's errors are these too
    psycopg.InterfaceError: _database_away,
    persistence.OperationalError: _database_away,
    persistence.InterfaceError: _database_away,
}
