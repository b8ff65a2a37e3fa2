"""Values as an instance says them: every one a text.

Written as the map gives them, moments as `YYYY-MM-DD HH:MM:SS` in UTC; read as the
instance keeps them, and as people see them where the system's settings say so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rps.domain.canonical import Unreadable, instant, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.agreement import FieldType

SYS_ID = re.compile(r"[0-9a-f]{32}")
FIELD = re.compile(r"[A-Za-z0-9_]{1,80}(\.[A-Za-z0-9_]{1,80}){0,3}")
TABLE = re.compile(r"[A-Za-z0-9_]{1,80}")
STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_TEXT_MAX = 1_000_000
_UNSTORABLE = re.compile("\x00")
SYSTEM_FIELDS: Final = (
    "sys_id",
    "sys_mod_count",
    "sys_updated_on",
    "sys_updated_by",
    "sys_created_on",
)


def said(value: Any, kind: FieldType | None = None) -> str:
    """A value of a write; `kind` is what its field is shared as, where it is known."""
    if kind == "date-time" and isinstance(value, str) and value:
        try:
            moment = instant(value).replace(microsecond=0, tzinfo=None)
        except Unreadable:
            return value
        return moment.isoformat(" ")
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value)
    return plain_text(value)


def is_same(shown: str, written: str) -> bool:
    """Whether a record shows what was written: line ends and blanks at the ends are
    the instance's."""
    return _plain(shown) == _plain(written)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def read_value(told: Any, *, as_display: bool) -> str | None:
    """Of `"text"`, `{"value", "link"}` or `{"value", "display_value"}`; None: it is no
    value."""
    if isinstance(told, dict):
        name = "display_value" if as_display else "value"
        told = told.get(name, told.get("value", told.get("display_value")))
    if told is None:
        return ""
    if isinstance(told, bool):
        return "true" if told else "false"
    if isinstance(told, int | float):
        return str(told)
    if not isinstance(told, str) or len(told) > _TEXT_MAX:
        return None
    return _UNSTORABLE.sub("\ufffd", told)


def read_row(row: Any, display: frozenset[str]) -> dict[str, str] | None:
    """A record; None where it is none."""
    if not isinstance(row, dict):
        return None
    values = {}
    for name, told in row.items():
        value = read_value(told, as_display=name in display)
        if value is not None:
            values[name] = value
    return values if SYS_ID.fullmatch(values.get("sys_id", "")) else None


def changed_fields(wanted: Mapping[str, str], row: Mapping[str, str]) -> dict[str, str]:
    """Those of `wanted` that the record does not show."""
    return {
        name: value
        for name, value in wanted.items()
        if name not in row or not is_same(row[name], value)
    }
