"""Conflicts: who wanted what of a field, who decided, and deciding it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, validate, validates_schema

from rps.http.access import principal
from rps.http.answers import answer, page
from rps.http.inputs import REASON_MAX, Page, Shape, Text, body, paged
from rps.http.routes import OPERATORS, READERS, allowed, looks_at, route
from rps.http.timeline import Timelines
from rps.projections.conflict_questions import ConflictQuestions

if TYPE_CHECKING:
    from flask import Response

    from rps.http.parts import Parts

STATES = ("open", "resolved", "superseded", "decided")
NUMBER = "<int(max=9223372036854775807):number>"


class Which(Page):
    state = fields.String(validate=validate.OneOf(STATES))
    correlation_id = fields.UUID()
    process_event = Text(80)
    member = Text(40)
    field = Text(40)


class Decision(Shape):
    """`keep` mine or theirs, or a `value` that neither side has."""

    keep = fields.String(validate=validate.OneOf(("mine", "theirs")))
    value = fields.Raw(allow_none=True)
    reason = Text(REASON_MAX, required=True)

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        if ("keep" in data) == ("value" in data):
            raise ValidationError("say what to keep, or give a value: one of both")


class Conflicts:
    def __init__(self, parts: Parts) -> None:
        self._operations = parts.operations
        self._clock = parts.clock
        self._questions = ConflictQuestions(parts.application.datastore)
        self._timelines = Timelines(parts.application)

    @route(
        "GET",
        "/conflicts",
        "Fields that two sides changed at the same time, the latest first",
        query=Which(),
        answer="Conflicts",
    )
    @allowed(*READERS)
    @looks_at("conflicts")
    def list_conflicts(self) -> Response:
        asked, limit, after = paged(Which(), (int,))
        if after is not None:
            (asked["before"],) = after
        rows = self._questions.found(principal().domain, asked, limit + 1)
        return page("conflicts", rows, limit, ["id"])

    @route(
        "GET",
        f"/conflicts/{NUMBER}",
        "What both knew, what each side has now, who wrote it and when",
        answer="Conflict",
    )
    @allowed(*READERS)
    @looks_at("conflict")
    def get_conflict(self, number: int) -> Response:
        domain = principal().domain
        found = self._operations.conflict(domain, number)
        return answer(found | self._timelines.both_sides(domain, found))

    @route(
        "POST",
        f"/conflicts/{NUMBER}/resolve",
        "Decide an open conflict; who lacks the value is told",
        body=Decision(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def resolve_conflict(self, number: int) -> Response:
        decision, who = body(Decision()), principal()
        self._operations.resolve_conflict(
            who.domain,
            number,
            decision.get("keep", "other"),
            decision.get("value"),
            decision["reason"],
            who.account,
            self._clock(),
        )
        return answer({"result": "resolved"})
