"""The tables of the instance, and the SQL that keeps them.

A small part of what a ServiceNow instance has, by its names: enough columns for what an
integration reads and writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "string",
    "integer",
    "boolean",
    "choice",
    "number_choice",
    "reference",
    "date_time",
    "journal",
    "journal_list",
    "password",
]


@dataclass(frozen=True, slots=True)
class Column:
    """`target` is the table a reference refers to; `default` a new record's value."""

    name: str
    kind: Kind = "string"
    target: str = ""
    default: str = ""

    @property
    def label(self) -> str:
        return LABELS.get(self.name) or self.name.replace("_", " ").capitalize()

    @property
    def stored(self) -> bool:
        return self.kind not in ("journal", "journal_list")


@dataclass(frozen=True, slots=True)
class Table:
    """`display` is the column a reference to a record is shown as."""

    name: str
    label: str
    columns: dict[str, Column]
    display: str = "name"
    is_task: bool = False
    prefix: str = ""
    first_number: int = 0


LABELS: Final = {
    "comments": "Additional comments",
    "work_notes": "Work notes",
    "comments_and_work_notes": "Comments and Work notes",
    "cmdb_ci": "Configuration item",
    "caller_id": "Caller",
    "sys_created_on": "Created",
    "sys_created_by": "Created by",
    "sys_updated_on": "Updated",
    "sys_updated_by": "Updated by",
    "sys_mod_count": "Updates",
    "sys_id": "Sys ID",
    "correlation_id": "Correlation ID",
}
SYSTEM: Final = (
    Column("sys_id"),
    Column("sys_created_on", "date_time"),
    Column("sys_created_by"),
    Column("sys_updated_on", "date_time"),
    Column("sys_updated_by"),
    Column("sys_mod_count", "integer", default="0"),
)
UNWRITABLE: Final = frozenset(
    {*(column.name for column in SYSTEM), "sys_class_name", "number"}
)
"""What the instance itself says of a record: a write of them is not heard."""


def _strings(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


def _dates(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "date_time") for name in names)


def _to(target: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "reference", target) for name in names)


def _table(name: str, label: str, *columns: Column, display: str = "name") -> Table:
    every = {column.name: column for column in (*columns, *SYSTEM)}
    return Table(name, label, every, display)


_TASK: Final = (
    *_strings("number", "short_description", "description"),
    Column("active", "boolean", default="true"),
    Column("impact", "number_choice", default="3"),
    Column("urgency", "number_choice", default="3"),
    *_to("sys_user", "assigned_to", "opened_by", "closed_by"),
    *_to("sys_user_group", "assignment_group"),
    *_to("core_company", "company"),
    *_to("cmdb_ci", "cmdb_ci"),
    *_dates("opened_at", "closed_at", "due_date"),
    *_strings("close_notes", "correlation_id", "correlation_display", "watch_list"),
    *_strings("sys_class_name", "parent"),
    Column("contact_type", "choice"),
    Column("approval", "choice", default="not requested"),
    Column("knowledge", "boolean", default="false"),
    Column("made_sla", "boolean", default="true"),
    Column("sys_domain", default="global"),
    Column("comments", "journal"),
    Column("work_notes", "journal"),
    Column("comments_and_work_notes", "journal_list"),
)


def _task(
    name: str,
    label: str,
    *columns: Column,
    state: str,
    priority: str,
    numbers: tuple[str, int],
) -> Table:
    own = (
        *_TASK,
        Column("state", "number_choice", default=state),
        Column("priority", "number_choice", default=priority),
        *columns,
        *SYSTEM,
    )
    every = {column.name: column for column in sorted(own, key=lambda c: c.name)}
    return Table(name, label, every, "number", True, *numbers)


