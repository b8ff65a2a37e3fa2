"""The two systems of the demo, a ServiceNow instance and a Roundup tracker: what rps
asks them, and all that they hold, read over their own APIs."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from bench.deployment import free_port
from bench.process import Process, await_true, ours
from rps.cli.demo.desk import InstanceDesk, TrackerDesk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PASSWORD = "a long password"
NEW, WORKING, WAITING, RESOLVED = "new", "working", "waiting", "resolved"
KEY = re.compile(r"\[(\w+)\]")
"""In each title, so that a ticket is known at both sides."""
ALL_ROWS = 10_000_000


@dataclass
class Ticket:
    """As a system shows it, in shared words. `files` are by name and SHA-256."""

    title: str
    state: str
    priority: str
    comments: Counter[str] = field(default_factory=Counter)
    files: Counter[tuple[str, str]] = field(default_factory=Counter)


class Instance(InstanceDesk):
    STATES: ClassVar[Mapping[str, str]] = {
        "1": NEW,
        "2": WORKING,
        "3": WAITING,
        "6": RESOLVED,
        "7": RESOLVED,
    }
    PRIORITIES: ClassVar = ("1", "2", "3", "4", "5")
    TITLE: ClassVar = "short_description"
    STATE: ClassVar = "state"

    def tickets(self) -> Iterator[tuple[str, Ticket]]:
        """All of them, with their ids."""
        limit, who = f"sysparm_limit={ALL_ROWS}", self.people[0]
        comments: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self._ask(who, "GET", f"table/sys_journal_field?{limit}"):
            comments[row["element_id"]][row["value"]] += 1
        files: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        for row in self._ask(who, "GET", f"attachment?{limit}"):
            files[row["table_sys_id"]][row["file_name"], row["hash"]] += 1
        for row in self._ask(who, "GET", f"table/incident?{limit}"):
            key, state = row["sys_id"], self.STATES[row["state"]]
            about = (row["short_description"], state, row["priority"])
            yield key, Ticket(*about, comments[key], files[key])


class Tracker(TrackerDesk):
    STATES: ClassVar[Mapping[str, str]] = {
        "unread": NEW,
        "chatting": NEW,
        "in-progress": WORKING,
        "testing": WORKING,
        "deferred": WAITING,
        "need-eg": WAITING,
        "resolved": RESOLVED,
        "done-cbb": RESOLVED,
    }
    PRIORITIES: ClassVar = ("critical", "urgent", "bug", "feature", "wish")
    TITLE: ClassVar = "title"
    STATE: ClassVar = "status"

    def tickets(self) -> Iterator[tuple[str, Ticket]]:
        """All of them, with their ids."""
        texts = {e["id"]: e["content"] for e in self._all("msg", "content", "3")}
        files = {e["id"]: self._named(e["id"]) for e in self._all("file", "name", "1")}
        shown = "title,status,priority,messages,files"
        for each in self._all("issue", shown, "2"):
            priority = 1 + self.PRIORITIES.index(each["priority"]["name"])
            about = (each["title"], self.STATES[each["status"]["name"]], str(priority))
            said = Counter(texts[m["id"]] for m in each["messages"])
            yield (
                each["id"],
                Ticket(*about, said, Counter(files[f["id"]] for f in each["files"])),
            )

    def _named(self, file: str) -> tuple[str, str]:
        name, content = self._file(file)
        return name, hashlib.sha256(content).hexdigest()

    def _all(self, what: str, fields: str, verbose: str) -> list[dict[str, Any]]:
        query = {"@fields": fields, "@verbose": verbose, "@page_size": ALL_ROWS}
        found: list[dict[str, Any]] = self._get(f"{what}?{urlencode(query)}")[
            "collection"
        ]
        return found


class Running:
    """A desk's process, which tells of each request."""

    def __init__(self, desk: Instance | Tracker, folder: Path) -> None:
        self._said = folder / f"{desk.name}.log"
        command = ours("rps", *desk.command(), "--access-log")
        self.process = Process(command, self._said, desk.environ(), folder)
        await_true(desk.answers, f"{desk.name} answers", self.process)

    def asked(self) -> Counter[str]:
        """The requests of rps so far, by kind."""
        lines = self._said.with_suffix(".out").read_text().splitlines()
        found = (line.split(" ", 3) for line in lines[1:])
        return Counter(
            f"{each[0]} {kind_of(each[1])}" for each in found if each[3:] == ["rps"]
        )


def kind_of(path: str) -> str:
    return re.sub(r"/([0-9a-f]{32}|\d+)", "/N", path.split("?", maxsplit=1)[0])


def placed(folder: Path) -> tuple[Instance, Tracker]:
    return (
        Instance("servicenow", folder, free_port(), PASSWORD),
        Tracker("roundup", folder, free_port(), PASSWORD),
    )


def by_key(desk: Instance | Tracker) -> tuple[dict[str, tuple[str, Ticket]], list[str]]:
    """The desk's tickets by the key in their titles; and which are there twice."""
    found: dict[str, tuple[str, Ticket]] = {}
    doubled = []
    for number, ticket in desk.tickets():
        named = KEY.search(ticket.title)
        key = named[1] if named else f"without a key: {ticket.title}"
        if key in found:
            doubled.append(f"{key}: {desk.name} has it as {found[key][0]} and {number}")
        found[key] = (number, ticket)
    return found, doubled
