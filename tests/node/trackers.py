"""Real Roundup trackers, and people who work in them."""

from __future__ import annotations

import hashlib
import urllib.parse
from typing import TYPE_CHECKING, Any

import urllib3
from processes import HTTP, Process, a_moment, free_port

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "trackers-password"
PERSON = "zoe"


class Tracker:
    """A tracker in a process of its own. People work as `zoe`; rps has the account
    `rps`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        where = ("--home", str(self.home), "--port", str(self.port))
        command = ["sandbox", "roundup", self.home.name, *where]
        environ = {"RPS_SANDBOX_PASSWORD": PASSWORD}
        self._process = Process(self.home.name, command, environ, self.home.parent)
        while not self._answers():
            self._process.require_running()
            a_moment()

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "status")[0] == 200
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.end()

    # --- what people do ---------------------------------------------------------------

    def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {
            **urllib3.make_headers(basic_auth=f"{PERSON}:{PASSWORD}"),
            "X-Requested-With": "a browser",
            "Origin": self.url,
            **more.pop("headers", {}),
        }
        answer = HTTP.request(
            method, f"{self.url}/rest/data/{path}", headers=headers, **more
        )
        body = answer.json() if "json" in answer.headers["Content-Type"] else None
        return answer.status, body["data"] if body and "data" in body else body

    def create(self, title: str, **values: str) -> str:
        status, made = self.ask("POST", "issue", json={"title": title, **values})
        assert status == 201, made
        return str(made["id"])

    def change(self, issue: str, **values: Any) -> None:
        """Until nobody else was faster."""
        while True:
            _, seen = self.ask("GET", f"issue/{issue}")
            match = {"If-Match": seen["@etag"]}
            status, said = self.ask(
                "PATCH", f"issue/{issue}", json=values, headers=match
            )
            if status == 200:
                return
            assert status == 412, said

    def comment(self, issue: str, text: str) -> None:
        message = {"content": text, "author": PERSON, "date": "."}
        _, made = self.ask("POST", "msg", json=message)
        self.change(issue, **{"@op": "add", "messages": [made["id"]]})

    def attach(self, issue: str, name: str, content: bytes) -> None:
        parts = {
            "name": name,
            "type": "text/plain",
            "content": (name, content, "text/plain"),
        }
        _, made = self.ask("POST", "file", fields=parts)
        self.change(issue, **{"@op": "add", "files": [made["id"]]})

    # --- what they see ----------------------------------------------------------------

    def issues(self) -> dict[str, dict[str, Any]]:
        """By title: status, priority, comments and the hashes of files."""
        _, listed = self.ask("GET", "issue?@verbose=0")
        return dict(self._issue(each["id"]) for each in listed["collection"])

    def _issue(self, issue: str) -> tuple[str, dict[str, Any]]:
        _, seen = self.ask("GET", f"issue/{issue}?@verbose=2")
        shown = seen["attributes"]
        return shown["title"], {
            "status": (shown["status"] or {}).get("name"),
            "priority": (shown["priority"] or {}).get("name"),
            "comments": sorted(self._text(m["id"]) for m in shown["messages"]),
            "files": sorted(self._hash(f["id"]) for f in shown["files"]),
        }

    def _text(self, message: str) -> str:
        query = urllib.parse.urlencode({"@verbose": "3", "@fields": "content"})
        _, seen = self.ask("GET", f"msg/{message}?{query}")
        return str(seen["attributes"]["content"])

    def _hash(self, file: str) -> str:
        answer = HTTP.request(
            "GET",
            f"{self.url}/rest/data/file/{file}/binary_content",
            headers={
                **urllib3.make_headers(basic_auth=f"{PERSON}:{PASSWORD}"),
                "Accept": "*/*",
            },
        )
        return hashlib.sha256(answer.data).hexdigest()