_ALL: Final = (
    _task(
        "incident",
        "Incident",
        *_to("sys_user", "caller_id", "resolved_by"),
        *_to("problem", "problem_id"),
        *_to("change_request", "rfc"),
        Column("incident_state", "number_choice", default="1"),
        Column("severity", "number_choice", default="3"),
        Column("hold_reason", "number_choice"),
        Column("category", "choice", default="inquiry"),
        Column("subcategory", "choice"),
        Column("close_code", "choice"),
        Column("notify", "number_choice", default="1"),
        Column("business_impact"),
        Column("resolved_at", "date_time"),
        Column("reopen_count", "integer", default="0"),
        state="1",
        priority="5",
        numbers=("INC", 10001),
    ),
    _task(
        "problem",
        "Problem",
        *_to("sys_user", "resolved_by"),
        *_to("change_request", "rfc"),
        *_strings("cause_notes", "fix_notes", "workaround"),
        Column("problem_state", "number_choice", default="101"),
        Column("known_error", "boolean", default="false"),
        Column("category", "choice"),
        Column("resolution_code", "choice"),
        Column("resolved_at", "date_time"),
        state="101",
        priority="5",
        numbers=("PRB", 40001),
    ),
    _task(
        "change_request",
        "Change Request",
        *_to("sys_user", "requested_by"),
        *_strings("justification", "implementation_plan", "backout_plan", "test_plan"),
        *_dates("start_date", "end_date", "work_start", "work_end"),
        Column("type", "choice", default="normal"),
        Column("risk", "number_choice", default="4"),
        Column("category", "choice", default="Other"),
        Column("close_code", "choice"),
        Column("on_hold", "boolean", default="false"),
        Column("on_hold_reason"),
        state="-5",
        priority="4",
        numbers=("CHG", 30001),
    ),
    _task(
        "sn_customerservice_case",
        "Case",
        *_to("core_company", "account"),
        *_to("sys_user", "contact", "resolved_by"),
        *_to("incident", "incident"),
        *_strings("cause", "needs_attention"),
        Column("category", "choice"),
        Column("resolution_code", "choice"),
        Column("resolved_at", "date_time"),
        state="1",
        priority="4",
        numbers=("CS", 1001),
    ),
    _table(
        "sys_user",
        "User",
        *_strings("user_name", "name", "first_name", "last_name", "email", "roles"),
        *_strings("time_zone", "title", "phone"),
        Column("user_password", "password"),
        Column("active", "boolean", default="true"),
        Column("locked_out", "boolean", default="false"),
        *_to("core_company", "company"),
    ),
    _table(
        "sys_user_group",
        "Group",
        *_strings("name", "description", "email"),
        Column("active", "boolean", default="true"),
        *_to("sys_user", "manager"),
    ),
    _table("core_company", "Company", *_strings("name", "website", "notes")),
    _table(
        "cmdb_ci", "Configuration Item", *_strings("name", "asset_tag", "serial_number")
    ),
    _table(
        "sys_choice",
        "Choice",
        *_strings("name", "element", "value", "label", "hint", "dependent_value"),
        Column("sequence", "integer", default="0"),
        Column("inactive", "boolean", default="false"),
        Column("language", default="en"),
        display="label",
    ),
    _table(
        "sys_journal_field",
        "Journal Entry",
        *_strings("name", "element", "element_id", "value"),
        display="element",
    ),
    _table(
        "sys_attachment",
        "Attachment",
        *_strings("table_name", "table_sys_id", "file_name", "content_type"),
        *_strings("hash", "encryption_context", "state", "chunk_size_bytes"),
        Column("size_bytes", "integer"),
        Column("size_compressed", "integer"),
        Column("compressed", "boolean", default="true"),
        display="file_name",
    ),
    _table(
        "sys_audit_delete",
        "Deleted Record",
        *_strings("tablename", "documentkey", "display_value", "payload"),
        *_to("sys_user", "user"),
        display="display_value",
    ),
)
TABLES: Final = {table.name: table for table in _ALL}
TASKS: Final = frozenset(table.name for table in _ALL if table.is_task)
_NUMBERS: Final = ("integer", "number_choice")
_INDEXED: Final = (
    ("sys_updated_on", "sys_id"),
    ("sys_created_on", "sys_id"),
    ("number",),
    ("correlation_id",),
    ("element_id",),
    ("table_sys_id",),
    ("documentkey",),
    ("user_name",),
    ("name",),
)


def schema() -> str:
    """The SQL that makes all of it.

    Texts compare without regard to the case of ASCII letters, as an instance's do. A
    number column keeps what is no number as text: choices are not checked.
    """
    return "\n".join(statement for table in _ALL for statement in _statements(table))


def _statements(table: Table) -> list[str]:
    columns = [
        f"{each.name} {'INTEGER' if each.kind in _NUMBERS else 'TEXT'} NOT NULL"
        f" DEFAULT '' COLLATE NOCASE"
        for each in table.columns.values()
        if each.stored
    ]
    made = f"CREATE TABLE IF NOT EXISTS {table.name} ({{}}, UNIQUE (sys_id));"
    indexes = [
        f"CREATE INDEX IF NOT EXISTS {table.name}_by_{'_'.join(names)}"
        f" ON {table.name} ({', '.join(names)});"
        for names in _INDEXED
        if all(name in table.columns for name in names)
    ]
    return [made.format(", ".join(columns)), *indexes]
