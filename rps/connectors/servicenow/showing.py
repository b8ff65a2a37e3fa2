"""A record with all its entries and files, as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.connectors.servicenow import attaching, journals
from rps.domain.delivery import Shown

if TYPE_CHECKING:
    from rps.connectors.servicenow.answers import NotThere, Trouble
    from rps.connectors.servicenow.reading import Records

EVER = "1970-01-01 00:00:00"


def shown(records: Records, table: str, record_id: str) -> Shown | NotThere | Trouble:
    """Entries of the journals that are of interest; each file's bytes are read, as the
    API does not tell their SHA-256."""
    row = records.row(table, record_id)
    if not isinstance(row, dict):
        return row
    wanted = records.uses(table).journals
    entries = {}
    if wanted:
        came = journals.read(records.instance, [record_id], wanted, EVER)
        if not isinstance(came, dict):
            return came
        entries = came
    files = attaching.hashed(records.instance, table, record_id)
    if not isinstance(files, list):
        return files
    return Shown(
        records.snapshot(table, row),
        row.get("sys_updated_by", ""),
        tuple(journals.entry(each) for each in entries.get(record_id, ())),
        tuple(files),
        external_id=records.external_id(row),
    )
