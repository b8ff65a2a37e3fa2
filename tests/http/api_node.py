"""A whole node behind Flask's test client, with a fake remote side and a set clock."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import orjson
import psycopg
from people import HASHER

from rps.application import RemoteProcessSync
from rps.application.channels import Channels
from rps.application.operations import Operations
from rps.application.secret_store import SecretStore
from rps.application.tokens import mint
from rps.application.vouching import Vouching
from rps.config import Config
from rps.connectors.transport import Transport
from rps.domain import events
from rps.domain.account import ROLES
from rps.domain.correlation import Correlation
from rps.domain.delivery import Capabilities
from rps.http import Parts, create_app
from rps.workers.lanes import Lanes
from rps.workers.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.delivery import Connector
    from rps.domain.remote_system import RemoteSystem

URL = "https://hooks.example/rps"
ENVIRON = {
    "RPS_SMTP_URL": "smtp://127.0.0.1:9?starttls=none",
    "RPS_SMTP_FROM": "rps@acme.example",
    "RPS_APPRISE": "json",
    "RPS_ALLOW_NETWORKS": "127.0.0.0/8",
}
DOCUMENT: dict[str, Any] = {
    "fields": {
        "title": {"type": "text"},
        "state": {"type": "choice", "values": ["new", "done"]},
    },
    "journals": {"comments": {"visibility": "public"}},
    "members": {
        "acme": {
            "table": "incident",
            "fields": {
                "title": "short_description",
                "state": {"field": "state", "values": {"new": "1", "done": "6"}},
            },
            "journals": {"comments": "comments"},
        },
        "globex": {
            "table": "ticket",
            "fields": {"title": "summary", "state": "status"},
            "journals": {"comments": "comments"},
        },
    },
}


class RemoteSide:
    """Stands for the connector of every system: passes its check, or says why not."""

    def __init__(self) -> None:
        self.says = (True, "pong")
        self.asked = 0
        self.capabilities = Capabilities(
            dedupe=True, conditional_write=True, read_back=True
        )

    def check(self) -> tuple[bool, str]:
        self.asked += 1
        return self.says


class Answered:
    """An answer, read as JSON."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.bytes: bytes = response.get_data()

    @property
    def json(self) -> Any:
        return orjson.loads(self.bytes)

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.bytes.splitlines()]


