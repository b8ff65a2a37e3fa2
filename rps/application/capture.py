"""Taking in changes: matched, routed to their correlations, committed, receipted."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.application.captured import Poster, captured, in_common_of
from rps.domain.correlation import Correlation
from rps.domain.remote_system import RemoteSystemDisabled
from rps.log.append import (
    Append,
    Appended,
    ChangeIdReused,
    ConfigurationMoved,
    Duplicate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from rps.application.configuration import (
        Configuration,
        ConfigurationReader,
        Route,
    )
    from rps.domain.events import ChangeCaptured
    from rps.log.recorder import LogRecorder
    from rps.projections.lookup import Lookup

LINKS_REMEMBERED = 200_000
UNLINKED_SECONDS = 2.0
RENEWED_MAX = 1000
"""Records that a question for others asks about as well, before their time is up."""
LinkKey = tuple[UUID, str, str]
"""Definition, member, record id."""

TRIES = 5


class SystemUnknown(LookupError):
    """A change names a remote system that is not registered in this domain."""

    def __init__(self, index: int, name: str) -> None:
        super().__init__(f"no remote system {name!r} in this domain")
        self.index = index


@dataclass(slots=True)
class Receipt:
    """What became of one change. `status`: captured, duplicate, not_captured."""

    change_id: str
    status: str
    correlations: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


class Intake:
    """Captures changes. Reads nothing but what it remembers of links, as a rule."""

    def __init__(
        self, recorder: LogRecorder, lookup: Lookup, reader: ConfigurationReader
    ) -> None:
        self._recorder = recorder
        self._lookup = lookup
        self._reader = reader
        self._links: dict[tuple[str, UUID, str, str], UUID] = {}
        self._unlinked: dict[tuple[str, UUID, str, str], tuple[UUID, float]] = {}
        self._renewing: dict[str, dict[LinkKey, UUID]] = {}
        self._lock = Lock()
        self._node = ""

    def opened_by(self, route: Route, change: Mapping[str, Any]) -> UUID:
        """The id of the correlation that a record nobody shares yet opens.

        It travels to other nodes, where a record of the same name in a system of the
        same name is another one.
        """
        self._node = self._node or self._recorder.genesis()
        return Correlation.id_of(
            str(route.definition_id),
            route.member.name,
            route.member.table,
            change["record_id"],
            self._node,
        )

    def belongs_to(
        self, domain: str, route: Route, change: Mapping[str, Any]
    ) -> UUID | None:
        """The correlation of the change's record; None: it would open one."""
        key = _key(route, change)
        linked = dict(self._lookup.linked(domain, [key]))
        return {**self._named(domain, {key: change}), **linked}.get(key)

    def capture(
        self,
        poster: Poster,
        changes: Sequence[Mapping[str, Any]],
        now: datetime,
        allow: Callable[[Configuration], object] = lambda _configuration: None,
        opens: Callable[[Route, Mapping[str, Any]], UUID] | None = None,
    ) -> list[Receipt]:
        """Commit `changes` together and receipt each.

        `allow` is asked about every configuration newer than the one at hand, and
        raises where the poster may no longer post. `opens` names the correlation of a
        record that has none. Raises SystemUnknown,
        RemoteSystemDisabled, ChangeIdReused; OperationalError when the database is
        away. In all of these nothing was recorded.
        """
        opens = opens or self.opened_by
        configuration = self._reader.current
        for _ in range(TRIES):
            try:
                matched = _all_matched(configuration, poster.domain, changes)
                if all(routes for routes, _ in matched):
                    return self._record(
                        poster, changes, matched, configuration, now, opens
                    )
                refused = None
            except (SystemUnknown, RemoteSystemDisabled, ConfigurationMoved) as error:
                refused, matched = error, []
            # Nothing but the log guards against a configuration that is out of date:
            # before a change is turned away, look once more.
            newest = self._reader.refresh()
            if newest is not configuration:
                configuration = newest
                allow(configuration)
            elif refused is not None:
                raise refused
            else:
                return self._record(poster, changes, matched, configuration, now, opens)
        raise ConfigurationMoved("the configuration keeps changing; try again")

    def _record(
        self,
        poster: Poster,
        changes: Sequence[Mapping[str, Any]],
        matched: list[tuple[list[Route], str]],
        configuration: Configuration,
        now: datetime,
        opens: Callable[[Route, Mapping[str, Any]], UUID],
    ) -> list[Receipt]:
        streams = self._streams(poster.domain, changes, matched, opens)
        taken = {id(route): route for routes, _ in matched for route in routes}
        in_common = {
            key: in_common_of(poster, route, now) for key, route in taken.items()
        }
        events = [
            captured(in_common[id(route)], change, streams[_key(route, change)])
            for change, (routes, _) in zip(changes, matched, strict=True)
            for route in routes
        ]
        positions: tuple[int | Duplicate, ...] = ()
        if events:
            outcome = self._recorder.append(
                [Append(events, configuration=configuration.position, capture=True)]
            )[0]
            if isinstance(outcome, ChangeIdReused):
                raise _naming_the_change(outcome, matched)
            if not isinstance(outcome, Appended):
                raise outcome
            positions = outcome.positions
        return _receipts(changes, matched, events, positions)

    def _streams(
        self,
        domain: str,
        changes: Sequence[Mapping[str, Any]],
        matched: list[tuple[list[Route], str]],
        opens: Callable[[Route, Mapping[str, Any]], UUID],
    ) -> dict[LinkKey, UUID]:
        """The correlation of each change: the one its record is linked to, the one it
        says it belongs to, else the one it would open."""
        wanted = {
            _key(route, change): (route, change)
            for change, (routes, _) in zip(changes, matched, strict=True)
            for route in routes
        }
        found = self._remembered(domain, wanted)
        unknown = [key for key in wanted if key not in found]
        if not unknown:
            return found
        found |= self._linked(domain, unknown)
        found |= self._named(
            domain, {key: wanted[key][1] for key in unknown if key not in found}
        )
        for key in unknown:
            if key not in found:
                own = found[key] = opens(*wanted[key])
                self._remember_unlinked((domain, *key), own)
        return found

    def _linked(self, domain: str, unknown: Sequence[LinkKey]) -> dict[LinkKey, UUID]:
        """What the view says of these, and along with them of what is soon forgotten:
        asked one by one, each record in use would cost a question of its own."""
        with self._lock:
            renewing = self._renewing.pop(domain, {})
        found = dict(self._lookup.linked(domain, [*{*unknown, *renewing}]))
        for key, correlation_id in found.items():
            self._remember((domain, *key), correlation_id)
        for key in renewing.keys() - found.keys():
            self._remember_unlinked((domain, *key), renewing[key])
        return found

    def _remembered(
        self, domain: str, wanted: Mapping[LinkKey, tuple[Route, Mapping[str, Any]]]
    ) -> dict[LinkKey, UUID]:
        """What is known without asking: links, and records that had none a moment ago.

        A link made in that moment costs nothing but a detour: the receiver moves the
        change to the correlation it belongs to.
        """
        found: dict[LinkKey, UUID] = {}
        now = monotonic()
        for key, (_, change) in wanted.items():
            full = (domain, *key)
            if (known := self._links.get(full)) is not None:
                found[key] = known
            elif not change.get("external_id"):
                own, until = self._unlinked.get(full, (None, 0.0))
                if own is not None and now < until:
                    found[key] = own
                    if until - now < UNLINKED_SECONDS / 2:
                        self._renew_soon(domain, key, own)
        return found

    def _named(
        self, domain: str, changes: Mapping[LinkKey, Mapping[str, Any]]
    ) -> dict[LinkKey, UUID]:
        """Of changes that say which correlation they belong to: where there is one."""
        named = {
            key: external_id
            for key, change in changes.items()
            if (external_id := _uuid(change.get("external_id")))
        }
        known = self._lookup.correlations_of(
            domain, [(key[0], external_id) for key, external_id in named.items()]
        )
        return {
            key: external_id
            for key, external_id in named.items()
            if (key[0], external_id) in known
        }

    def _remember(self, key: tuple[str, UUID, str, str], correlation_id: UUID) -> None:
        with self._lock:
            if len(self._links) >= LINKS_REMEMBERED:
                self._links.clear()
            self._links[key] = correlation_id

    def _renew_soon(self, domain: str, key: LinkKey, own: UUID) -> None:
        with self._lock:
            renewing = self._renewing.setdefault(domain, {})
            if len(renewing) < RENEWED_MAX:
                renewing[key] = own

    def _remember_unlinked(
        self, key: tuple[str, UUID, str, str], correlation_id: UUID
    ) -> None:
        with self._lock:
            if len(self._unlinked) >= LINKS_REMEMBERED:
                self._unlinked.clear()
            self._unlinked[key] = (correlation_id, monotonic() + UNLINKED_SECONDS)


