"""Definitions tried out, and executions looked at: nothing here is written anywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from marshmallow import ValidationError, fields, validate, validates_schema

from rps.application import tried
from rps.application.dry_run import DryRun, Record
from rps.application.traces import Traces
from rps.application.what_if import Range, Reached, WhatIf
from rps.http import cursor
from rps.http.access import principal
from rps.http.answers import answer
from rps.http.change_schema import checked
from rps.http.definitions import LIMITS, document_of
from rps.http.inputs import Flag, Moment, Shape, Text, decoded
from rps.http.queues import SEQUENCE
from rps.http.routes import OPERATORS, READERS, allowed, looks_at, route
from rps.http.trial_schemas import DRY_RUN_BODY, WHAT_IF_BODY

if TYPE_CHECKING:
    from flask import Response

    from rps.application.tried import Tried
    from rps.http.parts import Parts

REVISION_MAX = 2**31 - 1
JUDGED, JUDGED_MAX = 200, 1_000
DIFFERENCES_MAX = 100
WHAT_IF_SECONDS = 5.0
"""After so long a request ends where it is, and says how to go on."""


class _Which(Shape):
    """Which definition is tried: the draft, a revision, or a document."""

    revision = fields.Integer(strict=True, validate=validate.Range(1, REVISION_MAX))
    document = fields.Raw()

    @validates_schema
    def is_one(self, asked: dict[str, Any], **_: Any) -> None:
        if "revision" in asked and "document" in asked:
            raise ValidationError("give a revision or a document, not both", "document")


class Place(Shape):
    system = Text(120, required=True)
    table = Text(120, required=True)
    record_id = Text(255, required=True)


class DryRunOf(_Which):
    change = fields.Raw()
    record = fields.Nested(Place)
    as_new = Flag(load_default=False)
    call_actions = Flag(load_default=False)

    @validates_schema
    def is_of_one(self, asked: dict[str, Any], **_: Any) -> None:
        if ("change" in asked) == ("record" in asked):
            raise ValidationError("give a change or a record, one of them", "change")


class WhatIfOf(_Which):
    since = Moment()
    until = Moment()
    limit = fields.Integer(
        strict=True, load_default=JUDGED, validate=validate.Range(1, JUDGED_MAX)
    )
    cursor = fields.String()

    @validates_schema
    def is_range(self, asked: dict[str, Any], **_: Any) -> None:
        if "since" in asked and "until" in asked and asked["since"] >= asked["until"]:
            raise ValidationError("it ends before it begins", "until")


class Trials:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._clock = parts.clock
        self._traces = Traces(parts.application, time.perf_counter)
        self._dry_run = DryRun(parts.application, parts.connectors, time.perf_counter)

    @route(
        "GET",
        "/messages/<uuid:message_id>/execution",
        "Why a message looked as it did: each step, recomputed from the log",
        answer="MessageExecution",
    )
    @allowed(*READERS)
    @looks_at("message execution")
    def get_message_execution(self, message_id: UUID) -> Response:
        return answer(self._traces.message(principal().domain, message_id))

    @route(
        "GET",
        f"/inbound/<uuid:correlation_id>/{SEQUENCE}/execution",
        "What became of a captured change: each step, recomputed from the log",
        answer="ChangeExecution",
    )
    @allowed(*READERS)
    @looks_at("change execution")
    def get_change_execution(self, correlation_id: UUID, sequence: int) -> Response:
        domain = principal().domain
        return answer(self._traces.change(domain, correlation_id, sequence))

    @route(
        "POST",
        "/definitions/<process_event>/dry-run",
        "A change or a record through the draft: steps and requests, nothing written",
        body=DRY_RUN_BODY,
        answer="DryRun",
    )
    @allowed(*OPERATORS)
    @looks_at("dry run")
    def post_dry_run(self, process_event: str) -> Response:
        asked = DryRunOf().load(decoded(LIMITS))
        which, now = self._tried(process_event, asked), self._clock()
        how = {name: asked[name] for name in ("as_new", "call_actions")}
        if "record" in asked:
            record = Record(**asked["record"])
            return answer(self._dry_run.of_record(which, record, now, **how))
        return answer(self._dry_run.of_change(which, _change(asked), now, **how))

    @route(
        "POST",
        "/definitions/<process_event>/what-if",
        "Recorded judgements through the draft: what would differ; page by page",
        body=WHAT_IF_BODY,
        answer="WhatIf",
    )
    @allowed(*OPERATORS)
    @looks_at("what-if")
    def post_what_if(self, process_event: str) -> Response:
        asked = WhatIfOf().load(decoded(LIMITS))
        which = self._tried(process_event, asked)
        within = Range(
            *(which.domain, which.definition_id),
            *(asked.get("since"), asked.get("until")),
        )
        what_if = WhatIf(self._application, within, which.definition)
        found = _page(what_if, _reached(asked.get("cursor")), asked["limit"])
        return answer({"definition": which.to_json(), **found})

    def _tried(self, process_event: str, asked: dict[str, Any]) -> Tried:
        domain, now = principal().domain, self._clock()
        if "document" in asked:
            # known, else there is nothing that it could differ from
            tried.of_definition(
                self._application, domain, process_event, tried.DRAFT, now
            )
            made = document_of(asked["document"], process_event, domain)
            return tried.of_document(self._application, made.to_document(), now)
        which = asked.get("revision", tried.DRAFT)
        return tried.of_definition(self._application, domain, process_event, which, now)


def _change(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return checked(asked["change"])
    except ValidationError as error:
        raise ValidationError({"change": error.messages}) from None


def _reached(text: str | None) -> Reached:
    if text is None:
        return Reached()
    key, position = cursor.decode(text, (str, int))
    try:
        return Reached(UUID(str(key)), int(position))
    except ValueError:
        detail = "give a cursor from the answer before"
        raise cursor.CursorRefused("cursor", detail) from None


def _page(what_if: WhatIf, after: Reached, limit: int) -> dict[str, Any]:
    """Up to `limit` judgements, as many as there is time and room for."""
    end = time.monotonic() + WHAT_IF_SECONDS
    judged = refused = 0
    differences: list[dict[str, Any]] = []
    reached = None
    for retrial in what_if.retrials(after):
        judged += 1
        refused += retrial.comparison.is_refused
        if retrial.comparison:
            differences.append(retrial.to_json())
        is_full = judged == limit or len(differences) == DIFFERENCES_MAX
        if is_full or time.monotonic() > end:
            key, position = retrial.reached
            reached = cursor.encode((str(key), position))
            break
    return {
        "judged": judged,
        "same": judged - len(differences),
        "different": len(differences),
        "refused": refused,
        "differences": differences,
        "cursor": reached,
    }
