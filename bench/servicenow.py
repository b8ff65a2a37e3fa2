"""A ServiceNow instance: requests for each thing done, and processor time for each.

    python -m bench.servicenow [RECORDS]     200 by default

Against the sandbox's instance, over http on loopback. The time is that of the
connector's own process, TLS and database left out.
"""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from bench.deployment import free_port
from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.connectors.transport import Transport
from rps.domain.delivery import Changes, Delivered, JournalEntry, Write
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PASSWORD = "a long password"
READY_SECONDS = 60.0
USES = Uses(
    {"short_description": "text", "state": "choice", "description": "text"},
    frozenset({"comments"}),
    frozenset({"create", "update"}),
    frozenset({"create", "update"}),
)


class Trouble(Exception):
    """What the instance answered instead."""


class Instance:
    """The connector to an instance of its own."""

    def __init__(self, port: int) -> None:
        self.connector = ServiceNowConnector(
            Transport((ipaddress.ip_network("127.0.0.0/8"),)),
            settings={
                "url": f"http://127.0.0.1:{port}",
                "username": "rps.integration",
            },
            secrets=[orjson.dumps({"password": PASSWORD}).decode()],
            uses=lambda _table: USES,
        )
        self.cursor: Mapping[str, Any] = {}

    def await_it(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.connector.check()[0]:
            if time.monotonic() > deadline:
                raise TimeoutError("the sandbox does not answer")
            time.sleep(0.1)

    def measured(self, name: str, times: int, what: Callable[[int], object]) -> None:
        calls, started = self.connector.instance.calls, time.perf_counter()
        used = time.process_time()
        for number in range(times):
            what(number)
        calls = self.connector.instance.calls - calls
        used, seconds = time.process_time() - used, time.perf_counter() - started
        print(
            f"{name:28} {calls / times:6.2f} requests each,"
            f" {used / calls * 1e6:6.0f} µs of processor a request,"
            f" {times / seconds:7.0f} a second"
        )

    def write(self, operation: str, record_id: str | None, **more: Any) -> str:
        about: dict[str, Any] = {"fields": {}, "if_match": None, **more}
        key = str(uuid4())
        told = self.connector.write(
            Write(key, key, "bench", operation, "incident", record_id, **about)  # type: ignore[arg-type]
        )
        if not isinstance(told, Delivered):
            raise Trouble(told)
        return told.record_id

    def poll(self, _number: int = 0) -> int:
        """To the end; how many were shown."""
        shown, has_more = 0, True
        while has_more:
            came = self.connector.changes_since("incident", self.cursor or None)
            if not isinstance(came, Changes):
                raise Trouble(came)
            self.cursor, has_more = came.cursor, came.has_more
            shown += len(came.records)
        return shown


def measure(there: Instance, records: int) -> None:
    ids: list[str] = []
    there.poll()
    fields = {"short_description": "Printer on fire", "description": "x" * 400}
    there.measured(
        "create",
        records,
        lambda _: ids.append(there.write("create", None, fields=fields)),
    )
    there.measured(
        "update",
        records,
        lambda n: there.write("update", ids[n], fields={"description": "y" * 400}),
    )
    there.measured(
        "update that is there already",
        records,
        lambda n: there.write("update", ids[n], fields={"description": "y" * 400}),
    )
    there.measured(
        "comment",
        records,
        lambda n: there.write(
            "update", ids[n], entries=(JournalEntry(f"c{n}", "comments", "Smoke"),)
        ),
    )
    calls, used = there.connector.instance.calls, time.process_time()
    shown = there.poll()
    calls = there.connector.instance.calls - calls
    used = time.process_time() - used
    print(
        f"{'poll of what changed':28} {calls / max(shown, 1):6.3f} requests a record,"
        f" {used / max(shown, 1) * 1e6:.0f} µs of processor a record ({shown} shown)"
    )
    time.sleep(6)
    for _ in range(3):
        there.poll()
    there.measured("poll of a quiet table", 20, there.poll)


def main(records: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rps-bench-"))
    port = free_port()
    command = [
        *(sys.executable, "-m", "rps", "sandbox", "servicenow", "bench", "--http"),
        *("--port", str(port), "--password", PASSWORD),
        *("--database", str(folder / "bench.sqlite")),
    ]
    with (folder / "said").open("wb") as said:
        sandbox = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            there = Instance(port)
            there.await_it()
            measure(there, records)
        finally:
            sandbox.terminate()
            sandbox.wait(20)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
