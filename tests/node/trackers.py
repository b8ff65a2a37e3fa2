"""Real Roundup trackers, and people who work in them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import urllib.parse
from typing import TYPE_CHECKING, Any

import urllib3
from processes import HTTP, a_moment, free_port

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "trackers-password"
INITIALISE = """
import sys
from roundup import instance, password
tracker = instance.open(sys.argv[1])
secret = password.Password(sys.argv[2], config=tracker.config)
tracker.init(secret)
db = tracker.open("admin")
for name in ("rps", "ann"):
    db.user.create(username=name, password=secret, roles="User", timezone="0",
                   address=name + "@example.com")
db.commit()
db.close()
"""
SERVE = """
import socketserver, sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from roundup.cgi.wsgi_handler import RequestDispatcher
class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
make_server("127.0.0.1", int(sys.argv[2]), RequestDispatcher(sys.argv[1]), Server,
            WSGIRequestHandler).serve_forever()
"""
"""The server that comes with Roundup does not run as root, where tests may."""


class Tracker:
    """The classic template, with the field that the preset asks for, in a process of
    its own. People work as `ann`; rps has the account `rps`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._install()
        self._words = (home.parent / f"{home.name}.log").open("ab")
        self.start()

    def _install(self) -> None:
        self._admin("install", "classic", "sqlite")
        schema = self.home / "schema.py"
        known = 'issue = IssueClass(db, "issue",'
        text = schema.read_text()
        assert known in text
        schema.write_text(text.replace(known, f"{known} external_id=String(),"))
        config = self.home / "config.ini"
        lines = [self._configured(each) for each in config.read_text().splitlines()]
        config.write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-c", INITIALISE, str(self.home), PASSWORD]
        subprocess.run(command, check=True, capture_output=True)

    def _configured(self, line: str) -> str:
        name = line.lstrip("#").partition("=")[0].strip()
        mail = self.home / "mail.txt"
        values = {
            "web": f"{self.url}/",
            "domain": "example.com",
            "host": "127.0.0.1",
        }
        if name == "debug" and line.rstrip().endswith("="):
            return f"debug = {mail}"
        return f"{name} = {values[name]}" if name in values and "=" in line else line

    def _admin(self, *arguments: str) -> None:
        program = "from roundup.scripts.roundup_admin import run; run()"
        command = [sys.executable, "-c", program, "-i", str(self.home), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.home), str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=self._words,
        )
        while not self._answers():
            assert self._process.poll() is None, "the tracker does not start"
            a_moment()

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "status")[0] == 200
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._words.close()

    # --- what people do ---------------------------------------------------------------

    def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {
            **urllib3.make_headers(basic_auth=f"ann:{PASSWORD}"),
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
        message = {"content": text, "author": "ann", "date": "."}
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
                **urllib3.make_headers(basic_auth=f"ann:{PASSWORD}"),
                "Accept": "*/*",
            },
        )
        return hashlib.sha256(answer.data).hexdigest()
