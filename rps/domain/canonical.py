"""One form for each value, whatever a remote system wrote it as.

Each reader takes JSON (never None or "", which clear a field) and returns the canonical
value or raises Unreadable. Reading a canonical value again changes nothing.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.agreement import FieldType

WHOLE_MAX = 2**53
"""Beyond it, systems that keep numbers as doubles change the last digits."""

NUMERAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
SERVICENOW = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
DATE_TIME_LENGTH_MAX = 40
BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}


class Unreadable(ValueError):
    """The value is not of the field's type; the text goes on after the value."""


def instant(value: Any) -> datetime:
    """A moment in UTC: ISO 8601 with a zone, or ServiceNow's UTC without one."""
    if not isinstance(value, str) or len(value) > DATE_TIME_LENGTH_MAX:
        raise Unreadable("is not a date-time; write ISO 8601 with a zone")
    try:
        moment = datetime.fromisoformat(
            value + "Z" if SERVICENOW.fullmatch(value) else value
        )
    except ValueError:
        raise Unreadable("is not a date-time; write ISO 8601 with a zone") from None
    if moment.tzinfo is None:
        raise Unreadable("has no zone; end it with Z or an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Unreadable("is outside the years 1 to 9999 in UTC") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable("is not a text")
    text: str = value
    if "\r" in text:
        # a lone return counts too, else reading the result again would change it
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _storable(text):
        raise Unreadable("holds a character that no database takes")
    return text


def _storable(text: str) -> bool:
    """Neither NUL nor half of a surrogate pair."""
    if "\x00" in text:
        return False
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _choice(value: Any) -> str:
    """Systems give the same choice as a text, a number or a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) <= WHOLE_MAX:
        return str(value)
    if not isinstance(value, str):
        raise Unreadable("is not a choice; write a text")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, str) and NUMERAL.fullmatch(value):
        value = int(value) if value.lstrip("-").isdigit() else float(value)
    if isinstance(value, float):
        return _whole_where_exact(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable("is not a number")
    if abs(value) > WHOLE_MAX:
        raise Unreadable("has more digits than JSON keeps; share it as a text")
    return value


def _whole_where_exact(value: float) -> int | float:
    if not math.isfinite(value):
        raise Unreadable("is not a finite number")
    return int(value) if value.is_integer() and abs(value) <= WHOLE_MAX else value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = BOOLEANS.get(str(value).lower()) if _short(value) else None
    if known is None:
        raise Unreadable("is not true or false")
    return known


def _short(value: Any) -> bool:
    if isinstance(value, int):
        return value in (0, 1)
    return isinstance(value, str) and len(value) <= len("false")


def _date_time(value: Any) -> str:
    return instant(value).isoformat().replace("+00:00", "Z")


def _tags(value: Any) -> list[str] | None:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise Unreadable("is not a list of texts")
    found: set[str] = set()
    for part in parts:
        tag = _text(part).strip()
        if "," in tag:
            # systems that keep tags in one text could not tell it from two
            raise Unreadable("holds a tag with a comma")
        if tag:
            found.add(tag)
    return sorted(found) or None


READERS: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    "text": _text,
    "choice": _choice,
    "number": _number,
    "boolean": _boolean,
    "date-time": _date_time,
    "tags": _tags,
}
