"""A workplace where acme is a small ServiceNow instance, polled and written to."""

from __future__ import annotations

import threading
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from small_instance import SECRETS, SETTINGS, SmallInstance
from workplace import DEFINITION, Workplace

from rps.application.remote_parts import RemoteFiles, RemoteParts
from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.workers.fetcher import Fetcher
from rps.workers.poller import Poller

if TYPE_CHECKING:
    from rps.domain.remote_system import RemoteSystem


class Clock:
    """Ours and the instance's; real, and put forward by what tests let pass."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class PollingPlace(Workplace):
    """`prefix` goes before what others say there."""

    def __init__(self, database: str, prefix: str = "") -> None:
        super().__init__(database)
        self.clock = Clock()
        self.there = SmallInstance(clock=self.clock)
        document: dict[str, Any] = deepcopy(DEFINITION)
        document["attachments"] = {"journal": "comments", "size_max": "1 MB"}
        document["attachments"]["deletion"] = True
        acme = document["members"]["acme"]
        acme["capture"] = ["create", "update", "delete"]
        acme["deliver"] = ["create", "update", "delete"]
        if prefix:
            acme["journals"] = {"comments": {"journal": "comments", "prefix": prefix}}
        self.application.apply_definition(document, "tester", self.now())
        of = (self.application.datastore, "top", "acme")
        self.connector = ServiceNowConnector(
            self.there,
            settings=SETTINGS,
            secrets=SECRETS,
            uses=lambda table: self.application.configuration.current.uses(
                "top", "acme", table
            ),
            ledger=RemoteParts(*of),
            files=RemoteFiles(*of),
            clock=self.clock,
        )
        self._read = threading.Semaphore(0)
        self.poller = self.new_poller()

    def _connect(self, system: RemoteSystem) -> Any:
        return self.connector if system.name == "acme" else self.trackers[system.name]

    def new_poller(self) -> Poller:
        return Poller(
            self.application,
            self._connect,
            self.now,
            breaker_seconds=0.2,
            due=self._read.release,
        )

    def close(self) -> None:
        self.poller.close()
        super().close()

    def poll(self, seconds: float = 15.0, poller: Poller | None = None) -> None:
        """Let some time pass, and read what changed to its end."""
        self.clock.ahead += seconds
        self.ask("UPDATE polls SET due_at = now()")
        worker = poller or self.poller
        for _ in range(worker.work()):
            assert self._read.acquire(timeout=60)
        if worker._broken is not None:
            raise worker._broken

    def all_settled(self) -> None:
        """Until nothing moves any more; files are here as soon as they were shown."""
        for _ in range(3):
            self.poll()
            self.receive()
            self.release()
            self.settle()

    def release(self) -> None:
        fetcher = Fetcher(self.application, self._connect, self.now, lambda: 0.5)
        fetcher._release()
        fetcher.close()

    def captured(self) -> list[tuple[str, str]]:
        """(record, what became of it) of each change of acme's."""
        return self.ask(
            "SELECT record_id, status::text FROM inbound_queue WHERE system = 'acme'"
            " ORDER BY correlation_id, sequence"
        )

    def said_to_zenith(self) -> list[str]:
        return [
            entry.text
            for write in self.trackers["zenith"].applied
            for entry in write.entries
        ]
