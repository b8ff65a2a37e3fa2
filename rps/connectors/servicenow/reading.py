"""Records of an instance as rps takes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rps.connectors.servicenow.answers import NotThere
from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.words import FIELD, SYSTEM_FIELDS
from rps.domain.delivery import Missing, Refused, Snapshot, Unavailable, Uncertain
from rps.domain.problem import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.instance import Instance
    from rps.connectors.servicenow.settings import Settings
    from rps.domain.delivery import Reading
    from rps.domain.uses import Uses

Row = dict[str, str]
COLUMNS_SECONDS = 300.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True)
class Records:
    """`uses` tells what definitions have to do with a table; without any, all of a
    record is read."""

    instance: Instance
    uses: Callable[[str], Uses]
    _known: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.instance.settings

    def columns(self, table: str) -> tuple[str, ...]:
        """What is asked for of a record; none: all."""
        used = self.uses(table)
        if not used.fields:
            return ()
        named = self.settings.correlation_field
        wanted = (*SYSTEM_FIELDS, *((named,) if named else ()), *sorted(used.fields))
        return tuple(dict.fromkeys(name for name in wanted if FIELD.fullmatch(name)))

    def row(self, table: str, record_id: str) -> Row | NotThere | Trouble:
        return self.instance.record(table, record_id, self.columns(table))

    def values(self, table: str, row: Row) -> dict[str, str]:
        """The record's fields, without what is the instance's own."""
        used = self.uses(table)
        if used.fields:
            return {name: row[name] for name in used.fields if name in row}
        return {
            name: value
            for name, value in row.items()
            if name not in SYSTEM_FIELDS and name not in used.journals
        }

    def snapshot(self, table: str, row: Row) -> Snapshot:
        return Snapshot(
            row["sys_id"],
            row.get("sys_mod_count") or None,
            self.values(table, row),
            updated_at=row.get("sys_updated_on") or None,
        )

    def external_id(self, row: Row) -> str | None:
        """The correlation that the record is of; "": rps did not make it; None: nobody
        can tell, as the column does not show."""
        named = self.settings.correlation_field
        if not named or named not in row:
            return None
        told = row[named].strip().lower()
        return told if _UUID.fullmatch(told) else ""

    def known_columns(self, table: str) -> frozenset[str]:
        """Of a record that the account may read; none where there is no record."""
        since, known = self._known.get(table, (0.0, frozenset[str]()))
        now = self.instance.clock()
        if known and now - since < COLUMNS_SECONDS:
            return known
        came = self.instance.rows(table, "ORDERBYDESCsys_updated_on", limit=1)
        if isinstance(came, Rows) and came.rows:
            known = frozenset(came.rows[0])
            self._known[table] = (now, known)
        return known

    # --- the protocol's -------------------------------------------------------------

    def read(self, table: str, record_id: str) -> Reading:
        row = self.row(table, record_id)
        match row:
            case dict():
                return self.snapshot(table, row)
            case NotThere(detail):
                return Missing(detail)
            case Uncertain(detail, exchange):
                return Unavailable(detail, exchange=exchange)
            case _:
                return row

    def find(self, table: str, by: str, value: str) -> Reading:
        if FIELD.fullmatch(by) is None:
            return Refused(f"{shown(by)} is no field's name")
        if not value or "^" in value or "\n" in value:
            return Refused(f"{shown(value)} cannot stand in a query")
        columns = self.columns(table)
        fields = tuple(dict.fromkeys((*columns, by))) if columns else ()
        came = self.instance.rows(table, f"{by}={value}", fields=fields, limit=2)
        match came:
            case Rows():
                return self._only_one(table, by, value, came)
            case Uncertain(detail, exchange):
                return Unavailable(detail, exchange=exchange)
            case _:
                return came

    def _only_one(self, table: str, by: str, value: str, came: Rows) -> Reading:
        if not came.rows:
            return Missing("there is none")
        if any(not _has(row, by, value) for row in came.rows):
            return Refused(
                f"{table} cannot be searched by {by}: there is no such column, or the"
                " account may not read it"
            )
        if len(came.rows) > 1:
            return Refused(f"{came.total or 2} records of {table} have it")
        found = self.snapshot(table, came.rows[0])
        others = {n: v for n, v in came.rows[0].items() if n not in SYSTEM_FIELDS}
        return replace(found, fields=others)


def _has(row: Row, by: str, value: str) -> bool:
    return by in row and row[by].casefold() == value.casefold()
