"""What the instance itself does to a record that is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.sandbox.servicenow.choices import CLOSED, PRIORITIES, RESOLVED, TWINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.sandbox.servicenow.tables import Table

Row = dict[str, str]


def settle(table: Table, before: Mapping[str, str], row: Row, by: str, now: str) -> Row:
    """The row as it is stored; `before` is what it was, `by` the writer's sys_id."""
    row = dict(row)
    if table.name == "sys_user":
        _name(before, row)
    if table.is_task:
        _twin(table, before, row)
        _priority(before, row)
        _life(table, before, row, by, now)
    return row


def _moved(column: str, before: Mapping[str, str], row: Row) -> bool:
    return row.get(column) != before.get(column)


def _name(before: Mapping[str, str], row: Row) -> None:
    parts = ("first_name", "last_name")
    if any(_moved(part, before, row) for part in parts):
        row["name"] = " ".join(row[part] for part in parts if row[part])


def _twin(table: Table, before: Mapping[str, str], row: Row) -> None:
    twin = TWINS.get(table.name)
    if twin is None:
        return
    if _moved("state", before, row):
        row[twin] = row["state"]
    elif _moved(twin, before, row):
        row["state"] = row[twin]


def _priority(before: Mapping[str, str], row: Row) -> None:
    """It follows impact and urgency, except where it is itself written."""
    asked = _moved("impact", before, row) or _moved("urgency", before, row)
    if asked and not _moved("priority", before, row):
        pair = (row["impact"], row["urgency"])
        row["priority"] = PRIORITIES.get(pair, row["priority"])


def _life(table: Table, before: Mapping[str, str], row: Row, by: str, now: str) -> None:
    if not _moved("state", before, row):
        return
    state, resolved = row["state"], RESOLVED.get(table.name)
    if resolved and state == resolved:
        row["resolved_at"] = row["resolved_at"] or now
        row["resolved_by"] = row["resolved_by"] or by
    closed = CLOSED[table.name]
    if state in closed:
        row["active"] = "false"
        row["closed_at"] = row["closed_at"] or now
        row["closed_by"] = row["closed_by"] or by
    elif before.get("state") in closed:
        row |= {"active": "true", "closed_at": "", "closed_by": ""}
    if before.get("state") in {resolved, *closed} and state not in {resolved, *closed}:
        row |= {name: "" for name in ("resolved_at", "resolved_by") if name in row}
        if "reopen_count" in row:
            row["reopen_count"] = str(int(row["reopen_count"] or 0) + 1)
