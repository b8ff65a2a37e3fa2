"""Two processes of one node, as far as the application is concerned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.domain.events import CorrelationLinked
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.remote_system import RemoteSystem
from rps.log.append import Append, Appended

if TYPE_CHECKING:
    from rps.application.capture import Receipt

DEFINITION = {
    "process_event": "incident",
    "fields": {"title": {"type": "text"}},
    "members": {
        name: {"table": "incident", "fields": {"title": "title"}}
        for name in ("acme", "zenith")
    },
}


class LinkedNode:
    """`here` captures; `elsewhere` is where people configure."""

    def __init__(self, database: str) -> None:
        self.here = RemoteProcessSync(database, connections=2)
        self.elsewhere = RemoteProcessSync(database, connections=2)
        self.poster = Poster("top", "tester")

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def register(self, name: str) -> None:
        system, _ = self.elsewhere.register_system(
            "top", name, "push", "", {"url": "http://none"}, "eve", self.now
        )
        system.activate("eve", self.now)
        self.elsewhere.save(system)

    def tell(self, name: str, say: Any) -> None:
        self.elsewhere.change(RemoteSystem, RemoteSystem.id_of("top", name), say)

    def publish(self, **changes: Any) -> None:
        self.elsewhere.apply_definition({**DEFINITION, **changes}, "eve", self.now)

    def capture(self, change_id: str = "c1", **given: Any) -> Receipt:
        change = {
            "system": "acme",
            "table": "incident",
            "record_id": "A1",
            "operation": "update",
            "change_id": change_id,
            "fields": {"title": change_id},
            "external_id": "",
        }
        allow = given.pop("allow", lambda _configuration: None)
        return self.here.intake.capture(
            self.poster, [{**change, **given}], self.now, allow
        )[0]

    def link(self, record_id: str) -> UUID:
        """Let a record of acme have a shared record that it did not open."""
        linked = CorrelationLinked(
            originator_id=uuid4(),
            originator_version=1,
            timestamp=self.now,
            domain="top",
            definition=str(ProcessSyncDefinition.id_of("top", "incident")),
            member="acme",
            system="acme",
            table="incident",
            record_id=record_id,
            record_revision=None,
        )
        (outcome,) = self.elsewhere.recorder.append([Append([linked])])
        assert isinstance(outcome, Appended)
        return linked.originator_id

    def close(self) -> None:
        self.here.close()
        self.elsewhere.close()
