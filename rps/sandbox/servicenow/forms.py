"""A record as a form: what a person sees of it, and what they altered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rps.sandbox.servicenow.answers import NotAllowed
from rps.sandbox.servicenow.clock import shown_time
from rps.sandbox.servicenow.shapes import Manner, Shapes, labels_of
from rps.sandbox.servicenow.tables import SYSTEM, TABLES, UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.sandbox.servicenow.records import Records
    from rps.sandbox.servicenow.tables import Column, Table

NEW: Final = "-1"
"""The sys_id of a record that is still to be made, as in an instance's own links."""
FIRST: Final = (
    "short_description",
    "description",
    "state",
    "priority",
    "impact",
    "urgency",
    "caller_id",
    "account",
    "contact",
    "requested_by",
    "assignment_group",
    "assigned_to",
    "category",
    "type",
    "risk",
)
"""Fields of a task that are shown before the others."""
LONG: Final = frozenset(
    {"description", "close_notes", "cause_notes", "fix_notes", "workaround"}
)
NAMES_MAX: Final = 200
_SHOWN_BEFORE: Final = "was."
_FIELD: Final = "field."


@dataclass(frozen=True, slots=True)
class Input:
    """One field; `options` are a choice's values and labels, `names` of a reference."""

    column: Column
    value: str
    shown: str
    writable: bool
    options: dict[str, str]
    long: bool


@dataclass(frozen=True, slots=True)
class Form:
    """`sys_id` is NEW for a record that is not there yet."""

    sys_id: str
    title: str
    first: list[Input]
    others: list[Input]
    about: dict[str, str]
    journals: list[Column]
    entries: list[dict[str, str]]
    files: list[dict[str, str]]
    names: dict[str, list[str]]

    @classmethod
    def of(cls, records: Records, table: Table, sys_id: str) -> Form:
        """Raises NoRecord, NotAllowed."""
        if sys_id == NEW:
            if not records.access.creates(table):
                raise NotAllowed("You may not make a record of this table")
            row = {c.name: c.default for c in table.columns.values() if c.stored}
            row |= {"sys_id": NEW}
            writable = True
        else:
            row = records.get(table, sys_id)
            writable = records.access.updates(table, row)
        inputs = _inputs(records, table, row, writable=writable)
        places = {name: place for place, name in enumerate(FIRST)}
        first = [each for each in inputs if each.column.name in places]
        return cls(
            sys_id,
            row.get(table.display, "") if sys_id != NEW else f"New {table.label}",
            sorted(first, key=lambda each: places[each.column.name]),
            [each for each in inputs if each.column.name not in places],
            {c.label: row.get(c.name, "") for c in SYSTEM},
            _journals(records, table) if writable else [],
            _entries(records, table, sys_id),
            _files(records, sys_id),
            _names(records, table),
        )


def altered(form: Mapping[str, str]) -> dict[str, str]:
    """The fields whose text is not what the form showed.

    What changed meanwhile and was not touched on the form stays as it is.
    """
    fields = {}
    for key, text in form.items():
        name = key.removeprefix(_FIELD)
        if key.startswith(_FIELD) and text != form.get(f"{_SHOWN_BEFORE}{name}"):
            fields[name] = text.replace("\r\n", "\n")  # a form sends CRLF
    return fields


def _inputs(
    records: Records, table: Table, row: Mapping[str, str], *, writable: bool
) -> list[Input]:
    access = records.access
    shown = _displayed(records, table, row)
    return [
        Input(
            column,
            row[column.name],
            shown.get(column.name, row[column.name]),
            writable and access.writes_field(table, column),
            _options(records, table, column),
            column.name in LONG or "\n" in row[column.name],
        )
        for column in table.columns.values()
        if column.stored
        and column.name not in UNWRITABLE
        and access.sees_field(table, column)
    ]


def _displayed(
    records: Records, table: Table, row: Mapping[str, str]
) -> Mapping[str, str]:
    if row["sys_id"] == NEW:
        return {}
    manner = Manner("", (), "true", links=False)
    shapes = Shapes(records.connection, records.access, table, manner)
    rows = records.connection.execute(
        f"SELECT {shapes.columns} FROM {table.name} WHERE sys_id = ?",  # noqa: S608 - our names
        (row["sys_id"],),
    ).fetchall()
    found: Mapping[str, str] = shapes.shown(rows)[0]
    return found


def _options(records: Records, table: Table, column: Column) -> dict[str, str]:
    if column.kind == "boolean":
        return {"true": "true", "false": "false"}
    if column.kind in ("choice", "number_choice"):
        return labels_of(records.connection, table, column)
    return {}


def _journals(records: Records, table: Table) -> list[Column]:
    return [
        column
        for column in table.columns.values()
        if column.kind == "journal" and records.access.writes_field(table, column)
    ]


def _entries(records: Records, table: Table, sys_id: str) -> list[dict[str, str]]:
    """Newest first."""
    access, zone = records.access, records.access.actor.zone
    rows = records.connection.execute(
        "SELECT * FROM sys_journal_field WHERE name = ? AND element_id = ?"
        " ORDER BY rowid DESC",
        (table.name, sys_id),
    )
    return [
        {
            "label": column.label,
            "element": row["element"],
            "by": row["sys_created_by"],
            "at": shown_time(row["sys_created_on"], zone),
            "text": row["value"],
        }
        for row in rows
        if (column := table.columns.get(row["element"]))
        and access.sees_field(table, column)
    ]


def _files(records: Records, sys_id: str) -> list[dict[str, str]]:
    rows = records.connection.execute(
        "SELECT * FROM sys_attachment WHERE table_sys_id = ? ORDER BY rowid", (sys_id,)
    )
    zone = records.access.actor.zone
    return [
        {**dict(row), "at": shown_time(row["sys_created_on"], zone)} for row in rows
    ]


def _names(records: Records, table: Table) -> dict[str, list[str]]:
    """What references may be set to, by table."""
    targets = {c.target for c in table.columns.values() if c.target}
    return {name: _names_of(records, TABLES[name]) for name in sorted(targets)}


def _names_of(records: Records, target: Table) -> list[str]:
    rows: Any = records.connection.execute(
        f"SELECT {target.display} FROM {target.name}"  # noqa: S608 - our names
        " ORDER BY sys_updated_on DESC LIMIT ?",
        (NAMES_MAX,),
    )
    return sorted(row[0] for row in rows)
