"""What a flow costs: the 15-field map of a message, and steps beside it.

    python -m bench.flows [CHANGES]     2,000 by default

First the flows alone, in and out, in microseconds; then the whole way of a change
through intake, receiver and deliverer in one process on an embedded PostgreSQL, to a
system that answers at once; so what is told as part of the whole is the most it can be.
"""

from __future__ import annotations

import logging
import shutil
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.domain import courses
from rps.domain.aggregate import event_of
from rps.domain.correlation import Correlation
from rps.domain.delivery import Capabilities, Delivered, Exchange
from rps.domain.document import parse
from rps.domain.events import ChangeCaptured
from rps.domain.plan import Case
from rps.migrate import migrate
from rps.postgres import EmbeddedServer, ensure_database
from rps.workers.deliverer import Deliverer
from rps.workers.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.delivery import Write

ROUNDS = 9
TIMES = 300
STATES = ["new", "active", "held", "solved", "closed"]
FIELDS: dict[str, dict[str, Any]] = {
    **{f"text_{n}": {"type": "text", "max_length": 200} for n in range(5)},
    **{f"choice_{n}": {"type": "choice", "values": STATES} for n in range(4)},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "due": {"type": "date-time"},
    "tags": {"type": "tags"},
    "caller": {"type": "user"},
    "firm": {"type": "reference"},
}
TABLE = {state: str(number) for number, state in enumerate(STATES, start=1)}
STEPS: dict[str, Any] = {
    "inbound": [
        {"name": "drafts", "skip_when": "u_choice_0=5^u_numberISEMPTY"},
        "map",
        {"name": "titled", "require": "text_0ISNOTEMPTY"},
        {"name": "urgent", "when": "text_1LIKEoutage", "set": {"choice_1": "active"}},
    ],
    "outbound": [
        "map",
        {"name": "code", "when": "u_choice_0=5", "set": {"code": "Solved"}},
        {"name": "memo", "set": {"memo": "{u_text_0} / {u_text_1}"}},
    ],
}


def document(*, steps: bool) -> dict[str, Any]:
    def member(name: str) -> dict[str, Any]:
        maps = {
            field: {"field": f"u_{field}", "values": TABLE}
            if said["type"] == "choice"
            else f"u_{field}"
            for field, said in FIELDS.items()
        }
        more = {"flows": STEPS} if steps else {}
        return {"system": name, "table": "incident", "fields": maps, **more}

    return {
        "process_event": "bench",
        "fields": FIELDS,
        "members": {name: member(name) for name in ("acme", "globex")},
    }


def remote(number: int) -> dict[str, Any]:
    """All fifteen fields, as a system says them."""
    return {
        **{f"u_text_{n}": f"Text {number} of some length, field {n}" for n in range(5)},
        **{f"u_choice_{n}": TABLE[STATES[(number + n) % 4]] for n in range(4)},
        "u_number": number,
        "u_flag": "true",
        "u_due": "2026-11-24 10:00:00",
        "u_tags": ["vpn", "office"],
        "u_caller": f"ann{number}@acme.example",
        "u_firm": f"firm {number}",
    }


def alone(*, steps: bool) -> float:
    """Microseconds of both flows of one message."""
    definition = parse(document(steps=steps))
    member = definition.members["acme"]
    state = Correlation.blank(UUID(int=1), datetime.now(UTC))
    captured: Any = event_of(ChangeCaptured, dict.fromkeys(_NAMES, ""))
    captured.__dict__.update(
        member="acme", operation="update", if_match=None, fields={}, before={}
    )
    case = Case(captured, 1, definition, 1, datetime.now(UTC))
    given = remote(1)

    def once() -> None:
        shared = courses.inbound(state, case, given, {}).told
        courses.outbound(member, definition, shared, {}, {}, is_new=True)

    return _microseconds(once)


_NAMES = tuple(ChangeCaptured.__dataclass_fields__)


def _microseconds(once: Callable[[], None]) -> float:
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TIMES):
            once()
        found.append((time.perf_counter() - began) / TIMES * 1e6)
    return statistics.median(found)


class Answering:
    """A system that takes everything at once."""

    capabilities = Capabilities(dedupe=True, conditional_write=True, read_back=True)

    def write(self, write: Write) -> Delivered:
        return Delivered(write.record_id or write.correlation_id, "1", {}, Exchange())


class Way:
    """Intake, receiver and deliverer on a database of their own."""

    def __init__(self, dsn: str, *, steps: bool) -> None:
        self.application = RemoteProcessSync(dsn, connections=24)
        now = datetime.now(UTC)
        for name in ("acme", "globex"):
            settings = {"url": "http://none"}
            system, _ = self.application.register_system(
                "top", name, "push", "", settings, "bench", now
            )
            self.application.activate_system(system.id, "bench", now)
        self.application.apply_definition(document(steps=steps), "bench", now)
        self._finished = threading.Semaphore(0)
        self._receiver = Receiver(self.application, lambda: datetime.now(UTC))
        connector: Any = Answering()
        self._deliverer = Deliverer(
            self.application,
            lambda _system: connector,
            lambda: datetime.now(UTC),
            lambda: 0.5,
            finished=self._finished.release,
        )

    def close(self) -> None:
        self._deliverer.close()
        self.application.close()

    def microseconds(self, changes: int) -> float:
        """Of one change on its whole way, beside many others."""
        began = time.perf_counter()
        poster = Poster("top", "bench")
        for first in range(0, changes, 100):
            given = [_change(number) for number in range(first, first + 100)]
            self.application.intake.capture(poster, given, datetime.now(UTC))
        while self._receiver.work():
            pass
        while started := self._deliverer.work():
            for _ in range(started):
                if not self._finished.acquire(timeout=60):
                    raise TimeoutError("the deliverer does not come back")
        return (time.perf_counter() - began) / changes * 1e6


def _change(number: int) -> dict[str, Any]:
    return {
        "system": "acme",
        "table": "incident",
        "record_id": f"INC{number}",
        "operation": "create",
        "change_id": f"change {number}",
        "fields": remote(number),
        "external_id": "",
    }


def main(changes: int) -> dict[str, Any]:
    """The figures, in microseconds and parts of one."""
    logging.disable(logging.INFO)
    folder = Path(tempfile.mkdtemp(prefix="rps-bench-"))
    server = EmbeddedServer(folder / "postgres")
    try:
        server.start()
        whole = {}
        for kind, steps in (("map", False), ("steps", True)):
            name = f"bench_{kind}"
            ensure_database(server.dsn("postgres"), name)
            migrate(server.dsn(name))
            way = Way(server.dsn(name), steps=steps)
            try:
                whole[kind] = way.microseconds(changes)
            finally:
                way.close()
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)
    flows = {"map": alone(steps=False), "steps": alone(steps=True)}
    return {
        "changes": changes,
        "flow_us": {kind: round(us, 1) for kind, us in flows.items()},
        "whole_us": {kind: round(us) for kind, us in whole.items()},
        "part": {kind: round(flows[kind] / whole[kind], 3) for kind in flows},
    }


if __name__ == "__main__":
    given = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    sys.stdout.write(orjson.dumps(main(given), option=orjson.OPT_INDENT_2).decode())
    sys.stdout.write("\n")
