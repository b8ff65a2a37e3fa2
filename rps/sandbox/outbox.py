"""Changes that rps is still to be told of, written together with what they tell."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from rps.sandbox.records import ROWS_MAX

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from rps.domain.delivery import JournalEntry
    from rps.sandbox.database import Database
    from rps.sandbox.records import Written


@dataclass(frozen=True, slots=True)
class Unreported:
    """One row of the outbox; `change` is the JSON object rps will be given."""

    n: int
    change: dict[str, Any]
    state: str = "waiting"
    attempts: int = 0
    reason: str = ""


class Outbox:
    """The outbox of the remote system called `system`; empty means nobody is told.

    `filled` is set whenever a change may have come in.
    """

    def __init__(self, database: Database, system: str) -> None:
        self._database = database
        self._system = system
        self.filled = threading.Event()

    def put(self, connection: sqlite3.Connection, written: Written, user: str) -> None:
        """Add what `written` changed, in the transaction that changed it."""
        if not self._system or not written.changed:
            return
        record = written.record
        change = {
            "system": self._system,
            "table": record.table,
            "record_id": record.record_id,
            "operation": written.operation,
            "change_id": str(uuid.uuid4()),
            "revision": str(record.revision),
            "fields": written.fields,
            "before": written.before,
            "changed_by": user,
            "changed_at": record.updated_at,
            "external_id": record.external_id,
            "entries": [_reported(entry) for entry in written.entries],
        }
        if written.attachments:
            change["attachments"] = [each.offered() for each in written.attachments]
        connection.execute(
            "INSERT INTO outbox (change) VALUES (:change)",
            {"change": orjson.dumps(change)},
        )
        self.filled.set()

    def waiting(self, most: int) -> list[Unreported]:
        """Return the `most` oldest changes that are still to be reported."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM outbox WHERE state = 'waiting' ORDER BY n LIMIT :most",
                {"most": most},
            ).fetchall()
        return [_unreported(row) for row in rows]

    def entries(self) -> list[Unreported]:
        """Return what waits or was refused, oldest first, at most ROWS_MAX."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM outbox ORDER BY n LIMIT :most", {"most": ROWS_MAX}
            ).fetchall()
        return [_unreported(row) for row in rows]

    def reported(self, changes: Sequence[Unreported]) -> None:
        """Remove changes that rps has committed."""
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM outbox WHERE n = :n", [{"n": c.n} for c in changes]
            )

    def not_reported(self, changes: Sequence[Unreported], reason: str) -> None:
        """Note why an attempt failed that will be made again."""
        self._note(changes, "waiting", reason)

    def refused(self, changes: Sequence[Unreported], reason: str) -> None:
        """Set changes aside that rps will never take."""
        self._note(changes, "refused", reason)

    def _note(self, changes: Sequence[Unreported], state: str, reason: str) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE outbox SET state = :state, reason = :reason,"
                " attempts = attempts + 1 WHERE n = :n",
                [{"n": c.n, "state": state, "reason": reason} for c in changes],
            )


def _unreported(row: sqlite3.Row) -> Unreported:
    return Unreported(
        n=row["n"],
        change=orjson.loads(row["change"]),
        state=row["state"],
        attempts=row["attempts"],
        reason=row["reason"],
    )


def shown_entry(entry: JournalEntry) -> dict[str, Any]:
    """A journal entry as JSON."""
    return {
        "id": entry.id,
        "journal": entry.journal,
        "text": entry.text,
        "author": entry.author,
        "written_at": entry.written_at,
    }


def _reported(entry: JournalEntry) -> dict[str, Any]:
    """As rps is told: an edit has another text, what is removed says so."""
    deleted = {"deleted": True} if entry.operation == "delete" else {}
    return shown_entry(entry) | deleted
