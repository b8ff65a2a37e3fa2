"""The audit over http: the log, its checkpoints, proofs, and who looked at what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, stream_with_context
from marshmallow import fields, validate

from rps.application.audit_export import AuditExport, Wanted
from rps.application.checkpoints import Checkpoints
from rps.application.reads import Reads
from rps.domain.tenancy import TOP
from rps.http import cursor
from rps.http.access import RoleMissing, principal
from rps.http.answers import NDJSON, answer, page
from rps.http.inputs import (
    Nothing,
    Page,
    QueryRefused,
    Shape,
    Text,
    optional_body,
    query,
)
from rps.http.routes import ADMIN, allowed, looks_at, route
from rps.log.checkpoint import Checkpoint
from rps.log.exported import Head, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from uuid import UUID

    from rps.http.parts import Parts
    from rps.log.exported import Item

POSITION_MAX = 2**63 - 1


class Range(Shape):
    after = fields.Integer(load_default=0, validate=validate.Range(0, POSITION_MAX))
    until = fields.Integer(
        load_default=POSITION_MAX, validate=validate.Range(0, POSITION_MAX)
    )
    correlation_id = fields.UUID()
    whole = fields.Boolean(load_default=False)
    proofs = fields.Boolean(load_default=False)


class AsOf(Shape):
    """`size`: of the checkpoint to prove against; without it, the last one."""

    size = fields.Integer(validate=validate.Range(1, POSITION_MAX))


class ReadsPage(Page):
    reader = Text(120)
    object = Text(300)


class Audit:
    """Each line's `event` is what is stored, byte for byte, so that whoever has the
    whole log, or a proof, can compute the hashes again."""

    def __init__(self, parts: Parts) -> None:
        self._recorder = parts.application.recorder
        self._checkpoints = Checkpoints(parts.application, parts.random_bytes)
        self._export = AuditExport(parts.application, self._checkpoints)
        self._reads = Reads(parts.application.datastore)
        self._clock = parts.clock

    @route(
        "GET",
        "/audit",
        "The domain's events past position `after`, up to `until`; `proofs=true`: each "
        "with its proof; `whole=true` in domain top: the log with its checkpoints",
        query=Range(),
        answer="AuditLine",
        media_type=NDJSON,
    )
    @allowed("auditor")
    @looks_at("export")
    def get_audit(self) -> Response:
        asked, who = query(Range()), principal()
        if asked["whole"] and who.domain != TOP:
            raise RoleMissing(frozenset({f"auditor of {TOP}", f"{ADMIN} of {TOP}"}))
        if asked["whole"] and "correlation_id" in asked:
            raise QueryRefused("whole", "a correlation is a part of the log")
        bounded = asked["after"] or asked["until"] < POSITION_MAX
        if asked["proofs"] and (asked["whole"] or bounded):
            name = "whole" if asked["whole"] else "after"
            raise QueryRefused(name, "with proofs, all events of the domain are shown")
        if asked["proofs"]:
            wanted = Wanted(domain=who.domain, correlation=asked.get("correlation_id"))
            return _lines(self._export.selected(wanted))
        # What is appended from now on is left to the next export.
        if asked["whole"]:
            until = asked["until"] if asked["until"] < POSITION_MAX else None
            return _lines(self._export.log(asked["after"], until))
        stream = asked.get("correlation_id")
        return _lines(self._of(who.domain, stream, asked["after"], asked["until"]))

    def _of(
        self, domain: str, stream: UUID | None, after: int, until: int
    ) -> Iterator[Item]:
        """Events of the domain, and where the log ends."""
        position, digest = self._recorder.head()
        until = min(until, position)
        rows = (
            self._export.stream(stream, until)
            if stream
            else self._export.rows(after, until)
        )
        for row in rows:
            if row.position > after and orjson.loads(row.state)["domain"] == domain:
                yield row
        yield Head(position, digest)

    @route(
        "GET",
        "/audit/checkpoints",
        "Signed checkpoints of the log, the newest first, and the keys that sign",
        query=Page(),
        answer="AuditCheckpoints",
    )
    @allowed("auditor")
    def list_checkpoints(self) -> Response:
        asked = query(Page())
        limit, before = cursor.limit(asked.get("limit")), _before(asked)
        rows = self._checkpoints.listed(before, limit + 1)
        shown = [_shown(row, principal().domain) for row in rows]
        keys = [_key(kept) for kept in self._checkpoints.public_keys()]
        return page("checkpoints", shown, limit, ["size"], keys=keys)

    @route(
        "POST",
        "/audit/checkpoints",
        "Sign a checkpoint of the whole log as it is now, or show the one there is",
        answer="AuditCheckpoint",
    )
    @allowed("auditor")
    def post_checkpoint(self) -> Response:
        optional_body(Nothing())
        who = principal()
        note = self._checkpoints.make(who.account, self._clock())
        size = Checkpoint.of(note.text).size
        (row,) = self._checkpoints.listed(size + 1, 1)
        return answer(_shown(row, who.domain))

    @route(
        "GET",
        "/audit/proofs/<path:message>",
        "All that the log has about one message or change of the domain, each event "
        "with its proof against a checkpoint",
        query=AsOf(),
        answer="AuditLine",
        media_type=NDJSON,
    )
    @allowed("auditor")
    @looks_at("proof")
    def get_proof(self, message: str) -> Response:
        size = query(AsOf()).get("size")
        return _lines(self._export.message(principal().domain, message, size))

    @route(
        "GET",
        "/audit/reads",
        "Who looked at what in the domain, the latest first",
        query=ReadsPage(),
        answer="AuditReads",
    )
    @allowed("auditor")
    def list_reads(self) -> Response:
        asked = query(ReadsPage())
        limit, before = cursor.limit(asked.get("limit")), _before(asked)
        rows = self._reads.found(
            principal().domain,
            before,
            limit + 1,
            reader=asked.get("reader"),
            about=asked.get("object"),
        )
        return page("reads", rows, limit, ["number"])


def _before(asked: Mapping[str, Any]) -> int:
    """Where a page ends that goes on from another."""
    if "cursor" not in asked:
        return POSITION_MAX
    return int(cursor.decode(asked["cursor"], (int,))[0])


def _lines(items: Iterable[Item]) -> Response:
    written = map(line_of, items)
    return Response(stream_with_context(written), content_type=NDJSON)


def _shown(row: dict[str, Any], domain: str) -> dict[str, Any]:
    """Nodes that other tenants are linked with are theirs to know."""
    witnesses = [
        {name: each[name] for name in ("system", "key", "line")}
        for each in row["witnesses"]
        if each["domain"] == domain
    ]
    return {**row, "root": row["root"].hex(), "witnesses": witnesses}


def _key(kept: Any) -> dict[str, Any]:
    return {
        "key": str(kept.key.public),
        "succession": kept.key.succession,
        "made_at": kept.made_at,
    }
