"""A small ServiceNow instance in memory that behaves as the reference says, and
misbehaves as it is told. It stands where the transport stands; no socket is opened."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

from rps.connectors.streaming import Opened
from rps.connectors.transport import Answer, Headers, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rps.connectors.transport import Request, Said

JOURNALS = ("comments", "work_notes")
URL = "https://acme.example"
USER, PASSWORD = "rps.sync", "correct horse"
SETTINGS = {"url": URL, "username": USER}
SECRETS = [json.dumps({"password": PASSWORD, "client_secret": "hush"})]


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class SmallInstance:
    """`instead` may answer a request itself (before it is carried out), `lose` says
    whether its answer gets lost afterwards. `clock` is ours; its own is `ahead`."""

    clock: Callable[[], float] = field(default_factory=Clock)
    ahead: float = 0.0
    tables: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    hidden_fields: set[str] = field(default_factory=set)
    ignored_fields: set[str] = field(default_factory=set)
    instead: Callable[[Request], Said | None] = lambda _request: None
    lose: Callable[[Request], bool] = lambda _request: False
    tokens: dict[str, float] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    user: str = USER

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        for table in ("incident", "sys_journal_field", "sys_attachment"):
            self.tables.setdefault(table, {})
        self.tables.setdefault("sys_audit_delete", {})
        self.tables.setdefault("sys_user", {})
        self.tables["sys_user"]["0" * 32] = {"sys_id": "0" * 32, "user_name": USER}

    # --- what its own users do ------------------------------------------------------

    def stamp(self) -> str:
        moment = datetime.fromtimestamp(int(self.clock() + self.ahead), UTC)
        return moment.replace(tzinfo=None).isoformat(" ")

    def insert(self, table: str = "incident", by: str = "ann", **values: str) -> str:
        record_id = values.pop("sys_id", uuid4().hex)
        stamp = values.pop("sys_updated_on", self.stamp())
        self.tables[table][record_id] = {
            "short_description": "",
            "state": "1",
            "due_date": "",
            "correlation_id": "",
            "correlation_display": "",
            "assignment_group": "",
            "sys_id": record_id,
            "sys_mod_count": "0",
            "sys_created_on": stamp,
            "sys_updated_on": stamp,
            "sys_updated_by": by,
        } | {name: v for name, v in values.items() if name not in JOURNALS}
        for name in JOURNALS:
            if values.get(name):
                self._enter(table, record_id, name, values[name], by)
        return record_id

    def edit(
        self, record_id: str, by: str = "ann", table: str = "incident", **values: str
    ) -> None:
        row = self.tables[table][record_id]
        known = {
            name: value
            for name, value in values.items()
            if name in row and name not in self.ignored_fields
        }
        said = {name: values[name] for name in JOURNALS if values.get(name)}
        changed = {name: v for name, v in known.items() if row[name] != v}
        if not changed and not said:
            return
        row.update(changed)
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)
        row["sys_updated_on"], row["sys_updated_by"] = self.stamp(), by
        for name, text in said.items():
            self._enter(table, record_id, name, text, by)

    def delete(self, record_id: str, table: str = "incident") -> None:
        del self.tables[table][record_id]
        key = uuid4().hex
        self.tables["sys_audit_delete"][key] = {
            "sys_id": key,
            "tablename": table,
            "documentkey": record_id,
            "sys_created_on": self.stamp(),
            "sys_created_by": "ann",
        }

    def attach(
        self,
        record_id: str,
        name: str,
        content: bytes,
        table: str = "incident",
        by: str = "ann",
    ) -> str:
        key = uuid4().hex
        self.contents[key] = content
        self.tables["sys_attachment"][key] = {
            "sys_id": key,
            "file_name": name,
            "content_type": "image/png",
            "size_bytes": str(len(content)),
            "table_name": table,
            "table_sys_id": record_id,
            "sys_created_on": self.stamp(),
            "sys_created_by": by,
        }
        return key

    def _enter(self, table: str, record_id: str, name: str, text: str, by: str) -> None:
        key = f"{len(self.tables['sys_journal_field']):032x}"
        self.tables["sys_journal_field"][key] = {
            "sys_id": key,
            "name": table,
            "element": name,
            "element_id": record_id,
            "value": text,
            "sys_created_on": self.stamp(),
            "sys_created_by": by,
        }

    def texts(self, record_id: str, journal: str = "comments") -> list[str]:
        return [
            row["value"]
            for row in self.tables["sys_journal_field"].values()
            if (row["element_id"], row["element"]) == (record_id, journal)
        ]

    def files_of(self, record_id: str) -> list[tuple[str, bytes]]:
        return [
            (row["file_name"], self.contents[key])
            for key, row in self.tables["sys_attachment"].items()
            if row["table_sys_id"] == record_id
        ]

    # --- the wire -------------------------------------------------------------------

    def send(self, request: Request) -> Said:
        with self._lock:
            self.asked.append(request)
            if (told := self.instead(request)) is not None:
                return told
            said = self._answered(request, request.body)
            return NoAnswer("not done in time") if self.lose(request) else said

    def stream(self, request: Request) -> Said | Opened:
        said = self.send(request)
        if isinstance(said, Answer) and said.status in (200, 206):
            return Opened(said.status, said.headers, _pieces(said.body))
        return said

    def upload(
        self, request: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said:
        body = b"".join(pieces())
        assert len(body) == size
        with self._lock:
            self.asked.append(request)
            if (told := self.instead(request)) is not None:
                return told
            said = self._answered(request, body)
            return NoAnswer("not done in time") if self.lose(request) else said

    def _answered(self, request: Request, body: bytes) -> Answer:
        parts = urlsplit(request.url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path == "/oauth_token.do":
            return self._token(dict(parse_qsl(body.decode())))
        if not self._is_known(request.headers.get("Authorization", "")):
            return self.error(401, "User Not Authenticated", "Required")
        path = [unquote(part) for part in parts.path.split("/")[3:]]
        if path[0] == "attachment":
            return self._attachment(request, path[1:], query, body)
        table, record_id = path[1], path[2] if len(path) > 2 else ""
        if table not in self.tables:
            return self.error(400, f"Invalid table {table}")
        return self._table(request.method, table, record_id, query, body)

    def _table(
        self,
        method: str,
        table: str,
        record_id: str,
        query: dict[str, str],
        body: bytes,
    ) -> Answer:
        rows = self.tables[table]
        if method == "POST":
            record_id = self.insert(table, self.user)
            told = json.loads(body)
            self.tables[table][record_id] |= {
                name: value for name, value in told.items() if name in rows[record_id]
            }
            return self.answer(201, self._shown(rows[record_id], query))
        if method == "GET" and not record_id:
            return self._listed(list(rows.values()), query)
        if record_id not in rows or record_id in self.hidden:
            return self.error(
                404,
                "No Record found",
                "Record doesn't exist or ACL restricts the record retrieval",
            )
        if method == "PATCH":
            self.edit(record_id, self.user, table, **json.loads(body))
        if method == "DELETE":
            self.delete(record_id, table)
            return Answer(204, self._headers(), b"", 0.0)
        return self.answer(200, self._shown(rows[record_id], query))

    def _attachment(
        self, request: Request, path: list[str], query: dict[str, str], body: bytes
    ) -> Answer:
        rows = self.tables["sys_attachment"]
        if request.method == "POST":
            key = self.attach(
                query["table_sys_id"], query["file_name"], body, by=self.user
            )
            return self.answer(201, rows[key])
        if not path:
            return self._listed(list(rows.values()), query)
        if path[0] not in rows:
            return self.error(404, "No Record found")
        if request.method == "DELETE":
            del rows[path[0]]
            return Answer(204, self._headers(), b"", 0.0)
        content = self.contents[path[0]]
        return Answer(200, self._headers(**{"content-type": "image/png"}), content, 0.0)

    def _listed(self, rows: list[dict[str, str]], query: dict[str, str]) -> Answer:
        found = selected(rows, query.get("sysparm_query", ""))
        limit = int(query.get("sysparm_limit", "10000"))
        page = [row for row in found[:limit] if row["sys_id"] not in self.hidden]
        shown = [self._shown(row, query) for row in page]
        return self.answer(200, shown, **{"x-total-count": str(len(found))})

    def _shown(self, row: dict[str, str], query: dict[str, str]) -> dict[str, Any]:
        wanted = query.get("sysparm_fields", "")
        names = wanted.split(",") if wanted else [*row, *JOURNALS]
        shown = {
            name: row.get(name, "")
            for name in names
            if name not in self.hidden_fields and (name in row or name in JOURNALS)
        }
        if query.get("sysparm_display_value") == "all":
            return {
                name: {"value": value, "display_value": DISPLAY.get(value, value)}
                for name, value in shown.items()
            }
        return shown

    # --- who asks -------------------------------------------------------------------

    def _is_known(self, header: str) -> bool:
        kind, _, told = header.partition(" ")
        if kind == "Basic":
            return base64.b64decode(told).decode() == f"{USER}:{PASSWORD}"
        return self.tokens.get(told, 0.0) > self.clock()

    def _token(self, form: dict[str, str]) -> Answer:
        right = form.get("client_secret") == "hush" and (
            form["grant_type"] == "client_credentials"
            or (form["grant_type"], form.get("password")) == ("password", PASSWORD)
            or form.get("refresh_token") in ("first", "next")
        )
        if not right:
            body = {"error": "invalid_grant", "error_description": "access_denied"}
            return Answer(401, self._headers(), json.dumps(body).encode(), 0.0)
        token = uuid4().hex
        self.tokens[token] = self.clock() + 1799
        told = {"access_token": token, "expires_in": 1799, "refresh_token": "next"}
        return Answer(200, self._headers(), json.dumps(told).encode(), 0.0)

    # --- answers --------------------------------------------------------------------

    def answer(self, status: int, result: Any, **headers: str) -> Answer:
        body = json.dumps({"result": result}).encode()
        return Answer(status, self._headers(**headers), body, 0.0)

    def error(self, status: int, message: str, detail: str = "") -> Answer:
        told = {"error": {"message": message, "detail": detail}, "status": "failure"}
        return Answer(status, self._headers(), json.dumps(told).encode(), 0.0)

    def _headers(self, **more: str) -> Headers:
        now = datetime.fromtimestamp(int(self.clock() + self.ahead), UTC)
        told = {"date": format_datetime(now, usegmt=True)}
        return Headers({"content-type": "application/json", **told, **more})


DISPLAY = {"287ebd7da9fe198100f92cc8d1d2154e": "Network"}


def _pieces(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 65536):
        yield body[at : at + 65536]


def selected(rows: list[dict[str, str]], query: str) -> list[dict[str, str]]:
    """What an encoded query of the few operators that are used here finds."""
    orders: list[tuple[str, bool]] = []
    for part in filter(None, query.split("^")):
        if part.startswith("ORDERBYDESC"):
            orders.append((part.removeprefix("ORDERBYDESC"), True))
        elif part.startswith("ORDERBY"):
            orders.append((part.removeprefix("ORDERBY"), False))
        else:
            rows = [row for row in rows if _fits(row, part)]
    for name, descending in reversed(orders):
        rows = sorted(rows, key=lambda row: row.get(name, ""), reverse=descending)
    return rows


def _fits(row: dict[str, str], part: str) -> bool:
    for operator in (">=", "<=", ">", "<", "IN", "="):
        name, found, value = part.partition(operator)
        if found and name in row:
            held = row[name]
            return {
                ">=": held >= value,
                "<=": held <= value,
                ">": held > value,
                "<": held < value,
                "IN": held in value.split(","),
                "=": held == value,
            }[operator]
    return True  # an invalid part is ignored, and the rest is run
