"""How the Table API shows records: `sysparm_fields`, `_display_value` and links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from rps.sandbox.servicenow.clock import shown_time
from rps.sandbox.servicenow.selection import expression, walked
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from rps.sandbox.servicenow.access import Access
    from rps.sandbox.servicenow.tables import Column, Table

Display = Literal["false", "true", "all"]


@dataclass(frozen=True, slots=True)
class Manner:
    """`api` is the base of links: `https://host/api/now`."""

    api: str
    fields: tuple[str, ...] = ()
    display: Display = "false"
    links: bool = True


class Shapes:
    """Shows rows of one table to one user, within one transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        access: Access,
        table: Table,
        manner: Manner,
    ) -> None:
        self._connection = connection
        self._access = access
        self._table = table
        self._manner = manner
        self._names: dict[tuple[str, str], str] = {}
        self._said: dict[str, dict[str, list[str]]] = {}
        self.paths = self._seen(manner.fields or tuple(table.columns))
        self.columns = ", ".join(
            ("sys_id", *(expression(table, path) for path in self.paths))
        )

    def _seen(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those that there are and that the user may see, each once."""
        seen: dict[str, None] = {}
        for path in paths:
            found = walked(self._table, path)
            if found and self._access.sees_field(*found):
                seen[path] = None
        return tuple(seen)

    def shown(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """The rows of a SELECT of `columns`."""
        if self._manner.display != "false":
            self._read_journals([row[0] for row in rows])
        shapes = [self._shape(path) for path in self.paths]
        return [
            {
                path: shape(value, row[0])
                for path, shape, value in zip(self.paths, shapes, row[1:], strict=True)
            }
            for row in rows
        ]

    def _shape(self, path: str) -> Callable[[Any, str], Any]:
        found = walked(self._table, path)
        assert found  # noqa: S101 - `_seen` left out the others
        table, column = found
        if self._manner.display == "false":
            if column.kind == "reference" and self._manner.links:
                return self._linked(column)
            return lambda value, _: str(value)
        display = self._displayed(table, column, path)
        link = self._manner.links and column.kind == "reference"
        if self._manner.display == "all":
            return self._both(column, display, link=link)
        if not link:
            return display
        return lambda value, record: (
            {"display_value": display(value, record), "link": self._link(column, value)}
            if value
            else ""
        )

    def _linked(self, column: Column) -> Callable[[Any, str], Any]:
        base = f"{self._manner.api}/table/{column.target}/"
        return lambda value, _: (
            {"link": f"{base}{value}", "value": value} if value else ""
        )

    def _both(
        self, column: Column, display: Callable[[Any, str], str], *, link: bool
    ) -> Callable[[Any, str], Any]:
        def both(value: Any, record: str) -> dict[str, str]:
            said = {"display_value": display(value, record), "value": str(value)}
            if link and value:
                said["link"] = self._link(column, value)
            return said

        return both

    def _link(self, column: Column, value: str) -> str:
        return f"{self._manner.api}/table/{column.target}/{value}"

    def _displayed(
        self, table: Table, column: Column, path: str
    ) -> Callable[[Any, str], str]:
        match column.kind:
            case "reference":
                return lambda value, _: self._name(column.target, value)
            case "choice" | "number_choice":
                labels = labels_of(self._connection, table, column)
                return lambda value, _: labels.get(str(value), str(value))
            case "date_time":
                zone = self._access.actor.zone
                return lambda value, _: shown_time(value, zone)
            case "journal" | "journal_list" if path == column.name:
                return lambda _, record: self._journal(column, record)
            case _:
                return lambda value, _: str(value)

    def _name(self, target: str, value: str) -> str:
        if not value:
            return ""
        key = (target, value)
        if key not in self._names:
            self._names[key] = name_of(self._connection, TABLES[target], value)
        return self._names[key]

    def _journal(self, column: Column, record: str) -> str:
        said = self._said.get(record, {})
        if column.kind == "journal":
            return "".join(said.get(column.name, ()))
        return "".join(entry for each in said.values() for entry in each)

    def _read_journals(self, ids: list[str]) -> None:
        """What was said in the records, newest first, by record and journal."""
        elements = [c for c in self._table.columns.values() if c.kind == "journal"]
        labels = {
            each.name: each.label
            for each in elements
            if self._access.sees_field(self._table, each)
        }
        if not labels or not any("comment" in p or "note" in p for p in self.paths):
            return
        zone = self._access.actor.zone
        for row in self._entries(ids):
            if row["element"] not in labels:
                continue
            when = shown_time(row["sys_created_on"], zone)
            label = labels[row["element"]]
            text = f"{when} - {row['by']} ({label})\n{row['value']}\n\n"
            said = self._said.setdefault(row["element_id"], {})
            said.setdefault(row["element"], []).append(text)

    def _entries(self, ids: list[str]) -> list[sqlite3.Row]:
        return self._connection.execute(
            "SELECT j.element_id, j.element, j.value, j.sys_created_on,"
            " coalesce(u.name, j.sys_created_by) AS by"
            " FROM sys_journal_field j"
            " LEFT JOIN sys_user u ON u.user_name = j.sys_created_by"
            " WHERE j.element_id IN (SELECT value FROM json_each(?))"
            " ORDER BY j.rowid DESC",
            (orjson.dumps(ids).decode(),),
        ).fetchall()


def labels_of(
    connection: sqlite3.Connection, table: Table, column: Column
) -> dict[str, str]:
    """The choices of a column by value; a table's own come before those of task."""
    rows = connection.execute(
        "SELECT value, label FROM sys_choice WHERE name IN (?, 'task')"
        " AND element = ? AND inactive <> 'true' ORDER BY name = 'task' DESC, sequence",
        (table.name, column.name),
    )
    return {row["value"]: row["label"] for row in rows}


def name_of(connection: sqlite3.Connection, table: Table, sys_id: str) -> str:
    """What a reference to the record is shown as."""
    found = connection.execute(
        f"SELECT {table.display} FROM {table.name} WHERE sys_id = ?",  # noqa: S608 - our names
        (sys_id,),
    ).fetchone()
    return str(found[0]) if found else ""
