"""A workplace whose people are told what happens: subscriptions, a clock to set, a
receiver of webhooks."""

from __future__ import annotations

import os
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import orjson
from loopback_server import LoopbackServer, Received, Respond
from standardwebhooks import Webhook
from workplace import DEFINITION

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.application.channels import Channels
from rps.application.secret_store import SecretStore
from rps.application.subscriptions import Subscriptions
from rps.config import Config
from rps.connectors.transport import Transport
from rps.domain import events
from rps.domain.correlation import Correlation
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.remote_system import RemoteSystem
from rps.domain.subscription import TOPICS
from rps.projections.notice_questions import NoticeQuestions
from rps.workers.notifier import Notifier
from rps.workers.receiver import Receiver as Judge
from rps.workers.worker import Projector


class Hearing:
    """One node's log, told of by hand; `tell` and `outage` are what workers say."""

    def __init__(self, database: str) -> None:
        self.clock = datetime(2026, 3, 4, 10, tzinfo=UTC)
        self.application = RemoteProcessSync(database, connections=12)
        self.owner = RemoteProcessSync(database, connections=2, role="")
        """Who may rebuild."""
        self.secrets = SecretStore(self.application, os.urandom)
        self.subscriptions = Subscriptions(self.application, self.secrets)
        self.transport = Transport((ip_network("127.0.0.0/8"),))
        config = Config.from_environ({"RPS_PUBLIC_URL": "https://rps.acme.example/"})
        self.channels = Channels(config, self.transport, self.secrets)
        self.questions = NoticeQuestions(self.application.datastore)
        self.notifier = self.new_notifier()
        self._made = 0
        for domain in ("top", "top/else"):
            for name in ("acme", "zenith"):
                system, _ = self.application.register_system(
                    *(domain, name, "push", "", {"url": "http://none"}, "test"),
                    self.clock,
                )
                system.activate("test", self.clock)
                self.application.save(system)
            document = {**DEFINITION, "domain": domain}
            self.application.apply_definition(document, "test", self.clock)
        self.project()
        self.later(minutes=1)

    def new_notifier(self) -> Notifier:
        return Notifier(
            *(self.application, self.channels.channel, lambda: self.clock),
            *(lambda: 0.5, "https://rps.acme.example/"),
        )

    def close(self) -> None:
        self.notifier.close()
        self.transport.close()
        self.owner.close()
        self.application.close()

    # --- who listens ----------------------------------------------------------------

    def subscribe(
        self, name: str, url: str, about: Any = TOPICS, domain: str = "top", **only: str
    ) -> str:
        """A webhook; answers its secret."""
        wanted = {"settings": {"url": url}, "about": list(about)}
        wanted |= {"process_event": "", "system": "", **only}
        _, secret = self.subscriptions.put(
            domain, name, "webhook", wanted, None, "ada", self.clock
        )
        assert secret is not None
        return secret

    # --- what happens ---------------------------------------------------------------

    def share(self, records: int = 1, domain: str = "top") -> list[UUID]:
        """Tickets of acme that zenith is to get; their correlations."""
        self._made += records
        changes = [
            {
                "system": "acme",
                "table": "incident",
                "operation": "create",
                "record_id": f"R{n}",
                "change_id": f"c{n}",
                "external_id": "",
                "fields": {"short_description": f"ticket {n}"},
            }
            for n in range(self._made - records, self._made)
        ]
        receipts = self.application.intake.capture(
            Poster(domain, "tester"), changes, self.clock
        )
        receiver = Judge(self.application, lambda: self.clock)
        while receiver.work():
            pass
        return [UUID(str(r.correlations[0]["correlation_id"])) for r in receipts]

    def later(self, **delta: float) -> None:
        self.clock += timedelta(**delta)

    def trip(self, system: str = "zenith", domain: str = "top") -> None:
        self._system(domain, system, lambda s: s.trip("refused", self.clock))

    def recover(self, system: str = "zenith", domain: str = "top") -> None:
        self._system(domain, system, lambda s: s.recover(self.clock))

    def _system(self, domain: str, name: str, say: Any) -> None:
        key = RemoteSystem.id_of(domain, name)
        self.application.change(RemoteSystem, key, say)

    def conflict(self, correlation_id: UUID, policy: str = "manual") -> None:
        self._tell(
            correlation_id,
            events.ConflictOpened,
            change_id="c",
            member="zenith",
            field="title",
            base=None,
            mine="secret value",
            theirs="other value",
            policy=policy,
        )

    def oscillate(self, correlation_id: UUID) -> None:
        self.conflict(correlation_id, "oscillation")

    def redefine(self, **acme: Any) -> None:
        """A revision in which acme's member has this too."""
        document = deepcopy(DEFINITION)
        document["members"]["acme"] |= acme
        self.application.apply_definition(document, "test", self.clock)

    def roll_back(self) -> None:
        key = ProcessSyncDefinition.id_of("top", "incident")
        known = self.application.find(ProcessSyncDefinition, key)
        assert known is not None
        why = ("it was a mistake", "eve")
        self.application.roll_back_definition(known, None, *why, self.clock)

    def retire(self) -> None:
        self.application.change(
            ProcessSyncDefinition,
            ProcessSyncDefinition.id_of("top", "incident"),
            lambda d: d.retire("contract ended", "eve", self.clock),
        )

    def park(self, correlation_id: Any, detail: str) -> None:
        found = self.application.find(Correlation, correlation_id)
        assert found is not None
        for message in list(found.pending):
            about = {"message_id": message, "member": "zenith", "detail": detail}
            found.happened(events.MessageParked, self.clock, **about)
        self.application.save(found)

    def acknowledge(self, correlation_id: UUID) -> None:
        found = self.application.find(Correlation, correlation_id)
        assert found is not None
        for message in list(found.pending):
            found.happened(
                events.MessageAcknowledged,
                self.clock,
                message_id=message,
                member="zenith",
                record_id="Z1",
                record_revision="1",
                stored={},
                agreed={},
                settled_by="answer",
            )
        self.application.save(found)

    def _tell(self, correlation_id: Any, event: Any, **fields: Any) -> None:
        found = self.application.find(Correlation, correlation_id)
        assert found is not None
        found.happened(event, self.clock, **fields)
        self.application.save(found)

    # --- what is told ---------------------------------------------------------------

    def project(self) -> None:
        projector = Projector(self.application)
        while projector.work():
            pass

    def notify(self, notifier: Notifier | None = None) -> None:
        """Bring notices up to the log and tell all that is due now."""
        self.project()
        while (notifier or self.notifier).work():
            pass

    def deliveries(self) -> list[Any]:
        """(state, attempts, part) of each, as they were made."""
        rows = self.questions.notices("top", {}, 200)
        found = [each for row in rows for each in row["deliveries"]]
        found.sort(key=lambda d: (d["due_at"], d["delivery_id"]))
        return [(each["state"], each["attempts"], each["part"]) for each in found]


class Receiver(LoopbackServer):
    """Takes webhooks, or answers what it is told to."""

    def __init__(self, *responses: Respond) -> None:
        super().__init__(*responses)

    def told(self, secret: str) -> list[dict[str, Any]]:
        """The events, each checked against its signature."""
        return [_checked(each, secret) for each in self.received]

    def texts(self, secret: str) -> list[str]:
        return [each["data"]["title"] for each in self.told(secret)]


def _checked(received: Received, secret: str) -> dict[str, Any]:
    Webhook(secret).verify(received.body.decode(), received.headers)
    event: dict[str, Any] = orjson.loads(received.body)
    assert event["id"] == received.headers["webhook-id"]
    return event
