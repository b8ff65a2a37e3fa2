"""A node's workers in one process on a real database, and systems that behave."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.domain.delivery import (
    Capabilities,
    Delivered,
    Exchange,
    Missing,
    Moved,
    NotApplied,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
)
from rps.workers.deliverer import Deliverer
from rps.workers.receiver import Receiver
from rps.workers.worker import Projector

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.delivery import Outcome, Reading, Settlement, Write
    from rps.domain.remote_system import RemoteSystem

ANSWERED = Exchange(request_sha256="0" * 64, status=200)

DEFINITION = {
    "process_event": "incident",
    "fields": {
        "title": {"type": "text"},
        "state": {"type": "choice", "values": ["open", "closed"]},
    },
    "journals": {"comments": {"visibility": "public"}},
    "members": {
        "acme": {
            "table": "incident",
            "fields": {"title": "short_description", "state": "state"},
            "journals": {"comments": "comments"},
        },
        "zenith": {
            "table": "case",
            "capture": ["create", "update", "delete"],
            "deliver": ["create", "update", "delete"],
            "fields": {
                "title": "subject",
                "state": {"field": "status", "values": {"open": "1", "closed": "2"}},
            },
            "journals": {"comments": "comments"},
        },
    },
}


@dataclass
class Record:
    revision: int = 1
    fields: dict[str, Any] = field(default_factory=dict)
    external_id: str = ""
    deleted: bool = False


class Tracker:
    """A remote system that behaves: records, revisions, dedupe, If-Match; and that can
    be told to misbehave by a function asked before (`before`) or after (`after`) each
    write: what they return, if anything, is answered instead."""

    def __init__(self, *, dedupe: bool = True, conditional: bool = True) -> None:
        self.capabilities = Capabilities(
            dedupe=dedupe, conditional_write=conditional, read_back=True
        )
        self.records: dict[str, Record] = {}
        self.applied: list[Write] = []
        self.received: list[Write] = []
        self.settled: list[str] = []
        self.before: Callable[[Write], Outcome | None] = lambda _write: None
        self.after: Callable[[Write], Outcome | None] = lambda _write: None
        self.settles_nothing = False
        """It cannot be asked what became of a write."""
        self._answers: dict[str, Delivered] = {}
        self._lock = threading.Lock()

    def write(self, write: Write) -> Outcome:
        if instead := self.before(write):
            return instead
        with self._lock:
            self.received.append(write)
            outcome = self._apply(write)
        return self.after(write) or outcome

    def _apply(self, write: Write) -> Outcome:
        if self.capabilities.dedupe and write.delivery_id in self._answers:
            return self._answers[write.delivery_id]
        record_id = write.record_id or f"Z{len(self.records) + 1}"
        record = self.records.setdefault(record_id, Record(revision=0))
        if self.capabilities.conditional_write and (
            write.if_match not in (None, str(record.revision))
        ):
            return Moved(f"it is at {record.revision}", ANSWERED)
        record.revision += 1
        record.fields.update(write.fields)
        record.external_id = write.correlation_id
        record.deleted = write.operation == "delete"
        self.applied.append(write)
        answer = Delivered(
            record_id, str(record.revision), dict(record.fields), ANSWERED
        )
        self._answers[write.delivery_id] = answer
        return answer

    def edit(self, record_id: str, **fields: Any) -> Record:
        """One of its own users changes a record."""
        with self._lock:
            record = self.records[record_id]
            record.revision += 1
            record.fields.update(fields)
            return record

    def settle(self, write: Write) -> Settlement:
        self.settled.append(write.delivery_id)
        if self.settles_nothing:
            return Refused("the system cannot be asked: a person must look")
        with self._lock:
            return self._answers.get(write.delivery_id) or NotApplied("never seen")

    def read(self, _table: str, record_id: str) -> Reading:
        with self._lock:
            record = self.records.get(record_id)
            if record is None:
                return Missing()
            return Snapshot(
                record_id, str(record.revision), dict(record.fields), record.deleted
            )

    def check(self) -> tuple[bool, str]:
        return True, ""


class Workplace:
    """Parts of a node, driven by hand."""

    def __init__(self, database: str) -> None:
        self.application = RemoteProcessSync(database, connections=24)
        self.trackers: dict[str, Tracker] = defaultdict(Tracker)
        self.poster = Poster("top", "tester")
        self._count = 0
        now = self.now()
        for name in ("acme", "zenith"):
            system, _ = self.application.register_system(
                "top", name, "push", "", {"url": "http://none"}, "tester", now
            )
            system.activate("tester", now)
            self.application.save(system)
        self.application.apply_definition(DEFINITION, "tester", now)
        self.receiver = Receiver(self.application, self.now)
        self._finished = threading.Semaphore(0)
        self.deliverer = self.new_deliverer()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_deliverer(self, **given: Any) -> Deliverer:
        return Deliverer(
            self.application,
            self._connect,
            self.now,
            lambda: 0.5,
            **{
                "threads": 8,
                "breaker_seconds": 0.2,
                "finished": self._finished.release,
                **given,
            },
        )

    def _connect(self, system: RemoteSystem) -> Tracker:
        return self.trackers[system.name]

    def close(self) -> None:
        self.deliverer.close()
        self.application.close()

    # --- what happens ---------------------------------------------------------------

    def change(self, record_id: str = "A1", system: str = "acme", **given: Any) -> Any:
        """A change as a system reports it; answers its receipt."""
        self._count += 1
        table = {"acme": "incident", "zenith": "case"}[system]
        change = {
            "system": system,
            "table": table,
            "record_id": record_id,
            "operation": "update",
            "change_id": f"c{self._count}",
            "fields": {},
            "external_id": "",
            **given,
        }
        return self.application.intake.capture(self.poster, [change], self.now())[0]

    def title(self, title: str, record_id: str = "A1", **given: Any) -> Any:
        return self.change(record_id, fields={"short_description": title}, **given)

    def receive(self) -> None:
        while self.receiver.work():
            pass

    def deliver(self, deliverer: Deliverer | None = None) -> int:
        """Send all that is due now, and what becomes due by that; answers how many
        lanes were worked on."""
        worker = deliverer or self.deliverer
        lanes = 0
        while started := worker.work():
            lanes += started
            for _ in range(started):
                assert self._finished.acquire(timeout=30), repr(worker._broken)
        return lanes

    def settle(self) -> None:
        """Judge and send until nothing moves any more."""
        while True:
            self.receive()
            if not self.deliver() and not self._end_pauses():
                return

    def _end_pauses(self) -> bool:
        """Whether a lane was only waiting for a moment; it no longer does."""
        return bool(
            self.ask(
                "UPDATE lanes SET not_before = NULL WHERE not_before IS NOT NULL"
                " AND due_at <= now() AND direction = 'in' RETURNING 1"
            )
        )

    def project(self) -> None:
        projector = Projector(self.application)
        while projector.work():
            pass

    # --- what there is --------------------------------------------------------------

    def ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.application.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def messages(self) -> list[tuple[Any, ...]]:
        """(status, attempts, detail) of every message in order."""
        return self.ask(
            "SELECT status::text, attempts, detail FROM outbound_queue"
            " ORDER BY sequence, place"
        )

    def topics(self, record_id: str = "A1") -> list[str]:
        """What happened on the stream of a correlation."""
        return [
            row[0]
            for row in self.ask(
                "SELECT topic FROM rps_events WHERE originator_id = ("
                " SELECT correlation_id FROM links WHERE record_id = %s LIMIT 1)"
                " ORDER BY originator_version",
                record_id,
            )
        ]

    def make_due(self) -> None:
        """Let the time pass that retries and leases wait for."""
        self.ask(
            "UPDATE lanes SET due_at = least(due_at, now()), not_before = NULL,"
            " leased_until = least(leased_until, now()) WHERE due_at IS NOT NULL"
        )
        self.ask(
            "UPDATE outbound_queue SET due_at = least(due_at, now())"
            " WHERE due_at IS NOT NULL"
        )

    def end_pause_of_breakers(self) -> None:
        self.ask("UPDATE breakers SET open_until = now()")


DOWN = Unavailable("connection refused")
LOST = Uncertain("the answer was lost")
