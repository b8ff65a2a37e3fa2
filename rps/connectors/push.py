"""An application that takes messages: signed JSON over http (Standard Webhooks).

    POST {url}/messages                       200 {"record_id", "revision", "fields"}
    GET  {url}/messages/{delivery_id}         200 the answer given then; 404 never seen
    GET  {url}/records/{table}/{record_id}    200 {"record_id", "revision", "fields",
                                                   "deleted", "updated_at"}; 404
    GET  {url}/records/{table}?external_id=   200 {"records": [as above, ...]}
    GET  {url}/ping                           2xx

Each request carries `webhook-id`, `webhook-timestamp` and `webhook-signature`; a GET
signs the empty body under an id of its own. Every key of an answer may be left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import orjson

from rps.connectors.shown import ShownRecord, parsed, shown_record, snapshot
from rps.connectors.signature import Signer
from rps.connectors.transport import Answer, NoAnswer, NotSent
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Found,
    Gone,
    Missing,
    Moved,
    NeedsCredentials,
    NotApplied,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rps.domain.delivery import Capabilities, Outcome, Reading, Settlement, Write

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
_DETAIL_CHARACTERS = 500
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_REVISION = re.compile(r"[\x21\x23-\x7e]{1,255}")  # what an entity tag may hold
_SECONDS = re.compile(r"[0-9]{1,10}")
# These 5xx say that the request was turned away; after any other the work may be done.
_TURNED_AWAY = (
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
)
_REFUSING = frozenset(range(400, 500)) - {408, 425, 429}  # those three pass with time


class Wire(Protocol):
    """What of the transport is needed; see `Transport.request`."""

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        retry_safe: bool = False,
    ) -> Answer | NotSent | NoAnswer: ...


class PushConnector:
    """Raises SecretUnusable when one of `secrets` is no secret.

    `clock` gives seconds of the epoch, `random_bytes` n bytes for the ids of reads.
    """

    def __init__(
        self,
        transport: Wire,
        *,
        url: str,
        secrets: Iterable[str],
        capabilities: Capabilities,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._transport = transport
        self._url = url.rstrip("/")
        self._signer = Signer(secrets)
        self._capabilities = capabilities
        self._clock = clock
        self._random_bytes = random_bytes

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def write(self, write: Write) -> Outcome:
        try:
            body = _written(write)
            headers = self._headers(write, body)
        except (orjson.JSONEncodeError, ValueError) as error:
            return Refused(f"the message cannot be put into a request: {error}")
        url = f"{self._url}/messages"
        said = self._transport.request(
            "POST", url, headers, body, retry_safe=self._capabilities.dedupe
        )
        exchange = _exchange(body, said)
        match said:
            case NotSent():
                return Unavailable(said.detail, exchange=exchange)
            case NoAnswer():
                return Uncertain(said.detail, exchange)
        if _is_success(said.status):
            return _delivered(write, shown_record(parsed(said.body)), exchange)
        if write.operation == "delete" and said.status == HTTPStatus.NOT_FOUND:
            return _delivered(write, None, exchange)  # gone already: what was asked
        if said.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not (
            said.status in _TURNED_AWAY or self._repeatable(write)
        ):
            return Uncertain(_detail(said), exchange)
        return _classified(said, exchange, self._clock())

    def settle(self, write: Write) -> Settlement:
        """Unavailable here means: not found out, ask again; not: nothing was written.

        A receiver that is still at work on the message answers as if it had never seen
        it: let the deadline of the lost request pass before asking.
        """
        if not self._capabilities.read_back:
            return self._unsettled("the system cannot be asked", Exchange())
        said, exchange = self._got(f"messages/{_quoted(write.delivery_id)}")
        if not isinstance(said, Answer):
            return Unavailable(said.detail, exchange=exchange)
        if said.status == HTTPStatus.NOT_FOUND:
            if write.operation == "create":
                return self._settle_create(write)
            return NotApplied("the system has not seen the message", exchange)
        if _is_success(said.status):
            record = shown_record(parsed(said.body))
            if record is not None:
                return _delivered(write, record, exchange)
            return self._unsettled("the stored answer is unreadable", exchange)
        return self._unfound(said, exchange)

    def read(self, table: str, record_id: str) -> Reading:
        said, exchange = self._got(f"records/{_quoted(table)}/{_quoted(record_id)}")
        if not isinstance(said, Answer):
            return Unavailable(said.detail, exchange=exchange)
        # 410 is about this record; it says nothing about the system.
        if said.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return Missing(_detail(said))
        if _is_success(said.status):
            record = shown_record(parsed(said.body))
            if record is None:
                return Refused("the answer is not a record", exchange)
            return snapshot(record, record_id)
        outcome = _classified(said, exchange, self._clock())
        if isinstance(outcome, Moved):
            return Refused(outcome.detail, exchange)
        return outcome

    def check(self) -> tuple[bool, str]:
        said, _ = self._got("ping")
        if not isinstance(said, Answer):
            return False, said.detail
        return _is_success(said.status), _detail(said)

    def _settle_create(self, write: Write) -> Settlement:
        """The record may exist although the message was forgotten: look for our id."""
        query = f"external_id={_quoted(write.correlation_id)}"
        said, exchange = self._got(f"records/{_quoted(write.table)}?{query}")
        if not isinstance(said, Answer):
            return Unavailable(said.detail, exchange=exchange)
        if said.status == HTTPStatus.NOT_FOUND:
            return NotApplied("the system has neither message nor record", exchange)
        if not _is_success(said.status):
            return self._unfound(said, exchange)
        found = (parsed(said.body) or {}).get("records")
        if not isinstance(found, list):
            return self._unsettled("the list of records is unreadable", exchange)
        if not found:
            return NotApplied("the system has neither message nor record", exchange)
        record = shown_record(found[0])
        if len(found) > 1 or record is None or record.record_id is None:
            return Refused(
                f"{len(found)} records may carry the external id: a person must look",
                exchange,
            )
        return Found(snapshot(record, record.record_id), exchange)

    def _unfound(self, said: Answer, exchange: Exchange) -> Settlement:
        outcome = _classified(said, exchange, self._clock())
        if isinstance(outcome, Moved | Refused):
            return self._unsettled(outcome.detail, exchange)
        return outcome

    def _unsettled(self, detail: str, exchange: Exchange) -> NotApplied | Refused:
        if self._capabilities.dedupe:
            return NotApplied(f"{detail}; sending the same id is safe", exchange)
        return Refused(f"{detail}: a person must look", exchange)

    def _repeatable(self, write: Write) -> bool:
        conditional = self._capabilities.conditional_write and bool(write.if_match)
        return self._capabilities.dedupe or conditional

    def _headers(self, write: Write, body: bytes) -> dict[str, str]:
        headers = self._signer.headers(write.delivery_id, int(self._clock()), body)
        headers["Content-Type"] = "application/json"
        headers["X-Sync-Hop"] = str(write.hop)
        if write.origin:
            names = (quote(name, safe="/:@") for name in write.origin)
            headers["X-Sync-Origin"] = ",".join(names)
        if write.if_match is not None:
            if _REVISION.fullmatch(write.if_match) is None:
                raise ValueError("the revision does not fit into If-Match")
            headers["If-Match"] = f'"{write.if_match}"'
        return headers

    def _got(self, path: str) -> tuple[Answer | NotSent | NoAnswer, Exchange]:
        read_id = f"read_{self._random_bytes(16).hex()}"
        headers = self._signer.headers(read_id, int(self._clock()), b"")
        url = f"{self._url}/{path}"
        said = self._transport.request("GET", url, headers, retry_safe=True)
        return said, _exchange(b"", said)


def _written(write: Write) -> bytes:
    """The same write gives the same bytes, on every node and in every year."""
    return orjson.dumps(
        {
            "type": write.process_event,
            "operation": write.operation,
            "correlation_id": write.correlation_id,
            "table": write.table,
            "record_id": write.record_id,
            "if_match": write.if_match,
            "fields": dict(write.fields),
            "entries": [
                {
                    "id": entry.id,
                    "journal": entry.journal,
                    "text": entry.text,
                    "author": entry.author,
                    "written_at": entry.written_at,
                }
                for entry in write.entries
            ],
            "origin": write.origin,
            "hop": write.hop,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def _delivered(
    write: Write, record: ShownRecord | None, exchange: Exchange
) -> Delivered:
    kept = record or ShownRecord()
    return Delivered(
        record_id=kept.record_id or write.record_id or write.correlation_id,
        revision=kept.revision,
        stored=kept.fields,
        exchange=exchange,
    )


def _classified(
    said: Answer, exchange: Exchange, now: float
) -> NeedsCredentials | Gone | Moved | Refused | Unavailable:
    """An answer other than 2xx (`postgres-and-delivery.md`, answer classes)."""
    detail = _detail(said)
    match said.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return NeedsCredentials(detail, exchange)
        case HTTPStatus.CONFLICT | HTTPStatus.PRECONDITION_FAILED:
            return Moved(detail, exchange)
        case HTTPStatus.GONE:
            return Gone(detail, exchange)
        case status if status in _REFUSING:
            return Refused(detail, exchange)
        case _:
            return Unavailable(detail, _retry_after(said, now), exchange)


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _detail(said: Answer) -> str:
    """The status, and what a problem+json says, short and on one line."""
    problem = parsed(said.body) or {}
    texts = (problem.get("title"), problem.get("detail"))
    parts = [f"answered {said.status}", *(t for t in texts if isinstance(t, str) and t)]
    return _CONTROLS.sub(" ", ": ".join(parts))[:_DETAIL_CHARACTERS]


def _retry_after(said: Answer, now: float) -> float | None:
    """Seconds to wait, 0 to 24 h, from a number or a date; None where neither."""
    text = said.headers.get("Retry-After", "").strip()[:64]
    if _SECONDS.fullmatch(text):
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    try:
        until = parsedate_to_datetime(text)
        zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = (zoned - datetime.fromtimestamp(now, UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


def _exchange(body: bytes, said: Answer | NotSent | NoAnswer) -> Exchange:
    sha256 = hashlib.sha256(body).hexdigest()
    if not isinstance(said, Answer):
        return Exchange(sha256, seconds=said.seconds)
    text = _UNSTORABLE.sub("\ufffd", said.body.decode("utf-8", "replace"))
    return Exchange(sha256, said.status, text, said.seconds)


def _quoted(part: str) -> str:
    """One segment of a path. "." and ".." must not climb: no such record is found."""
    quoted = quote(part, safe="", errors="replace")
    return quoted if part.strip(".") else quoted.replace(".", "%252E")
