"""What an answer means: its document, or an outcome with a sentence that says what an
operator can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from rps.connectors import advice, meaning
from rps.connectors.rest import template
from rps.connectors.transport import Answer, NoAnswer, NotSent
from rps.domain.delivery import (
    Exchange,
    Gone,
    Missing,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.rest.description import Description, ErrorRule
    from rps.connectors.transport import Said

DEPTH_MAX = 32
_DETAIL_CHARACTERS = 400
_TURNED_AWAY = (
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
)
Trouble = Unavailable | Uncertain | NeedsCredentials | Gone | Refused | Moved | Missing


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer that says yes. `document` is its JSON, None where it has none."""

    document: Any
    headers: Mapping[str, str]
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: `writes` may have taken effect, `of_record` is about one record,
    `repeatable` does nothing when it is done again."""

    writes: bool = False
    of_record: bool = False
    repeatable: bool = False


def heard(
    description: Description, asked: Asked, said: Said, exchange: Exchange, now: float
) -> Heard | Trouble:
    match said:
        case NotSent(detail):
            return Unavailable(detail, exchange=exchange)
        case NoAnswer(detail):
            if asked.writes:
                return Uncertain(detail, exchange)
            return Unavailable(detail, exchange=exchange)
    return _answered(description, asked, said, exchange, now)


def _answered(
    description: Description, asked: Asked, said: Answer, exchange: Exchange, now: float
) -> Heard | Trouble:
    if HTTPStatus.MULTIPLE_CHOICES <= said.status < HTTPStatus.BAD_REQUEST:
        return Unavailable(plain(advice.redirected(said)), exchange=exchange)
    document = _document(said.body)
    for rule in description.errors:
        if _applies(rule, said, document):
            return _ruled(rule, description, said, document, exchange, now)
    if not meaning.is_success(said.status):
        return _refusal(description, asked, said, document, exchange, now)
    if said.body.strip() and document is None:
        return _unreadable(asked, said, exchange)
    return Heard(document, said.headers, exchange)


def _document(body: bytes) -> Any:
    """JSON of at most 32 levels, or None."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX):
        inside = (
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        )
        level = [v for values in inside for v in values if isinstance(v, dict | list)]
        if not level:
            return value
    return None


def _unreadable(asked: Asked, said: Answer, exchange: Exchange) -> Trouble:
    is_page = advice.is_web_page(said)
    if is_page:
        detail = (
            f"answered {said.status} with a web page where JSON belongs: the URL leads"
            " to a login page, a proxy or another site; correct it"
        )
    else:
        detail = (
            f"answered {said.status} with {len(said.body)} bytes that are no whole"
            " JSON: cut on the way, or longer than limits/answer_bytes"
        )
    if asked.writes:
        return Uncertain(detail, exchange)
    if is_page:
        return Refused(detail, exchange)
    return Unavailable(detail, exchange=exchange)


def _refusal(
    description: Description,
    asked: Asked,
    said: Answer,
    document: Any,
    exchange: Exchange,
    now: float,
) -> Trouble:
    detail = detail_of(description, said, document)
    match said.status:
        case HTTPStatus.FORBIDDEN if asked.of_record:
            return Refused(
                f"{detail}: our account may not do this with the record;"
                " give it the right, then retry",
                exchange,
            )
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return NeedsCredentials(
                f"{detail}: our account is not accepted; give the system's secret anew"
                " (rps system add … --secret-file)",
                exchange,
            )
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE if asked.of_record:
            return Missing(detail)
        case HTTPStatus.NOT_FOUND:
            return Refused(f"{detail}: are --url and --set right?", exchange)
    is_open = said.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not (
        said.status in _TURNED_AWAY or asked.repeatable
    )
    if asked.writes and is_open:
        return Uncertain(detail, exchange)
    outcome = meaning.classified(said, exchange, now)
    if isinstance(outcome, Unavailable):
        return Unavailable(detail, outcome.retry_after, exchange)
    return type(outcome)(detail, exchange)


def _applies(rule: ErrorRule, said: Answer, document: Any) -> bool:
    if rule.status and said.status not in rule.status:
        return False
    if rule.header:
        value = said.headers.get(rule.header)
        if value is None or (rule.header_is and value.strip() != rule.header_is):
            return False
    if rule.where:
        return template.picked(rule.where, document) is True
    return True


def _ruled(
    rule: ErrorRule,
    description: Description,
    said: Answer,
    document: Any,
    exchange: Exchange,
    now: float,
) -> Trouble:
    told = template.picked(rule.detail, document) if rule.detail else None
    detail = detail_of(description, said, document)
    if isinstance(told, str) and told:
        detail = plain(f"answered {said.status}: {told}")
    match rule.outcome:
        case "refused":
            return Refused(detail, exchange)
        case "credentials":
            return NeedsCredentials(detail, exchange)
        case "moved":
            return Moved(detail, exchange)
        case "gone":
            return Gone(detail, exchange)
        case "missing":
            return Missing(detail)
        case "unavailable":
            return Unavailable(detail, _pause(rule, said, now), exchange)


def _pause(rule: ErrorRule, said: Answer, now: float) -> float | None:
    """From a moment in seconds of the epoch, else as Retry-After says."""
    at = said.headers.get(rule.retry_at_header, "") if rule.retry_at_header else ""
    if at.strip().isdecimal() and len(at) < 12:  # noqa: PLR2004 - seconds of the epoch
        return min(max(float(at) - now, 0.0), meaning.RETRY_AFTER_SECONDS_MAX)
    return meaning.retry_after(said, now)


def detail_of(description: Description, said: Answer, document: Any) -> str:
    """The status and what the answer says of it, on one line."""
    told = template.picked(description.detail, document) if description.detail else None
    if isinstance(told, list):
        told = "; ".join(each for each in told if isinstance(each, str))
    if not isinstance(told, str) or not told:
        if isinstance(document, dict):
            return meaning.detail_of(said)
        is_text = said.headers.get("content-type", "").startswith("text/plain")
        told = said.body[:200].decode("utf-8", "replace") if is_text else ""
    return plain(f"answered {said.status}" + (f": {told}" if told else ""))


def plain(text: str) -> str:
    return meaning.CONTROLS.sub(" ", text)[:_DETAIL_CHARACTERS]
