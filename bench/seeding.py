"""Tickets of a ServiceNow instance brought into a Roundup tracker, then edited on both
sides at once: how long, how many requests, and whether all of it is there once.

    python -m bench.seeding [TICKETS] [EDITS]     1000 and 500 by default

One node has both systems: the instance is the sandbox's, over http on loopback; the
tracker is a real Roundup on SQLite. The tickets, their comments and files are there
before rps is: it is told to poll from a moment before that. Everything is compared
record by record over the systems' own APIs. Exits 1 where anything differs.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bench.deployment import environ_of
from bench.desks import PASSWORD, Instance, Tracker, by_key
from bench.process import Process, family_seconds, ours
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.desks import Ticket

BEFORE = "2026-01-01"
QUIET = """
SELECT NOT EXISTS (SELECT FROM inbound_queue WHERE status IN ('ready', 'error'))
   AND NOT EXISTS (SELECT FROM outbound_queue
                   WHERE status IN ('ready', 'uncertain', 'error'))
"""
STANDING = """
SELECT (SELECT count(*) FROM links WHERE member = 'roundup'),
       (SELECT count(*) FROM inbound_queue WHERE status = 'ready'),
       (SELECT count(*) FROM outbound_queue WHERE status IN ('ready', 'uncertain'))
"""
FAILED = """
SELECT 'change', member, record_id, detail FROM inbound_queue WHERE status = 'error'
UNION ALL
SELECT 'message', member, message_id::text, detail FROM outbound_queue
WHERE status = 'error'
"""
PATIENCE_SECONDS = 300.0
"""Without any progress."""
ROUNDS_ALIKE = 3
"""So many looks, a poll apart, have to find everything quiet."""

DEFINITION: dict[str, Any] = {
    "process_event": "ticket",
    "fields": {
        "title": {"type": "text"},
        "state": {
            "type": "choice",
            "values": ["new", "working", "waiting", "resolved"],
        },
        "priority": {"type": "choice", "values": ["1", "2", "3", "4", "5"]},
    },
    "journals": {"comments": {"visibility": "public"}},
    "attachments": {"journal": "comments", "size_max": "1 MB"},
    "members": {
        "servicenow": {
            "table": "incident",
            "capture": ["create", "update"],
            "fields": {
                "title": "short_description",
                "state": {
                    "field": "state",
                    "values": {
                        "new": "1",
                        "working": "2",
                        "waiting": "3",
                        "resolved": "6",
                    },
                },
                "priority": "priority",
            },
            "journals": {"comments": "comments"},
            "flows": {
                "inbound": [
                    {"name": "closed", "when": "stateIN7,8", "set": {"state": "6"}},
                    "map",
                ]
            },
        },
        "roundup": {
            "table": "issue",
            "capture": ["create", "update"],
            "fields": {
                "title": "title",
                "state": {
                    "field": "status",
                    "values": {
                        "new": "unread",
                        "working": "in-progress",
                        "waiting": "deferred",
                        "resolved": "resolved",
                    },
                },
                "priority": {
                    "field": "priority",
                    "values": dict(zip("12345", Tracker.PRIORITIES, strict=True)),
                },
            },
            "journals": {"comments": "messages"},
            "flows": {
                "inbound": [
                    {
                        "name": name,
                        "when": f"status={name}",
                        "set": {"status": status},
                    }
                    for name, status in (
                        ("chatting", "unread"),
                        ("testing", "in-progress"),
                        ("need-eg", "deferred"),
                        ("done-cbb", "resolved"),
                    )
                ]
                + ["map"]
            },
        },
    },
}


@dataclass
class Done:
    """What people did: all of it has to be at both sides in the end."""

    states: dict[str, str] = field(default_factory=dict)
    titles: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    comments: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    files: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )


@dataclass
class Outcome:
    """`faults`: what differs. Seconds are wall clock."""

    faults: list[str]
    seeding_seconds: float
    editing_seconds: float


class Node:
    """rps with all its workers, between the two."""

    def __init__(self, folder: Path, instance: Instance, tracker: Tracker) -> None:
        self.server = EmbeddedServer(folder / "postgres")
        self._folder = folder
        self._desks = (instance, tracker)
        self.work: Process

    def start(self, stack: ExitStack) -> None:
        stack.callback(self.server.destroy)
        self.server.start()
        self._rps("init")
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        instance, tracker = self._desks
        polled = ("--poll-seconds", "1")
        self._rps(
            *("system", "add", "servicenow", "--connector", "servicenow", *polled),
            *("--url", instance.url, "--username", "rps.integration"),
            *("--password-file", str(secret), "--poll-from", BEFORE),
        )
        self._rps(
            *("system", "add", "roundup", "--connector", "rest", "--preset", "roundup"),
            *("--url", tracker.url, "--set", "user=rps", *polled),
            *("--secret-file", str(secret)),
        )
        for name in ("servicenow", "roundup"):
            self._rps("system", "activate", name)
        document = self._folder / "definition.yaml"
        document.write_bytes(orjson.dumps(DEFINITION))  # JSON is YAML
        self._rps("definition", "apply", str(document))
        said = self._folder / "work.log"
        self.work = Process(ours("rps", "work"), said, environ_of(self.server.dsn()))
        stack.callback(self.work.end)

    def _rps(self, *arguments: str) -> None:
        said = self._folder / "commands.log"
        command = Process(ours("rps", *arguments), said, environ_of(self.server.dsn()))
        command.answer()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn()) as connection:
            return connection.execute(sql.encode()).fetchall()

    def await_quiet(self, records: int) -> None:
        """Until that many are linked and nothing is on its way, for some polls on end.
        What waits for a person does not go on its way: it ends the wait, too."""
        deadline, before, alike = time.monotonic() + PATIENCE_SECONDS, (), 0
        while alike < ROUNDS_ALIKE:
            self.work.require_running()
            standing = self.ask(STANDING)[0]
            is_quiet = self.ask(QUIET)[0][0] and standing[0] >= records
            if standing != before:
                deadline, alike = time.monotonic() + PATIENCE_SECONDS, 0
            if self.ask(FAILED) and standing == before:
                return
            if time.monotonic() > deadline:
                return
            alike = alike + 1 if is_quiet else 0
            before = standing
            time.sleep(1.5)


class Bench:
    def __init__(self, folder: Path, tickets: int, edits: int, seed: int) -> None:
        self.folder = folder
        self.tickets, self.edits = tickets, edits
        self.chance = random.Random(seed)
        self.done = Done()
        self._before: dict[str, Counter[str]] = {}
        self._used: dict[str, float] = {}

    def run(self) -> Outcome:
        with ExitStack() as stack:
            self.instance, self.tracker = Instance(self.folder), Tracker(self.folder)
            for desk in (self.instance, self.tracker):
                stack.callback(desk.process.end)
                desk.await_it()
            with _timed("tickets made at the instance"):
                keys = self._sow()
            self.node = Node(self.folder, self.instance, self.tracker)
            self.node.start(stack)
            began = time.monotonic()
            self.node.await_quiet(self.tickets)
            seeding = time.monotonic() - began
            self._tell(f"{self.tickets} tickets seeded", seeding, self.tickets)
            faults = self._compared()
            self.done.states.clear()  # from now on a tracker's own rules move them
            began = time.monotonic()
            if not faults:
                made = self._edit(keys)
                with _timed("all of it in step, after the last edit"):
                    self.node.await_quiet(self.tickets + made)
                faults = self._compared()
            editing = time.monotonic() - began
            self._tell(f"{self.edits} edits", editing, self.edits)
            return Outcome(faults, seeding, editing)

    # --- what people do ---------------------------------------------------------------

    def _sow(self) -> list[str]:
        """Tickets with up to three comments and up to two files each."""
        keys = [f"T{number:05}" for number in range(self.tickets)]
        with ThreadPoolExecutor(4) as threads:
            plans = [(key, random.Random(f"{key}")) for key in keys]
            list(threads.map(lambda plan: self._sown(*plan), plans))
        return keys

    def _sown(self, key: str, chance: random.Random) -> None:
        title = f"[{key}] as it was reported"
        state = chance.choice(("1", "1", "2", "2", "3", "6"))
        ticket = self.instance.create(title, state, chance.choice("12345"))
        self.done.titles[key].add(title)
        self.done.states[key] = self.instance.STATES[state]
        for number in range(chance.randrange(4)):
            self._said(
                self.instance, key, ticket, f"{key} comment {number}\nof the start"
            )
        for number in range(chance.randrange(3)):
            content = chance.randbytes(chance.randrange(20, 4_000)).hex().encode()
            self._attached(self.instance, key, ticket, f"log{number}.txt", content)

    def _said(
        self, desk: Instance | Tracker, key: str, ticket: str, text: str, **more: str
    ) -> None:
        desk.edit(ticket, comment=text, **more)
        self.done.comments[key][text] += 1

    def _attached(
        self, desk: Instance | Tracker, key: str, ticket: str, name: str, content: bytes
    ) -> None:
        desk.attach(ticket, name, content)
        self.done.files[key][name, hashlib.sha256(content).hexdigest()] += 1

    def _edit(self, keys: list[str]) -> int:
        """On both sides at once, a tenth of the tickets again and again; how many were
        new tickets."""
        numbers = {
            desk.name: {key: number for key, (number, _) in by_key(desk)[0].items()}
            for desk in (self.instance, self.tracker)
        }
        hot = self.chance.sample(keys, max(len(keys) // 10, 3))
        plans: dict[str, list[tuple[str, str, int]]] = {"servicenow": [], "roundup": []}
        kinds = ("title", "state", "priority", "comment", "both", "file", "file", "new")
        for number in range(self.edits):
            key = self.chance.choice(hot if number % 2 else keys)
            plan = plans[self.chance.choice(("servicenow", "roundup"))]
            plan.append((self.chance.choice(kinds), key, number))
        with ThreadPoolExecutor(2) as threads, _timed(f"{self.edits} edits made"):
            list(
                threads.map(
                    lambda desk: self._edited(
                        desk, plans[desk.name], numbers[desk.name]
                    ),
                    (self.instance, self.tracker),
                )
            )
        return sum(kind == "new" for plan in plans.values() for kind, _, _ in plan)

    def _edited(
        self,
        desk: Instance | Tracker,
        plan: list[tuple[str, str, int]],
        numbers: dict[str, str],
    ) -> None:
        chance = random.Random(f"{desk.name} {self.edits}")
        states = [s for s in desk.STATES if s not in ("7", "done-cbb")]
        for kind, key, number in plan:
            ticket, by = numbers[key], f"{desk.name} {number}"
            match kind:
                case "title":
                    title = f"[{key}] titled by {by}"
                    self.done.titles[key].add(title)
                    desk.edit(ticket, title=title)
                case "state":
                    desk.edit(ticket, state=chance.choice(states))
                case "priority":
                    desk.edit(ticket, priority=chance.choice(desk.PRIORITIES))
                case "comment":
                    self._said(desk, key, ticket, f"{key} said by {by}")
                case "both":
                    state = chance.choice(states)
                    self._said(desk, key, ticket, f"{key} moved by {by}", state=state)
                case "file":
                    content = f"{by}\n".encode() * chance.randrange(1, 200)
                    self._attached(desk, key, ticket, "evidence.txt", content)
                case _:
                    title = f"[N{number:05}] new at {by}"
                    self.done.titles[f"N{number:05}"].add(title)
                    desk.create(title, chance.choice(states), desk.PRIORITIES[2])

    # --- what came of it --------------------------------------------------------------

    def _compared(self) -> list[str]:
        faults = [" ".join(map(str, row)) for row in self.node.ask(FAILED)]
        ours, doubled = by_key(self.instance)
        theirs, doubled_there = by_key(self.tracker)
        faults += [*doubled, *doubled_there]
        for key in sorted(self.done.titles.keys() | ours.keys() | theirs.keys()):
            for name, found in (("servicenow", ours), ("roundup", theirs)):
                if key not in found:
                    faults.append(f"{key}: not at {name}")
            if key in ours and key in theirs:
                faults += self._differences(key, ours[key][1], theirs[key][1])
        return faults

    def _differences(self, key: str, here: Ticket, there: Ticket) -> Iterator[str]:
        for name in ("title", "state", "priority"):
            values = getattr(here, name), getattr(there, name)
            if values[0] != values[1]:
                yield f"{key}: {name} is {values[0]!r} and {values[1]!r}"
        if here.state != self.done.states.get(key, here.state):
            yield f"{key}: state is {here.state}, was {self.done.states[key]}"
        if here.title not in self.done.titles[key]:
            yield f"{key}: nobody wrote the title {here.title!r}"
        yield from self._lost_or_doubled(key, here, there)

    def _lost_or_doubled(self, key: str, here: Ticket, there: Ticket) -> Iterator[str]:
        for side, ticket in (("servicenow", here), ("roundup", there)):
            for what, found, made in (
                ("comment", ticket.comments, self.done.comments[key]),
                ("file", ticket.files, self.done.files[key]),
            ):
                if lost := dict(made - found):  # type: ignore[operator]
                    yield f"{key}: {what} lost at {side}: {lost}"
                if more := dict(found - made):  # type: ignore[operator]
                    yield f"{key}: {what} too much at {side}: {more}"

    # --- what it took -----------------------------------------------------------------

    def _tell(self, what: str, seconds: float, count: int) -> None:
        print(f"\n{what} in {seconds:.0f} s, {count / seconds:.1f} a second")
        used = {
            "rps": self.node.work.cpu_seconds(),
            "postgresql": family_seconds(self.node.server.pid or -1),
            "servicenow": self.instance.process.cpu_seconds(),
            "roundup": self.tracker.process.cpu_seconds(),
        }
        shares = ", ".join(
            f"{name} {(total - self._used.get(name, 0)) / count * 1e3:.0f}"
            for name, total in used.items()
        )
        print(f"  processor time for each, in ms: {shares}")
        for desk in (self.instance, self.tracker):
            asked = desk.asked()
            counts = asked - self._before.get(desk.name, Counter())
            print(f"  {desk.name}: {counts.total() / count:.1f} requests for each")
            for kind, times in counts.most_common():
                print(f"    {times / count:6.2f}  {kind}")
            self._before = {**self._before, desk.name: asked}
        self._used = used


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


def measure(tickets: int, edits: int, folder: Path, seed: int = 6) -> Outcome:
    """Everything that it starts has ended when it returns; `folder` is new."""
    return Bench(folder, tickets, edits, seed).run()


def main(tickets: int = 1000, edits: int = 500) -> int:
    folder = Path(tempfile.mkdtemp(prefix="rps-bench-"))
    outcome = measure(tickets, edits, folder)
    for fault in outcome.faults:
        print(f"! {fault}")
    if outcome.faults:
        print(f"{len(outcome.faults)} faults; what the processes said: {folder}")
        return 1
    print("in step: each record, comment and file is there once, and none is lost")
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
