"""What an answer of an instance means, and what it tells an operator to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from rps.connectors import advice, meaning
from rps.connectors.shown import parsed
from rps.connectors.transport import Answer, NotSent
from rps.domain.delivery import (
    Exchange,
    Gone,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.transport import Said

_TURNED_AWAY = (
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
_SAID_MAX = 300
_OF_ONE_RECORD = re.compile(
    r"ACL|security constraint|Operation Failed|business rule|data policy", re.IGNORECASE
)
"""A 403 that is about the record, not about who asks."""
_TOO_LONG = re.compile(r"Transaction cancelled", re.IGNORECASE)
_NOT_AUTHENTICATED = re.compile(r"not authenticated|auth information", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Good:
    """The instance did it; `result` is None where it says nothing more."""

    result: Any
    headers: Mapping[str, str]
    exchange: Exchange = field(default_factory=Exchange)

    @property
    def total(self) -> int | None:
        """How many records the query has, whoever may see them."""
        said = self.headers.get("X-Total-Count", "")
        return int(said) if said.isdecimal() and len(said) < 12 else None  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class NotThere:
    """404: no such record, or it is hidden from the account."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


Trouble = Unavailable | NeedsCredentials | Gone | Refused | Uncertain
Understood = Good | NotThere | Trouble


def understood(
    said: Said, exchange: Exchange, now: float, *, wrote: bool
) -> Understood:
    """`wrote`: doing it twice is not doing it once, so what is not known to have failed
    is uncertain."""
    if isinstance(said, NotSent):
        return Unavailable(said.detail, exchange=exchange)
    if not isinstance(said, Answer):
        return _unknown(said.detail, exchange, wrote=wrote)
    if meaning.is_success(said.status):
        return _success(said, exchange, wrote=wrote)
    return _failure(said, exchange, now, wrote=wrote)


def _success(said: Answer, exchange: Exchange, *, wrote: bool) -> Understood:
    if said.status == HTTPStatus.NO_CONTENT or not said.body:
        return Good(None, said.headers, exchange)
    body = parsed(said.body)
    if body is None:
        return _unknown(_unreadable(said), exchange, wrote=wrote)
    if "error" not in body:
        return Good(body.get("result"), said.headers, exchange)
    text = error_text(body)
    if _NOT_AUTHENTICATED.search(text):
        return NeedsCredentials(_not_accepted(text), exchange)
    if _OF_ONE_RECORD.search(text):
        return Refused(_no_right(text), exchange)
    advice = (
        "; its transaction quota cut the request off: index what is queried, or raise"
        " the quota"
        if _TOO_LONG.search(text)
        else ""
    )
    detail = f"answered {said.status} with an error: {text}{advice}"
    return _unknown(detail, exchange, wrote=wrote)


def _failure(
    said: Answer, exchange: Exchange, now: float, *, wrote: bool
) -> Understood:
    status = said.status
    text = error_text(parsed(said.body)) or f"answered {status}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _not_allowed(status, text, exchange)
    if status == HTTPStatus.NOT_FOUND:
        if parsed(said.body) is None:
            return Unavailable(_unreadable(said), exchange=exchange)
        return NotThere(f"answered 404: {text}", exchange)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Unavailable(advice.redirected(said), exchange=exchange)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = f"answered {status}: {text}"
        return _unknown(detail, exchange, wrote=wrote and status not in _TURNED_AWAY)
    return _classified(said, text, exchange, now)


def _not_allowed(
    status: int, text: str, exchange: Exchange
) -> NeedsCredentials | Refused:
    if status == HTTPStatus.UNAUTHORIZED:
        return NeedsCredentials(_not_accepted(text), exchange)
    if _OF_ONE_RECORD.search(text):
        return Refused(_no_right(text), exchange)
    return NeedsCredentials(
        f"answered 403: {text}; give the account a role that may do this", exchange
    )


def _classified(
    said: Answer, text: str, exchange: Exchange, now: float
) -> Refused | Unavailable | NeedsCredentials | Gone:
    found = meaning.classified(said, exchange, now)
    detail = f"answered {said.status}: {text}"
    if said.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail += "; raise com.glide.attachment.max_size there"
    match found:
        case Unavailable(retry_after=seconds):
            if said.status == HTTPStatus.TOO_MANY_REQUESTS and seconds is None:
                seconds = _until_reset(said, now)
            return Unavailable(detail, seconds, exchange)
        case Moved():
            return Refused(detail, exchange)
        case Refused():
            return Refused(detail, exchange)
        case _:
            return found


def _until_reset(said: Answer, now: float) -> float | None:
    reset = said.headers.get("X-RateLimit-Reset", "")
    if not reset.isdecimal() or len(reset) > 12:  # noqa: PLR2004
        return None
    return min(max(int(reset) - now, 1.0), meaning.RETRY_AFTER_SECONDS_MAX)


def _unknown(
    detail: str, exchange: Exchange, *, wrote: bool
) -> Uncertain | Unavailable:
    if wrote:
        return Uncertain(detail, exchange)
    return Unavailable(detail, exchange=exchange)


def error_text(body: dict[str, Any] | None) -> str:
    """What `{"error": {"message", "detail"}}` says, short and on one line."""
    error = (body or {}).get("error")
    texts: list[Any] = [error]
    if isinstance(error, dict):
        texts = [error.get("message"), error.get("detail")]
    elif body and isinstance(body.get("error_description"), str):
        texts.append(body["error_description"])
    said = ": ".join(text.strip() for text in texts if isinstance(text, str) and text)
    return _CONTROLS.sub(" ", said)[:_SAID_MAX]


def _unreadable(said: Answer) -> str:
    if advice.is_web_page(said):
        return (
            f"answered {said.status} with a web page instead of JSON: is the URL an"
            " instance's, is it awake, and does its API not ask for single sign-on?"
        )
    return (
        f"answered {said.status} with JSON that is cut off or unreadable: look at what"
        " stands between, a proxy or a gateway"
    )


def _not_accepted(text: str) -> str:
    return f"it does not accept the account ({text}): give the right credentials"


def _no_right(text: str) -> str:
    return (
        f"it does not let the account do that ({text}): give it a role that may, or"
        " correct the access control, business rule or data policy that stops it"
    )
