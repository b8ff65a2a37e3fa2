"""An application of any class that takes messages over http, and whose network can be
told to fail: what a receiver of the connector `push` is."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from rps.connectors.push import PushConnector
from rps.connectors.transport import Transport
from rps.domain.delivery import Capabilities

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CUTS = ("before", "middle", "after", "torn")
"""The connection ends: before the request is read, in the middle of it, before the
answer, or in the middle of that."""


class Ticketing:
    """Keeps what it is told: each comment and file as often as it is written. `cut`
    happens to the `at`-th message."""

    def __init__(
        self, *, dedupe: bool, conditional: bool, cut: str = "", at: int = 1
    ) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.said: Counter[str] = Counter()
        self.files: Counter[str] = Counter()
        self.answers: dict[str, dict[str, Any]] = {}
        self.messages: list[str] = []
        self.cut, self._at = cut, at
        self._dedupes, self._is_conditional = dedupe, conditional
        self._lock = threading.Lock()
        ticketing = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with ticketing._lock:
                    ticketing._asked(self)

            def do_POST(self) -> None:
                with ticketing._lock:
                    ticketing._told(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()
        self._transport = Transport((ip_network("127.0.0.0/8"),))
        self.connector = PushConnector(
            self._transport,
            url=f"http://127.0.0.1:{self._server.server_port}",
            secrets=[SECRET],
            capabilities=Capabilities(dedupe, conditional, read_back=True),
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._transport.close()

    # --- requests -------------------------------------------------------------------

    def _told(self, handler: Any) -> None:
        size = int(handler.headers["Content-Length"])
        self._at -= 1
        cut = ""
        if self._at == 0:
            cut, self.cut = self.cut, ""
        if cut in ("before", "middle"):
            handler.rfile.read(size // 2 if cut == "middle" else 0)
            self._hang_up(handler)
            return
        body = handler.rfile.read(size)
        message = orjson.loads(body)
        key = handler.headers["webhook-id"]
        self.messages.append(key)
        status, answer = self._written(key, message)
        if cut == "after":
            self._hang_up(handler)
        else:
            self._answer(handler, status, answer, is_torn=cut == "torn")

    def _written(self, key: str, message: dict[str, Any]) -> tuple[int, Any]:
        if self._dedupes and key in self.answers:
            return 200, self.answers[key]
        record_id = message["record_id"] or f"T{len(self.records) + 1}"
        record = self.records.get(record_id) or {"revision": 0, "fields": {}}
        moved = message["if_match"] not in (None, str(record["revision"]))
        if self._is_conditional and moved:
            return 412, {}
        record["record_id"] = record_id
        record["external_id"] = message["correlation_id"]
        record["revision"] += 1
        record["fields"].update(message["fields"])
        self.records[record_id] = record
        self.said.update(entry["id"] for entry in message["entries"])
        self.files.update(file["id"] for file in message.get("attachments", ()))
        shown = {**record, "fields": dict(record["fields"])}
        self.answers[key] = shown
        return 200, shown

    def _asked(self, handler: Any) -> None:
        address = urlsplit(handler.path)
        kind, _, name = address.path[1:].partition("/")
        found: Any = None
        if kind == "messages":
            found = self.answers.get(name)
        elif wanted := parse_qs(address.query).get("external_id"):
            found = {
                "records": [
                    record
                    for record in self.records.values()
                    if record["external_id"] == wanted[0]
                ]
            }
        elif kind == "records":
            found = self.records.get(name.rpartition("/")[2])
        self._answer(handler, 404 if found is None else 200, found or {})

    def _answer(
        self, handler: Any, status: int, answer: Any, *, is_torn: bool = False
    ) -> None:
        body = orjson.dumps(answer)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:10] if is_torn else body)
        if is_torn:
            self._hang_up(handler)

    def _hang_up(self, handler: Any) -> None:
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(2)
