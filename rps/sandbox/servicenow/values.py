"""What a client writes, as a column holds it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from rps.sandbox.servicenow.clock import read_time
from rps.sandbox.servicenow.passwords import hashed
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    import sqlite3

    from rps.sandbox.servicenow.tables import Column, Table

_INTEGER: Final = re.compile(r"-?\d{1,18}")
_TRUE: Final = ("true", "1", "yes")


def as_text(value: Any) -> str:
    """A JSON value as the text an instance takes it for."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return orjson.dumps(value).decode()


class Writing:
    """One user's values; `as_display` for sysparm_input_display_value."""

    def __init__(
        self, connection: sqlite3.Connection, zone: str, *, as_display: bool
    ) -> None:
        self._connection = connection
        self._zone = zone
        self._as_display = as_display

    def stored(self, table: Table, column: Column, value: Any) -> str | None:
        """What the column is to hold; None where the write is not heard."""
        text = as_text(value)
        match column.kind:
            case "boolean":
                return "true" if text.lower() in _TRUE else "false"
            case "integer":
                return str(int(text)) if _INTEGER.fullmatch(text) else ""
            case "choice" | "number_choice":
                return self._choice(table, column, text)
            case "date_time":
                return read_time(text, self._zone if self._as_display else "")
            case "reference":
                return self._reference(column, text)
            case "password":
                return hashed(text) if text else None
            case _:
                return text

    def _choice(self, table: Table, column: Column, text: str) -> str | None:
        """An empty text does not clear a choice; an unknown one is kept as it is."""
        if not text:
            return None
        if self._as_display:
            found = self._connection.execute(
                "SELECT value FROM sys_choice WHERE name IN (?, 'task')"
                " AND element = ? AND label = ?",
                (table.name, column.name, text),
            ).fetchone()
            text = found["value"] if found else text
        if column.kind == "number_choice" and _INTEGER.fullmatch(text):
            return str(int(text))
        return text

    def _reference(self, column: Column, text: str) -> str:
        if not text:
            return ""
        target = TABLES[column.target]
        by_id = f"SELECT sys_id FROM {target.name} WHERE sys_id = ?"  # noqa: S608 - our names
        by_name = f"SELECT sys_id FROM {target.name} WHERE {target.display} = ?"  # noqa: S608
        order = (by_name, by_id) if self._as_display else (by_id, by_name)
        for sql in order:
            found = self._connection.execute(sql, (text,)).fetchone()
            if found:
                return str(found["sys_id"])
        return "" if self._as_display else text
