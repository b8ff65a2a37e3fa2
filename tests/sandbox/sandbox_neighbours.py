"""Who a sandbox deals with in tests: a node that writes, a node that listens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from werkzeug.datastructures import Headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

_PROGRAM = """
import sys
from pathlib import Path
from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import run
database, secret, report_url = sys.argv[1:]
run(
    SandboxSettings(
        name="globex",
        database=Path(database),
        secrets=(secret,),
        report_url=report_url,
        report_token="token",
        system="globex",
    ),
    announce=lambda url: print(url, flush=True),
)
"""


def signed(message_id: str, body: str = "", secret: str = SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body),
    }


def message(operation: str = "create", **given: object) -> dict[str, Any]:
    return {
        "type": "incident",
        "operation": operation,
        "correlation_id": "c1",
        "table": "incident",
        "record_id": None,
        "if_match": None,
        "fields": {},
        "entries": [],
        "origin": ["acme"],
        "hop": 1,
        **given,
    }


class Answer(Protocol):
    """A test client's answer; `json` is whatever the test expects it to be."""

    @property
    def status_code(self) -> int: ...
    @property
    def mimetype(self) -> str | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def data(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def json(self) -> Any: ...


class Client(Protocol):
    """Flask's test client."""

    def open(self, *args: Any, **given: Any) -> Answer: ...
    def get(self, *args: Any, **given: Any) -> Answer: ...
    def post(self, *args: Any, **given: Any) -> Answer: ...
    def patch(self, *args: Any, **given: Any) -> Answer: ...
    def delete(self, *args: Any, **given: Any) -> Answer: ...


class Node:
    """rps, as the sandbox meets it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def write(
        self,
        message_id: str,
        document: object,
        *,
        secret: str = SECRET,
        if_match: str | None = None,
    ) -> Answer:
        body = json.dumps(document)
        headers = signed(message_id, body, secret)
        if if_match is not None:
            headers["If-Match"] = if_match
        return self._client.post("/rps/messages", data=body, headers=headers)

    def write_many(self, batch: object, *, secret: str = SECRET) -> Answer:
        """`batch`: messages, or the whole document."""
        document = {"messages": batch} if isinstance(batch, list) else batch
        body = json.dumps(document)
        headers = signed("batch_1", body, secret)
        return self._client.post("/rps/batches", data=body, headers=headers)

    def read(self, path: str) -> Answer:
        return self._client.get(path, headers=signed("read_1"))


class SandboxProcess:
    """A sandbox as its own process."""

    def __init__(self, database: Path, report_url: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(database), SECRET, report_url],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def terminate(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=10)
        return self._process.returncode


class Listener:
    """A node's `/v1/changes`. `judge` turns a list of changes into a status."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.heard: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.judge: Callable[[list[dict[str, Any]]], int] = lambda _: 202
        self._came = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = listener.take(self.headers["Authorization"], json.loads(body))
                answer = b'{"detail": "because"}'
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()

    def take(self, token: str, changes: list[dict[str, Any]]) -> int:
        with self._came:
            status = self.judge(changes)
            self.tokens.add(token)
            self.requests.append(changes)
            if status < 300:
                self.heard.extend(changes)
            self._came.notify_all()
        return status

    def wait_for(self, happened: Callable[[Listener], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: happened(self), timeout=20)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
