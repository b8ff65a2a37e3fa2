"""One form for each value, whatever a remote system wrote it as.

Each reader takes JSON (never None or "", which clear a field) and returns the canonical
value or raises Unreadable. Reading a canonical value again changes nothing.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, assert_never

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.agreement import FieldType
    from rps.domain.field_map import Written

WHOLE_MAX = 2**53
"""Beyond it, systems that keep numbers as doubles change the last digits."""

NUMERAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
SERVICENOW = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
DATE_TIME_LENGTH_MAX = 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DURATION_MAX = 253_402_300_799
"""Seconds; as far as ServiceNow's way of writing durations reaches: to year 9999."""

ISO_DURATION = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,9})W)?(?:(?P<days>[0-9]{1,9})D)?(?:T(?=[0-9])"
    r"(?:(?P<hours>[0-9]{1,9})H)?(?:(?P<minutes>[0-9]{1,12})M)?"
    r"(?:(?P<seconds>[0-9]{1,12})(?:[.,]0{1,9})?S)?)?"
)
CLOCK_DURATION = re.compile(
    r"(?:(?P<days>[0-9]{1,9}) )?(?P<hours>[0-9]{1,9}):(?P<minutes>[0-5][0-9])"
    r":(?P<seconds>[0-5][0-9])"
)
UNITS: Final = {
    "weeks": 604_800,
    "days": 86_400,
    "hours": 3_600,
    "minutes": 60,
    "seconds": 1,
}
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


def _user(value: Any) -> str | None:
    """A key such as an e-mail address, in which capitals do not count."""
    return _reference(value).strip().casefold() or None


def _reference(value: Any) -> str:
    """The key of another record; some systems count them."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(_number(value))
    text = _text(value)
    if "\n" in text:
        raise Unreadable("is not a key; write one line")
    return text


def _duration(value: Any) -> int:
    """Whole seconds of `PT1H30M`, `1 01:30:00`, `1970-01-02 01:30:00` or a numeral."""
    seconds = _spelt(value) if isinstance(value, str) else _number(value)
    if not isinstance(seconds, int):
        raise Unreadable("has parts of a second; a duration is whole seconds")
    if not 0 <= seconds <= DURATION_MAX:
        raise Unreadable(f"is no duration from 0 to {DURATION_MAX} seconds")
    return seconds


def _spelt(value: str) -> int | float:
    if len(value) <= DATE_TIME_LENGTH_MAX:
        if SERVICENOW.fullmatch(value):
            return (instant(value) - EPOCH) // timedelta(seconds=1)
        found = ISO_DURATION.fullmatch(value) or CLOCK_DURATION.fullmatch(value)
        if found is not None and value != "P":
            return sum(
                int(count) * UNITS[unit]
                for unit, count in found.groupdict(default="0").items()
            )
    if NUMERAL.fullmatch(value):
        return _number(value)
    raise Unreadable("is not a duration; write seconds, PT1H30M or 1 01:30:00")


def duration_written(seconds: int, written_as: Written) -> int | str:
    """A shared duration as a member wants it."""
    match written_as:
        case "servicenow":
            moment = EPOCH + timedelta(seconds=seconds)
            return moment.replace(tzinfo=None).isoformat(" ")
        case "iso8601":
            days, rest = divmod(seconds, UNITS["days"])
            hours, rest = divmod(rest, UNITS["hours"])
            counts = (hours, "H"), (rest // 60, "M"), (rest % 60, "S")
            clock = "".join(f"{count}{unit}" for count, unit in counts if count)
            day = f"{days}D" if days else ""
            return f"P{day}T{clock}" if clock else f"P{day or 'T0S'}"
        case "seconds":
            return seconds
        case _:
            assert_never(written_as)


READERS: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    "text": _text,
    "choice": _choice,
    "number": _number,
    "boolean": _boolean,
    "date-time": _date_time,
    "tags": _tags,
    "user": _user,
    "reference": _reference,
    "duration": _duration,
}


def plain_text(value: Any) -> str:
    """A canonical value within a text; empty for none."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(value)
        case _:
            return str(value)
