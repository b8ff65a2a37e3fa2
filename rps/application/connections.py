"""Makes the connector of a remote system from its settings and its secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from rps.application.blobs import Blobs
from rps.application.remote_parts import RemoteFiles, RemoteParts, RequestBudget
from rps.application.secret_store import SecretStore
from rps.connectors.node import NodeConnector
from rps.connectors.push import PushConnector
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.rest.reading import chosen, read_description
from rps.connectors.servicenow.connector import SERVICENOW, ServiceNowConnector
from rps.connectors.signature import SecretUnusable
from rps.domain.between_nodes import NODE
from rps.domain.delivery import Capabilities
from rps.domain.problem import DefinitionRefused
from rps.domain.uses import Uses
from rps.keys.envelope import KeyTrouble

if TYPE_CHECKING:
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.application.configuration import ConfigurationReader
    from rps.connectors.transport import Transport
    from rps.domain.delivery import Connector
    from rps.domain.remote_system import RemoteSystem

REST = "rest"
"""The connector of systems that are described in YAML."""


class ConnectorUnknown(ValueError):
    """The system names a connector that this version does not have."""


ABREAST = 32
"""Requests that one thread sends side by side."""

SECRETS_SECONDS = 10.0
"""How long a changed secret may go unnoticed."""


@dataclass(slots=True)
class _Made:
    settings: dict[str, Any]
    secrets: list[str]
    looked: float
    connector: Connector


class Connections:
    """Connectors by system, made anew when the system's settings or secrets change."""

    def __init__(
        self,
        application: RemoteProcessSync,
        transport: Transport,
        configuration: ConfigurationReader | None = None,
    ) -> None:
        """`configuration` tells a connector which fields of a table are of interest."""
        self._datastore = application.datastore
        self._store = SecretStore(application, os.urandom)
        self._transport = transport
        self._configuration = configuration
        self._made: dict[UUID, _Made] = {}

    def connect(self, system: RemoteSystem) -> Connector:
        """Raises ConnectorUnknown, SecretUnusable."""
        made, now = self._made.get(system.id), monotonic()
        if made is not None and made.settings is system.settings:
            if now - made.looked < SECRETS_SECONDS:
                return made.connector
            if made.secrets == (secrets := self._secrets(system)):
                made.looked = now
                return made.connector
        else:
            secrets = self._secrets(system)
        connector = self._make(system, secrets)
        self._made[system.id] = _Made(system.settings, secrets, now, connector)
        return connector

    def _secrets(self, system: RemoteSystem) -> list[str]:
        """Raises SecretUnusable."""
        names = sorted(set(system.settings.get("secrets") or []))
        try:
            return self._store.live(system.domain, names)
        except KeyTrouble as error:
            raise SecretUnusable(str(error)) from None

    def _make(self, system: RemoteSystem, secrets: list[str]) -> Connector:
        settings = system.settings
        transport = self._transport.trusting(settings.get("ca", ""))
        if system.connector == NODE:
            return NodeConnector(
                transport,
                url=settings["url"],
                secrets=secrets,
                decides=settings["decides"],
                batch=settings["batch"],
            )
        if system.connector == REST:
            return self._described(system, secrets, transport)
        if system.connector == SERVICENOW:
            return self._servicenow(system, secrets, transport)
        if system.connector != "push":
            raise ConnectorUnknown(system.connector)
        return PushConnector(
            transport,
            url=settings["url"],
            secrets=secrets,
            capabilities=Capabilities(
                dedupe=settings.get("dedupe", True),
                conditional_write=settings.get("conditional_write", True),
                read_back=settings.get("read_back", True),
                batch=settings.get("batch", 1),
                abreast=ABREAST,
            ),
        )

    def _described(
        self, system: RemoteSystem, secrets: list[str], transport: Transport
    ) -> Connector:
        """Raises ConnectorUnknown where this version does not read its description."""
        settings = system.settings
        try:
            description = read_description(settings["described"])
            chosen_settings = chosen(description, settings.get("set") or {})
        except DefinitionRefused as refused:
            raise ConnectorUnknown(f"{system.name}: {refused}") from None
        placed = Placed(
            description, settings["url"], chosen_settings, secrets[0] if secrets else ""
        )
        files = Blobs(self._datastore).of(system.domain)
        return RestConnector(transport, placed, files)

    def _servicenow(
        self, system: RemoteSystem, secrets: list[str], transport: Transport
    ) -> ServiceNowConnector:
        of = (self._datastore, system.domain, system.name)
        per_hour = system.settings.get("requests_per_hour")
        return ServiceNowConnector(
            transport,
            settings=system.settings,
            secrets=secrets,
            uses=lambda table: self._uses(system.domain, system.name, table),
            ledger=RemoteParts(*of),
            files=RemoteFiles(*of),
            budget=RequestBudget(*of, per_hour) if per_hour else None,
        )

    def _uses(self, domain: str, name: str, table: str) -> Uses:
        if self._configuration is None:
            return Uses()
        return self._configuration.current.uses(domain, name, table)
