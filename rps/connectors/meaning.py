"""What an answer of a push receiver means to a delivery."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from rps.connectors import advice
from rps.connectors.shown import ShownRecord, parsed, shown_record, snapshot
from rps.connectors.transport import Answer
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Gone,
    Missing,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from rps.connectors.transport import Said
    from rps.domain.delivery import Reading, Write

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
REFUSING = frozenset(range(400, 500)) - {408, 425, 429}  # those three pass with time
_DETAIL_CHARACTERS = 500
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NO_RECORD = (
    "the answer is no record: it is cut off or longer than 64 KiB, or the URL is not"
    " where messages are taken"
)
_SECONDS = re.compile(r"[0-9]{1,10}")


def delivered(
    write: Write, record: ShownRecord | None, exchange: Exchange
) -> Delivered:
    kept = record or ShownRecord()
    return Delivered(
        record_id=kept.record_id or write.record_id or write.correlation_id,
        revision=kept.revision,
        stored=kept.fields,
        exchange=exchange,
    )


def classified(
    said: Answer, exchange: Exchange, now: float
) -> NeedsCredentials | Gone | Moved | Refused | Unavailable:
    """An answer other than 2xx (`postgres-and-delivery.md`, answer classes)."""
    detail = detail_of(said)
    match said.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return NeedsCredentials(detail, exchange)
        case HTTPStatus.CONFLICT | HTTPStatus.PRECONDITION_FAILED:
            return Moved(detail, exchange)
        case HTTPStatus.GONE:
            return Gone(detail, exchange)
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return Unavailable(advice.redirected(said), exchange=exchange)
        case status if status in REFUSING:
            return Refused(detail, exchange)
        case _:
            return Unavailable(detail, retry_after(said, now), exchange)


def signed(
    said: Answer, exchange: Exchange, now: float
) -> NeedsCredentials | Gone | Moved | Refused | Unavailable:
    """As `classified`, of a request that we signed."""
    outcome = classified(said, exchange, now)
    if not isinstance(outcome, NeedsCredentials):
        return outcome
    remedy = advice.clocks(said.headers, now) or "give both sides the same secret"
    detail = f"{outcome.detail}: it does not accept our signature; {remedy}"
    return NeedsCredentials(detail, exchange)


def web_page(said: Answer) -> str:
    """What it says where one comes with a 2xx; "" where it is none."""
    if not (is_success(said.status) and advice.is_web_page(said)):
        return ""
    return (
        f"answered {said.status} with a web page: the URL leads to a login page, a"
        " proxy or another site, not to what takes messages; correct it"
    )


def reading(said: Said, record_id: str, exchange: Exchange, now: float) -> Reading:
    """What the answer to asking for one record shows. 410 is about the record; it says
    nothing about the system."""
    if not isinstance(said, Answer):
        return Unavailable(said.detail, exchange=exchange)
    if said.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return Missing(detail_of(said))
    if is_success(said.status):
        record = shown_record(parsed(said.body))
        if record is None:
            detail = web_page(said) or _NO_RECORD
            return Refused(detail, exchange)
        return snapshot(record, record_id)
    outcome = signed(said, exchange, now)
    if isinstance(outcome, Moved):
        return Refused(outcome.detail, exchange)
    return outcome


def answers_well(said: Said, now: float) -> tuple[bool, str]:
    """Whether it did, and what it said."""
    if not isinstance(said, Answer):
        return False, said.detail
    if page := web_page(said):
        return False, page
    if said.status == HTTPStatus.NOT_FOUND:
        return (
            False,
            f"{detail_of(said)}: nothing answers at this path; correct the URL",
        )
    if not is_success(said.status):
        return False, signed(said, Exchange(), now).detail
    clocks = advice.clocks(said.headers, now)
    return True, f"{detail_of(said)}{clocks and f'; {clocks}'}"


def is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def detail_of(said: Answer) -> str:
    """The status, and what a problem+json says, short and on one line."""
    problem = parsed(said.body) or {}
    texts = (problem.get("title"), problem.get("detail"))
    parts = [f"answered {said.status}", *(t for t in texts if isinstance(t, str) and t)]
    return CONTROLS.sub(" ", ": ".join(parts))[:_DETAIL_CHARACTERS]


def retry_after(said: Answer, now: float) -> float | None:
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


def exchange_of(body: bytes, said: Said) -> Exchange:
    sha256 = hashlib.sha256(body).hexdigest()
    if not isinstance(said, Answer):
        return Exchange(sha256, seconds=said.seconds)
    text = _UNSTORABLE.sub("\ufffd", said.body.decode("utf-8", "replace"))
    return Exchange(sha256, said.status, text, said.seconds)
