"""What a new instance holds: people, groups, choices and, if asked for, incidents."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rps.sandbox.servicenow.choices import CHOICES
from rps.sandbox.servicenow.clock import FORMAT
from rps.sandbox.servicenow.passwords import hashed
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from rps.sandbox.servicenow.settings import InstanceSettings

Row = dict[str, str]

INTEGRATION: Final = "rps.integration"
"""Whom a client that comes with its own credentials only acts as."""
USERS: Final = {
    "admin": ("System Administrator", "admin", "", "true"),
    INTEGRATION: (
        "RPS Integration",
        "itil,sn_customerservice_agent,audit_delete_reader",
        "",
        "true",
    ),
    "ann.agent": ("Ann Agent", "itil", "America/New_York", "true"),
    "carl.case": ("Carl Case", "sn_customerservice_agent", "", "true"),
    "norm.nonotes": ("Norm Nonotes", "itil_comments_only", "", "true"),
    "rita.reader": ("Rita Reader", "snc_read_only", "", "true"),
    "paul.portal": ("Paul Portal", "", "", "true"),
    "ina.inactive": ("Ina Inactive", "itil", "", "false"),
}
"""Full name, roles, time zone, active."""
GROUPS: Final = ("Service Desk", "Network", "Hardware", "Database")
COMPANIES: Final = ("Acme", "Zenith")
ITEMS: Final = ("mail-01", "web-01", "db-01")
SUBJECTS: Final = (
    "Printer on fire",
    "Cannot log in",
    "Mail does not arrive",
    "Screen stays black",
    "Network is slow on the third floor",
)
SOWN: Final = "system"


def sow(connection: sqlite3.Connection, settings: InstanceSettings, now: str) -> None:
    """Fill a new database; set the passwords in an old one."""
    sower = _Sower(connection, settings.name, now)
    if connection.execute("SELECT 1 FROM sys_user").fetchone() is None:
        sower.people()
        sower.choices()
        sower.incidents(settings.rows)
    kept = hashed(settings.password)
    connection.executemany(
        "UPDATE sys_user SET user_password = ? WHERE user_name = ?",
        [(kept, user_name) for user_name in USERS],
    )


class _Sower:
    def __init__(self, connection: sqlite3.Connection, name: str, now: str) -> None:
        self._connection = connection
        self._name = name
        self._now = now

    def people(self) -> None:
        for user_name, (name, roles, zone, active) in USERS.items():
            first, _, last = name.partition(" ")
            said = {"user_name": user_name, "name": name, "roles": roles}
            named = {"first_name": first, "last_name": last, "time_zone": zone}
            more = {"email": f"{user_name}@example.com", "active": active}
            self._add("sys_user", user_name, {**said, **named, **more})
        for table, names in (
            ("sys_user_group", GROUPS),
            ("core_company", COMPANIES),
            ("cmdb_ci", ITEMS),
        ):
            for name in names:
                self._add(table, name, {"name": name})

    def choices(self) -> None:
        for (table, element), labels in CHOICES.items():
            for place, (value, label) in enumerate(labels.items(), 1):
                said = {"name": table, "element": element, "value": value}
                key = f"{table}.{element}.{value}"
                more = {"label": label, "sequence": str(place)}
                self._add("sys_choice", key, {**said, **more})

    def incidents(self, count: int) -> None:
        """As many, one a minute, the newest of them now."""
        table = TABLES["incident"]
        rows = (self._incident(n, count) for n in range(count))
        self._add_all("incident", rows)
        self._connection.execute(
            "INSERT INTO rps_numbers VALUES (?, ?)",
            (table.prefix, table.first_number + count),
        )

    def _incident(self, n: int, count: int) -> Row:
        table = TABLES["incident"]
        newest = datetime.strptime(self._now, FORMAT)  # noqa: DTZ007 - in UTC, as all are
        when = (newest - timedelta(minutes=count - 1 - n)).strftime(FORMAT)
        by = self._id("sys_user", "ann.agent")
        return {
            **self._row("incident", str(n)),
            "number": f"{table.prefix}{table.first_number + n:07}",
            "short_description": SUBJECTS[n % len(SUBJECTS)],
            "description": f"Example ticket {n + 1} of {count}.",
            "state": str(1 + n % 3),
            "incident_state": str(1 + n % 3),
            "sys_class_name": "incident",
            "caller_id": self._id("sys_user", "paul.portal"),
            "opened_by": by,
            "assignment_group": self._id("sys_user_group", GROUPS[n % len(GROUPS)]),
            "opened_at": when,
            "sys_created_on": when,
            "sys_updated_on": when,
        }

    def _add(self, table: str, key: str, fields: Row) -> None:
        self._add_all(table, [{**self._row(table, key), **fields}])

    def _add_all(self, table: str, rows: Iterable[Row]) -> None:
        names = [c.name for c in TABLES[table].columns.values() if c.stored]
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(names)})"  # noqa: S608 - our names
            f" VALUES ({', '.join(f':{name}' for name in names)})",
            rows,
        )

    def _row(self, table: str, key: str) -> Row:
        row = {c.name: c.default for c in TABLES[table].columns.values() if c.stored}
        by = {"sys_created_by": SOWN, "sys_updated_by": SOWN}
        on = {"sys_created_on": self._now, "sys_updated_on": self._now}
        return {**row, **by, **on, "sys_id": self._id(table, key)}

    def _id(self, table: str, key: str) -> str:
        """Two instances have the same people by other ids."""
        return uuid.uuid5(uuid.NAMESPACE_OID, f"{self._name}/{table}/{key}").hex
