"""Notices: what people may have been told of, and what became of telling them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marshmallow import fields, validate

from rps.domain.subscription import TOPICS
from rps.http.access import principal
from rps.http.answers import page
from rps.http.inputs import Page, Text, paged
from rps.http.routes import READERS, allowed, route
from rps.projections.notice_questions import NoticeQuestions

if TYPE_CHECKING:
    from flask import Response

    from rps.http.parts import Parts


class Sought(Page):
    topic = fields.String(validate=validate.OneOf(TOPICS))
    system = Text(120)
    process_event = Text(80)


class Notices:
    def __init__(self, parts: Parts) -> None:
        self._questions = NoticeQuestions(parts.application.datastore)

    @route(
        "GET",
        "/notices",
        "What happened that people may want to know, in groups, the latest first",
        query=Sought(),
        answer="Notices",
    )
    @allowed(*READERS)
    def list_notices(self) -> Response:
        asked, limit, after = paged(Sought(), (int, int))
        if after is not None:
            asked["before"], asked["opened"] = after
        rows = self._questions.notices(principal().domain, asked, limit + 1)
        return page("notices", rows, limit, ["position", "opened"])
