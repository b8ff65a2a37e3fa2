"""A correlation's stream, made readable and folded up to any moment."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from eventsourcing.persistence import StoredEvent

from rps.application.operations import NotFound
from rps.domain import events
from rps.domain.correlation import Correlation
from rps.projections.correlation_questions import CorrelationQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event

READ_EVENTS = 500
NAMES_SHOWN = 6
_NOT_SHOWN = ("originator_id", "originator_version", "timestamp", "domain")


class Timelines:
    """Streams of correlations of one domain; anything else raises NotFound."""

    def __init__(self, application: RemoteProcessSync) -> None:
        self._mapper = application.event_mapper
        self._questions = CorrelationQuestions(application.datastore)

    def events(
        self, domain: str, stream: UUID, after: int, limit: int
    ) -> list[tuple[int, Event]]:
        """(position, event) past version `after`, at most `limit`."""
        if after:
            self._checked(domain, stream)
        found = list(self._read(stream, after, limit))
        if not after and not (found and _is_own(found[0][1], domain)):
            raise NotFound(f"no correlation {stream}")
        return found

    def as_of(
        self,
        domain: str,
        stream: UUID,
        position: int | None = None,
        at: datetime | None = None,
    ) -> tuple[int, Correlation]:
        """The correlation up to and with that position and moment, and the position of
        its last event by then. NotFound where nothing had happened to it yet."""
        last, correlation = 0, None
        for each, event in self._all(stream):
            if not _is_own(event, domain):
                break
            if position is not None and each > position:
                break
            if at is not None and event.timestamp > at:
                break
            last, correlation = each, event.mutate(correlation)
        if correlation is None:
            raise NotFound(f"no correlation {stream}")
        return last, cast("Correlation", correlation)

    def both_sides(self, domain: str, conflict: Mapping[str, Any]) -> dict[str, Any]:
        """Who wrote what in a conflict, and for an open one what stands there now:
        either side may have changed its value again since."""
        stream, field = conflict["correlation_id"], conflict["field"]
        before = takewhile(
            lambda e: e[0] < conflict["id"] and _is_own(e[1], domain),
            self._all(stream),
        )
        mine, theirs = _authors(before, field, conflict["change_id"])
        shown: dict[str, Any] = {"mine_by": mine, "theirs_by": theirs}
        if conflict["state"] == "open":
            _, correlation = self.as_of(domain, stream)
            shared = correlation.fields.get(field)
            link = correlation.links.get(conflict["member"])
            known = link and link.base.get(field)
            shown["now"] = {
                "mine": shared and shared.value,
                "theirs": known and known.value,
            }
        return shown

    def _checked(self, domain: str, stream: UUID) -> None:
        first = next(self._read(stream, 0, 1), None)
        if first is None or not _is_own(first[1], domain):
            raise NotFound(f"no correlation {stream}")

    def _all(self, stream: UUID) -> Iterator[tuple[int, Event]]:
        version = 0
        while found := list(self._read(stream, version, READ_EVENTS)):
            yield from found
            version = found[-1][1].originator_version

    def _read(
        self, stream: UUID, after: int, limit: int
    ) -> Iterator[tuple[int, Event]]:
        for row in self._questions.events(stream, after, limit):
            stored = StoredEvent(stream, row["version"], row["topic"], row["state"])
            yield row["position"], self._mapper.to_domain_event(stored)


Author = dict[str, Any] | None


def _authors(
    before: Iterator[tuple[int, Event]], field: str, change_id: str
) -> tuple[Author, Author]:
    """Who gave the shared `field` its value, and who made the change that met it."""
    mine: Author = None
    captured: dict[str, Author] = {}
    for _, event in before:
        match event:
            case events.ChangeCaptured():
                captured[event.change_id] = {
                    "member": event.member,
                    "change_id": event.change_id,
                    "who": event.changed_by,
                    "at": event.changed_at or event.timestamp,
                }
            case events.ChangeAccepted() if field in event.values:
                mine = captured.get(event.change_id)
            case events.ConflictResolved() if event.field == field and event.stamp:
                mine = {
                    "member": event.given_by,
                    "change_id": "",
                    "who": event.actor,
                    "at": event.timestamp,
                }
    return mine, captured.get(change_id)


def _is_own(event: Event, domain: str) -> bool:
    return event.domain == domain and event.aggregate_class is Correlation


def shown(position: int, event: Event) -> dict[str, Any]:
    """One line of the timeline."""
    return {
        "position": position,
        "version": event.originator_version,
        "at": event.timestamp,
        "topic": event.TOPIC,
        "summary": summary(event),
        "fields": {n: v for n, v in vars(event).items() if n not in _NOT_SHOWN},
    }


def summary(event: Any) -> str:
    """What happened, in one line."""
    say = _SAYS.get(event.TOPIC)
    return say(event) if say else str(event.TOPIC)


def _names(names: Any) -> str:
    found = list(names)
    more = f" and {len(found) - NAMES_SHOWN} more" if len(found) > NAMES_SHOWN else ""
    return ", ".join(found[:NAMES_SHOWN]) + more or "no fields"


def _captured(e: Any) -> str:
    who = f" by {e.changed_by}" if e.changed_by else ""
    carried = "" if e.operation == "delete" else f": {_names(e.fields)}"
    notes = f", {len(e.entries)} journal entries" if e.entries else ""
    if e.attachments:
        names = _names(file.get("name", file["id"]) for file in e.attachments)
        notes += f", files: {names}"
    return f"{e.member} {e.operation} of {e.table} {e.record_id}{who}{carried}{notes}"


def _accepted(e: Any) -> str:
    told = ", ".join(message["member"] for message in e.messages) or "nobody"
    return f"{e.member} set {_names(e.values)}{_entries(e)}; {told} to be told"


def _entries(e: Any) -> str:
    """What became of journal entries that there were already."""
    said = Counter(each.get("operation", "") for each in e.entries)
    return "".join(
        f", {said[operation]} journal entries {done}"
        for operation, done in (("update", "edited"), ("delete", "removed"))
        if said[operation]
    )


def _files(e: Any) -> str:
    gone = [each["name"] for each in e.attachments if each.get("deleted")]
    there = [each["name"] for each in e.attachments if not each.get("deleted")]
    said = [f"added {_names(there)}"] if there else []
    said += [f"removed {_names(gone)}"] if gone else []
    return f"{e.member} {' and '.join(said) or 'has files that are shared'}"


def _conflict(e: Any) -> str:
    kept = f"{e.winner} kept" if hasattr(e, "winner") else "left to a person"
    return f"{e.member} and another side both changed {e.field}: {kept} ({e.policy})"


def _resolved(e: Any) -> str:
    told = ", ".join(message["member"] for message in e.messages) or "nobody"
    return f"{e.actor} decided {e.field} at {e.member}: {e.reason}; {told} to be told"


def _transmitted(e: Any) -> str:
    answered = "no answer" if e.status is None else f"answered {e.status}"
    return f"{e.operation} sent to {e.member}, attempt {e.attempt}: {answered}"


def _failed(e: Any) -> str:
    again = f"; again at {e.retry_at}" if e.retry_at else ""
    return f"attempt {e.attempt} at {e.member} failed ({e.kind}): {e.detail}{again}"


_SAYS: Mapping[str, Callable[[Any], str]] = {
    "attachments.shared": _files,
    "attachment.refused": lambda e: (
        f"file {e.attachment['name']!r} of {e.member} not passed on: {e.reason}"
    ),
    "change.captured": _captured,
    "change.accepted": _accepted,
    "change.ignored": lambda e: f"change of {e.member} ignored: {e.reason}",
    "change.failed": lambda e: f"change of {e.member} failed: {e.field} {e.detail}",
    "change.retried": lambda e: f"{e.actor} had the change judged again: {e.reason}",
    "change.skipped": lambda e: f"{e.actor} skipped the change: {e.reason}",
    "correlation.opened": lambda e: f"opened for {e.process_event}",
    "correlation.linked": lambda e: f"linked to {e.table} {e.record_id} of {e.member}",
    "correlation.unlinked": lambda e: f"{e.member} no longer takes part: {e.reason}",
    "correlation.relinked": lambda e: f"{e.member} takes part again: {e.reason}",
    "correlation.deactivated": lambda e: f"{e.actor} deactivated it: {e.reason}",
    "correlation.reactivated": lambda e: f"{e.actor} reactivated it: {e.reason}",
    "conflict.recorded": _conflict,
    "conflict.opened": _conflict,
    "conflict.resolved": _resolved,
    "message.transmitted": _transmitted,
    "message.received": lambda e: f"{e.member} has it: {e.detail}",
    "message.acknowledged": lambda e: f"{e.member} holds it as {e.record_id}",
    "message.failed": _failed,
    "message.parked": lambda e: f"waits for a person at {e.member}: {e.detail}",
    "message.released": lambda e: f"the files for {e.member} are here",
    "message.retried": lambda e: f"{e.actor} had it sent again: {e.reason}",
    "message.skipped": lambda e: f"not sent to {e.member}, {e.actor}: {e.reason}",
    "message.revised": lambda e: f"message to {e.member} made anew: {e.reason}",
    "message.replayed": lambda e: f"{e.actor} replays to {e.member}: {e.reason}",
}
