"""Linked nodes in one process, each on a database of its own, driven by hand.

What one sends goes through its real connector and the other's real HTTP application.
Each has a desk: a system that behaves, whose people edit its records.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from psycopg.rows import tuple_row

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.application.channels import Channels
from rps.application.invitation import Invitation
from rps.application.neighbours import Neighbours
from rps.application.operations import Operations
from rps.application.secret_store import SecretStore
from rps.application.vouching import Vouching
from rps.config import Config
from rps.connectors.streaming import Opened
from rps.connectors.transport import Answer, Headers, NoAnswer, NotSent
from rps.domain.between_nodes import NODE
from rps.domain.delivery import (
    Capabilities,
    Delivered,
    Exchange,
    Incoming,
    Missing,
    Moved,
    NotApplied,
    Snapshot,
)
from rps.http import create_app
from rps.http.parts import Parts
from rps.workers.deliverer import Deliverer
from rps.workers.fetcher import Fetcher
from rps.workers.herald import Herald
from rps.workers.lanes import Lanes
from rps.workers.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.connectors.transport import Request, Said
    from rps.domain.delivery import Fetched, Outcome, Reading, Settlement, Write
    from rps.domain.remote_system import RemoteSystem

ANSWERED = Exchange(request_sha256="0" * 64, status=200)
SHARED = "ticket.shared"
EVERYTHING = ["create", "update", "delete"]


def document(*neighbours: str, **more: Any) -> dict[str, Any]:
    """Tickets of the own desk, shared with these nodes."""
    fields = {
        "title": {"type": "text", "policy": "newer_wins"},
        "state": {"type": "text", "policy": "newer_wins"},
        "note": {"type": "text", "policy": "newer_wins"},
    }
    member: dict[str, Any] = {
        "table": SHARED,
        "capture": EVERYTHING,
        "deliver": EVERYTHING,
        "fields": dict(zip(fields, fields, strict=True)),
        "journals": {"comments": "comments"},
    }
    return {
        "process_event": SHARED,
        "fields": fields,
        "journals": {"comments": {"visibility": "public"}},
        "attachments": {"journal": "comments", "deletion": True},
        "members": {
            "desk": {**member, "table": "ticket", "fields": dict(member["fields"])},
            **{
                name: {**member, "fields": dict(member["fields"])}
                for name in neighbours
            },
        },
        **more,
    }


class Desk:
    """A class A system: it dedupes, writes conditionally, and can be read."""

    capabilities = Capabilities(dedupe=True, conditional_write=True, read_back=True)

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.revisions: dict[str, int] = {}
        self.external: dict[str, str] = {}
        self.comments: dict[str, dict[str, str]] = {}
        self.deleted: set[str] = set()
        self.files: dict[str, dict[str, str]] = {}
        self.bytes: dict[str, bytes] = {}
        self.attachments: dict[str, dict[str, tuple[str, str]]] = {}
        """Files by their ids, for desks where two may have one name."""
        self.writes: list[Write] = []
        self.fails: Callable[[Write], Outcome | None] = lambda _write: None
        self._answers: dict[str, Delivered] = {}
        self._lock = threading.RLock()

    def write(self, write: Write) -> Outcome:
        with self._lock:
            if instead := self.fails(write):
                return instead
            if answer := self._answers.get(write.delivery_id):
                return answer
            key = write.record_id or self._of(write.correlation_id)
            revision = self.revisions.get(key, 0)
            if write.if_match not in (None, str(revision)):
                return Moved(f"it is at {revision}", ANSWERED)
            self._set(key, write.fields)
            self.external[key] = write.correlation_id
            self._journal(key, write)
            self._take_files(key, write)
            if write.operation == "delete":
                self.deleted.add(key)
            self.writes.append(write)
            answer = Delivered(
                key, str(self.revisions[key]), dict(self.records[key]), ANSWERED
            )
            self._answers[write.delivery_id] = answer
            return answer

    def _take_files(self, key: str, write: Write) -> None:
        for file in write.attachments:
            here = self.attachments.setdefault(key, {})
            here.pop(file.id, None)
            if not file.deleted:
                here[file.id] = (file.name, file.sha256)
            held = self.files.setdefault(key, {})
            if file.deleted:
                held.pop(file.name, None)
            else:
                held[file.name] = file.sha256

    def _journal(self, key: str, write: Write) -> None:
        for entry in write.entries:
            said = self.comments.setdefault(key, {})
            said[entry.id] = entry.text
            if entry.operation == "delete":
                del said[entry.id]

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        for place, write in enumerate(writes):
            yield [(place, self.write(write))]

    def settle(self, write: Write) -> Settlement:
        return self._answers.get(write.delivery_id) or NotApplied("never seen")

    def read(self, _table: str, record_id: str) -> Reading:
        with self._lock:
            if record_id not in self.records:
                return Missing()
            return Snapshot(
                record_id,
                str(self.revisions[record_id]),
                dict(self.records[record_id]),
                record_id in self.deleted,
            )

    def fetch(self, sha256: str, offset: int) -> Fetched:
        content = self.bytes.get(sha256)
        if content is None:
            return Missing("no such file")
        return Incoming(offset, len(content), (piece for piece in [content[offset:]]))

    def check(self) -> tuple[bool, str]:
        return True, ""

    def _of(self, correlation_id: str) -> str:
        for key, external in self.external.items():
            if external == correlation_id:
                return key
        return f"T{len(self.records) + 1}"

    def _set(self, key: str, fields: Any) -> None:
        self.records.setdefault(key, {}).update(fields)
        self.revisions[key] = self.revisions.get(key, 0) + 1


class Wire:
    """To the other hubs by their addresses; `fault` may answer instead of a request
    (before it), `lost` instead of its answer."""

    def __init__(self, hubs: dict[str, Hub]) -> None:
        self._hubs = hubs
        self.requests: list[Request] = []
        self.trusted: list[str] = []
        self.fault: Callable[[Request], Said | None] = lambda _request: None
        self.lost: Callable[[Request], bool] = lambda _request: False

    def trusting(self, authorities: str) -> Self:
        self.trusted.append(authorities)
        return self

    def stream(self, request: Request) -> Said | Opened:
        said = self.send(request)
        if not isinstance(said, Answer) or said.status not in (200, 206):
            return said
        return Opened(said.status, said.headers, (each for each in [said.body]))

    def send(self, request: Request) -> Said:
        self.requests.append(request)
        if instead := self.fault(request):
            return instead
        parts = urlsplit(request.url)
        hub = self._hubs[parts.hostname or ""]
        if hub.is_down:
            return NotSent("connection refused")
        answered = hub.client().open(
            parts.path,
            method=request.method,
            data=request.body,
            headers=dict(request.headers),
        )
        if self.lost(request):
            return NoAnswer("the answer was lost")
        headers = {name.lower(): value for name, value in answered.headers}
        return Answer(answered.status_code, Headers(headers), answered.data, 0.0)

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]:
        for place, request in enumerate(requests):
            yield [(place, self.send(request))]


class Hub:
    def __init__(self, name: str, database: str, hubs: dict[str, Hub]) -> None:
        self.name, self.database = name, database
        self.url = f"http://{name}"
        self.database = database
        self.is_down = False
        self.desk = Desk()
        self.wire = Wire(hubs)
        self.application = RemoteProcessSync(database, connections=16)
        self.operations = Operations(
            self.application, Lanes(self.application, "tester")
        )
        secrets = SecretStore(self.application, os.urandom)
        self.neighbours = Neighbours(self.application, secrets)
        self._app = create_app(
            Parts(
                *(self.application, self.operations, self.connect),
                channels=Channels(Config.from_environ({}), self.wire, secrets),
                vouching=Vouching(secrets, self.wire),
                hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
                pause=self._pause,
            )
        )
        self.receiver = Receiver(self.application, self.now)
        self._finished = threading.Semaphore(0)
        self.deliverer = Deliverer(
            self.application,
            self.connect,
            self.now,
            lambda: 0.5,
            threads=8,
            breaker_seconds=0.05,
            finished=self._finished.release,
        )
        self.fetcher = Fetcher(self.application, self.connect, self.now, lambda: 0.5)
        self.herald = Herald(self.application, self.wire, self.now)
        self._beating = ExitStack()
        for worker in (self.receiver, self.deliverer):
            self._beating.enter_context(worker.heartbeat())
        self.works_alone = True
        self._working = threading.RLock()
        self._changes = 0
        system, _ = self.application.register_system(
            "top", "desk", "push", "", {"url": "http://desk"}, "tester", self.now()
        )
        self.application.activate_system(system.id, "tester", self.now())
        hubs[name] = self

    def now(self) -> datetime:
        return datetime.now(UTC)

    def client(self) -> Any:
        return self._app.test_client()

    def connect(self, system: RemoteSystem) -> Any:
        if system.connector != NODE:
            return self.desk
        return self.neighbours.connector(system, self.wire)

    def close(self) -> None:
        self._beating.close()
        self.deliverer.close()
        self.fetcher.close()
        self.application.close()

    def publish(self, document: dict[str, Any]) -> None:
        self.application.apply_definition(document, "tester", self.now())

    def invites(self, other: Hub) -> None:
        """Link: we decide."""
        token = self.neighbours.invite(
            "top", other.name, self.url, self.name, "tester", self.now()
        )
        invitation = Invitation.of(token)
        other.neighbours.accept(
            "top", invitation, self.name, other.url, other.wire, "tester", self.now()
        )

    # --- what people do -----------------------------------------------------------

    def edit(self, record_id: str, **fields: Any) -> None:
        """Somebody at the desk edits a ticket, and that is reported."""
        with self.desk._lock:
            is_new = record_id not in self.desk.records
            self.desk._set(record_id, fields)
            revision = self.desk.revisions[record_id]
        self._report(record_id, "create" if is_new else "update", revision, fields, [])

    def comment(self, record_id: str, text: str) -> None:
        self._changes += 1
        key = f"{self.name}-{self._changes}"
        with self.desk._lock:
            self.desk.comments.setdefault(record_id, {})[key] = text
            self.desk._set(record_id, {})
            revision = self.desk.revisions[record_id]
        entry = {"id": key, "journal": "comments", "text": text, "author": self.name}
        self._report(record_id, "update", revision, {}, [entry])

    def attach(self, record_id: str, name: str, content: bytes) -> str:
        """Answers the SHA-256 of the file."""
        self._changes += 1
        sha256 = hashlib.sha256(content).hexdigest()
        with self.desk._lock:
            self.desk.bytes[sha256] = content
            self.desk.files.setdefault(record_id, {})[name] = sha256
            self.desk._set(record_id, {})
            revision = self.desk.revisions[record_id]
        file = {"id": name, "name": name, "size": len(content), "sha256": sha256}
        self._report(record_id, "update", revision, {}, [], [file])
        return sha256

    def detach(self, record_id: str, name: str) -> None:
        with self.desk._lock:
            del self.desk.files[record_id][name]
            self.desk._set(record_id, {})
            revision = self.desk.revisions[record_id]
        file = {"id": name, "deleted": True}
        self._report(record_id, "update", revision, {}, [], [file])

    def delete(self, record_id: str) -> None:
        with self.desk._lock:
            self.desk.deleted.add(record_id)
            self.desk._set(record_id, {})
            revision = self.desk.revisions[record_id]
        self._report(record_id, "delete", revision, {}, [])

    def _report(
        self,
        record_id: str,
        operation: str,
        revision: int,
        fields: dict[str, Any],
        entries: list[dict[str, Any]],
        attachments: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._changes += 1
        change = {
            "system": "desk",
            "table": "ticket",
            "record_id": record_id,
            "operation": operation,
            "change_id": f"{self.name}-c{self._changes}",
            "revision": str(revision),
            "fields": fields,
            "entries": entries,
            "attachments": list(attachments),
            "changed_by": self.name,
            "changed_at": self.now().isoformat(),
            "external_id": self.desk.external.get(record_id, ""),
        }
        poster = Poster("top", "desk")
        self.application.intake.capture(poster, [change], self.now())

    # --- what workers do ------------------------------------------------------------

    def judge(self) -> int:
        with self._working:
            return self.receiver.work()

    def deliver(self) -> int:
        started = self.deliverer.work()
        for _ in range(started):
            assert self._finished.acquire(timeout=30), repr(self.deliverer._broken)
        return started

    def work(self) -> int:
        done = 0
        while self.judge():
            done += 1
        done += self.fetcher.work()
        self.fetcher._threads.submit(int).result()
        return done + self.deliver()

    def _pause(self, _seconds: float) -> None:
        """While a request waits for receipts, the workers go on."""
        if self.works_alone:
            self.work()

    def make_due(self) -> None:
        """Let the time pass that anything waits for."""
        self.ask(
            "UPDATE lanes SET due_at = least(due_at, now()), not_before = NULL,"
            " leased_until = least(leased_until, now()) WHERE due_at IS NOT NULL"
        )
        self.ask(
            "UPDATE outbound_queue SET due_at = least(due_at, now())"
            " WHERE due_at IS NOT NULL"
        )
        self.ask("UPDATE blobs SET due_at = now() WHERE NOT complete")
        self.ask("UPDATE breakers SET open_until = now(), probe_until = NULL")

    # --- what there is ----------------------------------------------------------------

    def ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.application.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def messages(self, member: str) -> list[tuple[Any, ...]]:
        return self.ask(
            "SELECT status::text, detail FROM outbound_queue WHERE member = %s"
            " ORDER BY sequence, place",
            member,
        )

    def parked(self) -> list[tuple[Any, ...]]:
        """What waits for a person."""
        return self.ask(
            "SELECT member, detail FROM outbound_queue WHERE status = 'error'"
            " UNION ALL SELECT member, detail FROM inbound_queue WHERE status = 'error'"
        )

    def unsettled(self) -> list[tuple[Any, ...]]:
        return self.ask(
            "SELECT %s, 'out', member, status::text, attempts, due_at::text, detail"
            " FROM outbound_queue WHERE status IN ('ready', 'uncertain')"
            " UNION ALL SELECT %s, 'in', member, status::text, 0, '', detail"
            " FROM inbound_queue WHERE status = 'ready'",
            self.name,
            self.name,
        )

    def ticket(self, shared: str) -> str | None:
        """The desk's number of the shared record."""
        return next((k for k, v in self.desk.external.items() if v == shared), None)


def settle(*hubs: Hub, rounds: int = 60, may_park: bool = False) -> None:
    """Until nothing moves any more, whatever has to be waited for."""
    for _ in range(rounds):
        moved = sum(hub.work() for hub in hubs)
        for hub in hubs:
            hub.make_due()
        waiting = sum(
            hub.ask(
                "SELECT (SELECT count(*) FROM outbound_queue WHERE status IN"
                " ('ready', 'uncertain')) + (SELECT count(*) FROM inbound_queue"
                " WHERE status = 'ready')"
            )[0][0]
            for hub in hubs
        )
        if not moved and not waiting:
            parked = [row for hub in hubs for row in hub.parked()]
            assert not parked or may_park, parked
            return
    raise AssertionError([row for hub in hubs for row in hub.unsettled()])
