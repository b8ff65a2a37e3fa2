"""A company's own ticket system, as the people who work in it use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
import urllib3

from rps.cli.described import settings_of
from rps.cli.terminal import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_SECONDS = 1
JSON = "application/json"
CREATED = 201
MOVED = 412


@dataclass(frozen=True, slots=True)
class Ticket:
    """As the system shows it, in its own words. `files`: name to bytes."""

    title: str
    state: str
    priority: str
    comments: tuple[str, ...]
    files: Mapping[str, bytes]


class Desk(ABC):
    """Records are named by their ids; people sign in with the desk's password."""

    kind: str
    """What it is, with an `a` before it."""
    connector: str

    def __init__(self, name: str, folder: Path, port: int, password: str) -> None:
        """What it keeps is in `folder`, under its `name`."""
        self.name, self.port, self.password = name, port, password
        self._folder = folder
        self._pools: dict[str, urllib3.PoolManager] = {}

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    @abstractmethod
    def secret(self) -> str:
        """By which rps is let in."""

    @property
    @abstractmethod
    def people(self) -> tuple[str, str]:
        """Two who work there."""

    @abstractmethod
    def command(self) -> tuple[str, ...]:
        """By which rps runs it."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """How rps reaches it."""

    def environ(self) -> dict[str, str]:
        """Of its process, the password."""
        return {"RPS_SANDBOX_PASSWORD": self.password}

    def trust(self) -> dict[str, str]:
        """What a node's environment has to say so that it believes the desk."""
        return {}

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            return self._send(self.people[0], "GET", "/").status < 500  # noqa: PLR2004
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    @abstractmethod
    def page(self, ticket: str) -> str:
        """Where people look at it."""

    @abstractmethod
    def shown(self, ticket: str) -> str:
        """What people call it."""

    @abstractmethod
    def ticket(self, ticket: str) -> Ticket: ...

    @abstractmethod
    def create(self, user: str, title: str, **values: str) -> str:
        """Its id."""

    @abstractmethod
    def edit(self, ticket: str, user: str, **values: str) -> None:
        """Fields by the system's own names."""

    @abstractmethod
    def comment(self, ticket: str, user: str, text: str) -> None: ...

    @abstractmethod
    def attach(
        self, ticket: str, user: str, name: str, kind: str, content: bytes
    ) -> None: ...

    def _send(
        self,
        user: str,
        method: str,
        path: str,
        body: bytes | None = None,
        **headers: str,
    ) -> urllib3.BaseHTTPResponse:
        """As this person; whatever it answers."""
        given = {
            "Accept": JSON,
            "Content-Type": JSON,
            "User-Agent": user,
            **urllib3.make_headers(basic_auth=f"{user}:{self.password}"),
            **{name.replace("_", "-"): each for name, each in headers.items()},
        }
        url = f"{self.url}{path}"
        return self._pool().request(method, url, body=body, headers=given)

    def _pool(self) -> urllib3.PoolManager:
        """Kept as long as the desk has the certificate that it was made with."""
        certificate = self.trust().get("RPS_CA_FILE", "")
        known = Path(certificate).read_text() if certificate else ""
        if known not in self._pools:
            pool = urllib3.PoolManager(
                retries=False, timeout=30.0, ca_certs=certificate or None
            )
            self._pools = {known: pool}
        return self._pools[known]

    def _json(self, answer: urllib3.BaseHTTPResponse) -> Any:
        """What it says; raises Failure where it says no."""
        if answer.status >= 300:  # noqa: PLR2004 - from here on HTTP means no
            raise Failure(f"{self.name} answered {answer.status}: {answer.data!r}")
        return orjson.loads(answer.data)


class InstanceDesk(Desk):
    """Incidents of a ServiceNow instance; an id is a sys_id."""

    kind, connector = "stand-in for ServiceNow", "servicenow"
    people = ("ann.agent", "carl.case")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def secret(self) -> str:
        return orjson.dumps({"password": self.password}).decode()

    def command(self) -> tuple[str, ...]:
        database = self._folder / f"{self.name}.sqlite"
        where = ("--database", str(database), "--port", str(self.port))
        return ("sandbox", "servicenow", self.name, *where)

    def settings(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "auth": "basic",
            "username": "rps.integration",
            "poll_seconds": POLL_SECONDS,
        }

    def trust(self) -> dict[str, str]:
        return {"RPS_CA_FILE": str(self._folder / f"{self.name}.pem")}

    def page(self, ticket: str) -> str:
        return f"{self.url}/incident.do?sys_id={ticket}"

    def shown(self, ticket: str) -> str:
        path = f"table/incident/{ticket}?sysparm_fields=number"
        return str(self._ask(self.people[0], "GET", path)["number"])

    def ticket(self, ticket: str) -> Ticket:
        user = self.people[0]
        seen = self._ask(user, "GET", f"table/incident/{ticket}")
        said = self._ask(
            user, "GET", f"table/sys_journal_field?element_id={ticket}&element=comments"
        )
        files = self._ask(
            user, "GET", f"attachment?sysparm_query=table_sys_id={ticket}"
        )
        return Ticket(
            seen["short_description"],
            seen["state"],
            seen["priority"],
            tuple(each["value"] for each in said),
            {each["file_name"]: self._bytes(each["sys_id"]) for each in files},
        )

    def create(self, user: str, title: str, **values: str) -> str:
        said = {"short_description": title, **values}
        return str(self._ask(user, "POST", "table/incident", said)["sys_id"])

    def edit(self, ticket: str, user: str, **values: str) -> None:
        self._ask(user, "PATCH", f"table/incident/{ticket}", values)

    def comment(self, ticket: str, user: str, text: str) -> None:
        self.edit(ticket, user, comments=text)

    def attach(
        self, ticket: str, user: str, name: str, kind: str, content: bytes
    ) -> None:
        query = {"table_name": "incident", "table_sys_id": ticket, "file_name": name}
        path = f"/api/now/attachment/file?{urlencode(query)}"
        self._json(self._send(user, "POST", path, content, Content_Type=kind))

    def _bytes(self, file: str) -> bytes:
        path = f"/api/now/attachment/{file}/file"
        return self._send(self.people[0], "GET", path, Accept="*/*").data

    def _ask(self, user: str, method: str, path: str, values: Any = None) -> Any:
        body = None if values is None else orjson.dumps(values)
        return self._json(self._send(user, method, f"/api/now/{path}", body))["result"]


