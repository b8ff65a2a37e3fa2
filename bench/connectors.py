"""Requests a change, and processor time for it, of each connector.

    python -m bench.connectors [--records N] [SYSTEM ...]

Against real systems on loopback, in processes of their own: the ServiceNow sandbox, a
plain JSON API, Roundup, the ticket sandbox, another node. The time is that of the
connector's own process: TLS, database and the system's own work are left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from bench.connector_systems import SYSTEMS, System
from rps.domain.delivery import Changes, Delivered, JournalEntry, Received, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SLOW = {"roundup": 10, "node": 4}
"""So many times fewer records of systems that take long themselves."""
PATIENCE_SECONDS = 60.0
QUIET_SECONDS = 6
COLUMNS = ("system", "change", "requests", "µs a change", "µs a request", "a second")


class Trouble(Exception):
    """What the system answered instead."""


@dataclass(frozen=True, slots=True)
class Row:
    """What `changes` changes of a kind took. Seconds."""

    system: str
    change: str
    changes: int
    requests: int
    used: float
    seconds: float

    def cells(self) -> tuple[str, ...]:
        each, asked = self.used / self.changes, self.used / max(self.requests, 1)
        return (
            *(self.system, self.change, f"{self.requests / self.changes:.2f}"),
            *(f"{each * 1e6:.0f}", f"{asked * 1e6:.0f}"),
            f"{self.changes / self.seconds:.3g}",
        )


@dataclass(slots=True)
class _Made:
    """A record; `key` is our own id of it."""

    record_id: str | None
    key: str
    revision: str | None


class Work:
    """What is done to one system."""

    def __init__(self, system: System, records: int) -> None:
        self._system = system
        self._records = records
        self._made: list[_Made] = []
        self._cursor: Mapping[str, Any] | None = None

    def rows(self) -> list[Row]:
        polls = self._system.connector.capabilities.polls
        if polls:
            self._poll()
        rows = [
            self._measured("create", self._create),
            self._measured("update", lambda n: self._update(n, "y" * 100)),
            self._measured("update, there already", self._again),
        ]
        if self._system.journal:
            rows.append(self._measured("comment", self._comment))
        if self._system.connector.capabilities.batch > 1:
            rows.append(self._together())
        if polls:
            rows.append(self._polled())
            time.sleep(QUIET_SECONDS)
            for _ in range(3):
                self._poll()
            rows.append(self._measured("poll, nothing new", lambda _: self._poll(), 20))
        return rows

    def _measured(
        self, change: str, what: Callable[[int], object], times: int = 0
    ) -> Row:
        times = times or self._records
        meter = _Meter(self._system)
        for number in range(times):
            what(number)
        return meter.row(change, times)

    def _polled(self) -> Row:
        meter = _Meter(self._system)
        shown = self._poll()
        return meter.row("poll, a record", max(shown, 1))

    def _together(self) -> Row:
        """As many in a request as it takes; what another node has to do yet is not
        waited for."""
        writes = [
            self._write("update", made, fields={self._system.field: "z" * 100})
            for made in self._made
        ]
        meter = _Meter(self._system)
        for came in self._system.connector.write_many(writes):
            for _, told in came:
                if not isinstance(told, Delivered | Received):
                    raise Trouble(told)
        return meter.row("update, many a request", len(writes))

    # --- changes ----------------------------------------------------------------------

    def _create(self, _number: int) -> None:
        made = _Made(None, str(uuid4()), None)
        self._written("create", made, fields=self._system.fields)
        self._made.append(made)

    def _update(self, number: int, text: str) -> None:
        self._written("update", self._made[number], fields={self._system.field: text})

    def _again(self, number: int) -> None:
        """What the record shows already."""
        self._update(number, "y" * 100)

    def _comment(self, number: int) -> None:
        made = self._made[number]
        text = f"Smoke {made.key}"
        entry = JournalEntry(f"bench:{made.key}", self._system.journal, text)
        self._written("update", made, entries=(entry,))

    def _written(self, operation: Any, made: _Made, **what: Any) -> None:
        """Until it is done there."""
        write = self._write(operation, made, **what)
        deadline = time.monotonic() + PATIENCE_SECONDS
        told = self._system.connector.write(write)
        while isinstance(told, Received) and time.monotonic() < deadline:
            told = self._system.connector.write(write)
        if not isinstance(told, Delivered):
            raise Trouble(told)
        made.record_id = told.record_id
        made.revision = told.record.revision if told.record else told.revision

    def _write(self, operation: Any, made: _Made, **what: Any) -> Write:
        """Against the revision that was told last."""
        return Write(
            *(str(uuid4()), made.key, self._system.process_event, operation),
            *(self._system.table, made.record_id, made.revision),
            **{"fields": {}, **what},
        )

    def _poll(self) -> int:
        """To the end; how many records were shown."""
        shown, has_more = 0, True
        while has_more:
            came = self._system.connector.changes_since(
                self._system.table, self._cursor
            )
            if not isinstance(came, Changes):
                raise Trouble(came)
            self._cursor, has_more = came.cursor, came.has_more
            shown += len(came.records)
        return shown


class _Meter:
    def __init__(self, system: System) -> None:
        self._system = system
        self._requests = system.wire.requests
        self._started, self._used = time.perf_counter(), time.process_time()

    def row(self, change: str, changes: int) -> Row:
        used = time.process_time() - self._used
        seconds = time.perf_counter() - self._started
        requests = self._system.wire.requests - self._requests
        return Row(self._system.name, change, changes, requests, used, seconds)


@click.command(help=__doc__)
@click.argument("systems", nargs=-1, type=click.Choice(list(SYSTEMS)))
@click.option("--records", default=200, type=click.IntRange(10), show_default=True)
def main(systems: tuple[str, ...], records: int) -> None:
    click.echo(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in systems or SYSTEMS:
        with SYSTEMS[name]() as system:
            for row in Work(system, max(records // SLOW.get(name, 1), 10)).rows():
                click.echo(f"| {' | '.join(row.cells())} |")


if __name__ == "__main__":
    main()
