"""The audit: the log itself as NDJSON, in constant memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, stream_with_context
from marshmallow import fields, validate

from rps.domain.tenancy import TOP
from rps.http.access import RoleMissing, principal
from rps.http.answers import NDJSON
from rps.http.inputs import QueryRefused, Shape, query
from rps.http.routes import ADMIN, allowed, route
from rps.log.chain import Row
from rps.projections.correlation_questions import CorrelationQuestions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from rps.http.parts import Parts

READ_EVENTS = 500
POSITION_MAX = 2**63 - 1


class Range(Shape):
    after = fields.Integer(load_default=0, validate=validate.Range(0, POSITION_MAX))
    until = fields.Integer(
        load_default=POSITION_MAX, validate=validate.Range(0, POSITION_MAX)
    )
    correlation_id = fields.UUID()
    whole = fields.Boolean(load_default=False)


class Audit:
    """Each line's `event` is what is stored, byte for byte, so that whoever has the
    whole log can compute the hashes again."""

    def __init__(self, parts: Parts) -> None:
        self._recorder = parts.application.recorder
        self._questions = CorrelationQuestions(parts.application.datastore)

    @route(
        "GET",
        "/audit",
        "The domain's events past position `after`, up to `until`; `whole=true` in "
        "domain top: every event of the log",
        query=Range(),
        answer="AuditLine",
        media_type=NDJSON,
    )
    @allowed("auditor")
    def get_audit(self) -> Response:
        asked, who = query(Range()), principal()
        if asked["whole"] and who.domain != TOP:
            raise RoleMissing(frozenset({f"auditor of {TOP}", f"{ADMIN} of {TOP}"}))
        if asked["whole"] and "correlation_id" in asked:
            raise QueryRefused("whole", "a correlation is a part of the log")
        # What is appended from now on is left to the next export.
        position, digest = self._recorder.head()
        rows = self._rows(
            asked.get("correlation_id"), asked["after"], min(asked["until"], position)
        )
        written = _written(rows, None if asked["whole"] else who.domain)
        head = {"position": position, "hash": digest.hex()}
        return Response(
            stream_with_context(_with_head(written, head)), content_type=NDJSON
        )

    def _rows(self, stream: UUID | None, after: int, until: int) -> Iterator[Row]:
        found = self._stream(stream) if stream else self._log(after)
        for row in found:
            if row.position > until:
                return
            if row.position > after:
                yield row

    def _log(self, after: int) -> Iterator[Row]:
        while rows := self._recorder.read(after, READ_EVENTS):
            yield from rows
            after = rows[-1].position

    def _stream(self, stream: UUID) -> Iterator[Row]:
        version = 0
        while rows := self._questions.events(stream, version, READ_EVENTS):
            for row in rows:
                version = row["version"]
                yield Row(
                    row["position"],
                    stream,
                    version,
                    row["topic"],
                    bytes(row["state"]),
                    bytes(row["hash"]),
                )


def _written(rows: Iterator[Row], domain: str | None) -> Iterator[bytes]:
    for row in rows:
        event = orjson.loads(row.state)
        if domain is None or event["domain"] == domain:
            yield _line(row, event)


def _line(row: Row, event: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "position": row.position,
            "stream": row.originator_id,
            "version": row.version,
            "topic": row.topic,
            "at": event["timestamp"]["_data_"],
            "hash": row.hash.hex(),
            "event": orjson.Fragment(row.state),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _with_head(lines: Iterator[bytes], head: dict[str, Any]) -> Iterator[bytes]:
    """The head comes last: an export without it was cut short."""
    yield from lines
    yield orjson.dumps({"head": head}, option=orjson.OPT_APPEND_NEWLINE)
