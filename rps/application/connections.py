"""Makes the connector of a remote system from its settings and its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.connectors.push import PushConnector
from rps.domain.delivery import Capabilities

if TYPE_CHECKING:
    from uuid import UUID

    from eventsourcing.postgres import PostgresDatastore

    from rps.connectors.transport import Transport
    from rps.domain.delivery import Connector
    from rps.domain.remote_system import RemoteSystem

SECRETS = "SELECT value FROM secrets WHERE domain = %b AND name = ANY(%b) ORDER BY name"


class ConnectorUnknown(ValueError):
    """The system names a connector that this version does not have."""


class Connections:
    """Connectors by system, made anew when the system's settings change."""

    def __init__(self, datastore: PostgresDatastore, transport: Transport) -> None:
        self._datastore = datastore
        self._transport = transport
        self._made: dict[UUID, tuple[dict[str, Any], Connector]] = {}

    def connect(self, system: RemoteSystem) -> Connector:
        """Raises ConnectorUnknown, SecretUnusable."""
        made = self._made.get(system.id)
        if made is None or made[0] is not system.settings:
            made = (system.settings, self._make(system))
            self._made[system.id] = made
        return made[1]

    def _make(self, system: RemoteSystem) -> Connector:
        if system.connector != "push":
            raise ConnectorUnknown(system.connector)
        settings = system.settings
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            rows = cursor.execute(
                SECRETS, (system.domain, settings.get("secrets") or [])
            ).fetchall()
        return PushConnector(
            self._transport,
            url=settings["url"],
            secrets=[row[0] for row in rows],
            capabilities=Capabilities(
                dedupe=settings.get("dedupe", True),
                conditional_write=settings.get("conditional_write", True),
                read_back=settings.get("read_back", True),
            ),
        )
