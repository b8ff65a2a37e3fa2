"""Tickets of a ServiceNow instance brought into a Roundup tracker, then edited on both
sides at once: how long, how many requests, and whether all of it is there once.

    python -m bench.seeding [TICKETS] [EDITS]     1000 and 500 by default

One node has both systems: the instance is the sandbox's, over TLS on loopback; the
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
from typing import TYPE_CHECKING

from bench.between import FAILED, Node
from bench.desks import Instance, Running, Tracker, by_key, placed
from bench.process import family_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.desks import Ticket


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
    """`faults`: what differs, is missing, doubled or waits for a person."""

    faults: list[str]


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
            self.instance, self.tracker = placed(self.folder)
            self.running: dict[str, Running] = {}
            for desk in (self.instance, self.tracker):
                self.running[desk.name] = Running(desk, self.folder)
                stack.callback(self.running[desk.name].process.end)
            with _timed("tickets made at the instance"):
                keys = self._sow()
            self.node = Node(self.folder, self.instance, self.tracker)
            self.node.start(stack)
            faults = self._seeded() or self._edited_at_both(keys)
            return Outcome(faults)

    def _seeded(self) -> list[str]:
        began = time.monotonic()
        self.node.await_quiet(self.tickets)
        seconds = time.monotonic() - began
        self._tell(f"{self.tickets} tickets seeded", seconds, self.tickets)
        faults = self._compared()
        self.done.states.clear()  # from now on a tracker's own rules move them
        return faults

    def _edited_at_both(self, keys: list[str]) -> list[str]:
        began = time.monotonic()
        made = self._edit(keys)
        with _timed("all of it in step, after the last edit"):
            self.node.await_quiet(self.tickets + made)
        self._tell(f"{self.edits} edits", time.monotonic() - began, self.edits)
        return self._compared()

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
        ann, priority = self.instance.people[0], chance.choice("12345")
        ticket = self.instance.create(ann, title, state=state, priority=priority)
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
        """With other fields in the same save, where the system has that."""
        if isinstance(desk, Instance):
            desk.edit(ticket, desk.people[0], comments=text, **more)
        else:
            desk.comment(ticket, desk.people[0], text)
            if more:
                desk.edit(ticket, desk.people[0], **more)
        self.done.comments[key][text] += 1

    def _attached(
        self, desk: Instance | Tracker, key: str, ticket: str, name: str, content: bytes
    ) -> None:
        desk.attach(ticket, desk.people[0], name, "text/plain", content)
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
        chance, who = random.Random(f"{desk.name} {self.edits}"), desk.people[0]
        states = [s for s in desk.STATES if s not in ("7", "done-cbb")]
        for kind, key, number in plan:
            ticket, by = numbers[key], f"{desk.name} {number}"
            match kind:
                case "title":
                    title = f"[{key}] titled by {by}"
                    self.done.titles[key].add(title)
                    desk.edit(ticket, who, **{desk.TITLE: title})
                case "state":
                    desk.edit(ticket, who, **{desk.STATE: chance.choice(states)})
                case "priority":
                    priority = chance.choice(desk.PRIORITIES)
                    desk.edit(ticket, who, priority=priority)
                case "comment":
                    self._said(desk, key, ticket, f"{key} said by {by}")
                case "both":
                    moved = {desk.STATE: chance.choice(states)}
                    self._said(desk, key, ticket, f"{key} moved by {by}", **moved)
                case "file":
                    content = f"{by}\n".encode() * chance.randrange(1, 200)
                    self._attached(desk, key, ticket, "evidence.txt", content)
                case _:
                    title = f"[N{number:05}] new at {by}"
                    self.done.titles[f"N{number:05}"].add(title)
                    more = {desk.STATE: chance.choice(states)}
                    desk.create(who, title, priority=desk.PRIORITIES[2], **more)

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
            **{n: each.process.cpu_seconds() for n, each in self.running.items()},
        }
        shares = ", ".join(
            f"{name} {(total - self._used.get(name, 0)) / count * 1e3:.0f}"
            for name, total in used.items()
        )
        print(f"  processor time for each, in ms: {shares}")
        for name, running in self.running.items():
            asked = running.asked()
            counts = asked - self._before.get(name, Counter())
            print(f"  {name}: {counts.total() / count:.1f} requests for each")
            for kind, times in counts.most_common():
                print(f"    {times / count:6.2f}  {kind}")
            self._before[name] = asked
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
