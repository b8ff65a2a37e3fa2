"""Replays: planned, looked at, started, watched, cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from marshmallow import ValidationError, fields, validates_schema

from rps.application.operations import NotFound
from rps.domain.replay import Replay
from rps.http.access import principal
from rps.http.answers import answer
from rps.http.inputs import (
    REASON_MAX,
    Moment,
    Nothing,
    Reason,
    Shape,
    Text,
    body,
    optional_body,
)
from rps.http.routes import OPERATORS, READERS, allowed, route
from rps.projections.lookup import Selector
from rps.projections.queue_questions import QueueQuestions

if TYPE_CHECKING:
    from flask import Response

    from rps.domain.correlation import Correlation
    from rps.http.parts import Parts

LANES_SHOWN = 100


class Selection(Shape):
    correlation_id = fields.UUID()
    system = Text(120)
    process_event = Text(80)
    since = Moment()
    until = Moment()

    @validates_schema
    def narrows(self, asked: dict[str, Any], **_: Any) -> None:
        if not asked:
            known = ", ".join(self.fields)
            raise ValidationError(f"give at least one of {known}")
        if "since" in asked and "until" in asked and asked["since"] >= asked["until"]:
            raise ValidationError("it ends before it begins", "until")


class Plan(Shape):
    selector = fields.Nested(Selection, required=True)
    reason = Text(REASON_MAX, required=True)


class Replays:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._operations = parts.operations
        self._clock = parts.clock
        self._random_bytes = parts.random_bytes
        self._questions = QueueQuestions(parts.application.datastore)

    @route(
        "POST",
        "/replays",
        "Plan: what would be sent; nothing is sent yet",
        status=201,
        body=Plan(),
        answer="Replay",
    )
    @allowed(*OPERATORS)
    def post_replay(self) -> Response:
        asked, who = body(Plan()), principal()
        replay = self._operations.plan_replay(
            UUID(bytes=self._random_bytes(16), version=4),
            who.domain,
            Selector(**asked["selector"]),
            asked["reason"],
            who.account,
            self._clock(),
        )
        return self._answer(replay, 201)

    @route(
        "GET",
        "/replays/<uuid:replay_id>",
        "Its plan, its state, its messages by status",
        answer="Replay",
    )
    @allowed(*READERS)
    def get_replay(self, replay_id: UUID) -> Response:
        return self._answer(self._found(replay_id))

    @route(
        "POST",
        "/replays/<uuid:replay_id>/start",
        "Let its messages be made and sent",
        answer="Replay",
    )
    @allowed(*OPERATORS)
    def start_replay(self, replay_id: UUID) -> Response:
        optional_body(Nothing())
        replay, who = self._found(replay_id), principal()
        return self._answer(
            self._operations.start_replay(
                who.domain, replay.id, who.account, self._clock()
            )
        )

    @route(
        "POST",
        "/replays/<uuid:replay_id>/cancel",
        "Make no more of its messages, skip those not sent",
        body=Reason(),
        answer="Replay",
    )
    @allowed(*OPERATORS)
    def cancel_replay(self, replay_id: UUID) -> Response:
        reason = body(Reason())["reason"]
        replay, who = self._found(replay_id), principal()
        return self._answer(
            self._operations.cancel_replay(
                who.domain, replay.id, reason, who.account, self._clock()
            )
        )

    def _found(self, replay_id: UUID) -> Replay:
        replay = self._operations.replay(principal().domain, replay_id)
        if not isinstance(replay, Replay):  # the id of something else
            raise NotFound(f"no replay {replay_id}")
        return replay

    def _answer(self, replay: Replay, status: int = 200) -> Response:
        shown = {
            "replay_id": replay.id,
            "state": replay.state,
            "reason": replay.reason,
            "planned_by": replay.actor,
            "selector": replay.selector,
            "lane_count": len(replay.lanes),
            "lanes": self._lanes(replay),
            "sent": replay.sent,
            "messages": self._questions.replay_messages(replay.domain, replay.id),
            "version": replay.version,
            "changed_at": replay.modified_on,
        }
        made = answer(shown, status)
        made.set_etag(str(replay.version))
        return made

    def _lanes(self, replay: Replay) -> list[dict[str, Any]]:
        """The first lanes, and what would be sent on each if it were started now."""
        lanes = replay.lanes[:LANES_SHOWN]
        known = self._correlations({UUID(lane["correlation_id"]) for lane in lanes})
        configuration = self._application.configuration.current
        shown = []
        for lane in lanes:
            correlation = known[UUID(lane["correlation_id"])]
            message = None
            if correlation.opened:
                _, definition = configuration.newest(UUID(correlation.definition), 1)
                message = correlation.replay_message(
                    str(replay.id),
                    lane["member"],
                    lane["fields"],
                    lane["entries"],
                    definition,
                    lane.get("attachments", ()),
                )
            shown.append(
                {
                    "correlation_id": lane["correlation_id"],
                    "member": lane["member"],
                    "operation": message["operation"] if message else None,
                    "fields": message["fields"] if message else {},
                    "entries": len(message["entries"]) if message else 0,
                    "attachments": len((message or {}).get("attachments", ())),
                }
            )
        return shown

    def _correlations(self, ids: set[UUID]) -> dict[UUID, Correlation]:
        found: dict[UUID, Any] = {}
        for stored in self._application.recorder.streams(dict.fromkeys(ids, 0)):
            key = cast("UUID", stored.originator_id)
            event = self._application.event_mapper.to_domain_event(stored)
            found[key] = event.mutate(found.get(key))
        return found
