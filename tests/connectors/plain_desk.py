"""A real server with a plain JSON API, as the preset `generic` has it, that can be told
to be difficult."""

from __future__ import annotations

import itertools
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "a-token"
FIELDS = {"title", "state", "owner", "due", "external_id"}
Answer = tuple[int, Any]


class PlainDesk:
    """`clock_off`: what its clock shows more than ours; `quirks`: ways in which it is
    not what its description says."""

    def __init__(self, *quirks: str, clock_off: timedelta = timedelta()) -> None:
        self.quirks = set(quirks)
        self.clock_off = clock_off
        self.tickets: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.files: dict[int, list[dict[str, Any]]] = {}
        self.bytes: dict[int, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock_off

    def said(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        target = urlsplit(path)
        parts = [unquote(part) for part in target.path.strip("/").split("/")]
        query = dict(parse_qsl(target.query))
        with self._lock:
            self.asked.append((method, path))
            if headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, {"message": "who are you?"}
            return self._routed(method, parts, query, headers, body)

    def _routed(
        self,
        method: str,
        parts: list[str],
        query: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> Answer:
        match method, parts:
            case "GET", ["ping"]:
                return 200, {}
            case "GET", ["tickets"]:
                return self._listed(query)
            case "POST", ["tickets"]:
                return self._created(json.loads(body))
            case "GET", ["files", number]:
                return 200, self.bytes[int(number)]
            case _, ["tickets", number, *rest] if int(number) in self.tickets:
                return self._of_ticket(method, int(number), rest, query, headers, body)
            case _:
                return 404, {"message": "there is no such thing"}

    def _of_ticket(  # noqa: C901 - one case a request
        self,
        method: str,
        number: int,
        rest: list[str],
        query: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> Answer:
        match method, rest:
            case "GET", []:
                return 200, self.tickets[number]
            case "PATCH", []:
                return self._changed(number, headers.get("if-match"), json.loads(body))
            case "DELETE", []:
                self.tickets[number]["deleted"] = True
                return 204, None
            case "GET", ["comments"]:
                return 200, {"comments": self.comments[number]}
            case "POST", ["comments"]:
                comment = {"id": next(self._ids), "at": self.now().isoformat()}
                if "loses comments" not in self.quirks:
                    self.comments[number].append({**comment, **json.loads(body)})
                self._touch(number)
                return 201, comment
            case "GET", ["files"]:
                return 200, {"files": self.files[number]}
            case "POST", ["files"]:
                return self._attached(number, query["name"], headers, body)
            case _:
                return 405, {"message": "not so"}

    def _attached(
        self, number: int, name: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        key = next(self._ids)
        self.bytes[key] = body if "spoils files" not in self.quirks else b"x"
        kind = headers["content-type"]
        file = {"id": key, "name": name, "size": len(body), "type": kind}
        self.files[number].append(file)
        self._touch(number)
        return 201, file

    def _created(self, fields: dict[str, Any]) -> Answer:
        if unknown := set(fields) - FIELDS:
            return 422, {"message": f"there is no field {min(unknown)}"}
        number = next(self._ids)
        self.tickets[number] = {
            **dict.fromkeys(FIELDS),
            "id": number,
            "version": 0,
            "updated_by": "rps",
            **fields,
        }
        self.comments[number], self.files[number] = [], []
        self._touch(number)
        return 201, self.tickets[number]

    def _changed(
        self, number: int, match: str | None, fields: dict[str, Any]
    ) -> Answer:
        ticket = self.tickets[number]
        if match != f'"{ticket["version"]}"' and "no conditions" not in self.quirks:
            return 412, {"message": f"it is at {ticket['version']}"}
        if (unknown := set(fields) - FIELDS) and "takes anything" not in self.quirks:
            return 422, {"message": f"there is no field {min(unknown)}"}
        ticket.update({k: v for k, v in fields.items() if k in FIELDS})
        self._touch(number)
        return 200, ticket

    def edit(self, number: int, **fields: Any) -> None:
        """What one of its users does."""
        with self._lock:
            self.tickets[number].update(fields, updated_by="Dee")
            self._touch(number)

    def _touch(self, number: int) -> None:
        """Its clock shows whole seconds."""
        ticket = self.tickets[number]
        ticket["version"] += 1
        ticket["updated_at"] = self.now().replace(microsecond=0).isoformat()

    def _listed(self, query: dict[str, str]) -> Answer:
        found = sorted(self.tickets.values(), key=lambda t: (t["updated_at"], t["id"]))
        page, size = int(query.pop("page", "1")), int(query.pop("per_page", "50"))
        since = query.pop("updated_since", "")
        if "shows no news" in self.quirks and since:
            found = []
        if since and "lists all" not in self.quirks:
            at = datetime.fromisoformat(since)
            found = [t for t in found if datetime.fromisoformat(t["updated_at"]) >= at]
        if "forgets ids" not in self.quirks:
            found = [t for t in found if all(str(t[k]) == v for k, v in query.items())]
        return 200, {"tickets": found[(page - 1) * size : page * size]}


@contextmanager
def serving(desk: PlainDesk) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            status, said = desk.said(self.command, self.path, headers, body)
            sent = said if isinstance(said, bytes) else json.dumps(said).encode()
            if said is None:
                sent = b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - its names

        def date_time_string(self, _timestamp: float | None = None) -> str:
            return desk.now().strftime("%a, %d %b %Y %H:%M:%S GMT")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