class TrackerDesk(Desk):
    """Issues of a Roundup tracker; an id is a number."""

    kind, connector = "real Roundup", "rest"
    people = ("zoe", "zack")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret(self) -> str:
        return self.password

    def command(self) -> tuple[str, ...]:
        where = ("--home", str(self._folder / f"{self.name}.tracker"))
        return ("sandbox", "roundup", self.name, *where, "--port", str(self.port))

    def settings(self) -> dict[str, Any]:
        made = settings_of("roundup", self.url, self.name, ["user=rps"])
        return {**made, "poll_seconds": POLL_SECONDS}

    def page(self, ticket: str) -> str:
        return f"{self.url}/issue{ticket}"

    def shown(self, ticket: str) -> str:
        return f"issue{ticket}"

    def ticket(self, ticket: str) -> Ticket:
        seen = self._seen(ticket)
        return Ticket(
            seen["title"],
            (seen["status"] or {}).get("name", ""),
            (seen["priority"] or {}).get("name", ""),
            tuple(self._text(each["id"]) for each in seen["messages"]),
            dict(self._file(each["id"]) for each in seen["files"]),
        )

    def create(self, user: str, title: str, **values: str) -> str:
        return self._made(user, "issue", orjson.dumps({"title": title, **values}))

    def edit(self, ticket: str, user: str, **values: str) -> None:
        self._change(ticket, user, values)

    def comment(self, ticket: str, user: str, text: str) -> None:
        message = {"content": text, "author": user, "date": "."}
        made = self._made(user, "msg", orjson.dumps(message))
        self._change(ticket, user, {"@op": "add", "messages": [made]})

    def attach(
        self, ticket: str, user: str, name: str, kind: str, content: bytes
    ) -> None:
        parts: dict[str, Any] = {"name": name, "type": kind}
        parts["content"] = (name, content, kind)
        body, form = urllib3.encode_multipart_formdata(parts)
        made = self._made(user, "file", body, Content_Type=form)
        self._change(ticket, user, {"@op": "add", "files": [made]})

    def _change(self, ticket: str, user: str, values: Mapping[str, Any]) -> None:
        """Until nobody else was faster."""
        while True:
            etag = self._get(f"issue/{ticket}")["@etag"]
            answer = self._ask(
                user, "PATCH", f"issue/{ticket}", orjson.dumps(values), If_Match=etag
            )
            if answer.status != MOVED:
                self._json(answer)
                return

    def _made(self, user: str, what: str, body: bytes, **headers: str) -> str:
        return str(
            self._json(self._ask(user, "POST", what, body, **headers))["data"]["id"]
        )

    def _seen(self, ticket: str) -> dict[str, Any]:
        found: dict[str, Any] = self._get(f"issue/{ticket}?@verbose=2")["attributes"]
        return found

    def _text(self, message: str) -> str:
        path = f"msg/{message}?@fields=content&@verbose=3"
        return str(self._get(path)["attributes"]["content"])

    def _file(self, file: str) -> tuple[str, bytes]:
        name = self._get(f"file/{file}?@fields=name")["attributes"]["name"]
        path = f"file/{file}/binary_content"
        content = self._ask(self.people[0], "GET", path, Accept="*/*").data
        return str(name), content

    def _get(self, path: str) -> Any:
        return self._json(self._ask(self.people[0], "GET", path))["data"]

    def _ask(
        self, user: str, method: str, path: str, body: bytes | None = None, **more: str
    ) -> urllib3.BaseHTTPResponse:
        needed = {"X_Requested_With": "a browser", "Origin": self.url}
        return self._send(
            user, method, f"/rest/data/{path}", body, **{**needed, **more}
        )
