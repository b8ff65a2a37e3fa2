"""Random schedules of edits, deliveries and mishaps, and what must hold after them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from simulated_node import Node
from simulated_remote import Remote

from rps.domain.document import parse

if TYPE_CHECKING:
    from rps.domain.agreement import Definition

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = 60
DELIVERIES_MAX = 6
"""Writes to a member after all had arrived, beyond what was waiting for it then."""
ROUNDS_MAX = 200
MEMBERS = ("a", "b", "c")
CUT = {"title": 4}
FIELDS = ("title", "state", "note", "tags")
PREFIX = "[{author}] "
JOURNALS: dict[str, Any] = {
    "a": {"journal": "comments", "edits": True},
    "b": {"journal": "comments", "edits": True, "prefix": PREFIX},
    "c": "comments",
}
"""Where entries are edited and removed; `c` can do that with its own only."""
POLICIES: dict[str, dict[str, Any]] = {
    "newer": {name: {"policy": "newer_wins"} for name in FIELDS},
    "mixed": {
        "title": {"policy": "owner", "owner": "b"},
        "state": {"policy": "remote_wins"},
        "note": {"policy": "local_wins"},
        "tags": {"policy": "merge"},
    },
    "manual": {
        "title": {"policy": "manual"},
        "state": {"policy": "manual"},
        "note": {"policy": "newer_wins"},
        "tags": {"policy": "manual"},
    },
}


@cache
def definition_of(
    policies: str,
    *,
    deletes: bool,
    latest: frozenset[str] = frozenset(),
    edits: bool = False,
) -> Definition:
    kinds = {"tags": "tags"}
    deliver = ["create", "update", "delete"] if deletes else ["create", "update"]
    return parse(
        {
            "process_event": "simulated",
            "fields": {
                name: {"type": kinds.get(name, "text"), **POLICIES[policies][name]}
                for name in FIELDS
            },
            "journals": {"comments": {"visibility": "public"}},
            "members": {
                name: {
                    "table": "record",
                    "capture": ["create", "update", "delete"],
                    "deliver": deliver,
                    "delivery": "latest" if name in latest else "each",
                    "fields": {
                        each: {"field": each, "truncate": CUT[each]}
                        if name == "c" and each in CUT
                        else each
                        for each in FIELDS
                    },
                    "journals": {"comments": JOURNALS[name] if edits else "comments"},
                }
                for name in MEMBERS
            },
        }
    )


@dataclass(slots=True)
class Result:
    """What a schedule came to; `problems` is empty where all is well."""

    problems: list[str] = field(default_factory=list)
    edits: int = 0
    late: int = 0
    lost: int = 0
    deliveries: int = 0


class Simulation:
    """One schedule. The seed decides everything."""

    def __init__(
        self,
        grade: str,
        seed: int,
        *,
        deletes: bool = False,
        manual: bool = False,
        latest: bool = False,
        edits: bool = False,
    ) -> None:
        self.random = Random(f"{grade}{seed}")
        self.grade, self.seconds, self.number = grade, 0, 0
        self.deletes, self.manual, self.edits = deletes, manual, edits
        policies = "manual" if manual else self.random.choice(("newer", "mixed"))
        wanting = [name for name in MEMBERS if latest and self.random.random() < 0.6]
        self.definition = definition_of(
            policies, deletes=deletes, latest=frozenset(wanting), edits=edits
        )
        self.remotes = {name: self._remote(name) for name in MEMBERS}
        self.node = Node(self.definition, self.remotes, self._now)
        self.entries: list[str] = []
        self.worded: set[tuple[str, str]] = set()
        self.resolved: list[tuple[str, Any]] = []
        for name in ("title", "state", "tags"):
            self.remotes["a"].edit(name, self._value("a", name))

    def run(self) -> Result:
        for _ in range(STEPS):
            self._step()
        result = Result()
        try:
            self._come_to_rest(result)
        except LookupError as endless:
            result.problems.append(str(endless))
            return result
        return result

    # --- what happens -------------------------------------------------------------

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def _remote(self, name: str) -> Remote:
        chance = self.random
        skew = chance.choice((0, 0, -3600, 3600))

        def clock() -> str:
            return (self._now() + timedelta(seconds=skew)).isoformat()

        cut = CUT if name == "c" else {}
        flags = [chance.random() < 0.5 for _ in range(3)]
        return Remote(name, self.grade, *flags, skew, cut, clock)

    def _step(self) -> None:
        chance = self.random
        self.seconds += chance.choice((0, 1, 1, 7))
        name = chance.choice(MEMBERS)
        remote = self.remotes[name]
        draw = chance.random()
        if draw < 0.25:
            self._user(remote)
        elif draw < 0.45:
            self._hook(remote)
        elif draw < 0.65:
            self.node.judge_next()
        elif draw < 0.93 or (draw < 0.97 and not self.manual):
            self._deliver(name)
        elif draw < 0.97:
            self._resolve()
        elif remote.record is not None:
            self.node.capture(remote.shown(), "poll")

    def _user(self, remote: Remote) -> None:
        if remote.record is None or remote.is_deleted:
            return
        draw = self.random.random()
        if self.edits and draw < 0.4:
            self._journal(remote)
        elif draw < 0.1:
            self.number += 1
            self.entries.append(f"{remote.name}:e{self.number}")
            remote.comment(f"e{self.number}")
        elif self.deletes and draw < 0.14:
            remote.delete()
        else:
            name = self.random.choice(FIELDS)
            remote.edit(name, self._value(remote.name, name))

    def _journal(self, remote: Remote) -> None:
        """A user says something, or has other words for what was said, or none."""
        there = [e for e in remote.entries if remote.name != "c" or ":" not in e]
        draw = self.random.random()
        if not there or draw < 0.3:
            self.number += 1
            self.entries.append(f"{remote.name}:e{self.number}")
            self.worded.add((remote.name, f"e{self.number}"))
            remote.comment(f"e{self.number}")
            return
        entry = self.random.choice(there)
        if draw < 0.8:
            self.number += 1
            text = f"{entry.rpartition(':')[2]}/{self.number}"
            author = entry.partition(":")[0]
            shown = f"[{author}] " if remote.name == "b" and ":" in entry else ""
            self.worded.add((remote.name, text))
            remote.reword(entry, f"{shown}{text}")
        else:
            remote.remove(entry)

    def _value(self, member: str, name: str) -> Any:
        if name == "tags":
            record = self.remotes[member].record or {}
            return sorted(set(record.get(name) or ()) ^ {self.random.choice("uvwxyz")})
        if self.random.random() < 0.2:
            return self.random.choice("pq")
        self.number += 1
        short = f"{self.number:03d}"
        return short if member == "c" else f"{short}-long"

    def _hook(self, remote: Remote) -> None:
        if not remote.hooks:
            return
        index = self.random.randrange(len(remote.hooks))
        fate = self.random.random()
        hook = remote.hooks[index]
        opens = not self.node.intake
        if fate < 0.9:
            del remote.hooks[index]
        if fate > 0.08 or opens:  # else it is lost
            self.node.capture(hook)
        if opens:
            self.remotes["a"].hooks[:] = [
                h for h in self.remotes["a"].hooks if h is not hook
            ]

    def _deliver(self, name: str) -> None:
        lane = self.node.lanes[name]
        if lane.write is None:
            self.node.claim(name)
        elif lane.answer is None:
            self.node.arrive(name, self._fate(lost=0.12, refused=0.06))
        else:
            self.node.answered(name, self._fate(lost=0.12, crash=0.06))

    def _resolve(self) -> bool:
        """Somebody decides one open conflict; False: there is none."""
        held = self.node.correlation.held
        if not held:
            return False
        member, name = self.random.choice(list(held))
        keep = self.random.choice(("mine", "theirs", "other"))
        other = ["w"] if name == "tags" else self.random.choice("pqr")
        self.resolved.append((name, other))
        self.node.resolve(member, name, keep, other)
        return True

    def _fate(self, **chances: float) -> str:
        draw = self.random.random()
        for fate, share in chances.items():
            if draw < share:
                return fate
            draw -= share
        return "done"

    # --- coming to rest -----------------------------------------------------------

    def _come_to_rest(self, result: Result) -> None:
        """Let all under way arrive; count what is written beyond what waits then."""
        self._settle_all()
        backlog = self._backlog()
        self._until_quiet(backlog)
        while self._resolve():
            self._settle_all()
            backlog = self._backlog()
            self._until_quiet(backlog)
        for remote in self.remotes.values():
            if remote.record is not None:
                self.node.capture(remote.shown(), "poll")
        self._until_quiet(backlog)
        result.deliveries = max(
            lane.deliveries - backlog[name] for name, lane in self.node.lanes.items()
        )

    def _backlog(self) -> dict[str, int]:
        return {
            name: lane.deliveries + len([r for r in lane.rows if r.status == "ready"])
            for name, lane in self.node.lanes.items()
        }

    def _settle_all(self) -> None:
        """Deliver every hook, get every answer, judge every change."""
        for _ in range(ROUNDS_MAX):
            for name, lane in self.node.lanes.items():
                while lane.is_unsettled:
                    if lane.write is None:
                        self.node.claim(name)
                    self._finish(name)
            hooks = [hook for r in self.remotes.values() for hook in r.hooks]
            self.random.shuffle(hooks)
            for hook in hooks:
                self.remotes[hook["member"]].hooks.remove(hook)
                self.node.capture(hook)
            self._judge_all()
            if not self.node.inbound:
                return
        raise LookupError("changes and messages chase each other")

    def _finish(self, name: str) -> None:
        lane = self.node.lanes[name]
        if lane.write is not None:
            if lane.answer is None:
                self.node.arrive(name, "done")
            self.node.answered(name, "done")

    def _judge_all(self) -> None:
        while self.node.judge_next():
            self.seconds += 1

    def _until_quiet(self, backlog: dict[str, int]) -> None:
        for _ in range(ROUNDS_MAX):
            active = False
            for remote in self.remotes.values():
                while remote.hooks:
                    self.node.capture(remote.hooks.pop(0))
            self._judge_all()
            for name, lane in self.node.lanes.items():
                if self.node.claim(name):
                    active = True
                    self._finish(name)
                if lane.deliveries - backlog[name] > DELIVERIES_MAX:
                    raise LookupError(f"{name} is written to without end")
            if not active and not any(r.hooks for r in self.remotes.values()):
                return
        raise LookupError("there is always more to send")
