"""Two systems as their own people use them: a ServiceNow instance (the sandbox) and a
Roundup tracker. What they hold is read over their own APIs, rps left out."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import orjson
import urllib3

from bench.deployment import free_port
from bench.process import Process, await_true, ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a long password"
NEW, WORKING, WAITING, RESOLVED = "new", "working", "waiting", "resolved"
KEY = re.compile(r"\[(\w+)\]")
"""In each title, so that a ticket is known at both sides."""
ALL_ROWS = 10_000_000


@dataclass
class Ticket:
    """As a system shows it. `files` are by name and SHA-256."""

    title: str
    state: str
    priority: str
    comments: Counter[str] = field(default_factory=Counter)
    files: Counter[tuple[str, str]] = field(default_factory=Counter)


class Desk:
    """A system in a process of its own, which tells of each request."""

    name: str
    who: str

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._said = folder / f"{self.name}.log"
        command = ("sandbox", self.name, self.name, "--port", str(self.port))
        more = (*arguments, "--password", PASSWORD, "--access-log")
        self.process = Process(ours("rps", *command, *more), self._said, {}, folder)
        self._http = urllib3.PoolManager(retries=False, timeout=60)
        self._basic = urllib3.make_headers(basic_auth=f"{self.who}:{PASSWORD}")

    def await_it(self) -> None:
        await_true(self._answers, f"{self.name} answers", self.process)

    def _answers(self) -> bool:
        try:
            return self._http.request("GET", self.url).status < 500
        except urllib3.exceptions.HTTPError:
            return False

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        **headers: str,
    ) -> tuple[int, Any]:
        """As one of its people; status and what was answered, JSON read."""
        given = {
            **self._basic,
            "Content-Type": kind,
            "Accept": "application/json",
            "User-Agent": "a person",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = self._http.request(
            method, f"{self.url}{path}", body=body, headers=given
        )
        if "json" in answer.headers.get("Content-Type", ""):
            return answer.status, orjson.loads(answer.data)
        return answer.status, answer.data

    def asked(self) -> Counter[str]:
        """The requests of rps so far, by kind."""
        lines = self._said.with_suffix(".out").read_text().splitlines()
        found = (line.split(" ", 3) for line in lines[1:])
        return Counter(
            f"{each[0]} {self.kind_of(each[1])}"
            for each in found
            if len(each) > 3 and each[3].startswith("rps")
        )

    def kind_of(self, path: str) -> str:
        return re.sub(r"/([0-9a-f]{32}|\d+)", "/N", path.split("?", maxsplit=1)[0])


class Instance(Desk):
    """ServiceNow, as ann.agent uses it."""

    name, who = "servicenow", "ann.agent"
    STATES: ClassVar = {
        "1": NEW,
        "2": WORKING,
        "3": WAITING,
        "6": RESOLVED,
        "7": RESOLVED,
    }
    PRIORITIES = ("1", "2", "3", "4", "5")

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, "--http", "--database", str(folder / "servicenow.sqlite")
        )

    def ask(self, method: str, path: str, values: Any = None) -> Any:
        body = None if values is None else orjson.dumps(values)
        status, told = self.send(method, f"/api/now/{path}", body)
        if status >= 300:
            raise RuntimeError(f"{self.name} answered {status}: {told}")
        return told["result"]

    def create(self, title: str, state: str, priority: str) -> str:
        values = {"short_description": title, "state": state, "priority": priority}
        return str(self.ask("POST", "table/incident", values)["sys_id"])

    def edit(self, ticket: str, **values: str) -> None:
        """`title`, `state`, `priority`, `comment`: in one save."""
        names = {"title": "short_description", "comment": "comments"}
        said = {names.get(name, name): value for name, value in values.items()}
        self.ask("PATCH", f"table/incident/{ticket}", said)

    def attach(self, ticket: str, name: str, content: bytes) -> None:
        query = {"table_name": "incident", "table_sys_id": ticket, "file_name": name}
        path = f"/api/now/attachment/file?{urlencode(query)}"
        status, told = self.send("POST", path, content, "text/plain")
        if status >= 300:
            raise RuntimeError(f"{self.name} answered {status}: {told}")

    def tickets(self) -> Iterator[tuple[str, Ticket]]:
        """All of them, with their ids."""
        limit = f"sysparm_limit={ALL_ROWS}"
        fields = "sysparm_fields=sys_id,short_description,state,priority"
        comments: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.ask("GET", f"table/sys_journal_field?{limit}"):
            comments[row["element_id"]][row["value"]] += 1
        files: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        for row in self.ask("GET", f"attachment?{limit}"):
            files[row["table_sys_id"]][row["file_name"], row["hash"]] += 1
        for row in self.ask("GET", f"table/incident?{fields}&{limit}"):
            key = row["sys_id"]
            yield (
                key,
                Ticket(
                    row["short_description"],
                    self.STATES[row["state"]],
                    row["priority"],
                    comments[key],
                    files[key],
                ),
            )


class Tracker(Desk):
    """Roundup, as zoe uses it."""

    name, who = "roundup", "zoe"
    STATES: ClassVar = {
        "unread": NEW,
        "chatting": NEW,
        "in-progress": WORKING,
        "testing": WORKING,
        "deferred": WAITING,
        "need-eg": WAITING,
        "resolved": RESOLVED,
        "done-cbb": RESOLVED,
    }
    PRIORITIES = ("critical", "urgent", "bug", "feature", "wish")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--home", str(folder / "tracker"))

    def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        status, told = self.send(
            method,
            f"/rest/data/{path}",
            X_Requested_With="a browser",
            Origin=self.url,
            **more,
        )
        return status, told.get("data", told) if isinstance(told, dict) else told

    def made(self, what: str, **more: Any) -> str:
        status, told = self.ask("POST", what, **more)
        if status != 201:
            raise RuntimeError(f"{self.name} answered {status}: {told}")
        return str(told["id"])

    def create(self, title: str, state: str, priority: str) -> str:
        values = {"title": title, "status": state, "priority": priority}
        return self.made("issue", body=orjson.dumps(values))

    def edit(self, ticket: str, **values: str) -> None:
        names = {"state": "status"}
        said: dict[str, Any] = {
            names.get(name, name): value for name, value in values.items()
        }
        if text := said.pop("comment", None):
            message = {"content": text, "author": self.who, "date": "."}
            made = self.made("msg", body=orjson.dumps(message))
            self._change(ticket, {"@op": "add", "messages": [made]})
        if said:
            self._change(ticket, said)

    def _change(self, ticket: str, values: dict[str, Any]) -> None:
        """Until nobody else was faster."""
        while True:
            _, seen = self.ask("GET", f"issue/{ticket}")
            status, told = self.ask(
                "PATCH",
                f"issue/{ticket}",
                body=orjson.dumps(values),
                If_Match=seen["@etag"],
            )
            if status == 200:
                return
            if status != 412:  # somebody else was faster
                raise RuntimeError(f"{self.name} answered {status}: {told}")

    def attach(self, ticket: str, name: str, content: bytes) -> None:
        parts: dict[str, Any] = {
            "name": name,
            "type": "text/plain",
            "content": (name, content, "text/plain"),
        }
        body, kind = urllib3.encode_multipart_formdata(parts)
        made = self.made("file", body=body, kind=kind)
        self._change(ticket, {"@op": "add", "files": [made]})

    def tickets(self) -> Iterator[tuple[str, Ticket]]:
        """All of them, with their ids."""
        texts = {
            each["id"]: each["content"] for each in self._all("msg", "content", "3")
        }
        files = {
            each["id"]: (each["name"], self._hash(each["id"]))
            for each in self._all("file", "name", "1")
        }
        shown = "title,status,priority,messages,files"
        for each in self._all("issue", shown, "2"):
            yield (
                each["id"],
                Ticket(
                    each["title"],
                    self.STATES[each["status"]["name"]],
                    str(1 + self.PRIORITIES.index(each["priority"]["name"])),
                    Counter(texts[m["id"]] for m in each["messages"]),
                    Counter(files[f["id"]] for f in each["files"]),
                ),
            )

    def _all(self, what: str, fields: str, verbose: str) -> list[dict[str, Any]]:
        query = {"@fields": fields, "@verbose": verbose, "@page_size": ALL_ROWS}
        _, told = self.ask("GET", f"{what}?{urlencode(query)}")
        found: list[dict[str, Any]] = told["collection"]
        return found

    def _hash(self, file: str) -> str:
        path = f"/rest/data/file/{file}/binary_content"
        _, content = self.send("GET", path, Accept="*/*")
        if not isinstance(content, bytes):
            content = orjson.dumps(content)
        return hashlib.sha256(content).hexdigest()


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
