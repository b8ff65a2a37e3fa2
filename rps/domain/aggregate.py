"""What our aggregates and their events share, on top of the library's.

Any event may be a stream's first: a change is captured before anybody decides what
it belongs to. Time is handed in; nothing here reads a clock.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate as LibraryAggregate
from eventsourcing.domain import AggregateEvent
from eventsourcing.utils import register_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

NAMESPACE = UUID("6f1d6c1e-2f0b-5b52-9a52-3a1f6f7c6d01")

A = TypeVar("A", bound="Aggregate")
E = TypeVar("E", bound="Event")


class Event(AggregateEvent):
    """A fact on an aggregate's stream, in plain data; `domain` is its tenant."""

    TOPIC: ClassVar[str]
    aggregate_class: ClassVar[type[Aggregate]]

    domain: str

    def mutate(self, aggregate: Any) -> Any:
        if aggregate is None:
            aggregate = self.aggregate_class.blank(self.originator_id, self.timestamp)
        return super().mutate(aggregate)


class Aggregate(LibraryAggregate):
    """State folded from events, and the commands that decide the next ones."""

    domain: str

    @classmethod
    def blank(cls, aggregate_id: UUID, now: datetime) -> Self:
        """The aggregate before its first event."""
        made = cls.__new__(cls)
        made.__base_init__(aggregate_id, 0, now)
        made.start()
        return made

    def start(self) -> None:
        """Set the state an aggregate has before anything happened to it."""

    def happened(self, event: type[Event], now: datetime, **fields: Any) -> None:
        """Record that `event` happened; rules have been decided by the caller."""
        # As the library's trigger_event, which copies and checks more than we need.
        made = cast("Any", event)(
            originator_id=self.id,
            originator_version=self.version + 1,
            timestamp=now,
            domain=self.domain,
            **fields,
        )
        made.mutate(self)
        self.pending_events.append(made)


def records(aggregate: type[A]) -> Callable[[type[Event]], type[Event]]:
    """Bind an event class to the aggregate on whose stream it stands."""

    def bind(event: type[Event]) -> type[Event]:
        event.aggregate_class = aggregate
        register_topic(event.TOPIC, event)
        return event

    return bind


def identity(*names: str) -> UUID:
    """The id of what these names make unique (uuid5 over length-prefixed parts)."""
    return uuid5(NAMESPACE, _named(names))


def identity_text(*names: str) -> str:
    """As `str(identity(...))`, at a third of its cost: every message has one."""
    digits = sha1(
        NAMESPACE.bytes + _named(names).encode(), usedforsecurity=False
    ).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-"
        f"{variant}{digits[17:20]}-{digits[20:32]}"
    )


def _named(names: Sequence[str]) -> str:
    return "".join([f"{len(name)}:{name}" for name in names])


def plain(event: Event) -> Mapping[str, Any]:
    """An event's fields by name, as stored."""
    return cast("Mapping[str, Any]", vars(event))


def event_of(kind: type[E], fields: dict[str, Any]) -> E:
    """An event that has `fields`, which it keeps: all of them, in the class's order.

    Without the library's constructor, which sets them one by one and was a third of
    what a change in a batch cost.
    """
    made = object.__new__(kind)
    object.__setattr__(made, "__dict__", fields)
    return made
