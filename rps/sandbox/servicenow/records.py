"""Records of the instance: reading and writing them as one user."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from rps.sandbox.servicenow.answers import NoRecord, NotAllowed
from rps.sandbox.servicenow.query import read
from rps.sandbox.servicenow.rules import settle
from rps.sandbox.servicenow.selection import Selection, column_at
from rps.sandbox.servicenow.tables import TABLES
from rps.sandbox.servicenow.values import Writing, as_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from rps.sandbox.servicenow.access import Access
    from rps.sandbox.servicenow.behaviour import Policy
    from rps.sandbox.servicenow.tables import Table

Row = dict[str, str]

SCHEMA = """
CREATE TABLE IF NOT EXISTS rps_numbers (
  prefix TEXT PRIMARY KEY, next INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS rps_tokens (
  digest TEXT PRIMARY KEY, kind TEXT NOT NULL, user_name TEXT NOT NULL,
  client_id TEXT NOT NULL, ends_at REAL NOT NULL
);
"""
_SYS_ID = re.compile(r"[0-9a-f]{32}")
_NOT_AUDITED = frozenset({"sys_journal_field", "sys_audit_delete", "sys_choice"})
"""Their deletions are not written down."""


def new_id() -> str:
    """A sys_id."""
    return uuid.uuid4().hex


class Records:
    """One user's reading and writing, within one transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        access: Access,
        now: str,
        policies: Iterable[Policy] = (),
    ) -> None:
        self.connection = connection
        self.access = access
        self._actor = access.actor
        self._now = now
        self._policies = policies

    def get(self, table: Table, sys_id: str) -> Row:
        """The row; raises NoRecord where there is none that the user may see."""
        row = self._row(table, sys_id)
        if not self.access.reads(table) or not self.access.sees(
            self.connection, table, row
        ):
            raise NoRecord
        return row

    def insert(
        self, table: Table, fields: Mapping[str, Any], *, as_display: bool = False
    ) -> Row:
        """Add a record; raises NotAllowed."""
        if not self.access.creates(table):
            raise NotAllowed("ACL Exception Insert Failed due to security constraints")
        held = self._new(table) | self._own_id(table, fields)
        row = {**held, **self._heard(table, fields, as_display=as_display)}
        row = settle(table, held, row, self._actor.id, self._now)
        self.add(table, row)
        self._append(table, row["sys_id"], self._journals(table, fields))
        self._check(table, row["sys_id"])
        return row

    def update(
        self,
        table: Table,
        sys_id: str,
        fields: Mapping[str, Any],
        *,
        as_display: bool = False,
    ) -> Row:
        """Set fields; what says what is so already changes nothing."""
        held = self.get(table, sys_id)
        if not self.access.updates(table, held):
            raise NotAllowed("ACL Exception Update Failed due to security constraints")
        row = {**held, **self._heard(table, fields, as_display=as_display)}
        row = settle(table, held, row, self._actor.id, self._now)
        journals = self._journals(table, fields)
        if row == held and not journals:
            return held
        self._append(table, sys_id, journals)
        return self._store(table, held, row)

    def touch(self, table: Table, sys_id: str) -> None:
        """Count an update in which no field changed."""
        held = self._row(table, sys_id)
        self._store(table, held, held)

    def delete(self, table: Table, sys_id: str) -> None:
        """Remove a record with its journal and files; it is written down as deleted."""
        row = self.get(table, sys_id)
        if not self.access.deletes(table):
            raise NotAllowed("ACL Exception Delete Failed due to security constraints")
        run = self.connection.execute
        run(f"DELETE FROM {table.name} WHERE sys_id = ?", (sys_id,))  # noqa: S608 - our names
        run("DELETE FROM sys_journal_field WHERE element_id = ?", (sys_id,))
        run("DELETE FROM sys_attachment WHERE table_sys_id = ?", (sys_id,))
        if table.name not in _NOT_AUDITED:
            self._write_down(table, row)

    def add(self, table: Table, row: Row) -> None:
        """Insert the row as it is."""
        names = ", ".join(row)
        places = ", ".join(f":{name}" for name in row)
        self.connection.execute(
            f"INSERT INTO {table.name} ({names}) VALUES ({places})",  # noqa: S608 - our names
            row,
        )

    def new_row(self, table: Table) -> Row:
        """A row of defaults that says who makes it and when."""
        row = {c.name: c.default for c in table.columns.values() if c.stored}
        by, now = self._actor.name, self._now
        row |= {"sys_id": new_id(), "sys_created_on": now, "sys_created_by": by}
        row |= {"sys_updated_on": now, "sys_updated_by": by}
        return row

    def _row(self, table: Table, sys_id: str) -> Row:
        found = self.connection.execute(
            f"SELECT * FROM {table.name} WHERE sys_id = ?",  # noqa: S608 - our names
            (sys_id,),
        ).fetchone()
        if found is None:
            raise NoRecord
        return {name: str(found[name]) for name in found.keys()}  # noqa: SIM118 - a sqlite3.Row

    def _new(self, table: Table) -> Row:
        row = self.new_row(table)
        if table.is_task:
            row |= {
                "number": self._next_number(table),
                "sys_class_name": table.name,
                "opened_at": self._now,
                "opened_by": self._actor.id,
            }
        if table.name == "incident" and not self._actor.roles:
            row["caller_id"] = self._actor.id
        return row

    def _own_id(self, table: Table, fields: Mapping[str, Any]) -> Row:
        """Whoever makes a record may choose its sys_id."""
        chosen = fields.get("sys_id")
        if not isinstance(chosen, str) or not _SYS_ID.fullmatch(chosen):
            return {}
        found = self.connection.execute(
            f"SELECT 1 FROM {table.name} WHERE sys_id = ?",  # noqa: S608 - our names
            (chosen,),
        ).fetchone()
        if found:
            raise NotAllowed(f"Error during insert of {table.name} ({chosen})")
        return {"sys_id": chosen}

    def _next_number(self, table: Table) -> str:
        found = self.connection.execute(
            "INSERT INTO rps_numbers VALUES (:prefix, :first + 1)"
            " ON CONFLICT (prefix) DO UPDATE SET next = next + 1"
            " RETURNING next - 1 AS number",
            {"prefix": table.prefix, "first": table.first_number},
        ).fetchone()
        return f"{table.prefix}{found['number']:07}"

    def _heard(
        self, table: Table, fields: Mapping[str, Any], *, as_display: bool
    ) -> Row:
        writing = Writing(self.connection, self._actor.zone, as_display=as_display)
        heard: Row = {}
        for name, value in fields.items():
            column = table.columns.get(name)
            if column is None or not column.stored:
                continue
            if self.access.writes_field(table, column):
                stored = writing.stored(table, column, value)
                if stored is not None:
                    heard[name] = stored
        return heard

    def _journals(self, table: Table, fields: Mapping[str, Any]) -> dict[str, str]:
        return {
            name: text
            for name, value in fields.items()
            if (column := table.columns.get(name))
            and column.kind == "journal"
            and self.access.writes_field(table, column)
            and (text := as_text(value))
        }

    def _append(self, table: Table, sys_id: str, journals: Mapping[str, str]) -> None:
        entries = TABLES["sys_journal_field"]
        for element, text in journals.items():
            said = {"name": table.name, "element": element, "element_id": sys_id}
            self.add(entries, {**self.new_row(entries), **said, "value": text})

    def _store(self, table: Table, held: Row, row: Row) -> Row:
        count = str(int(held["sys_mod_count"] or 0) + 1)
        by = {"sys_updated_on": self._now, "sys_updated_by": self._actor.name}
        row = {**row, **by, "sys_mod_count": count}
        moved = [name for name in row if row[name] != held[name]]
        self.connection.execute(
            f"UPDATE {table.name} SET {', '.join(f'{n} = :{n}' for n in moved)}"  # noqa: S608 - our names
            " WHERE sys_id = :sys_id",
            row,
        )
        self._check(table, row["sys_id"])
        return row

    def _check(self, table: Table, sys_id: str) -> None:
        """Raises NotAllowed where a policy does not let the record be like this."""
        for policy in self._policies:
            if policy.table != table.name:
                continue
            query = read(policy.query, lambda path: bool(column_at(table, path)))
            asked = Selection(table, query)
            found = self.connection.execute(
                f"SELECT 1 FROM {table.name} WHERE sys_id = ? AND ({asked.where})",  # noqa: S608 - our names
                (sys_id, *asked.parameters),
            ).fetchone()
            if found:
                raise NotAllowed(policy.message)

    def _write_down(self, table: Table, row: Row) -> None:
        audit = TABLES["sys_audit_delete"]
        said = {
            "tablename": table.name,
            "documentkey": row["sys_id"],
            "display_value": row.get(table.display, ""),
            "user": self._actor.id,
        }
        self.add(audit, {**self.new_row(audit), **said})
