"""A subscription: who is told of what happens in a domain, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Aggregate, Event, identity, records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

WEBHOOK, EMAIL, APPRISE = "webhook", "email", "apprise"
KINDS = (WEBHOOK, EMAIL, APPRISE)
FILE, NODE = "file", "node"
WITNESSES = (FILE, NODE)
"""Kinds that only checkpoints go to, and only the machine's people make."""

TOPICS = (
    "conflict.opened",
    "oscillation",
    "message.parked",
    "change.failed",
    "system.tripped",
    "system.recovered",
    "definition.changed",
    "flow.notified",
)
CHECKPOINT = "audit.checkpoint"
ABOUT = (*TOPICS, CHECKPOINT)
"""What may be subscribed to: notices, and the checkpoints of the log."""


class NotSubscribed(Exception):
    """The subscription is not there any more: add it anew."""


class SubscriptionKindFixed(ValueError):
    """A subscription of another kind has that name; the text says which."""


class Subscription(Aggregate):
    """States: `active`, `paused` (what happens meanwhile is not told), `removed`.

    `settings` are the kind's and hold no secrets: those are kept under `secret_name`.
    `about` are of ABOUT; empty `process_event` and `system` mean any. `since` is when
    it was last made or resumed: nothing older is told.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    about: list[str]
    process_event: str
    system: str
    state: str
    since: datetime

    @staticmethod
    def id_of(domain: str, name: str) -> UUID:
        return identity("subscription", domain, name)

    @property
    def secret_name(self) -> str:
        return secret_name(self.name)

    def start(self) -> None:
        self.name = self.domain = self.kind = self.process_event = self.system = ""
        self.settings, self.about, self.state = {}, [], "removed"

    def create(
        self,
        domain: str,
        name: str,
        kind: str,
        settings: dict[str, Any],
        about: Sequence[str],
        process_event: str,
        system: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Also one that was removed. The caller has looked that there is none."""
        self.domain = domain
        self.happened(
            SubscriptionCreated,
            now,
            name=name,
            kind=kind,
            settings=settings,
            about=_in_order(about),
            process_event=process_event,
            system=system,
            actor=actor,
        )

    def change(
        self,
        settings: dict[str, Any],
        about: Sequence[str],
        process_event: str,
        system: str,
        actor: str,
        now: datetime,
    ) -> None:
        self._require_there()
        asked = (settings, _in_order(about), process_event, system)
        if asked != (self.settings, self.about, self.process_event, self.system):
            self.happened(
                SubscriptionChanged,
                now,
                settings=settings,
                about=_in_order(about),
                process_event=process_event,
                system=system,
                actor=actor,
            )

    def pause(self, reason: str, actor: str, now: datetime) -> None:
        self._require_there()
        if self.state != "paused":
            self.happened(SubscriptionPaused, now, reason=reason, actor=actor)

    def resume(self, actor: str, now: datetime) -> None:
        self._require_there()
        if self.state == "paused":
            self.happened(SubscriptionResumed, now, actor=actor)

    def remove(self, reason: str, actor: str, now: datetime) -> None:
        if self.state != "removed":
            self.happened(SubscriptionRemoved, now, reason=reason, actor=actor)

    def _require_there(self) -> None:
        if self.state == "removed":
            raise NotSubscribed(self.name)


def secret_name(subscription: str) -> str:
    """Apart from those of systems, whose names have no tab."""
    return f"{subscription}\tnotify"


def _in_order(about: Sequence[str]) -> list[str]:
    return [topic for topic in ABOUT if topic in about]


@records(Subscription)
class SubscriptionCreated(Event):
    TOPIC = "subscription.created"

    name: str
    kind: str
    settings: dict[str, Any]
    about: Sequence[str]
    process_event: str
    system: str
    actor: str

    def apply(self, aggregate: Subscription) -> None:
        aggregate.domain, aggregate.name = self.domain, self.name
        aggregate.kind, aggregate.settings = self.kind, self.settings
        aggregate.about = list(self.about)
        aggregate.process_event, aggregate.system = self.process_event, self.system
        aggregate.state, aggregate.since = "active", self.timestamp


@records(Subscription)
class SubscriptionChanged(Event):
    TOPIC = "subscription.changed"

    settings: dict[str, Any]
    about: Sequence[str]
    process_event: str
    system: str
    actor: str

    def apply(self, aggregate: Subscription) -> None:
        aggregate.settings, aggregate.about = self.settings, list(self.about)
        aggregate.process_event, aggregate.system = self.process_event, self.system


@records(Subscription)
class SubscriptionPaused(Event):
    TOPIC = "subscription.paused"

    reason: str
    actor: str

    def apply(self, aggregate: Subscription) -> None:
        aggregate.state = "paused"


@records(Subscription)
class SubscriptionResumed(Event):
    TOPIC = "subscription.resumed"

    actor: str

    def apply(self, aggregate: Subscription) -> None:
        aggregate.state, aggregate.since = "active", self.timestamp


@records(Subscription)
class SubscriptionRemoved(Event):
    TOPIC = "subscription.removed"

    reason: str
    actor: str

    def apply(self, aggregate: Subscription) -> None:
        aggregate.state = "removed"
