"""An application that takes messages: signed JSON over http (Standard Webhooks).

    POST {url}/messages                       200 {"record_id", "revision", "fields"}
    POST {url}/batches                        many of them in one request (`batch.py`)
    GET  {url}/messages/{delivery_id}         200 the answer given then; 404 never seen
    GET  {url}/records/{table}/{record_id}    200 {"record_id", "revision", "fields",
                                                   "deleted", "updated_at"}; 404
    GET  {url}/records/{table}?external_id=   200 {"records": [as above, ...]}
    GET  {url}/records/{table}?field=&value=  the same, of the records that have it
    GET  {url}/attachments/{sha256}           200 the bytes; 206 from `Range` on; 404
    GET  {url}/ping                           2xx

Each request carries `webhook-id`, `webhook-timestamp` and `webhook-signature`; a GET
signs the empty body under an id of its own. Every key of an answer may be left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import orjson

from rps.connectors import batch as batches
from rps.connectors import meaning, push_answers
from rps.connectors.fetching import fetched, ranged
from rps.connectors.preview import preview_of
from rps.connectors.shown import parsed, shown_record, snapshot
from rps.connectors.signature import Signer
from rps.connectors.transport import Answer, Request
from rps.domain.delivery import (
    Exchange,
    Found,
    Missing,
    Moved,
    NotApplied,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rps.connectors.streaming import Opened
    from rps.connectors.transport import Said
    from rps.domain.delivery import (
        Capabilities,
        ChangesRead,
        Fetched,
        Outcome,
        Preview,
        Reading,
        Settlement,
        Write,
    )

_REVISION = re.compile(r"[\x21\x23-\x7e]{1,255}")  # what an entity tag may hold


class Wire(Protocol):
    """What of the transport is needed."""

    def send(self, request: Request) -> Said: ...

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]: ...

    def stream(self, request: Request) -> Said | Opened: ...


class PushConnector:
    """Raises SecretUnusable when one of `secrets` is no secret.

    `clock` gives seconds of the epoch, `random_bytes` n bytes for the ids of reads and
    batches.
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
        request = self._single(write)
        if isinstance(request, Refused):
            return request
        said = self._transport.send(request)
        return self._judged(write, said, meaning.exchange_of(request.body, said))

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        if self._capabilities.batch > 1 and len(writes) > 1:
            return self._batched(writes)
        return self._side_by_side(list(enumerate(writes)))

    def _side_by_side(
        self, writes: Sequence[tuple[int, Write]]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        """One request a message, each on a connection of its own."""
        requests: list[Request] = []
        sent: list[tuple[int, Write]] = []
        refused: list[tuple[int, Outcome]] = []
        for place, write in writes:
            request = self._single(write)
            if isinstance(request, Refused):
                refused.append((place, request))
            else:
                requests.append(request)
                sent.append((place, write))
        if refused:
            yield refused
        for came in self._transport.send_many(requests):
            told = []
            for at, said in came:
                exchange = meaning.exchange_of(requests[at].body, said)
                place, write = sent[at]
                told.append((place, self._judged(write, said, exchange)))
            yield told

    def _single(self, write: Write) -> Request | Refused:
        try:
            body = orjson.dumps(_message(write), option=orjson.OPT_SORT_KEYS)
            headers = self._headers(write, body)
        except (orjson.JSONEncodeError, ValueError) as error:
            return Refused(f"the message cannot be put into a request: {error}")
        url = f"{self._url}/messages"
        return Request("POST", url, headers, body, self._capabilities.dedupe)

    def preview(self, write: Write) -> Preview | Refused:
        request = self._single(write)
        return request if isinstance(request, Refused) else preview_of(request)

    def _batched(self, writes: Sequence[Write]) -> Iterator[list[tuple[int, Outcome]]]:
        messages: list[batches.Part] = []
        refused: list[tuple[int, Outcome]] = []
        for place, write in enumerate(writes):
            try:
                document = {"id": write.delivery_id, **_message(write)}
                message = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
                messages.append((place, message))
            except (orjson.JSONEncodeError, ValueError) as error:
                detail = f"the message cannot be put into a request: {error}"
                refused.append((place, Refused(detail)))
        if refused:
            yield refused
        for part in batches.parts_of(messages):
            yield from self._batch_sent(writes, part)

    def _batch_sent(
        self, writes: Sequence[Write], part: Sequence[batches.Part]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        """One request. A refusal of the whole says nothing about any one message, so
        then they go one by one."""
        body = batches.body_of(part)
        request_id = f"batch_{self._random_bytes(16).hex()}"
        headers = self._signer.headers(request_id, int(self._clock()), body)
        headers["Content-Type"] = "application/json"
        said = self._transport.send(
            Request(
                *("POST", f"{self._url}/batches", headers, body),
                self._capabilities.dedupe,
                batches.answer_bytes(len(part)),
            )
        )
        if isinstance(said, Answer) and said.status in batches.REFUSING_WHOLE:
            yield from self._side_by_side([(at, writes[at]) for at, _ in part])
        else:
            yield self._receipted(writes, part, said)

    def _receipted(
        self, writes: Sequence[Write], part: Sequence[batches.Part], said: Said
    ) -> list[tuple[int, Outcome]]:
        if not (isinstance(said, Answer) and meaning.is_success(said.status)):
            return [
                (at, self._judged(writes[at], said, meaning.exchange_of(message, said)))
                for at, message in part
            ]
        if page := meaning.web_page(said):
            return [
                (
                    at,
                    push_answers.web_page(
                        writes[at],
                        page,
                        meaning.exchange_of(message, said),
                        self._capabilities,
                    ),
                )
                for at, message in part
            ]
        receipts = batches.receipts_of(said.body)
        told: list[tuple[int, Outcome]] = []
        for at, message in part:
            write = writes[at]
            receipt = receipts.get(write.delivery_id)
            if receipt is None:
                exchange = Exchange(
                    hashlib.sha256(message).hexdigest(), seconds=said.seconds
                )
                lost = Uncertain("the answer has no receipt for the message", exchange)
                told.append((at, lost))
                continue
            one = batches.as_answer(receipt, said.seconds)
            told.append(
                (at, self._judged(write, one, meaning.exchange_of(message, one)))
            )
        return told

    def _judged(self, write: Write, said: Said, exchange: Exchange) -> Outcome:
        return push_answers.judged(
            write, said, exchange, self._capabilities, self._clock()
        )

    def settle(self, write: Write) -> Settlement:
        """Unavailable here means: not found out, ask again; not: nothing was written.

        A receiver that is still at work on the message answers as if it had never seen
        it: let the deadline of the lost request pass before asking.
        """
        if not self._capabilities.read_back:
            return self._unsettled("the system cannot be asked", Exchange())
        said, exchange = self._got(f"messages/{batches.segment(write.delivery_id)}")
        if not isinstance(said, Answer):
            return Unavailable(said.detail, exchange=exchange)
        if said.status == HTTPStatus.NOT_FOUND:
            if write.operation == "create":
                return self._settle_create(write)
            return NotApplied("the system has not seen the message", exchange)
        if meaning.is_success(said.status):
            record = shown_record(parsed(said.body))
            if record is not None:
                return meaning.delivered(write, record, exchange)
            return self._unsettled("the stored answer is unreadable", exchange)
        return self._unfound(said, exchange)

    def read(self, table: str, record_id: str) -> Reading:
        said, exchange = self._got(
            f"records/{batches.segment(table)}/{batches.segment(record_id)}"
        )
        return meaning.reading(said, record_id, exchange, self._clock())

    def find(self, table: str, by: str, value: str) -> Reading:
        query = f"field={batches.segment(by)}&value={batches.segment(value)}"
        said, exchange = self._got(f"records/{batches.segment(table)}?{query}")
        if not (isinstance(said, Answer) and meaning.is_success(said.status)):
            return meaning.reading(said, "", exchange, self._clock())
        found = (parsed(said.body) or {}).get("records")
        if not isinstance(found, list):
            return Refused("the list of records is unreadable", exchange)
        if not found:
            return Missing("there is none")
        record = shown_record(found[0])
        if len(found) > 1 or record is None or record.record_id is None:
            return Refused(f"{len(found)} records of {table} have it", exchange)
        return snapshot(record, record.record_id)

    def changes_since(
        self,
        table: str,  # noqa: ARG002 - the protocol's
        cursor: Mapping[str, Any] | None,  # noqa: ARG002
    ) -> ChangesRead:
        return Refused("it tells of its changes by itself")

    def fetch(self, sha256: str, offset: int) -> Fetched:
        """Signed over the empty body, as every read."""
        read_id = f"file_{self._random_bytes(16).hex()}"
        headers = self._signer.headers(read_id, int(self._clock()), b"")
        url = f"{self._url}/attachments/{sha256}"
        said = self._transport.stream(Request("GET", url, ranged(headers, offset)))
        return fetched(said, offset, self._clock())

    def check(self) -> tuple[bool, str]:
        said, _ = self._got("ping")
        return meaning.answers_well(said, self._clock())

    def _settle_create(self, write: Write) -> Settlement:
        """The record may exist although the message was forgotten: look for our id."""
        query = f"external_id={batches.segment(write.correlation_id)}"
        said, exchange = self._got(f"records/{batches.segment(write.table)}?{query}")
        if not isinstance(said, Answer):
            return Unavailable(said.detail, exchange=exchange)
        if said.status == HTTPStatus.NOT_FOUND:
            return NotApplied("the system has neither message nor record", exchange)
        if not meaning.is_success(said.status):
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
        outcome = meaning.signed(said, exchange, self._clock())
        if isinstance(outcome, Moved | Refused):
            return self._unsettled(outcome.detail, exchange)
        return outcome

    def _unsettled(self, detail: str, exchange: Exchange) -> NotApplied | Refused:
        if self._capabilities.dedupe:
            return NotApplied(f"{detail}; sending the same id is safe", exchange)
        return Refused(f"{detail}: a person must look", exchange)

    def _headers(self, write: Write, body: bytes) -> dict[str, str]:
        headers = self._signer.headers(write.delivery_id, int(self._clock()), body)
        headers["Content-Type"] = "application/json"
        headers["X-Sync-Hop"] = str(write.hop)
        if write.origin:
            names = (quote(name, safe="/:@") for name in write.origin)
            headers["X-Sync-Origin"] = ",".join(names)
        if write.if_match is not None:
            headers["If-Match"] = f'"{write.if_match}"'
        return headers

    def _got(self, path: str) -> tuple[Said, Exchange]:
        read_id = f"read_{self._random_bytes(16).hex()}"
        headers = self._signer.headers(read_id, int(self._clock()), b"")
        url = f"{self._url}/{path}"
        said = self._transport.send(Request("GET", url, headers, retry_safe=True))
        return said, meaning.exchange_of(b"", said)


def _message(write: Write) -> dict[str, Any]:
    """Written with sorted keys, the same write gives the same bytes on every node and
    in every year. Raises ValueError for a revision that is none."""
    if write.if_match is not None and _REVISION.fullmatch(write.if_match) is None:
        raise ValueError("the revision does not fit into If-Match")
    message = {
        "type": write.process_event,
        "operation": write.operation,
        "correlation_id": write.correlation_id,
        "table": write.table,
        "record_id": write.record_id,
        "if_match": write.if_match,
        "fields": dict(write.fields),
        "entries": batches.entries_of(write),
        "origin": write.origin,
        "hop": write.hop,
    } | _known_of(write)
    if write.attachments:
        message["attachments"] = [asdict(file) for file in write.attachments]
    return message


def _known_of(write: Write) -> dict[str, str]:
    """Who made the change that the message is about, and when."""
    known = {"changed_by": write.changed_by, "changed_at": write.changed_at}
    return {name: said for name, said in known.items() if said}
