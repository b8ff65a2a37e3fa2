"""A node between a ServiceNow instance and a Roundup tracker, with all its workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bench.deployment import environ_of
from bench.desks import PASSWORD, Instance, Tracker
from bench.process import Process, ours
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

BEFORE = "2026-01-01"
QUIET = """
SELECT NOT EXISTS (SELECT FROM inbound_queue WHERE status IN ('ready', 'error'))
   AND NOT EXISTS (SELECT FROM outbound_queue
                   WHERE status IN ('ready', 'uncertain', 'error'))
"""
STANDING = """
SELECT (SELECT count(*) FROM links WHERE member = 'roundup'),
       (SELECT count(*) FROM inbound_queue WHERE status = 'ready'),
       (SELECT count(*) FROM outbound_queue WHERE status IN ('ready', 'uncertain'))
"""
FAILED = """
SELECT 'change', member, record_id, detail FROM inbound_queue WHERE status = 'error'
UNION ALL
SELECT 'message', member, message_id::text, detail FROM outbound_queue
WHERE status = 'error'
"""
PATIENCE_SECONDS = 300.0
"""Without any progress."""
ROUNDS_ALIKE = 3
"""So many looks, a poll apart, have to find everything quiet."""

DEFINITION: dict[str, Any] = {
    "process_event": "ticket",
    "fields": {
        "title": {"type": "text"},
        "state": {
            "type": "choice",
            "values": ["new", "working", "waiting", "resolved"],
        },
        "priority": {"type": "choice", "values": ["1", "2", "3", "4", "5"]},
    },
    "journals": {"comments": {"visibility": "public"}},
    "attachments": {"journal": "comments", "size_max": "1 MB"},
    "members": {
        "servicenow": {
            "table": "incident",
            "capture": ["create", "update"],
            "fields": {
                "title": "short_description",
                "state": {
                    "field": "state",
                    "values": {
                        "new": "1",
                        "working": "2",
                        "waiting": "3",
                        "resolved": "6",
                    },
                },
                "priority": "priority",
            },
            "journals": {"comments": "comments"},
            "flows": {
                "inbound": [
                    {"name": "closed", "when": "stateIN7,8", "set": {"state": "6"}},
                    "map",
                ]
            },
        },
        "roundup": {
            "table": "issue",
            "capture": ["create", "update"],
            "fields": {
                "title": "title",
                "state": {
                    "field": "status",
                    "values": {
                        "new": "unread",
                        "working": "in-progress",
                        "waiting": "deferred",
                        "resolved": "resolved",
                    },
                },
                "priority": {
                    "field": "priority",
                    "values": dict(zip("12345", Tracker.PRIORITIES, strict=True)),
                },
            },
            "journals": {"comments": "messages"},
            "flows": {
                "inbound": [
                    {
                        "name": name,
                        "when": f"status={name}",
                        "set": {"status": status},
                    }
                    for name, status in (
                        ("chatting", "unread"),
                        ("testing", "in-progress"),
                        ("need-eg", "deferred"),
                        ("done-cbb", "resolved"),
                    )
                ]
                + ["map"]
            },
        },
    },
}


class Node:
    """rps with all its workers, between the two."""

    def __init__(self, folder: Path, instance: Instance, tracker: Tracker) -> None:
        self.server = EmbeddedServer(folder / "postgres")
        self._folder = folder
        self._desks = (instance, tracker)
        self.work: Process

    def start(self, stack: ExitStack) -> None:
        stack.callback(self.server.destroy)
        self.server.start()
        self._rps("init")
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        instance, tracker = self._desks
        polled = ("--poll-seconds", "1")
        self._rps(
            *("system", "add", "servicenow", "--connector", "servicenow", *polled),
            *("--url", instance.url, "--username", "rps.integration"),
            *("--password-file", str(secret), "--poll-from", BEFORE),
        )
        self._rps(
            *("system", "add", "roundup", "--connector", "rest", "--preset", "roundup"),
            *("--url", tracker.url, "--set", "user=rps", *polled),
            *("--secret-file", str(secret)),
        )
        for name in ("servicenow", "roundup"):
            self._rps("system", "activate", name)
        document = self._folder / "definition.yaml"
        document.write_bytes(orjson.dumps(DEFINITION))  # JSON is YAML
        self._rps("definition", "apply", str(document))
        said = self._folder / "work.log"
        self.work = Process(ours("rps", "work"), said, self._environ())
        stack.callback(self.work.end)

    def _rps(self, *arguments: str) -> None:
        said = self._folder / "commands.log"
        Process(ours("rps", *arguments), said, self._environ()).answer()

    def _environ(self) -> dict[str, str]:
        return environ_of(self.server.dsn()) | self._desks[0].trust()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn()) as connection:
            return connection.execute(sql.encode()).fetchall()

    def await_quiet(self, records: int) -> None:
        """Until that many are linked and nothing is on its way, for some polls on end.
        What waits for a person does not go on its way: it ends the wait, too."""
        deadline, before, alike = time.monotonic() + PATIENCE_SECONDS, (), 0
        while alike < ROUNDS_ALIKE:
            self.work.require_running()
            standing = self.ask(STANDING)[0]
            is_quiet = self.ask(QUIET)[0][0] and standing[0] >= records
            if standing != before:
                deadline, alike = time.monotonic() + PATIENCE_SECONDS, 0
            if self.ask(FAILED) and standing == before:
                return
            if time.monotonic() > deadline:
                return
            alike = alike + 1 if is_quiet else 0
            before = standing
            time.sleep(1.5)