def _naming_the_change(
    reused: ChangeIdReused, matched: list[tuple[list[Route], str]]
) -> ChangeIdReused:
    """A change may have made several events: name the change, not the event."""
    changes = [index for index, (routes, _) in enumerate(matched) for _ in routes]
    index = None if reused.index is None else changes[reused.index]
    return ChangeIdReused(str(reused), index)


def _key(route: Route, change: Mapping[str, Any]) -> LinkKey:
    return (route.definition_id, route.member.name, change["record_id"])


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if text else None
    except (ValueError, AttributeError, TypeError):
        return None


def _all_matched(
    configuration: Configuration, domain: str, changes: Sequence[Mapping[str, Any]]
) -> list[tuple[list[Route], str]]:
    return [
        _matched(configuration, domain, index, change)
        for index, change in enumerate(changes)
    ]


def _matched(
    configuration: Configuration, domain: str, index: int, change: Mapping[str, Any]
) -> tuple[list[Route], str]:
    """The routes that capture this change; with none, why."""
    name, table, operation = change["system"], change["table"], change["operation"]
    system = configuration.system(domain, name)
    if system is None:
        raise SystemUnknown(index, name)
    if system.state == "disabled":
        raise RemoteSystemDisabled(name)
    routes = configuration.routes.get((domain, name, table))
    if not routes:
        return [], f"no published definition captures {name}.{table}"
    capturing = [r for r in routes if operation in r.member.capture]
    if not capturing:
        names = ", ".join(r.definition.process_event for r in routes)
        return [], f"{names}: {operation} is not captured from {name}.{table}"
    return capturing, ""


def _receipts(
    changes: Sequence[Mapping[str, Any]],
    matched: list[tuple[list[Route], str]],
    events: list[ChangeCaptured],
    positions: tuple[int | Duplicate, ...],
) -> list[Receipt]:
    receipts = []
    at = 0
    for change, (routes, reason) in zip(changes, matched, strict=True):
        receipt = Receipt(change["change_id"], "not_captured", reason=reason)
        for _ in routes:
            event, position = events[at], positions[at]
            at += 1
            if isinstance(position, Duplicate):
                receipt.status, where = "duplicate", position
            else:
                receipt.status = "captured"
                where = Duplicate(position, event.originator_id)
            receipt.correlations.append(
                {
                    "correlation_id": str(where.correlation_id),
                    "process_event": event.process_event,
                    "position": where.position,
                }
            )
        receipts.append(receipt)
    return receipts
