"""A system that offers files over http, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from rps.connectors.push import PushConnector
from rps.connectors.transport import Transport
from rps.domain.delivery import Capabilities

if TYPE_CHECKING:
    from rps.domain.delivery import Fetched

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Offering:
    """`files` by their SHA-256. `cut_at`: after so many bytes of an answer the
    connection ends, once for each number. `status`: answered instead, if any."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []
        self.cut_at: list[int] = []
        self.status = 0
        self.gate = threading.Event()
        self.gate.set()
        offering = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                offering.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()
        self.transport = Transport((ip_network("127.0.0.0/8"),))
        self.connector = PushConnector(
            self.transport,
            url=f"http://127.0.0.1:{self._server.server_port}",
            secrets=[SECRET],
            capabilities=Capabilities(True, True, True),
        )

    def offer(self, content: bytes, **more: Any) -> dict[str, Any]:
        """As a change offers it."""
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return {
            "id": digest[:8],
            "name": "shot.png",
            "size": len(content),
            "type": "image/png",
            "sha256": digest,
            **more,
        }

    def fetch(self, sha256: str, offset: int) -> Fetched:
        return self.connector.fetch(sha256, offset)

    def answer(self, handler: Any) -> None:
        digest = handler.path.rpartition("/")[2]
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append((digest, start))
        assert self.gate.wait(20)
        content = self.files.get(digest)
        if self.status or content is None:
            handler.send_response(self.status or 404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            whole = f"{start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", f"bytes {whole}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        if self.cut_at:
            handler.wfile.write(content[start : start + self.cut_at.pop(0)])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)
            return
        handler.wfile.write(content[start:])

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self.transport.close()
