"""Many messages in one request, and a receipt for each of them.

POST {url}/batches   {"messages": [{"id", and the keys of a single message}, ...]}
2xx                  {"receipts": [{"id", "status", and the keys of a single answer,
                      "retry_after" in seconds}, ...]}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from rps.connectors.meaning import REFUSING
from rps.connectors.shown import parsed
from rps.connectors.transport import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rps.domain.delivery import Write

MESSAGES_MAX = 500
REQUEST_BYTES_MAX = 1_000_000
"""Of several messages; one alone may be larger."""

ANSWER_BYTES = 64 * 1024
ANSWER_BYTES_MAX = 8 * 1024 * 1024

REFUSING_WHOLE = REFUSING - {401, 403, 410}
"""These say why the whole of a batch was not taken, and nothing of a message."""

_STATUSES = range(200, 600)

Part = tuple[int, bytes]
"""The place of a write, and its message as it stands in the request."""


def parts_of(messages: Iterable[Part]) -> Iterator[list[Part]]:
    """Cut so that each request stays within its bounds."""
    part: list[Part] = []
    size = 0
    for place, message in messages:
        if part and (
            len(part) == MESSAGES_MAX or size + len(message) > REQUEST_BYTES_MAX
        ):
            yield part
            part, size = [], 0
        part.append((place, message))
        size += len(message) + 1
    if part:
        yield part


def body_of(part: Sequence[Part]) -> bytes:
    return b'{"messages":[' + b",".join([message for _, message in part]) + b"]}"


def answer_bytes(count: int) -> int:
    """How much of the answer is read: as much a message as of a single answer."""
    return min(ANSWER_BYTES * count, ANSWER_BYTES_MAX)


def receipts_of(body: bytes) -> dict[str, dict[str, Any]]:
    """Receipts by message id; one that cannot be read, or is there twice with
    different words, is as good as none."""
    listed = (parsed(body) or {}).get("receipts")
    found: dict[str, dict[str, Any]] = {}
    spoilt: set[str] = set()
    for receipt in listed if isinstance(listed, list) else ():
        if not isinstance(receipt, dict) or not isinstance(receipt.get("id"), str):
            continue
        name, status = receipt["id"], receipt.get("status")
        readable = type(status) is int and status in _STATUSES
        if not readable or found.setdefault(name, receipt) != receipt:
            spoilt.add(name)
    return {name: kept for name, kept in found.items() if name not in spoilt}


def as_answer(receipt: dict[str, Any], seconds: float) -> Answer:
    """What a single request would have been answered."""
    pause = receipt.get("retry_after")
    headers = {} if pause is None else {"Retry-After": str(pause)}
    return Answer(receipt["status"], headers, orjson.dumps(receipt), seconds)


def entries_of(write: Write) -> list[dict[str, Any]]:
    """What is not known of who wrote an entry, and when, is an empty text. A new entry
    says nothing of what it is: receivers of old know no other."""
    return [
        {
            "id": entry.id,
            "journal": entry.journal,
            "text": entry.text,
            "author": entry.author,
            "written_at": entry.written_at,
        }
        | ({"operation": entry.operation} if entry.operation else {})
        | ({"yours": True} if entry.yours else {})
        for entry in write.entries
    ]


def segment(part: str) -> str:
    """One segment of a path. "." and ".." must not climb: no such record is found."""
    quoted = quote(part, safe="", errors="replace")
    return quoted if part.strip(".") else quoted.replace(".", "%252E")
