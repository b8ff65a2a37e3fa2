"""What the answer of a receiver to a message means."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from rps.connectors import meaning
from rps.connectors.shown import parsed, shown_record
from rps.connectors.transport import NoAnswer, NotSent
from rps.domain.delivery import Refused, Unavailable, Uncertain

if TYPE_CHECKING:
    from rps.connectors.transport import Answer, Said
    from rps.domain.delivery import Capabilities, Exchange, Outcome, Write

# These 5xx say that the request was turned away; after any other the work may be done.
_TURNED_AWAY = (
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
)
_SAID_MAX = 300


def judged(
    write: Write, said: Said, exchange: Exchange, able: Capabilities, now: float
) -> Outcome:
    """`able`: what the receiver can do; `now` in seconds of the epoch."""
    match said:
        case NotSent():
            return Unavailable(said.detail, exchange=exchange)
        case NoAnswer():
            return Uncertain(said.detail, exchange)
    if meaning.is_success(said.status):
        return _succeeded(write, said, exchange, able)
    if write.operation == "delete" and said.status == HTTPStatus.NOT_FOUND:
        return meaning.delivered(write, None, exchange)  # gone already: what was asked
    if said.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not (
        said.status in _TURNED_AWAY or _is_repeatable(write, able)
    ):
        return Uncertain(meaning.detail_of(said), exchange)
    outcome = meaning.signed(said, exchange, now)
    if said.status == HTTPStatus.NOT_FOUND:
        detail = f"{outcome.detail}: no such record, or no receiver at this URL"
        return Refused(detail, exchange)
    return outcome


def web_page(
    write: Write, page: str, exchange: Exchange, able: Capabilities
) -> Unavailable | Uncertain:
    """Where one came, as `page` says: it may be sent again, or a person must look."""
    if _is_repeatable(write, able):
        return Unavailable(page, exchange=exchange)
    return Uncertain(page, exchange)


def _succeeded(
    write: Write, said: Answer, exchange: Exchange, able: Capabilities
) -> Outcome:
    """2xx: done, whatever else is said; unless nobody can have meant that."""
    if page := meaning.web_page(said):
        return web_page(write, page, exchange, able)
    told = parsed(said.body)
    if told is not None and (text := _failure(told)):
        detail = (
            f"answered {said.status} with an error ({text}): look there whether it was"
            " done, and let the receiver answer 4xx or 5xx when it was not"
        )
        return Refused(detail, exchange)
    is_cut = told is None and said.body.lstrip().startswith(b"{")
    if is_cut and write.operation == "create" and able.read_back:
        detail = (
            f"answered {said.status} with JSON that is unreadable, cut off, or longer"
            " than 64 KiB: look at the receiver, and at what stands between"
        )
        return Uncertain(detail, exchange)  # which record it made is asked for
    return meaning.delivered(write, shown_record(told), exchange)


def _is_repeatable(write: Write, able: Capabilities) -> bool:
    return able.dedupe or (able.conditional_write and bool(write.if_match))


def _failure(told: dict[str, Any]) -> str:
    """What an answer says went wrong, where that is all it says."""
    said = told.get("error") or told.get("errors")
    if not said or "record_id" in told or "fields" in told:
        return ""
    text = said if isinstance(said, str) else orjson.dumps(said).decode()
    return meaning.CONTROLS.sub(" ", text)[:_SAID_MAX]
