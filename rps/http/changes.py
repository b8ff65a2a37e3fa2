"""Changes: handed in, receipted after their commit, and asked after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from flask import Response, g, request
from marshmallow import ValidationError, fields, validate
from werkzeug.exceptions import UnsupportedMediaType

from rps.application.captured import Poster
from rps.domain.aggregate import identity
from rps.http import json_body
from rps.http.access import allow, authorization, principal
from rps.http.answers import JSON, NDJSON, answer
from rps.http.change_progress import ChangeProgress
from rps.http.change_schema import CHANGE_SCHEMA, CHANGES_MAX, all_checked, checked
from rps.http.change_stream import ChangeStream, shown
from rps.http.inputs import HeaderRefused, Shape, Text, query, raw_body
from rps.http.refusals import ChangeIdRepeated
from rps.http.routes import ADMIN, READERS, allowed, route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rps.application.capture import Receipt
    from rps.application.configuration import Configuration
    from rps.application.tokens import Principal
    from rps.http.parts import Parts
    from rps.http.routes import Policy

STREAM_BYTES_MAX = 16 * 1024 * 1024
WAIT_SECONDS_MAX = 30
KEY_MAX = 200
LIMITS = json_body.Limits(nodes=100_000)

_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

CHANGES_SCHEMA: Mapping[str, Any] = {
    "oneOf": [
        {"$ref": "#/components/schemas/Change"},
        {
            "type": "array",
            "minItems": 1,
            "maxItems": CHANGES_MAX,
            "items": {"$ref": "#/components/schemas/Change"},
        },
    ]
}
COMPONENTS = {"Change": CHANGE_SCHEMA}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who posts changes, and what the request's headers say about them."""

    who: Principal
    authorization: str
    idempotency_key: str | None = None
    traceparent: str = ""
    request_id: str = ""


class WhichChange(Shape):
    system = Text(120)
    wait = fields.Integer(validate=validate.Range(0, WAIT_SECONDS_MAX))


class Changes:
    def __init__(self, parts: Parts) -> None:
        self._intake = parts.application.intake
        self._clock = parts.clock
        self._random_bytes = parts.random_bytes
        self._progress = ChangeProgress(parts)

    @route(
        "POST",
        "/changes",
        "Hand in one change, a list, or NDJSON; receipted once committed",
        status=202,
        body=CHANGES_SCHEMA,
        answer="Receipts",
        headers=("Idempotency-Key", "traceparent", "X-Request-Id"),
    )
    @allowed("ih_process_sync_api", "ih_process_sync", fresh=False)
    def post_changes(self) -> Response:
        if request.mimetype == NDJSON and not request.content_encoding:
            return self._stream()
        if request.mimetype != JSON or request.content_encoding:
            raise UnsupportedMediaType(f"send {JSON} or {NDJSON}, not compressed")
        asked, body = _asked(), raw_body()
        poster = _poster(asked, body)
        posted = json_body.decode(body, limits=LIMITS)
        g.single_change = isinstance(posted, dict)
        return answer(self.taken(asked, poster, posted), 202)

    def taken(self, asked: Asked, poster: Poster, posted: Any) -> dict[str, Any]:
        """Commit what was posted; the answer to it.

        Raises ValidationError, ChangeIdRepeated and what the intake raises.
        """
        changes = _checked(posted)
        for index, change in enumerate(changes):
            self._identify(poster, change, index)
        _refuse_repeated(changes)
        receipts = [shown(each) for each in self._capture(asked, poster, changes)]
        return receipts[0] if isinstance(posted, dict) else {"receipts": receipts}

    @route(
        "GET",
        "/changes/<path:change_id>",
        "How far a change has come; ?wait=seconds waits for it",
        query=WhichChange(),
        answer="ChangeProgress",
    )
    @allowed("ih_process_sync_api", *READERS)
    def get_change(self, change_id: str) -> Response:
        asked = query(WhichChange())
        who = principal()
        sees_all = who.roles.intersection((ADMIN, *READERS))
        seen = self._progress.settled(
            who.domain,
            change_id,
            asked.get("system"),
            None if sees_all else who.account,
            asked.get("wait", 0),
        )
        return answer(seen)

    def _capture(
        self, asked: Asked, poster: Poster, changes: Sequence[Mapping[str, Any]]
    ) -> list[Receipt]:
        now = self._clock()

        def still_allowed(configuration: Configuration) -> None:
            allow(POSTING, asked.authorization, configuration, now)

        return self._intake.capture(poster, changes, now, still_allowed)

    def _stream(self) -> Response:
        request.max_content_length = STREAM_BYTES_MAX
        g.single_change = True
        source: json_body.Stream = request.stream
        asked = _asked()
        poster = _poster(asked, b"")
        if poster.idempotency_key:
            # The key belongs to the whole body: it has to be read to be told apart.
            body = raw_body()
            poster, source = _poster(asked, body), BytesIO(body)
        stream = ChangeStream(
            capture=lambda changes: self._capture(asked, poster, changes),
            identify=lambda change, number: self._identify(poster, change, number),
        )
        receipts = stream.receive(json_body.lines(source))
        return Response(receipts, 202, content_type=NDJSON)

    def _identify(self, poster: Poster, change: dict[str, Any], index: int) -> None:
        """Give a change without an id one: the same again under the same key."""
        if "change_id" in change:
            return
        if poster.idempotency_key:
            made = identity("change", poster.domain, poster.idempotency_key, str(index))
        else:
            made = UUID(bytes=self._random_bytes(16), version=4)
        change["change_id"] = str(made)


POSTING: Policy = cast("Any", Changes.post_changes).policy


def _asked() -> Asked:
    headers = request.headers
    return Asked(
        principal(),
        authorization(),
        headers.get("Idempotency-Key"),
        headers.get("traceparent", ""),
        headers.get("X-Request-Id", ""),
    )


def poster_of(asked: Asked) -> Poster:
    """Who posts without an idempotency key."""
    return Poster(asked.who.domain, asked.who.account, trace_id=_trace_id(asked))


def _poster(asked: Asked, body: bytes) -> Poster:
    who, key = asked.who, asked.idempotency_key
    if key is None:
        return poster_of(asked)
    if not _VISIBLE.fullmatch(key):
        detail = f"give 1 to {KEY_MAX} visible ASCII characters"
        raise HeaderRefused("Idempotency-Key", detail)
    line = f"{request.method} {request.path}\n".encode()
    return Poster(
        who.domain,
        who.account,
        idempotency_key=f"{who.account}:{key}",
        request_fingerprint=sha256(line + body).hexdigest(),
        trace_id=_trace_id(asked),
    )


def _trace_id(asked: Asked) -> str:
    """The caller's trace; a header that is not one counts as none (W3C)."""
    if found := _TRACE.fullmatch(asked.traceparent):
        return found[1]
    return asked.request_id if _VISIBLE.fullmatch(asked.request_id) else ""


def _checked(posted: Any) -> list[dict[str, Any]]:
    if isinstance(posted, dict):
        return [checked(posted)]
    if isinstance(posted, list):
        return all_checked(posted)
    raise ValidationError([f"give a change, or a list of 1 to {CHANGES_MAX}"])


def _refuse_repeated(changes: Sequence[Mapping[str, Any]]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for index, change in enumerate(changes):
        first = seen.setdefault((change["system"], change["change_id"]), index)
        if first != index:
            raise ChangeIdRepeated(f"/{first}/change_id", f"/{index}/change_id")
