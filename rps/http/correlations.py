"""Correlations: found, shown, their timeline, their state as of any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, request
from marshmallow import fields, validate

from rps.http import cursor
from rps.http.access import principal
from rps.http.answers import answer, of, page
from rps.http.inputs import Moment, Page, QueryRefused, Shape, Text, query
from rps.http.routes import READERS, allowed, looks_at, route
from rps.http.timeline import Timelines, shown
from rps.projections.correlation_questions import CorrelationQuestions
from rps.projections.queue_questions import QueueQuestions

if TYPE_CHECKING:
    from uuid import UUID

    from rps.domain.correlation import Correlation
    from rps.http.parts import Parts

POSITION_MAX = 2**63 - 1


class Search(Page):
    q = Text(200)
    system = Text(120)
    record_id = Text(255)
    process_event = Text(80)


class Moments(Shape):
    position = fields.Integer(validate=validate.Range(0, POSITION_MAX))
    at = Moment()


class Correlations:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._questions = CorrelationQuestions(parts.application.datastore)
        self._queues = QueueQuestions(parts.application.datastore)
        self._timelines = Timelines(parts.application)

    @route(
        "GET",
        "/correlations",
        "Search by words, system or process event; or by the record itself",
        query=Search(),
        answer="Correlations",
    )
    @allowed(*READERS)
    @looks_at("correlations")
    def list_correlations(self) -> Response:
        asked = query(Search())
        limit = cursor.limit(asked.pop("limit", None))
        after = asked.pop("cursor", None)
        if "record_id" in asked:
            if "q" in asked:
                raise QueryRefused("q", "search by words or by record, not by both")
            return answer({"correlations": self._of_record(asked)})
        if after is not None:
            (asked["before"],) = cursor.decode(after, (int,))
        rows = self._questions.found(principal().domain, asked, limit + 1)
        return page("correlations", rows, limit, ["position"])

    @route(
        "GET",
        "/correlations/<uuid:correlation_id>",
        "Links, shared values and open lanes, as the log has them now",
        answer="Correlation",
    )
    @allowed(*READERS)
    @looks_at("correlation")
    def get_correlation(self, correlation_id: UUID) -> Response:
        last, correlation = self._timelines.as_of(principal().domain, correlation_id)
        lanes = self._queues.open_lanes(correlation_id)
        return of(correlation, {**_state(correlation, last), "lanes": lanes})

    @route(
        "GET",
        "/correlations/<uuid:correlation_id>/timeline",
        "Everything that happened to it, oldest first",
        query=Page(),
        answer="Timeline",
    )
    @allowed(*READERS)
    @looks_at("timeline")
    def get_timeline(self, correlation_id: UUID) -> Response:
        asked = query(Page())
        limit = cursor.limit(asked.get("limit"))
        after = 0
        if "cursor" in asked:
            after = int(cursor.decode(asked["cursor"], (int,))[0])
        events = self._timelines.events(
            principal().domain, correlation_id, after, limit + 1
        )
        rows = [shown(position, event) for position, event in events]
        return page("events", rows, limit, ["version"])

    @route(
        "GET",
        "/correlations/<uuid:correlation_id>/state",
        "Its state as of a log position or a moment; without either, now",
        query=Moments(),
        answer="CorrelationState",
    )
    @allowed(*READERS)
    @looks_at("correlation state")
    def get_state(self, correlation_id: UUID) -> Response:
        asked = query(Moments())
        if len(asked) > 1:
            raise QueryRefused("at", "give a position or a moment, not both")
        last, correlation = self._timelines.as_of(
            principal().domain, correlation_id, asked.get("position"), asked.get("at")
        )
        return answer({**_state(correlation, last), "as_of": request.args.to_dict()})

    def _of_record(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Folded from the log: exact, and not behind it as a view may be."""
        domain = principal().domain
        configuration = self._application.configuration.current
        members = {
            (definition.id, name)
            for definition in configuration.definitions()
            if definition.domain == domain
            and asked.get("process_event", definition.process_event)
            == definition.process_event
            for revision in configuration.revisions.get(definition.id, {}).values()
            for name in revision.members
        }
        found = self._questions.by_record(
            domain, sorted(members), asked["record_id"], asked.get("system")
        )
        states = (self._timelines.as_of(domain, each) for each in found)
        return [_state(correlation, last) for last, correlation in states]


def _state(correlation: Correlation, position: int) -> dict[str, Any]:
    """`position` is that of the correlation's last event."""
    return {
        "correlation_id": correlation.id,
        "process_event": correlation.process_event,
        "state": _life(correlation),
        "version": correlation.version,
        "shared_version": correlation.shared_version,
        "position": position,
        "changed_at": correlation.modified_on,
        "conflicts": correlation.conflicts,
        "fields": {
            name: {
                "value": shared.value,
                "version": shared.version,
                "origin": shared.origin,
            }
            for name, shared in correlation.fields.items()
        },
        "attachments": [
            {
                **file.shown,
                "members": sorted(name for name, sha256 in file.held.items() if sha256),
            }
            for file in correlation.attached.values()
        ],
        "links": {
            member: {
                "system": link.system,
                "table": link.table,
                "record_id": link.record_id,
                "revision": link.revision,
                "base": {name: known.value for name, known in link.base.items()},
            }
            for member, link in correlation.links.items()
        },
        "unlinked": sorted(correlation.unlinked),
        "pending": [
            {
                "message_id": message.message_id,
                "member": message.member,
                "operation": message.operation,
                "fields": message.fields,
                "attachments": [each["name"] for each in message.attachments],
                "attempts": message.attempt,
            }
            for message in correlation.pending.values()
        ],
    }


def _life(correlation: Correlation) -> str:
    if not correlation.opened:
        return "new"
    return "active" if correlation.active else "inactive"
