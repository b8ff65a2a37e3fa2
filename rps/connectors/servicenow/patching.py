"""A record patched, and what an answer to that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.connectors.servicenow.answers import Good, NotThere
from rps.domain.delivery import Refused, Uncertain
from rps.domain.problem import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.reading import Records
    from rps.domain.delivery import Write

Row = dict[str, str]


def patched(
    records: Records,
    write: Write,
    record_id: str,
    values: Row,
    *,
    as_display: bool = False,
) -> Row | Trouble:
    query = showing(records, write, values)
    if as_display:
        query["sysparm_input_display_value"] = "true"
    asked = records.instance.tell(
        "PATCH", f"table/{write.table}/{record_id}", query, values
    )
    row = records.instance.row_of(asked)
    if isinstance(row, NotThere):
        return Refused(no_record(row.detail, write), row.exchange)
    if not isinstance(row, dict) and isinstance(asked, Good):
        return Uncertain("the answer shows no record", asked.exchange)
    return row


def showing(
    records: Records, write: Write, written: Iterable[str] = ()
) -> dict[str, str]:
    """How the record is to be shown in the answer, with what is `written`."""
    asked = records.columns(write.table)
    return records.instance.reading(
        tuple(dict.fromkeys((*asked, *write.fields, *written))) if asked else ()
    )


def no_record(detail: str, write: Write) -> str:
    return (
        f"{detail}: the record {shown(write.record_id or '')} of {write.table} is gone,"
        " or access controls hide it from the account"
    )
