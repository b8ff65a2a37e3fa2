"""What a value has to pass to be as one condition of an encoded query wants it.

Tests are handed canonical values (`rps.domain.canonical`), None for an empty field.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rps.domain.canonical import READERS, Unreadable, instant
from rps.domain.problem import listed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from rps.domain.agreement import FieldType
    from rps.domain.encoded_query import Comparison

NULL = "NULL"
"""How a filter writes "empty" where it wants a value."""

DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DAY = timedelta(days=1) - timedelta(microseconds=1)

_ANY: Final = ("ISEMPTY", "ISNOTEMPTY", "ANYTHING", "CHANGES")
_EQUAL: Final = ("=", "!=", "CHANGESFROM", "CHANGESTO")
_ORDER: Final = ("<", "<=", ">", ">=", "BETWEEN")
_PART: Final = ("LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH")
_LIST: Final = ("IN", "NOT IN")
MEANT: Final[Mapping[FieldType, Collection[str]]] = {
    "text": (*_ANY, *_EQUAL, *_ORDER, *_PART, *_LIST),
    "choice": (*_ANY, *_EQUAL, *_ORDER, *_PART, *_LIST),
    "number": (*_ANY, *_EQUAL, *_ORDER, *_LIST),
    "boolean": (*_ANY, *_EQUAL, *_LIST),
    "date-time": (*_ANY, *_EQUAL, *_ORDER, "SINCE"),
    "tags": (*_ANY, *_EQUAL, *_LIST, "LIKE", "NOT LIKE"),
    "user": (*_ANY, *_EQUAL, *_PART, *_LIST),
    "reference": (*_ANY, *_EQUAL, *_PART, *_LIST),
    "duration": (*_ANY, *_EQUAL, *_ORDER, *_LIST),
}
"""The operators that say something about a field of each type."""

_NEGATED: Final = {"!=": "=", "NOT IN": "IN", "NOT LIKE": "LIKE"}


def passing(
    asked: Comparison, kind: FieldType, known: tuple[str, ...]
) -> Callable[[Any], bool]:
    """Raises Unreadable where a value of the condition is none of the type `kind`."""
    operator = asked.operator
    if operator in ("ISEMPTY", "ISNOTEMPTY"):
        return _is_empty if operator == "ISEMPTY" else _is_not_empty
    if operator in ("ANYTHING", "CHANGES"):
        return _anything
    if asked.values == (NULL,) and operator in _EQUAL:
        return _is_not_empty if operator == "!=" else _is_empty
    positive = _NEGATED.get(operator, operator)
    if kind == "choice" and positive in {*_EQUAL, *_LIST}:
        _are_known(asked.values, known)
    passes = _compared_with(positive, asked.values, kind)
    if positive is operator:
        return lambda value: value is not None and passes(value)
    if operator == "NOT LIKE":
        return lambda value: value is None or not passes(value)
    return lambda value: value is not None and not passes(value)


def _compared_with(
    operator: str, values: tuple[str, ...], kind: FieldType
) -> Callable[[Any], bool]:
    if operator in _PART:
        return _part(operator, values[0], kind)
    if kind == "date-time":
        return _moment(operator, values)
    if kind == "tags":
        return _tagged(operator, values)
    return _scalar(operator, values, kind)


def _is_empty(value: Any) -> bool:
    return value is None


def _is_not_empty(value: Any) -> bool:
    return value is not None


def _anything(_value: Any) -> bool:
    return True


def _are_known(values: tuple[str, ...], known: tuple[str, ...]) -> None:
    folded = {each.casefold() for each in known}
    for value in values:
        if folded and value.casefold() not in folded:
            raise Unreadable(
                f"{shown(value)} is no value of the field; known: {listed(known)}"
            )


def _part(operator: str, value: str, kind: FieldType) -> Callable[[Any], bool]:
    part = value.casefold()
    if kind == "tags":
        return lambda tags: any(part.strip() == tag.casefold() for tag in tags)
    if operator == "STARTSWITH":
        return lambda text: text.casefold().startswith(part)
    if operator == "ENDSWITH":
        return lambda text: text.casefold().endswith(part)
    return lambda text: part in text.casefold()


def _moment(operator: str, values: tuple[str, ...]) -> Callable[[Any], bool]:
    first = [_first(value) for value in values]
    last = [_last(value, start) for value, start in zip(values, first, strict=True)]
    low, high = first[0], last[-1]
    tests: dict[str, Callable[[datetime], bool]] = {
        "<": lambda at: at < low,
        "<=": lambda at: at <= high,
        ">": lambda at: at > high,
        ">=": lambda at: at >= low,
        "SINCE": lambda at: at >= low,
    }
    within: Callable[[datetime], bool] = tests.get(
        operator, lambda at: low <= at <= high
    )
    return lambda value: within(instant(value))


def _first(value: str) -> datetime:
    said = value.strip()
    try:
        if DATE.fullmatch(said):
            return datetime.fromisoformat(said).replace(tzinfo=UTC)
        return instant(said)
    except (ValueError, Unreadable):
        raise Unreadable(
            f"{shown(value)} is not '2024-01-01' or '2024-01-01 00:00:00' (UTC)"
        ) from None


def _last(value: str, first: datetime) -> datetime:
    try:
        return first + DAY if DATE.fullmatch(value.strip()) else first
    except OverflowError:
        raise Unreadable(f"{shown(value)} is too late") from None


def _tagged(operator: str, values: tuple[str, ...]) -> Callable[[Any], bool]:
    if operator == "IN":
        wanted = {value.casefold() for value in values}
        return lambda tags: any(tag.casefold() in wanted for tag in tags)
    whole = {tag.casefold() for tag in READERS["tags"](values[0]) or ()}
    return lambda tags: {tag.casefold() for tag in tags} == whole


def _scalar(
    operator: str, values: tuple[str, ...], kind: FieldType
) -> Callable[[Any], bool]:
    if operator in _ORDER:
        return _ordered(operator, values, kind)
    wanted = {_key(value, kind) for value in values}
    return lambda value: _key(value, kind) in wanted


def _ordered(
    operator: str, values: tuple[str, ...], kind: FieldType
) -> Callable[[Any], bool]:
    low, high = _rank(values[0], kind), _rank(values[-1], kind)
    tests: dict[str, Callable[[tuple[int, Any]], bool]] = {
        "<": lambda rank: rank < low,
        "<=": lambda rank: rank <= low,
        ">": lambda rank: rank > low,
        ">=": lambda rank: rank >= low,
    }
    within: Callable[[tuple[int, Any]], bool] = tests.get(
        operator, lambda rank: low <= rank <= high
    )

    def compared(value: Any) -> bool:
        rank = _rank(value, kind)
        return rank[0] == low[0] == high[0] and within(rank)

    return compared


def _key(value: Any, kind: FieldType) -> Any:
    try:
        read = READERS[kind](
            value.strip()
            if kind in ("number", "boolean", "duration") and isinstance(value, str)
            else value
        )
    except Unreadable as unreadable:
        raise Unreadable(f"{shown(value)} {unreadable}") from None
    return read.casefold() if isinstance(read, str) else read


def _rank(value: Any, kind: FieldType) -> tuple[int, Any]:
    """What orders values. Choices that are numerals are numbers, as ServiceNow keeps
    priorities and states; a numeral and a word have no order."""
    key = _key(value, kind)
    if kind == "choice":
        try:
            return 0, READERS["number"](key)
        except Unreadable:
            return 1, key
    return 0, key
