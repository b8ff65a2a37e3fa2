"""A remote system: how it is reached, and whether it takes part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Aggregate, Event, identity, records

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

STATES = ("disabled", "active", "paused")


class RemoteSystemDisabled(Exception):
    """The remote system is disabled: validate and activate it first."""


class ConnectorFixed(ValueError):
    """A system of another kind has that name; the text says which."""


class RemoteSystem(Aggregate):
    """`state`: `disabled` takes and gives nothing, `active` both, `paused` is captured
    from while its messages wait. `fault` says why its own side is in error, else "".

    `settings` belong to the connector and hold no secrets: those are referred to.
    """

    name: str
    connector: str
    description: str
    settings: dict[str, Any]
    state: str
    fault: str

    @staticmethod
    def id_of(domain: str, name: str) -> UUID:
        return identity("system", domain, name)

    def start(self) -> None:
        self.name = self.domain = self.connector = self.description = ""
        self.settings, self.state, self.fault = {}, "disabled", ""

    @classmethod
    def registered(
        cls,
        domain: str,
        name: str,
        connector: str,
        description: str,
        settings: dict[str, Any],
        actor: str,
        now: datetime,
    ) -> RemoteSystem:
        made = cls.blank(cls.id_of(domain, name), now)
        made.domain = domain
        made.happened(
            SystemRegistered,
            now,
            name=name,
            connector=connector,
            description=description,
            settings=settings,
            actor=actor,
        )
        return made

    def change(
        self, description: str, settings: dict[str, Any], actor: str, now: datetime
    ) -> None:
        if (description, settings) != (self.description, self.settings):
            self.happened(
                SystemChanged,
                now,
                description=description,
                settings=settings,
                actor=actor,
            )

    def trust(self, authorities: str, actor: str, now: datetime) -> None:
        """Verify it against these certificates (PEM); "": the public authorities."""
        others = {name: each for name, each in self.settings.items() if name != "ca"}
        settings = others | ({"ca": authorities} if authorities else {})
        self.change(self.description, settings, actor, now)

    def activate(self, actor: str, now: datetime) -> None:
        """Take part, or take part again. Clears what was wrong before."""
        if self.state != "active" or self.fault:
            self.happened(SystemActivated, now, actor=actor)

    def disable(self, reason: str, actor: str, now: datetime) -> None:
        if self.state != "disabled":
            self.happened(SystemDisabled, now, reason=reason, actor=actor)

    def pause(self, reason: str, actor: str, now: datetime) -> None:
        if self.state == "disabled":
            raise RemoteSystemDisabled(self.name)
        if self.state != "paused":
            self.happened(SystemPaused, now, reason=reason, actor=actor)

    def resume(self, reason: str, actor: str, now: datetime) -> None:
        if self.state == "disabled":
            raise RemoteSystemDisabled(self.name)
        if self.state == "paused":
            self.happened(SystemResumed, now, reason=reason, actor=actor)

    def trip(self, reason: str, now: datetime) -> None:
        """Its deliveries fail: nothing is sent but probes until it recovers."""
        if self.fault != reason:
            self.happened(SystemTripped, now, reason=reason)

    def recover(self, now: datetime) -> None:
        if self.fault:
            self.happened(SystemRecovered, now)


@records(RemoteSystem)
class SystemRegistered(Event):
    TOPIC = "system.registered"

    name: str
    connector: str
    description: str
    settings: dict[str, Any]
    actor: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.domain, aggregate.name = self.domain, self.name
        aggregate.connector, aggregate.settings = self.connector, self.settings
        aggregate.description = self.description


@records(RemoteSystem)
class SystemChanged(Event):
    TOPIC = "system.changed"

    description: str
    settings: dict[str, Any]
    actor: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.description, aggregate.settings = self.description, self.settings


@records(RemoteSystem)
class SystemActivated(Event):
    TOPIC = "system.activated"

    actor: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.state, aggregate.fault = "active", ""


@records(RemoteSystem)
class SystemDisabled(Event):
    TOPIC = "system.disabled"

    reason: str
    actor: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.state = "disabled"


@records(RemoteSystem)
class SystemPaused(Event):
    TOPIC = "system.paused"

    reason: str
    actor: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.state = "paused"


@records(RemoteSystem)
class SystemResumed(Event):
    TOPIC = "system.resumed"

    reason: str
    actor: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.state = "active"


@records(RemoteSystem)
class SystemTripped(Event):
    TOPIC = "system.tripped"

    reason: str

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.fault = self.reason


@records(RemoteSystem)
class SystemRecovered(Event):
    TOPIC = "system.recovered"

    def apply(self, aggregate: RemoteSystem) -> None:
        aggregate.fault = ""
