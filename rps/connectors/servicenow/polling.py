"""What changed in a table: its records, their journal entries and files, and deletions.

Three lists, each read by its own stamps (`positions`): the records by `sys_updated_on`,
attachments by `sys_created_on`, as attaching need not stamp the record, and
`sys_audit_delete`. An entry stamps its record, so entries are read with the records
that show; those from before the round's start were told then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rps.connectors.servicenow import attaching, journals
from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.lists import PAGE, GrowingList, Listed
from rps.connectors.servicenow.positions import Reading
from rps.connectors.servicenow.stamps import earlier, stamp_of
from rps.connectors.servicenow.words import SYS_ID
from rps.domain.delivery import (
    FROM,
    Changes,
    Refused,
    Shown,
    Snapshot,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.reading import Records
    from rps.domain.delivery import ChangesRead

log = logging.getLogger("rps.servicenow")

Row = dict[str, str]
LISTS = ("records", "files", "deletions")
DELETIONS = "sys_audit_delete"
_DELETED = ("sys_id", "documentkey", "sys_created_on", "user", "sys_created_by")


@dataclass(frozen=True, slots=True)
class Polling:
    """Asks one instance; nothing is remembered but in the cursor."""

    records: Records
    page: int = PAGE
    """How many records, files or deletions are asked for at once."""

    def changes_since(
        self, table: str, cursor: Mapping[str, Any] | None
    ) -> ChangesRead:
        if cursor is None:
            return self._from_now_on(table)
        try:
            readings = self._readings(cursor)
        except (KeyError, TypeError, ValueError):
            return Refused("the cursor is unreadable: let it be forgotten")
        return self._page(table, readings)

    def _readings(self, cursor: Mapping[str, Any]) -> dict[str, Reading]:
        if FROM not in cursor:
            return {name: Reading.of(told) for name, told in cursor.items()}
        start = stamp_of(datetime.fromisoformat(cursor[FROM]).timestamp())
        now = self.records.instance.clock()
        return {name: Reading.new(start, now) for name in LISTS}

    def _from_now_on(self, table: str) -> ChangesRead:
        """Where the lists end now, by the instance's clock."""
        came = self.records.instance.rows(table, "ORDERBYsys_id", limit=1)
        if not isinstance(came, Rows):
            return _asked(came)
        instance = self.records.instance
        overlap = self.records.settings.overlap_seconds
        start = stamp_of(instance.now - overlap)
        new = Reading.new(start, instance.clock()).to_json()
        return Changes((), dict.fromkeys(LISTS, new))

    def _page(self, table: str, readings: dict[str, Reading]) -> ChangesRead:
        """A page of each list that has not come to its end in this round."""
        uses = self.records.uses(table)
        captured = uses.captured or {"create", "update", "delete"}
        is_read = {
            "records": bool({"create", "update"} & captured),
            "files": bool(uses.files or not uses.fields),
            "deletions": "delete" in captured,
        }
        overlap = float(self.records.settings.overlap_seconds)
        clock = self.records.instance.clock
        fresh = all(reading.began is None for reading in readings.values())
        told: list[Shown] = []
        for name, read in (
            ("records", self._records),
            ("files", self._files),
            ("deletions", self._deletions),
        ):
            reading = readings[name]
            if not is_read[name] or (not fresh and reading.began is None):
                continue
            began = clock()
            reading.begin(began, overlap)
            came = read(table, reading)
            if not isinstance(came, tuple):
                if name == "deletions" and not isinstance(came, Unavailable):
                    log.warning(
                        "servicenow.no_deletions table=%s %s", table, came.detail
                    )
                    reading.end(began, overlap)
                    continue
                return _asked(came)
            shown, listed = came
            told += shown
            reading.advance(listed.at, began)
            if not listed.has_more:
                reading.end(began, overlap)
        has_more = any(reading.began is not None for reading in readings.values())
        new = {name: reading.to_json() for name, reading in readings.items()}
        return Changes(tuple(told), new, has_more)

    # --- records --------------------------------------------------------------------

    def _records(
        self, table: str, reading: Reading
    ) -> tuple[list[Shown], Listed] | Trouble:
        grown = GrowingList(
            self.records.instance,
            table,
            "sys_updated_on",
            fields=self.records.columns(table),
            limit=self.page,
        )
        listed = grown.page(reading.at)
        if not isinstance(listed, Listed):
            return listed
        entries = self._entries(table, listed.rows, reading)
        if not isinstance(entries, dict):
            return entries
        told: list[Shown] = []
        for row in listed.rows:
            told += self._shown(table, row, entries.get(row["sys_id"], []))
        return told, listed

    def _entries(
        self, table: str, rows: list[Row], reading: Reading
    ) -> dict[str, list[Row]] | Trouble:
        wanted = self.records.uses(table).journals
        if not wanted or not rows:
            return {}
        since = earlier(reading.start.stamp, self.records.settings.overlap_seconds)
        ids = [row["sys_id"] for row in rows]
        return journals.read(self.records.instance, ids, wanted, since)

    def _shown(self, table: str, row: Row, entries: list[Row]) -> list[Shown]:
        """The record with its entries, of which those that came with its last change
        make it this change; then those of before, one by one, so that each is the same
        however often it is told."""
        updated_on = row.get("sys_updated_on", "")
        external_id = self.records.external_id(row)
        with_it = [each for each in entries if journals.is_with(each, updated_on)]
        own = [each for each in entries if each not in with_it]
        changed = Shown(
            self.records.snapshot(table, row),
            row.get("sys_updated_by", ""),
            tuple(journals.entry(each) for each in with_it),
            is_new=row.get("sys_mod_count") == "0",
            external_id=external_id,
            earlier=tuple(journals.entry(each) for each in own),
        )
        return [
            changed,
            *(
                Shown(
                    Snapshot(
                        row["sys_id"],
                        None,
                        {},
                        updated_at=each.get("sys_created_on") or None,
                    ),
                    each.get("sys_created_by", ""),
                    (journals.entry(each),),
                    external_id=external_id,
                )
                for each in own
            ),
        ]

    # --- files ----------------------------------------------------------------------

    def _files(
        self, table: str, reading: Reading
    ) -> tuple[list[Shown], Listed] | Trouble:
        grown = GrowingList(
            self.records.instance,
            attaching.TABLE,
            "sys_created_on",
            f"table_name={table}",
            attaching.FIELDS,
            attaching.PATH,
            self.page,
        )
        listed = grown.page(reading.at)
        if not isinstance(listed, Listed):
            return listed
        rows = [row for row in listed.rows if row.get("table_name") == table]
        parents = self._parents(table, {row["table_sys_id"] for row in rows})
        if not isinstance(parents, dict):
            return parents
        # As the records' own list shows them: whichever comes first makes the copy.
        entries = self._entries(table, list(parents.values()), reading)
        if not isinstance(entries, dict):
            return entries
        told: list[Shown] = []
        for key, shown in parents.items():
            told += self._shown(table, shown, entries.get(key, []))
        for row in rows:
            parent = parents.get(row["table_sys_id"])
            offer = attaching.offered(row)
            if parent is None or offer is None:
                continue
            told.append(
                Shown(
                    Snapshot(
                        parent["sys_id"],
                        None,
                        {},
                        updated_at=row.get("sys_created_on") or None,
                    ),
                    row.get("sys_created_by", ""),
                    attachments=(offer,),
                    external_id=self.records.external_id(parent),
                )
            )
        return told, listed

    def _parents(self, table: str, ids: set[str]) -> dict[str, Row] | Trouble:
        known = sorted(each for each in ids if SYS_ID.fullmatch(each))
        if not known:
            return {}
        came = self.records.instance.rows(
            table,
            f"sys_idIN{','.join(known)}",
            fields=self.records.columns(table),
            limit=len(known),
        )
        if not isinstance(came, Rows):
            return came
        return {row["sys_id"]: row for row in came.rows if row["sys_id"] in ids}

    # --- deletions ------------------------------------------------------------------

    def _deletions(
        self, table: str, reading: Reading
    ) -> tuple[list[Shown], Listed] | Trouble:
        grown = GrowingList(
            self.records.instance,
            DELETIONS,
            "sys_created_on",
            f"tablename={table}",
            _DELETED,
            limit=self.page,
        )
        listed = grown.page(reading.at)
        if not isinstance(listed, Listed):
            return listed
        told = [
            Shown(
                Snapshot(
                    row["documentkey"],
                    None,
                    {},
                    deleted=True,
                    updated_at=row["sys_created_on"],
                ),
                row.get("sys_created_by") or row.get("user", ""),
            )
            for row in listed.rows
            if SYS_ID.fullmatch(row.get("documentkey", ""))
        ]
        return told, listed


def _asked(trouble: Trouble) -> ChangesRead:
    if isinstance(trouble, Uncertain):
        return Unavailable(trouble.detail, exchange=trouble.exchange)
    return trouble
