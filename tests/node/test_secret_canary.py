"""Secrets are planted wherever rps takes one, and looked for in all that it says.

The systems of this node answer every request with an error that repeats the request,
headers included: the rudest way for a secret to come back.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import psycopg
import pytest
import urllib3
from click.testing import CliRunner
from processes import Process, Running
from psycopg import sql

from rps.application.neighbours import Invitation
from rps.cli import main
from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTTP = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(20))


def canary(name: str) -> str:
    return f"Canary-{name}-5u9x-must-never-be-seen-again"


def signing(name: str) -> str:
    return f"whsec_{b64encode(canary(name).encode()).decode()}"


KEY = "rpskey_CanaryKey" + "A" * 34
PLAIN = (
    *("basic", "bearer", "hook", "password", "client", "refresh", "smtp", "apprise"),
    *("badpush", "badapprise", "badkey", "wrongtoken"),
)
SIGNING = ("push", "webhook")
DEFINITION: dict[str, Any] = {
    "process_event": "ticket.shared",
    "fields": {"title": {"type": "text"}},
    "members": {
        "acme": {"table": "incident", "fields": {"title": "short_description"}},
        "zenith": {"table": "ticket", "fields": {"title": "title"}},
        "desk": {"table": "ticket", "fields": {"title": "title"}},
        "snow": {"table": "incident", "fields": {"title": "short_description"}},
    },
}


class Echo(BaseHTTPRequestHandler):
    """Says everything it was told, as an error; knows the chat that apprise tells."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = f"{self.requestline}\n{self.headers}\n".encode() + body
        said = json.dumps({"error": {"message": told.decode(errors="replace")}})
        self.send_response(400, "Bad")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - library's

    def log_message(self, *_: object) -> None:
        """Override the library's, which writes to stderr."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Spoken:
    """All that was said, by who said it."""

    def __init__(self) -> None:
        self.said: dict[str, bytes] = {}

    def add(self, who: str, what: bytes | str) -> None:
        self.said[who] = what if isinstance(what, bytes) else what.encode()

    def leaks(self, needles: dict[str, bytes]) -> list[tuple[str, str]]:
        return [
            (name, who)
            for who, what in self.said.items()
            for name, needle in needles.items()
            if needle in what
        ]


@pytest.fixture
def node(database: str, tmp_path: Path) -> Iterator[Running]:
    made = Running(database, tmp_path)
    made.environ |= {
        "RPS_KEY": KEY,
        "RPS_SMTP_URL": f"smtps://rps:{quote(canary('smtp'))}@127.0.0.1:9",
        "RPS_SMTP_FROM": "rps@example.com",
        "RPS_APPRISE": "json",
        "RPS_PUBLIC_URL": made.url,
        "RPS_VERBOSE": "2",
    }
    yield made
    made.close()


def run(
    node: Running, spoken: Spoken, *arguments: str, stdin: str = "", **environ: str
) -> str:
    """A command, in this process: what processes log is looked at where they serve."""
    told = {**node.environ, **environ}
    ended = CliRunner(env=told).invoke(main, list(arguments), input=stdin)
    name = f"{len(spoken.said)} rps {' '.join(arguments[:3])}"
    spoken.add(name, f"{ended.exit_code} {ended.output} {ended.exception!r}")
    return ended.stdout


def call(
    node: Running,
    spoken: Spoken,
    method: str,
    path: str,
    body: Any = None,
    token: str = "",
) -> Any:
    answer = HTTP.request(
        method,
        f"{node.url}{path}",
        body=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        },
    )
    said = answer.data + str(answer.headers).encode()
    spoken.add(f"{len(spoken.said)} {method} {path} {answer.status}", said)
    return answer


def plant(node: Running, spoken: Spoken, url: str, token: str) -> None:
    """By API and by command line, well and badly."""

    def put(path: str, body: dict[str, Any]) -> Any:
        return call(node, spoken, "PUT", path, body, token)

    settings = {"url": url}
    put("/v1/systems/acme", {"settings": settings, "secret": signing("push")})
    put("/v1/systems/zenith", {"settings": settings, "secret": signing("push")})
    preset = {**settings, "preset": "generic"}
    put(
        "/v1/systems/desk",
        {
            "connector": "rest",
            "settings": preset,
            "secret": canary("bearer"),
            "hook_secret": canary("hook"),
        },
    )
    credentials = {
        "password": canary("password"),
        "client_secret": canary("client"),
        "refresh_token": canary("refresh"),
    }
    snow = {**settings, "username": "rps", "auth": "basic"}
    put(
        "/v1/systems/snow",
        {"connector": "servicenow", "settings": snow, "credentials": credentials},
    )
    hook = {"kind": "webhook", "settings": settings, "about": ["message.parked"]}
    put("/v1/subscriptions/hook", {**hook, "secret": signing("webhook")})
    apprise = f"json://rps:{canary('apprise')}@{url.removeprefix('http://')}/in"
    chat = {"kind": "apprise", "settings": {}, "about": ["message.parked"]}
    put("/v1/subscriptions/chat", {**chat, "secret": apprise})
    mail = {"kind": "email", "about": ["message.parked"]}
    put("/v1/subscriptions/mail", {**mail, "settings": {"addresses": ["a@b.example"]}})
    # badly
    put("/v1/systems/bad", {"settings": settings, "secret": canary("badpush")})
    put("/v1/systems/bad", {"settings": {**settings, "secrets": [signing("push")]}})
    put("/v1/systems/bad", {"settings": settings, "secret": [canary("badpush")]})
    put(
        "/v1/systems/bad",
        {"connector": "push", "settings": settings, "credentials": credentials},
    )
    bad = f"nothing://rps:{canary('badapprise')}@host/in"
    put("/v1/subscriptions/bad", {**chat, "secret": bad})
    call(node, spoken, "GET", "/v1/systems", token=canary("wrongtoken"))
    add = ("system", "add", "--url", url, "--secret-file", "-")
    run(node, spoken, *add, "cli", stdin=signing("push"))
    run(node, spoken, *add, "bad", stdin=canary("badpush"))
    run(node, spoken, "notify", "test", "hook")
    run(node, spoken, "notify", "test", "chat")
    run(node, spoken, "notify", "test", "mail")
    run(node, spoken, "keys", "list", RPS_KEY=canary("badkey"))
    run(node, spoken, "doctor", RPS_KEY=canary("badkey"))
    for name in ("desk", "snow"):
        run(node, spoken, "system", "check", name)
        run(node, spoken, "system", "activate", name)
    for name in ("acme", "zenith", "desk", "snow"):
        run(node, spoken, "system", "activate", name, "--unchecked")


def everything(node: Running, spoken: Spoken, token: str) -> None:
    """What can be asked of the node by now."""
    paths = json.loads(HTTP.request("GET", f"{node.url}/v1/openapi.json").data)["paths"]
    for path, methods in paths.items():
        if "get" in methods and "{" not in path:
            call(node, spoken, "GET", path, token=token)
    for (key,) in node.ask("SELECT DISTINCT correlation_id FROM outbound_queue"):
        call(node, spoken, "GET", f"/v1/correlations/{key}", token=token)
        call(node, spoken, "GET", f"/v1/correlations/{key}/timeline", token=token)
    for (key,) in node.ask("SELECT message_id FROM outbound_queue"):
        call(node, spoken, "GET", f"/v1/messages/{key}/execution", token=token)
    for command in (
        *("doctor", "status", "keys list", "keys status", "token list"),
        *("system list", "system show desk", "system show snow", "notify list"),
        *("audit export", "problems list", "conflict list"),
    ):
        run(node, spoken, *command.split())
    with psycopg.connect(node.database) as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            rows = conn.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
            ).fetchall()
            spoken.add(f"table {table}", "\n".join(row[0] for row in rows))
        states = conn.execute("SELECT convert_from(state, 'UTF8') FROM rps_events")
        spoken.add("log", "\n".join(row[0] for row in states))
        payloads = conn.execute("SELECT payload FROM outbound_queue").fetchall()
        spoken.add("payloads", b"\n".join(row[0] for row in payloads))


def invited(node: Running, spoken: Spoken) -> str:
    """The key of an invitation, which is printed this once."""
    printed = run(node, spoken, "system", "invite", "globex", "--as", "acme").strip()
    del spoken.said[list(spoken.said)[-1]]
    return Invitation.of(printed).key.removeprefix("whsec_")


def needles(token: str, key: str) -> dict[str, bytes]:
    found = {name: canary(name) for name in PLAIN}
    found |= {name: signing(name).removeprefix("whsec_") for name in SIGNING}
    found |= {f"{name} key": canary(name) for name in SIGNING}
    for name, user in (("password", "rps"), ("apprise", "rps"), ("smtp", "rps")):
        pair = f"{user}:{canary(name)}".encode()
        found[f"{name} in Basic"] = b64encode(pair).decode()[:40]  # details are cut
    found |= {f"{name} quoted": quote(canary(name), "") for name in PLAIN}
    found["node key"] = KEY.removeprefix("rpskey_")
    found |= {"token": token, "invitation": key}
    return {name: text.encode() for name, text in found.items()}


def test_no_secret_comes_out_anywhere(node: Running, echo: str) -> None:
    spoken = Spoken()
    token = run(node, spoken, "init").strip()
    del spoken.said[next(iter(spoken.said))]  # it shows the token, this once
    assert token.startswith("rps_")
    node.processes = {
        name: Process(name, ["-vv", name], node.environ, node.folder)
        for name in ("serve", "work")
    }
    while not node.answers():
        assert node.processes["serve"]._process.poll() is None
    plant(node, spoken, echo, token)
    key = invited(node, spoken)
    node.application.apply_definition(DEFINITION, "test", clock())
    change = {
        "change_id": "1",
        "system": "acme",
        "table": "incident",
        "record_id": "A1",
        "operation": "create",
        "fields": {"short_description": "printer"},
    }
    answer = call(node, spoken, "POST", "/v1/changes", change, token)
    assert answer.status == 202, answer.data
    node.wait_until(
        "SELECT count(*) = 3 AND bool_and(attempts > 0) FROM outbound_queue"
    )
    node.wait_until("SELECT count(*) > 0 FROM notice_deliveries WHERE attempts > 0")
    words = [
        " ".join(each.info["cmdline"] or ())
        for each in psutil.process_iter(["cmdline"])
    ]
    mine = [each for each in words if "rps" in each and "pytest" not in each]
    spoken.add("ps", "\n".join(mine))
    everything(node, spoken, token)
    for process in node.processes.values():
        process.end()
        file = node.folder / f"{process.name}.log"
        spoken.add(f"{process.name}.log", file.read_bytes())

    assert spoken.leaks(needles(token, key)) == []
    assert b"delivery.attempted" in spoken.said["work.log"]
    assert b"Canary" not in b"".join(spoken.said.values())
