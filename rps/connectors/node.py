"""Another rps node: messages in signed batches, and a receipt for each of them.

    POST {url}/messages      {"protocol": 1, "messages": [{"id", "process_event", ...}]}
                             200 {"receipts": [{"id", "status", ...}]}
    POST {url}/heartbeat     what each of the two knows and whether it takes messages
    POST {url}/settled       {"ids": [...]}: these may be asked after now
    POST {url}/checkpoint    our log's checkpoint, to be compared and countersigned
    GET  {url}/records/{process_event}/{correlation}       the shared record there
    GET  {url}/attachments/{sha256}    the bytes of a file that was offered to us
    GET  {url}/ping          2xx

`url` is the other node's address for us: `https://…/v1/nodes/{its system id}`. Every
request is signed (Standard Webhooks) with a secret that only serves this direction.

A message sent again is answered with how far it has come, so nothing else is needed to
ask after one. Receipts: 200 done, there too; 202 it has it (`judged`: and shares it);
208 it has the record from another node; 412 it is at another version (`record`); 424
its definition does not share that yet; else as a push receiver's answers.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from rps.connectors import batch as batches
from rps.connectors import meaning
from rps.connectors.fetching import fetched, ranged
from rps.connectors.preview import preview_of
from rps.connectors.shown import parsed, shown_record, snapshot
from rps.connectors.signature import Signer
from rps.connectors.transport import Answer, NoAnswer, NotSent, Request
from rps.domain.delivery import (
    Capabilities,
    Elsewhere,
    Exchange,
    Moved,
    NotApplied,
    Postponed,
    Received,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rps.connectors.push import Wire
    from rps.connectors.transport import Said
    from rps.domain.delivery import (
        ChangesRead,
        Fetched,
        Outcome,
        Preview,
        Reading,
        Settlement,
        Write,
    )

PROTOCOL = 1
BATCH = 100
JSON = {"Content-Type": "application/json"}


class NodeConnector:
    """`decides`: where both nodes changed a field, ours has the say; so it writes for
    the version it knows, and the other one only tells.

    Raises SecretUnusable when one of `secrets` is no secret.
    """

    def __init__(
        self,
        transport: Wire,
        *,
        url: str,
        secrets: Iterable[str],
        decides: bool,
        batch: int = BATCH,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._transport = transport
        self._url = url.rstrip("/")
        self._signer = Signer(secrets)
        self._clock = clock
        self._random_bytes = random_bytes
        self.capabilities = Capabilities(
            dedupe=True,
            conditional_write=decides,
            read_back=True,
            batch=batch,
            resend_to_ask=True,
        )

    # --- messages -----------------------------------------------------------------

    def write(self, write: Write) -> Outcome:
        ((_, outcome),) = [told for came in self.write_many([write]) for told in came]
        return outcome

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        messages: list[batches.Part] = []
        refused: list[tuple[int, Outcome]] = []
        for place, write in enumerate(writes):
            try:
                messages.append((place, self._message(write)))
            except (orjson.JSONEncodeError, ValueError) as error:
                detail = f"the message cannot be put into a request: {error}"
                refused.append((place, Refused(detail)))
        if refused:
            yield refused
        for part in batches.parts_of(messages):
            yield from self._sent(writes, part)

    def _message(self, write: Write) -> bytes:
        return orjson.dumps(
            {
                "id": write.delivery_id,
                "process_event": write.process_event,
                "operation": write.operation,
                "correlation_id": write.correlation_id,
                "record_id": write.record_id,
                "if_match": write.if_match
                if self.capabilities.conditional_write
                else None,
                "version": write.version,
                "fields": dict(write.fields),
                "entries": batches.entries_of(write),
                "attachments": [asdict(file) for file in write.attachments],
                "origin": write.origin,
                "hop": write.hop,
                "changed_by": write.changed_by,
                "changed_at": write.changed_at,
            },
            option=orjson.OPT_SORT_KEYS,
        )

    def preview(self, write: Write) -> Preview | Refused:
        try:
            part = [(0, self._message(write))]
        except (orjson.JSONEncodeError, ValueError) as error:
            return Refused(f"the message cannot be put into a request: {error}")
        return preview_of(self._request(part))

    def _request(self, part: Sequence[batches.Part]) -> Request:
        listed = b",".join([message for _, message in part])
        body = b'{"protocol":%d,"messages":[%b]}' % (PROTOCOL, listed)
        return self._post("messages", body, batches.answer_bytes(len(part)))

    def _sent(
        self, writes: Sequence[Write], part: Sequence[batches.Part]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        """One request. Where the whole is refused, which says nothing about any one
        message, they go one by one."""
        said = self._transport.send(self._request(part))
        if (
            isinstance(said, Answer)
            and said.status in batches.REFUSING_WHOLE
            and len(part) > 1
        ):
            for one in part:
                yield from self._sent(writes, [one])
            return
        if not (isinstance(said, Answer) and meaning.is_success(said.status)):
            yield [
                (at, self._unreceipted(said, meaning.exchange_of(message, said)))
                for at, message in part
            ]
            return
        if page := meaning.web_page(said):
            yield [
                (at, Unavailable(page, exchange=meaning.exchange_of(message, said)))
                for at, message in part
            ]
            return
        receipts = batches.receipts_of(said.body)
        yield [
            (at, self._receipted(writes[at], message, said, receipts))
            for at, message in part
        ]

    def _unreceipted(self, said: Said, exchange: Exchange) -> Outcome:
        match said:
            case NotSent():
                return Unavailable(said.detail, exchange=exchange)
            case NoAnswer():
                return Uncertain(said.detail, exchange)
        return meaning.signed(said, exchange, self._clock())

    def _receipted(
        self,
        write: Write,
        message: bytes,
        said: Answer,
        receipts: dict[str, dict[str, Any]],
    ) -> Outcome:
        receipt = receipts.get(write.delivery_id)
        if receipt is None:
            sha256 = hashlib.sha256(message).hexdigest()
            exchange = Exchange(sha256, seconds=said.seconds)
            return Uncertain("the answer has no receipt for the message", exchange)
        answer = batches.as_answer(receipt, said.seconds)
        exchange = meaning.exchange_of(message, answer)
        record = shown_record(receipt)
        match answer.status:
            case HTTPStatus.ACCEPTED:
                return _received(receipt, exchange)
            case HTTPStatus.ALREADY_REPORTED:
                return Elsewhere(meaning.detail_of(answer), exchange)
            case HTTPStatus.FAILED_DEPENDENCY:
                return Postponed(meaning.detail_of(answer), exchange)
            case HTTPStatus.PRECONDITION_FAILED:
                shown = shown_record(receipt.get("record"))
                now = None
                if shown is not None and shown.record_id is not None:
                    now = snapshot(shown, shown.record_id)
                return Moved(meaning.detail_of(answer), exchange, now)
            case status if meaning.is_success(status):
                return meaning.delivered(write, record, exchange)
            case _:
                return meaning.classified(answer, exchange, self._clock())

    def settle(self, write: Write) -> Settlement:  # noqa: ARG002 - the protocol's
        return NotApplied("it is asked by sending it again")

    def read(self, table: str, record_id: str) -> Reading:
        said, exchange = self._got(
            f"records/{batches.segment(table)}/{batches.segment(record_id)}"
        )
        return meaning.reading(said, record_id, exchange, self._clock())

    def find(self, table: str, by: str, value: str) -> Reading:  # noqa: ARG002 - the protocol's
        return Refused("another node is not looked into: ask a system of this one")

    def changes_since(
        self,
        table: str,  # noqa: ARG002 - the protocol's
        cursor: Mapping[str, Any] | None,  # noqa: ARG002
    ) -> ChangesRead:
        return Refused("another node tells of its changes by itself")

    def fetch(self, sha256: str, offset: int) -> Fetched:
        headers = ranged(self._signed("file", b""), offset)
        url = f"{self._url}/attachments/{sha256}"
        said = self._transport.stream(Request("GET", url, headers))
        return fetched(said, offset, self._clock())

    # --- between the two nodes ----------------------------------------------------

    def check(self) -> tuple[bool, str]:
        said, _ = self._got("ping")
        return meaning.answers_well(said, self._clock())

    def ask(self, what: str, say: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
        """POST `say` to `{url}/{what}`: what was answered, or None and why."""
        said = self._posted(what, orjson.dumps(say), batches.ANSWER_BYTES)
        if not isinstance(said, Answer):
            return None, said.detail
        if not meaning.is_success(said.status):
            return None, meaning.detail_of(said)
        return parsed(said.body) or {}, ""

    def _posted(self, what: str, body: bytes, response_bytes: int) -> Said:
        return self._transport.send(self._post(what, body, response_bytes))

    def _post(self, what: str, body: bytes, response_bytes: int) -> Request:
        headers = self._signed(what, body) | JSON
        return Request(
            *("POST", f"{self._url}/{what}", headers, body),
            retry_safe=True,
            response_bytes=response_bytes,
        )

    def _got(self, path: str) -> tuple[Said, Exchange]:
        headers = self._signed("read", b"")
        url = f"{self._url}/{path}"
        said = self._transport.send(Request("GET", url, headers, retry_safe=True))
        return said, meaning.exchange_of(b"", said)

    def _signed(self, what: str, body: bytes) -> dict[str, str]:
        request_id = f"{what}_{self._random_bytes(16).hex()}"
        return self._signer.headers(request_id, int(self._clock()), body)


def _received(receipt: dict[str, Any], exchange: Exchange) -> Received:
    record = shown_record(receipt)
    detail = receipt.get("detail")
    return Received(
        detail if isinstance(detail, str) else "the other node has it",
        judged=receipt.get("judged") is True and record is not None,
        record_id=record.record_id if record else None,
        revision=record.revision if record else None,
        stored=record.fields if record else {},
        exchange=exchange,
    )