class Node:
    """Accounts of domain top, one a role, named as the role; `stranger` is an admin
    of another domain."""

    def __init__(self, database: str) -> None:
        self.now = datetime(2025, 1, 2, 12, tzinfo=UTC)  # past: lanes are due
        self.application = RemoteProcessSync(database, connections=4)
        self.remote = RemoteSide()
        self.pauses: list[Callable[[], object]] = []
        self.operations = Operations(self.application, Lanes(self.application, "api"))
        self.transport = Transport((ip_network("127.0.0.0/8"),))
        self.app = self.make_app()
        self.client = self.app.test_client()
        self.tokens = {role: self.token("top", role, [role]) for role in ROLES}
        self.tokens["stranger"] = self.token("top/else", "stranger", ["admin"])
        self.tokens["nobody"] = self.token("top", "nobody", [])

    def make_app(self, **parts: Any) -> Any:
        secrets = SecretStore(self.application, os.urandom)
        return create_app(
            Parts(
                self.application,
                self.operations,
                self._connector,
                channels=self.channels(),
                vouching=Vouching(secrets, self.transport),
                hasher=HASHER,
                clock=lambda: self.now,
                pause=self._pause,
                **parts,
            )
        )

    def channels(self, **environ: str) -> Channels:
        """As an operator with these settings has them; webhooks go to loopback."""
        config = Config.from_environ({**ENVIRON, **environ})
        secrets = SecretStore(self.application, os.urandom)
        return Channels(config, self.transport, secrets)

    def kept_secrets(self) -> dict[tuple[str, str], str]:
        """What is in the table, opened, by domain and name."""
        store = SecretStore(self.application, os.urandom)
        with psycopg.connect(self.application.database_url) as conn:
            rows = conn.execute("SELECT domain, name FROM secrets").fetchall()
        return {row: store.live(row[0], [row[1]])[0] for row in rows}

    def close(self) -> None:
        self.transport.close()
        self.application.close()

    def token(self, domain: str, name: str, roles: list[str]) -> str:
        token, token_id, sha256 = mint(os.urandom(38))
        self.application.ensure_domain(domain, "", "test", self.now)
        account = self.application.ensure_account(domain, name, roles, "test", self.now)
        account.issue_token(token_id, sha256, 90, "test", self.now)
        self.application.save(account)
        return token

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: str | None = "admin",
        raw: bytes | None = None,
        **headers: str,
    ) -> Answered:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            token = self.tokens.get(who, who)
            sent.setdefault("Authorization", f"Bearer {token}")
        data = raw if raw is not None else None
        if body is not None:
            data = orjson.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        return Answered(self.client.open(path, method=method, data=data, headers=sent))

    def get(self, path: str, **more: Any) -> Any:
        answered = self.call("GET", path, **more)
        assert answered.status == 200, answered.bytes
        return answered.json

    # --- a shared incident ----------------------------------------------------------

    def share_incidents(self) -> Node:
        """Two active systems and a published definition between them."""
        for name in ("acme", "globex"):
            path = f"/v1/systems/{name}"
            settings = {"url": f"{URL}/{name}"}
            assert self.call("PUT", path, {"settings": settings}).status == 201
            assert self.call("POST", f"{path}/activate").status == 200
        path = "/v1/definitions/incident.shared"
        assert self.call("PUT", path, DOCUMENT).status == 201
        assert self.call("POST", f"{path}/publish").status == 200
        return self

    def capture(self, record_id: str = "INC1", **more: Any) -> dict[str, Any]:
        change = change_of(record_id, **more)
        answered = self.call("POST", "/v1/changes", change, who="ih_process_sync_api")
        assert answered.status == 202, answered.bytes
        return cast("dict[str, Any]", answered.json)

    def receive(self) -> None:
        """Judge everything captured, as the receiver does."""
        receiver = Receiver(self.application, lambda: self.now)
        while receiver.work():
            pass

    def shared(self, record_id: str = "INC1", **more: Any) -> UUID:
        """Capture a change and judge it; answers its correlation."""
        receipt = self.capture(record_id, **more)
        self.receive()
        return UUID(receipt["correlations"][0]["correlation_id"])

    def tell(self, correlation_id: UUID, event: type[Any], **fields: Any) -> None:
        """Let something happen to a correlation, as a deliverer would have it."""
        found = self.application.find(Correlation, correlation_id)
        assert found is not None
        found.happened(event, self.now, **fields)
        self.application.save(found)

    def message(self, correlation_id: UUID) -> str:
        """The id of the first message waiting."""
        found = self.application.find(Correlation, correlation_id)
        assert found is not None
        return next(iter(found.pending))

    def acknowledge(self, correlation_id: UUID, record_id: str = "T1") -> None:
        self.tell(
            correlation_id,
            events.MessageAcknowledged,
            message_id=self.message(correlation_id),
            member="globex",
            record_id=record_id,
            record_revision="1",
            stored={"title": "Printer"},
            agreed={"title": 1},
            settled_by="write",
        )

    def park(self, correlation_id: UUID) -> str:
        message_id = self.message(correlation_id)
        self.tell(
            correlation_id,
            events.MessageParked,
            message_id=message_id,
            member="globex",
            detail="422 no such assignee",
        )
        return message_id

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def _connector(self, _: RemoteSystem) -> Connector:
        return cast("Connector", self.remote)

    def _pause(self, _: float) -> None:
        """Waiting is whatever a test lets happen meanwhile."""
        if self.pauses:
            self.pauses.pop(0)()


def change_of(record_id: str = "INC1", **more: Any) -> dict[str, Any]:
    return {
        "system": "acme",
        "table": "incident",
        "record_id": record_id,
        "operation": "create",
        "fields": {"short_description": "Printer", "state": "1"},
        **more,
    }
