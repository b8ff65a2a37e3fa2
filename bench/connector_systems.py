"""Systems of each kind for `bench.connectors`, in processes of their own."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from bench.deployment import Deployment, free_port
from bench.linked import FAR, link
from bench.process import ROOT
from bench.workload import DEFINITION, TARGET
from rps.application import RemoteProcessSync
from rps.application.connections import Connections
from rps.connectors.conformance.systems import HeldFiles
from rps.connectors.push import PushConnector
from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.rest.reading import chosen
from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.connectors.signature import new_secret
from rps.connectors.transport import Transport
from rps.domain.delivery import Capabilities
from rps.domain.remote_system import RemoteSystem
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.connectors.streaming import Opened
    from rps.connectors.transport import Request, Said
    from rps.domain.delivery import Connector

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
PASSWORD = "a long password"
READY_SECONDS = 60.0
BATCH = 100
OPERATIONS = frozenset({"create", "update"})
USES = Uses(
    {"short_description": "text", "description": "text"},
    *(frozenset({"comments"}), OPERATIONS, OPERATIONS),
)
PLAIN_DESK = """
import sys
sys.path.insert(0, "tests/connectors")
from plain_desk import PlainDesk, serving
with serving(PlainDesk()) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
"""A server with the API of the preset `generic`, which the tests have."""


class Counted:
    """The transport, and how many requests it was given."""

    def __init__(self) -> None:
        self._wire = Transport(LOOPBACK)
        self.requests = 0

    def trusting(self, _authorities: str) -> Self:
        """Nobody, on loopback."""
        return self

    def send(self, request: Request) -> Said:
        self.requests += 1
        return self._wire.send(request)

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]:
        self.requests += len(requests)
        return self._wire.send_many(requests)

    def stream(self, request: Request) -> Said | Opened:
        self.requests += 1
        return self._wire.stream(request)

    def upload(
        self, request: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said:
        self.requests += 1
        return self._wire.upload(request, size, pieces)


@dataclass(frozen=True, slots=True)
class System:
    """`about` is what every write to it has; `fields` what a record has, of which
    `field` is changed; `journal` is "" where it takes no comments."""

    name: str
    connector: Connector
    wire: Counted
    table: str
    fields: dict[str, Any]
    field: str
    journal: str = "comments"
    process_event: str = "bench"


@contextmanager
def servicenow() -> Iterator[System]:
    """The sandbox's instance, without TLS."""
    with _process(
        *("rps", "sandbox", "servicenow", "bench", "--http", "--password", PASSWORD)
    ) as url:
        wire = Counted()
        connector = ServiceNowConnector(
            wire,
            settings={"url": url, "username": "rps.integration"},
            secrets=[orjson.dumps({"password": PASSWORD}).decode()],
            uses=lambda _table: USES,
        )
        fields = {"short_description": "Printer on fire", "description": "x" * 400}
        yield System("servicenow", connector, wire, "incident", fields, "description")


@contextmanager
def generic() -> Iterator[System]:
    """A plain JSON API by the preset `generic`."""
    with _running([sys.executable, "-c", PLAIN_DESK]) as url:
        wire = Counted()
        fields = {"title": "Printer on fire", "owner": "x" * 400}
        yield System(
            *("rest, generic", _described(wire, "generic", url, "a-token"), wire),
            *("ticket", fields, "owner"),
        )


@contextmanager
def roundup() -> Iterator[System]:
    """Roundup itself, by its preset."""
    sys.path.insert(0, str(ROOT / "tests" / "node"))
    from trackers import (  # type: ignore[import-not-found]  # noqa: PLC0415 - tests have it
        PASSWORD as ITS_PASSWORD,
    )
    from trackers import Tracker  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="rps-bench-") as folder:
        tracker = Tracker(Path(folder) / "tracker")
        try:
            wire = Counted()
            connector = _described(
                wire, "roundup", tracker.url, ITS_PASSWORD, user="rps"
            )
            fields = {"title": "Printer on fire"}
            yield System(
                *("rest, Roundup", connector, wire, "issue", fields, "title"),
                journal="messages",
            )
        finally:
            tracker.close()


@contextmanager
def push() -> Iterator[System]:
    """The ticket sandbox."""
    with _desk() as (url, secret):
        wire = Counted()
        connector = PushConnector(
            wire,
            url=url,
            secrets=[secret],
            capabilities=Capabilities(
                dedupe=True, conditional_write=True, read_back=True, batch=BATCH
            ),
        )
        fields = {"title": "Printer on fire", "note": "x" * 400}
        yield System("push", connector, wire, "ticket", fields, "note")


@contextmanager
def node() -> Iterator[System]:
    """Another node with its API and workers, which writes to a ticket sandbox."""
    with (
        Deployment() as run,
        _desk() as (url, secret),
        run.fresh() as here,
        run.fresh() as there,
        run.serve(here) as ours,
        run.serve(there) as theirs,
    ):
        link(run, (here, ours), (there, theirs), BATCH)
        file = run.folder / "desk.secret"
        file.write_text(secret)
        reached = ("--url", url, "--secret-file", str(file))
        run.rps(there, "system", "add", TARGET, *reached)
        with run.work(there):
            yield from _linked(here)


def _linked(here: str) -> Iterator[System]:
    application = RemoteProcessSync(here, connections=2)
    try:
        wire = Counted()
        connector = Connections(application.datastore, wire).connect(  # type: ignore[arg-type]
            application.repository.get(RemoteSystem.id_of("top", FAR))
        )
        event = str(DEFINITION["process_event"])
        fields = {"mark": "Printer on fire", "note": "x" * 400}
        yield System(
            *("node", connector, wire, event, fields, "note"),
            journal="",
            process_event=event,
        )
    finally:
        application.close()


@contextmanager
def _desk() -> Iterator[tuple[str, str]]:
    """Where messages to it are posted, and the secret that signs them."""
    secret = new_secret(b"s" * 32)
    with _process("rps", "sandbox", "push", "bench", "--secret", secret) as url:
        yield f"{url}/rps", secret


SYSTEMS = {
    "servicenow": servicenow,
    "generic": generic,
    "roundup": roundup,
    "push": push,
    "node": node,
}


def _described(
    wire: Counted, preset: str, url: str, secret: str, **settings: str
) -> RestConnector:
    _, description = presets.read_text(presets.text(preset))
    placed = Placed(description, url, chosen(description, settings), secret)
    return RestConnector(wire, placed, HeldFiles())


@contextmanager
def _process(*module: str) -> Iterator[str]:
    """One of our sandboxes, with a database of its own; its address."""
    with tempfile.TemporaryDirectory(prefix="rps-bench-") as folder:
        port = ("--port", str(free_port()))
        database = ("--database", str(Path(folder) / "bench.sqlite"))
        with _running([sys.executable, "-m", *module, *port, *database]) as url:
            yield url


@contextmanager
def _running(command: list[str]) -> Iterator[str]:
    """A process that says its address first and ends with us."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            raise RuntimeError(f"{' '.join(command[:6])} does not start")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=READY_SECONDS)
