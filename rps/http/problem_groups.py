"""What fails, in groups of the same mistake, and treating a whole group at once.

(What the API answers to wrong requests, problem+json, is `problems.py`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from marshmallow import fields, validate

from rps.application.problems import Problems
from rps.domain.treatment import RETRY, SKIP
from rps.http.access import principal
from rps.http.answers import answer, page
from rps.http.inputs import Nothing, Page, Reason, Text, body, optional_body, paged
from rps.http.routes import OPERATORS, READERS, allowed, looks_at, route

if TYPE_CHECKING:
    from flask import Response

    from rps.domain.treatment import Treatment
    from rps.http.parts import Parts
    from rps.projections.questions import Row


class Wanted(Page):
    queue = fields.String(validate=validate.OneOf(["inbound", "outbound"]))
    state = fields.String(validate=validate.OneOf(["error", "ready", "uncertain"]))
    system = Text(120)
    member = Text(120)
    process_event = Text(80)


class ProblemGroups:
    def __init__(self, parts: Parts) -> None:
        self._problems = Problems(parts.application)
        self._clock = parts.clock
        self._random_bytes = parts.random_bytes

    @route(
        "GET",
        "/problems",
        "What waits for a person or fails now, grouped by mistake, the latest first",
        query=Wanted(),
        answer="ProblemGroups",
    )
    @allowed(*READERS)
    @looks_at("problems")
    def list_problems(self) -> Response:
        asked, limit, after = paged(Wanted(), (int,))
        if after is not None:
            asked["before"] = after[0]
        rows = self._problems.groups(principal().domain, asked, limit + 1)
        return page("problems", rows, limit, ["position"])

    @route(
        "GET",
        "/problems/<fingerprint>",
        "One mistake: cause, remedy, and the entries that have it, the latest",
        answer="ProblemGroup",
    )
    @allowed(*READERS)
    @looks_at("problem")
    def get_problem(self, fingerprint: str) -> Response:
        return answer(self._problems.group(principal().domain, fingerprint))

    @route(
        "POST",
        "/problems/<fingerprint>/retry",
        "Plan to try all of its entries again; nothing is done yet",
        status=201,
        body=Reason(),
        answer="Treatment",
    )
    @allowed(*OPERATORS)
    def retry_problem(self, fingerprint: str) -> Response:
        return self._planned(fingerprint, RETRY)

    @route(
        "POST",
        "/problems/<fingerprint>/skip",
        "Plan to skip all of its entries; nothing is done yet",
        status=201,
        body=Reason(),
        answer="Treatment",
    )
    @allowed(*OPERATORS)
    def skip_problem(self, fingerprint: str) -> Response:
        return self._planned(fingerprint, SKIP)

    @route(
        "GET",
        "/treatments/<uuid:treatment_id>",
        "A planned retry or skip, and how far it has come",
        answer="Treatment",
    )
    @allowed(*READERS)
    def get_treatment(self, treatment_id: UUID) -> Response:
        return self._answer(self._problems.treatment(principal().domain, treatment_id))

    @route(
        "POST",
        "/treatments/<uuid:treatment_id>/start",
        "Let it be carried out",
        answer="Treatment",
    )
    @allowed(*OPERATORS)
    def start_treatment(self, treatment_id: UUID) -> Response:
        optional_body(Nothing())
        who = principal()
        return self._answer(
            self._problems.start(who.domain, treatment_id, who.account, self._clock())
        )

    @route(
        "POST",
        "/treatments/<uuid:treatment_id>/cancel",
        "Tell no more entries; those that were told stay so",
        body=Reason(),
        answer="Treatment",
    )
    @allowed(*OPERATORS)
    def cancel_treatment(self, treatment_id: UUID) -> Response:
        reason, who = body(Reason())["reason"], principal()
        return self._answer(
            self._problems.cancel(
                who.domain, treatment_id, reason, who.account, self._clock()
            )
        )

    def _planned(self, fingerprint: str, action: str) -> Response:
        reason, who = body(Reason())["reason"], principal()
        treatment = self._problems.plan(
            UUID(bytes=self._random_bytes(16), version=4),
            *(who.domain, fingerprint, action, reason, who.account, self._clock()),
        )
        return self._answer(treatment, 201)

    def _answer(self, treatment: Treatment, status: int = 200) -> Response:
        shown = shown_treatment(treatment, self._problems.progress(treatment))
        made = answer(shown, status)
        made.set_etag(str(treatment.version))
        return made


def shown_treatment(treatment: Treatment, progress: Row) -> Row:
    return {
        "treatment_id": treatment.id,
        "fingerprint": treatment.fingerprint,
        "action": treatment.action,
        "state": treatment.state,
        "queue": treatment.queue,
        "entries": treatment.entries,
        **progress,
        "reason": treatment.reason,
        "planned_by": treatment.actor,
        "version": treatment.version,
        "changed_at": treatment.modified_on,
    }
