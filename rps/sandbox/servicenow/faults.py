"""Misbehaviour on demand: how the next requests are to go wrong."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, get_args

from flask import Response, g, request

from rps.sandbox.server import NOTES
from rps.sandbox.servicenow.answers import error, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask

Kind = Literal[
    "lost", "cut", "status", "html", "error-body", "truncated", "empty-page", "slow"
]
KINDS: Final = get_args(Kind)
WHILE_ANSWERING: Final = frozenset({"cut", "truncated", "empty-page"})
"""Kinds that spoil an answer, so that the request itself is carried out."""
INNER: Final = "rps.sandbox.inner"
CUT: Final = "cut"
"""A note for the server: cut the connection, having sent nothing, or `half`."""
_LOGIN_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>ServiceNow</title></head>"
    "<body><form action='login.do'>Your session has expired.</form></body></html>"
)
_API: Final = ("/api/", "/oauth_token.do")


@dataclass(frozen=True, slots=True)
class Fault:
    """The next `times` requests that fit go wrong, after `skip` that do not.

    `method` "" is any; `path` is a part of the path and query. With `after` the
    request is carried out first, so that a write has taken effect.
    """

    kind: Kind
    times: int = 1
    skip: int = 0
    method: str = ""
    path: str = ""
    after: bool = False
    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after: int = 0
    seconds: float = 1.0


class Faults:
    """Those that are still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._coming: list[Fault] = []
        self._lock = threading.Lock()

    def coming(self) -> list[Fault]:
        with self._lock:
            return list(self._coming)

    def set(self, faults: Iterable[Fault]) -> None:
        """These instead of those that were to come."""
        with self._lock:
            self._coming = list(faults)

    def take(self, method: str, path: str) -> Fault | None:
        """How this request goes wrong, if it does."""
        with self._lock:
            for place, fault in enumerate(self._coming):
                if fault.method not in ("", method) or fault.path not in path:
                    continue
                if fault.skip:
                    self._coming[place] = replace(fault, skip=fault.skip - 1)
                    return None
                if fault.times > 1:
                    self._coming[place] = replace(fault, times=fault.times - 1)
                else:
                    del self._coming[place]
                return fault
        return None


def go_wrong(flask_app: Flask, faults: Faults) -> None:
    """Let requests to the API go wrong; those within a batch do so with the batch."""

    @flask_app.before_request
    def before() -> Response | None:
        g.fault = None
        if not request.path.startswith(_API) or INNER in request.environ:
            return None
        fault = faults.take(request.method, request.full_path)
        if fault is None:
            return None
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.after or fault.kind in WHILE_ANSWERING:
            g.fault = fault
        else:
            return _instead(fault)
        return None

    @flask_app.after_request
    def after(answer: Response) -> Response:
        fault: Fault | None = g.get("fault")
        if fault is None:
            return answer
        return _spoiled(fault, answer) or _instead(fault)


def _note(cut: str) -> None:
    request.environ.get(NOTES, {})[CUT] = cut


def _instead(fault: Fault) -> Response:
    match fault.kind:
        case "html":
            return Response(_LOGIN_PAGE, mimetype="text/html")
        case "error-body":
            said = "Transaction cancelled: maximum execution time exceeded"
            detail = "Transaction cancelled: maximum execution time exceeded"
            document = {"error": {"message": said, "detail": detail}}
            return plain({**document, "status": "failure", "result": []})
        case "status":
            phrase = HTTPStatus(fault.status).phrase
            built = error(fault.status, phrase, "asked for by /_sandbox/faults")
            if fault.retry_after:
                built.headers["Retry-After"] = str(fault.retry_after)
            return built
        case _:
            _note("all")
            return Response()


def _spoiled(fault: Fault, answer: Response) -> Response | None:
    """The answer with something missing; None where another is to be given."""
    match fault.kind:
        case "cut":
            _note("half")
        case "truncated":
            answer.direct_passthrough = False
            body = answer.get_data()
            answer.set_data(body[: len(body) // 2])
        case "empty-page":
            answer.set_data(b'{"result":[]}')
        case _:
            return None
    return answer
