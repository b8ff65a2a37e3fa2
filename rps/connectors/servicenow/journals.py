"""Journal fields: written through the record, read from `sys_journal_field`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.stamps import seconds_of, stamp_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.instance import Instance, Row

TABLE = "sys_journal_field"
FIELDS = (
    *("sys_id", "element_id", "element", "value", "sys_created_on"),
    "sys_created_by",
)
ROWS_MAX = 10_000
TOGETHER_SECONDS = 1
"""An entry that was written with its record's change is stamped this close to it."""


def read(
    instance: Instance,
    records: Collection[str],
    journals: Iterable[str],
    since: str,
) -> dict[str, list[Row]] | Trouble:
    """By record: entries from `since` on, in the order they were written."""
    query = (
        f"element_idIN{','.join(records)}^elementIN{','.join(sorted(journals))}"
        f"^sys_created_on>={since}^ORDERBYsys_created_on^ORDERBYsys_id"
    )
    came = instance.rows(TABLE, query, fields=FIELDS, limit=ROWS_MAX)
    if not isinstance(came, Rows):
        return came
    if (came.total or 0) > ROWS_MAX and len(records) > 1:
        return _in_halves(instance, sorted(records), journals, since)
    found: dict[str, list[Row]] = {}
    for row in came.rows:
        if row.get("element_id") in records and row.get("sys_created_on", "") >= since:
            found.setdefault(row["element_id"], []).append(row)
    return found


def _in_halves(
    instance: Instance, records: list[str], journals: Iterable[str], since: str
) -> dict[str, list[Row]] | Trouble:
    """Where all of them have more entries than an answer holds."""
    found: dict[str, list[Row]] = {}
    middle = len(records) // 2
    for part in (records[:middle], records[middle:]):
        came = read(instance, part, journals, since)
        if not isinstance(came, dict):
            return came
        found |= came
    return found


def entry(row: Row) -> dict[str, Any]:
    """As a posted change has it."""
    return {
        "id": row["sys_id"],
        "journal": row.get("element", ""),
        "text": row.get("value", ""),
        "author": row.get("sys_created_by", ""),
        "written_at": row.get("sys_created_on", ""),
    }


def is_with(row: Row, updated_on: str) -> bool:
    """Whether it came with the change that stamped its record."""
    apart = seconds_of(updated_on) - seconds_of(row.get("sys_created_on", ""))
    return 0 <= apart <= TOGETHER_SECONDS


def count_of(
    instance: Instance, record_id: str, journal: str, text: str, since: float
) -> int | Trouble:
    """How many entries of the record say `text`; `since` by the instance's clock."""
    found = read(instance, [record_id], [journal], stamp_of(since))
    if not isinstance(found, dict):
        return found
    plain = _plain(text)
    return sum(
        _plain(row.get("value", "")) == plain for row in found.get(record_id, ())
    )


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
