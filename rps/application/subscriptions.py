"""Who is told of what: subscriptions and their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.application.lane_commands import NotFound
from rps.domain.subscription import (
    APPRISE,
    WEBHOOK,
    Subscription,
    SubscriptionKindFixed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.application.secret_store import SecretStore

STANDING = """
SELECT originator_id, max(originator_version) FROM rps_events
WHERE topic LIKE 'subscription.%%' GROUP BY originator_id
"""


class SecretMissing(ValueError):
    """A subscription of this kind needs a secret: the apprise URL."""


class SubscriptionReader:
    """All subscriptions as of now; those that did not change are not read again."""

    def __init__(self, application: RemoteProcessSync) -> None:
        self._application = application
        self._known: dict[UUID, Subscription] = {}

    def read(self) -> list[Subscription]:
        """Those that are not removed, by domain and name."""
        with self._application.datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row)
            cursor.execute(STANDING, (), prepare=True)
            versions: dict[UUID, int] = dict(cursor.fetchall())
        for key, version in versions.items():
            known = self._known.get(key)
            if known is None or known.version < version:
                found = self._application.find(Subscription, key)
                if found is not None:
                    self._known[key] = found
        there = [each for each in self._known.values() if each.state != "removed"]
        return sorted(there, key=lambda each: (each.domain, each.name))


class Subscriptions:
    """Commands on the subscriptions of a domain. Secrets go to the store only."""

    def __init__(self, application: RemoteProcessSync, secrets: SecretStore) -> None:
        self._application = application
        self._secrets = secrets
        self._reader = SubscriptionReader(application)

    def everywhere(self) -> list[Subscription]:
        """Of all domains."""
        return self._reader.read()

    def of(self, domain: str) -> list[Subscription]:
        return [each for each in self._reader.read() if each.domain == domain]

    def find(self, domain: str, name: str) -> Subscription | None:
        found = self._application.find(Subscription, Subscription.id_of(domain, name))
        return found if found is not None and found.state != "removed" else None

    def get(self, domain: str, name: str) -> Subscription:
        """NotFound."""
        found = self.find(domain, name)
        if found is None:
            raise NotFound(f"no subscription {name} in {domain}")
        return found

    def put(
        self,
        domain: str,
        name: str,
        kind: str,
        wanted: Mapping[str, Any],
        secret: str | None,
        actor: str,
        now: datetime,
        *,
        check: Callable[[Subscription | None], object] = lambda _: None,
    ) -> tuple[Subscription, str | None]:
        """Make or change a subscription; with a generated secret, to be shown once.

        `wanted` has settings, about, process_event and system. `check` sees what there
        is and may refuse. SubscriptionKindFixed, SecretMissing.
        """
        known = self.find(domain, name)
        check(known)
        if known is not None and known.kind != kind:
            raise SubscriptionKindFixed(f"{name} is {known.kind}")
        if kind == APPRISE and known is None and secret is None:
            raise SecretMissing(name)
        if known is None:
            made = self._application.find(
                Subscription, Subscription.id_of(domain, name)
            ) or Subscription.blank(Subscription.id_of(domain, name), now)
            made.create(domain, name, kind, **wanted, actor=actor, now=now)
            self._application.save(made)
        else:

            def change(subscription: Subscription) -> None:
                check(subscription)
                subscription.change(**wanted, actor=actor, now=now)

            made = self._application.change(Subscription, known.id, change)
        return made, self._kept(made, secret)

    def _kept(self, made: Subscription, secret: str | None) -> str | None:
        """The secret that was generated, if one was."""
        if secret is not None:
            self._secrets.keep(made.domain, made.secret_name, secret)
        elif made.kind == WEBHOOK:
            return self._secrets.make(made.domain, made.secret_name)
        return None

    def pause(
        self, domain: str, name: str, reason: str, actor: str, now: datetime
    ) -> Subscription:
        """What happens from now on is not told. NotFound."""
        return self._tell(domain, name, lambda each: each.pause(reason, actor, now))

    def resume(self, domain: str, name: str, actor: str, now: datetime) -> Subscription:
        """NotFound."""
        return self._tell(domain, name, lambda each: each.resume(actor, now))

    def remove(
        self, domain: str, name: str, reason: str, actor: str, now: datetime
    ) -> None:
        """And forget its secret. NotFound."""
        found = self._tell(domain, name, lambda each: each.remove(reason, actor, now))
        self._secrets.drop(domain, found.secret_name)

    def _tell(
        self, domain: str, name: str, say: Callable[[Subscription], object]
    ) -> Subscription:
        found = self.get(domain, name)
        return self._application.change(Subscription, found.id, say)
