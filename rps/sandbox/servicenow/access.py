"""Who may see and write what: the instance's ACLs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rps.sandbox.servicenow.tables import TABLES, TASKS, UNWRITABLE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from rps.sandbox.servicenow.tables import Column, Table

ADMIN: Final = "admin"
READ_ONLY: Final = "snc_read_only"
WRITERS: Final = frozenset({"itil", "itil_comments_only", "sn_customerservice_agent"})
STAFF: Final = WRITERS | {READ_ONLY}
AUDIT_READER: Final = "audit_delete_reader"
REQUESTERS: Final = ("caller_id", "opened_by", "contact", "requested_by")
"""Columns that name whose record it is: people without a role see their own."""
OWN_FIELDS: Final = frozenset(
    {"short_description", "description", "comments", "impact", "urgency", "category"}
)
"""What people without a role write in records of their own."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who asks; `zone` is their time zone, "" for UTC."""

    name: str
    id: str
    roles: frozenset[str]
    zone: str = ""


class Access:
    """One user's rights."""

    def __init__(
        self, actor: Actor, field_roles: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.actor = actor
        self._field_roles = field_roles
        self._admin = ADMIN in actor.roles
        self._staff = self._admin or bool(actor.roles & STAFF)

    def reads(self, table: Table) -> bool:
        if table.name == "sys_audit_delete":
            return self._admin or AUDIT_READER in self.actor.roles
        return True

    def creates(self, table: Table) -> bool:
        if table.name == "sys_attachment":
            return False  # but through the Attachment API, with the bytes
        if table.name == "incident" and READ_ONLY not in self.actor.roles:
            return True
        return self._writes(table)

    def updates(self, table: Table, row: Mapping[str, str]) -> bool:
        if READ_ONLY in self.actor.roles:
            return self._admin
        return self._writes(table) or (table.is_task and self._owns(row))

    def deletes(self, table: Table) -> bool:
        return self._writes(table) or (
            table.name == "sys_attachment" and bool(self.actor.roles & WRITERS)
        )

    def _writes(self, table: Table) -> bool:
        if table.name == "sys_audit_delete":
            return False
        if self._admin:
            return True
        return (
            table.is_task
            and READ_ONLY not in self.actor.roles
            and bool(self.actor.roles & WRITERS)
        )

    def sees_field(self, table: Table, column: Column) -> bool:
        if column.kind == "password":
            return False
        return self._admin or self._has_role_for(table, column.name)

    def writes_field(self, table: Table, column: Column) -> bool:
        if column.name in UNWRITABLE or column.kind == "journal_list":
            return False
        if table.name == "sys_attachment" and column.name != "file_name":
            return False
        if self._admin:
            return True
        if not self.actor.roles & WRITERS and column.name not in OWN_FIELDS:
            return False
        return self._has_role_for(table, column.name)

    def _has_role_for(self, table: Table, name: str) -> bool:
        roles = self._field_roles.get(f"{table.name}.{name}")
        if roles is None:
            roles = self._field_roles.get(name) if table.is_task else None
        return roles is None or bool(self.actor.roles.intersection(roles))

    def sees(
        self, connection: sqlite3.Connection, table: Table, row: Mapping[str, str]
    ) -> bool:
        """Whether the record itself may be seen."""
        if table.is_task:
            return self._staff or self._owns(row)
        if table.name == "sys_journal_field":
            about = TABLES.get(row["name"])
            column = about and about.columns.get(row["element"])
            if about and column and not self.sees_field(about, column):
                return False
            return self._sees_record(connection, row["name"], row["element_id"])
        if table.name == "sys_attachment":
            return self._sees_record(connection, row["table_name"], row["table_sys_id"])
        return True

    def sees_all(self, table: Table) -> bool:
        """Whether no record of the table has to be looked at for that."""
        if self._admin:
            return True
        if table.name == "sys_journal_field":
            return False
        return self._staff or table.name not in {*TASKS, "sys_attachment"}

    def _sees_record(self, connection: sqlite3.Connection, name: str, id_: str) -> bool:
        if self._staff or name not in TASKS:
            return True
        table = TABLES[name]
        columns = [each for each in REQUESTERS if each in table.columns]
        found = connection.execute(
            f"SELECT {', '.join(columns)} FROM {name} WHERE sys_id = ?",  # noqa: S608 - our names
            (id_,),
        ).fetchone()
        return found is not None and self.actor.id in tuple(found)

    def _owns(self, row: Mapping[str, str]) -> bool:
        return any(row.get(column) == self.actor.id for column in REQUESTERS)
