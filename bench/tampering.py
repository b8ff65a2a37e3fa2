"""`python -m bench.tampering`: random tamperings of a log, in PostgreSQL and in
exported files; each has to be found.

A log is made by the recorder and signed by the sweeper's own code; what a witness saw
is its last checkpoint. Whoever tampers may do anything with the database or the file,
and signs anew what was changed, with the node's own key. Beside it, how fast one
verifies.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from bench.tampers import TAMPERS, items_of, signed
from rps.application import RemoteProcessSync
from rps.application.audit_export import AuditExport
from rps.application.captured import Poster
from rps.application.checkpoints import Checkpoints
from rps.keys.key_source import new_word
from rps.log.chain import Break, Row
from rps.log.examining import Examined, Examiner
from rps.log.exported import CSV, NDJSON, Head, Key, read, written
from rps.log.trust import Held
from rps.migrate import migrate
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.exported import Item
    from rps.log.note import Note, PrivateKey

EVERY = 1_000
SEED = "rps tampering"
COPY = """
COPY rps_events (notification_id, originator_id, originator_version, topic, state, hash)
FROM STDIN
"""
SIGNED = ("cosignatures", "checkpoint_blocks", "checkpoints")
ADD = "INSERT INTO checkpoints VALUES (%s, decode(%s, 'base64'), %s, now())"


@dataclass
class Figures:
    """Tamperings done and found, by place and way; what was missed, in words."""

    done: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def count(self, name: str, did: str, examined: Examined) -> None:
        self.done[name] = self.done.get(name, 0) + 1
        if (done := sum(self.done.values())) % 50 == 0:
            missed = len(self.missed)
            print(f"… {done}, {missed} not found", file=sys.stderr, flush=True)
        if examined.breaks:
            self.found[name] = self.found.get(name, 0) + 1
        else:
            self.missed.append(f"{name}: {did}")


class Original:
    """The honest log: its rows, its key, and what a witness saw."""

    def __init__(self, dsn: str, events: int) -> None:
        self.dsn = dsn
        application = RemoteProcessSync(dsn)
        try:
            _fill(application, events)
            checkpoints = Checkpoints(application)
            now = datetime.now(UTC)
            self.seen: Note = checkpoints.make("bench", now)
            self.key: PrivateKey = checkpoints.current_key("bench", now)
            export = AuditExport(application, checkpoints)
            self.rows: list[Row] = list(export.rows(0, application.recorder.head()[0]))
            self.items: list[Item] = [
                *(each for each in export.log() if not isinstance(each, Row | Head)),
                *self.rows,
                Head(self.rows[-1].position, self.rows[-1].hash),
            ]
            self._written: dict[str, dict[int, bytes]] = {}
        finally:
            application.close()

    def lines(self, items: list[Item], form: str) -> list[bytes]:
        """As they are written; what was not changed is not written again."""
        known = self._written.setdefault(form, {})
        if not known:
            kept = _lines(self.rows, form)[form == CSV :]
            known.update(zip(map(id, self.rows), kept, strict=True))
        found = [known.get(id(item)) for item in items]
        others = [i for i, line in zip(items, found, strict=True) if line is None]
        new = iter(_lines(others, form))
        head = [next(new)] if form == CSV else []
        return [*head, *(line or next(new) for line in found)]

    @property
    def held(self) -> Held:
        return Held(checkpoints=(self.seen,))


def _fill(application: RemoteProcessSync, events: int) -> None:
    """Changes of one system, as the API takes them in: an event each."""
    now = datetime.now(UTC)
    for name in ("acme", "zenith"):
        settings = {"url": "http://127.0.0.1:9/rps", "secrets": [name]}
        about = ("top", name, "push", "", settings, "bench", now)
        system, _ = application.register_system(*about)
        application.activate_system(system.id, "bench", now)
    application.apply_definition(DOCUMENT, "bench", now)
    poster = Poster("top", "acme")
    there = application.recorder.head()[0]
    for first in range(there, events, 500):
        numbers = range(first, min(first + 500, events))
        application.intake.capture(poster, [_change(n) for n in numbers], now)


DOCUMENT = {
    "process_event": "ticket.shared",
    "fields": {"title": {"type": "text"}},
    "members": {
        "acme": {"table": "incident", "fields": {"title": "short_description"}},
        "zenith": {"table": "case", "fields": {"title": "summary"}},
    },
}


def _change(number: int) -> dict[str, Any]:
    return {
        "system": "acme",
        "table": "incident",
        "record_id": f"INC{number // 5}",
        "operation": "update",
        "change_id": f"change-{number}",
        "revision": str(number),
        "fields": {"short_description": f"text {number}: the printer on floor 3"},
        "changed_by": "anna",
    }


# --- in exported files ----------------------------------------------------------------


def tamper_files(honest: Original, count: int, chance: random.Random) -> Figures:
    """Each way in turn, as NDJSON or CSV; half of the flips are of any bit at all."""
    figures = Figures()
    keys = [Key(honest.key.public, "")]
    for number in range(count):
        how = list(TAMPERS)[number % len(TAMPERS)]
        form = chance.choice((NDJSON, CSV))
        if how == "flip" and chance.random() < 0.5:
            lines = honest.lines(honest.items, form)
            place = chance.randrange(len(lines))
            bits = bytearray(lines[place])
            bits[chance.randrange(len(bits))] ^= 1 << chance.randrange(8)
            lines[place], did = bytes(bits), f"a bit of line {place + 1}"
        else:
            rows = list(honest.rows)
            did = TAMPERS[how](rows, chance)
            notes = signed(rows, honest.key, EVERY)
            lines = honest.lines(items_of(rows, keys, notes), form)
        examined = Examiner(honest.held).examine(read(lines))
        figures.count(f"file {how}", f"{did} ({form})", examined)
    return figures


def _lines(items: Any, form: str) -> list[bytes]:
    return list(written(items, form))


# --- in PostgreSQL --------------------------------------------------------------------


def tamper_tables(
    server: EmbeddedServer, honest: Original, count: int, chance: random.Random
) -> Figures:
    """Each on a copy of the database, by a superuser who disables the triggers."""
    figures = Figures()
    for number in range(count):
        how = list(TAMPERS)[number % len(TAMPERS)]
        rows = list(honest.rows)
        did = TAMPERS[how](rows, chance)
        with copied(server, "rps_tampering") as dsn:
            try:
                overwrite(dsn, honest.rows, rows, honest.key)
            except psycopg.errors.UniqueViolation:
                figures.count(f"sql {how}", did, _refused())
                continue
            figures.count(f"sql {how}", did, verified(dsn, honest.held))
    return figures


def _refused() -> Examined:
    """PostgreSQL itself did not take such rows; what is not there needs no finding."""
    return Examined(breaks=[Break(0, "refused by the primary key")])


@contextmanager
def copied(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = sql.Identifier("rps_tampered")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                name, sql.Identifier(template)
            )
        )
        try:
            yield server.dsn("rps_tampered")
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def overwrite(dsn: str, old: list[Row], new: list[Row], key: PrivateKey) -> None:
    """Events, head and checkpoints as whoever has all rights, and the key, leaves
    them."""
    before, after = {_values(r) for r in old}, {_values(r) for r in new}
    with psycopg.connect(dsn) as conn:
        for table in ("rps_events", *SIGNED):
            name = sql.Identifier(table)
            conn.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
        conn.execute(
            "DELETE FROM rps_events WHERE notification_id = ANY(%s)",
            ([row[0] for row in before - after],),
        )
        with conn.cursor() as cursor:
            with cursor.copy(COPY) as copy:
                for row in after - before:
                    copy.write_row(row)
            cursor.execute(
                "UPDATE rps_log_head SET notification_id = %s, hash = %s",
                (new[-1].position, new[-1].hash),
            )
            for table in SIGNED:
                name = sql.Identifier(table)
                cursor.execute(sql.SQL("DELETE FROM {}").format(name))
            for note in signed(new, key, EVERY):
                _, size, root, *_ = note.text.split("\n")
                cursor.execute(ADD, (int(size), root, str(note)))


def _values(row: Row) -> tuple[Any, ...]:
    about = (row.position, row.originator_id, row.version, row.topic)
    return (*about, row.state, row.hash)


def verified(dsn: str, held: Held) -> Examined:
    """As `rps audit verify` does it."""
    application = RemoteProcessSync(dsn, connections=4)
    try:
        export = AuditExport(application, Checkpoints(application))
        return Examiner(held).examine(export.log())
    finally:
        application.close()


# --- how fast -------------------------------------------------------------------------


def speeds(honest: Original, times: int = 3) -> dict[str, float]:
    """Events a second, the best of some runs: this machine has other work, too."""

    def measured(lines: list[bytes] | None) -> float:
        best = 0.0
        for _ in range(times):
            start = time.perf_counter()
            if lines is None:
                found = verified(honest.dsn, honest.held)
            else:
                found = Examiner(honest.held).examine(read(lines))
            assert not found.breaks, found.breaks
            best = max(best, found.events / (time.perf_counter() - start))
        return best

    return {
        "offline, NDJSON": measured(_lines(honest.items, NDJSON)),
        "offline, CSV": measured(_lines(honest.items, CSV)),
        "in PostgreSQL": measured(None),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--tamperings", type=int, default=1_000)
    parser.add_argument("--sql", type=int, help="of these in PostgreSQL; else half")
    parser.add_argument("--seed", default=SEED)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    asked = parser.parse_args()
    os.environ["RPS_KEY"] = new_word()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="rps-tampering-") as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        server.start()
        try:
            tables = asked.tamperings // 2 if asked.sql is None else asked.sql
            files = asked.tamperings - tables
            found = _run(server, asked.events, files, tables, chance)
        finally:
            server.destroy()
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(1 if found["missed"] else 0)


def _run(
    server: EmbeddedServer, events: int, files: int, tables: int, chance: random.Random
) -> dict[str, Any]:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE rps_tampering")
    dsn = server.dsn("rps_tampering")
    migrate(dsn)
    honest = Original(dsn, events)
    print(f"{len(honest.rows):,} events; a witness saw the checkpoint of all of them")
    measured = speeds(honest)
    for name, speed in measured.items():
        print(f"verified, {name}: {speed:,.0f} events/s")
    start = time.monotonic()
    in_files = tamper_files(honest, files, chance)
    in_tables = tamper_tables(server, honest, tables, chance)
    done = {**in_files.done, **in_tables.done}
    found = {**in_files.found, **in_tables.found}
    missed = [*in_files.missed, *in_tables.missed]
    for name, times in done.items():
        print(f"{name:15} {found.get(name, 0):4} of {times:4} found")
    for text in missed:
        print(f"NOT FOUND: {text}")
    total, seconds = sum(done.values()), time.monotonic() - start
    print(f"{total - len(missed):,} of {total:,} tamperings found, in {seconds:,.0f} s")
    return {
        "events": len(honest.rows),
        "per_second": measured,
        "done": done,
        "found": found,
        "missed": missed,
    }


if __name__ == "__main__":
    main()
