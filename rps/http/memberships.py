"""Who takes part in a correlation, and whether it is shared at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.http.access import principal
from rps.http.answers import answer
from rps.http.inputs import Reason, body
from rps.http.routes import OPERATORS, allowed, route

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response

    from rps.http.parts import Parts

CORRELATION = "/correlations/<uuid:correlation_id>"
MEMBER = f"{CORRELATION}/members/<member>"


class Memberships:
    def __init__(self, parts: Parts) -> None:
        self._operations = parts.operations
        self._clock = parts.clock

    @route(
        "POST",
        f"{MEMBER}/unlink",
        "The member takes no part any more; its record stays as it is",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def unlink(self, correlation_id: UUID, member: str) -> Response:
        return self._said("unlinked", self._operations.unlink, correlation_id, member)

    @route(
        "POST",
        f"{MEMBER}/relink",
        "The member takes part again, and is sent what it lacks",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def relink(self, correlation_id: UUID, member: str) -> Response:
        return self._said("relinked", self._operations.relink, correlation_id, member)

    @route(
        "POST",
        f"{CORRELATION}/deactivate",
        "Share nothing of it any more; what waits is still sent",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def deactivate(self, correlation_id: UUID) -> Response:
        return self._said("deactivated", self._operations.deactivate, correlation_id)

    @route(
        "POST",
        f"{CORRELATION}/reactivate",
        "Share it again",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def reactivate(self, correlation_id: UUID) -> Response:
        return self._said("reactivated", self._operations.reactivate, correlation_id)

    def _said(self, done: str, say: Any, *about: Any) -> Response:
        reason, who = body(Reason())["reason"], principal()
        say(who.domain, *about, reason, who.account, self._clock())
        return answer({"result": done})
