"""People at three remote systems who work on one record that these share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from simulated_remote import Remote

from rps.domain.document import parse

if TYPE_CHECKING:
    from rps.domain.agreement import Definition

START = datetime(2026, 1, 1, tzinfo=UTC)
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


def document_of(
    policies: str,
    *,
    deletes: bool,
    latest: frozenset[str] = frozenset(),
    edits: bool = False,
    name: str = "simulated",
    table: str = "record",
) -> dict[str, Any]:
    """Three members that share all there is to share."""
    kinds = {"tags": "tags"}
    deliver = ["create", "update", "delete"] if deletes else ["create", "update"]
    return {
        "process_event": name,
        "fields": {
            each: {"type": kinds.get(each, "text"), **POLICIES[policies][each]}
            for each in FIELDS
        },
        "journals": {"comments": {"visibility": "public"}},
        "members": {
            member: {
                "table": table,
                "capture": ["create", "update", "delete"],
                "deliver": deliver,
                "delivery": "latest" if member in latest else "each",
                "fields": {
                    each: {"field": each, "truncate": CUT[each]}
                    if member == "c" and each in CUT
                    else each
                    for each in FIELDS
                },
                "journals": {"comments": JOURNALS[member] if edits else "comments"},
            }
            for member in MEMBERS
        },
    }


@cache
def definition_of(policies: str, **how: Any) -> Definition:
    return parse(document_of(policies, **how))


class People:
    """Who works on one shared record, and what they do. The seed decides everything."""

    def __init__(
        self,
        grade: str,
        seed: int,
        *,
        deletes: bool = False,
        manual: bool = False,
        latest: bool = False,
        edits: bool = False,
        number: int = 1,
    ) -> None:
        self.random = Random(f"{grade}{seed}")
        self.grade, self.seconds, self.number = grade, 0, 0
        self.deletes, self.manual, self.edits = deletes, manual, edits
        self.policies = "manual" if manual else self.random.choice(("newer", "mixed"))
        self.latest = frozenset(
            name for name in MEMBERS if latest and self.random.random() < 0.6
        )
        self.remotes = {name: self._remote(name, number) for name in MEMBERS}
        self.entries: list[str] = []
        self.worded: set[tuple[str, str]] = set()
        for name in ("title", "state", "tags"):
            self.remotes["a"].edit(name, self.value("a", name))

    @property
    def rules(self) -> dict[str, Any]:
        """What `document_of` wants to know."""
        return {
            "policies": self.policies,
            "deletes": self.deletes,
            "latest": self.latest,
            "edits": self.edits,
        }

    @property
    def definition(self) -> Definition:
        return definition_of(**self.rules)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def _remote(self, name: str, number: int) -> Remote:
        chance = self.random
        skew = chance.choice((0, 0, -3600, 3600))

        def clock() -> str:
            return (self.now() + timedelta(seconds=skew)).isoformat()

        cut = CUT if name == "c" else {}
        flags = [chance.random() < 0.5 for _ in range(3)]
        return Remote(name, self.grade, *flags, skew, cut, clock, number)

    def user(self, remote: Remote) -> None:
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
            remote.edit(name, self.value(remote.name, name))

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

    def value(self, member: str, name: str) -> Any:
        if name == "tags":
            record = self.remotes[member].record or {}
            return sorted(set(record.get(name) or ()) ^ {self.random.choice("uvwxyz")})
        if self.random.random() < 0.2:
            return self.random.choice("pq")
        self.number += 1
        short = f"{self.number:03d}"
        return short if member == "c" else f"{short}-long"
