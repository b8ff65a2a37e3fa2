"""What can happen to a correlation as a whole, and to who takes part in it; see
`events.py` for the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Event
from rps.domain.pending import Pending
from rps.domain.state import CorrelationState, Link

if TYPE_CHECKING:
    from collections.abc import Sequence


class CorrelationOpened(Event):
    """The first accepted change made this shared record."""

    TOPIC = "correlation.opened"

    definition: str
    process_event: str
    revision: int

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.domain = self.domain
        aggregate.definition = self.definition
        aggregate.process_event = self.process_event
        aggregate.active = True


class CorrelationLinked(Event):
    """The shared record has a copy in `member`."""

    TOPIC = "correlation.linked"

    definition: str
    member: str
    system: str
    table: str
    record_id: str
    record_revision: str | None

    def apply(self, aggregate: CorrelationState) -> None:
        parted = aggregate.unlinked.pop(self.member, None)
        if parted is not None:
            aggregate.links[self.member] = parted
            if parted.record_id != self.record_id:
                aggregate.forget_files(self.member)
        link = aggregate.links.get(self.member)
        if link is None or link.record_id not in (None, self.record_id):
            link = aggregate.links[self.member] = Link()
        link.system, link.table = self.system, self.table
        link.record_id = self.record_id
        link.revision = self.record_revision or link.revision


class CorrelationUnlinked(Event):
    """The copy in `member` no longer takes part, until it is linked again.

    `record_id` is "" where it had none yet.
    """

    TOPIC = "correlation.unlinked"

    definition: str
    member: str
    record_id: str
    reason: str
    actor: str

    def apply(self, aggregate: CorrelationState) -> None:
        link = aggregate.links.pop(self.member, None) or Link()
        link.record_id, link.revision, link.waived = self.record_id or None, None, {}
        link.since = self.originator_version
        aggregate.unlinked[self.member] = link
        for key in [key for key in aggregate.held if key[0] == self.member]:
            del aggregate.held[key]


class CorrelationRelinked(Event):
    """`member` takes part again. `messages` as in ChangeAccepted: what it lacks."""

    TOPIC = "correlation.relinked"

    definition: str
    process_event: str
    revision: int
    member: str
    reason: str
    actor: str
    messages: Sequence[dict[str, Any]]

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.unlinked.pop(self.member, None)
        for message in self.messages:
            aggregate.expect(Pending.of(message))


class CorrelationDeactivated(Event):
    """Nothing of it is shared any more, until it is reactivated."""

    TOPIC = "correlation.deactivated"

    reason: str
    actor: str

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.active = False


class CorrelationReactivated(Event):
    """It is shared again. `messages` as in ChangeAccepted: decided meanwhile."""

    TOPIC = "correlation.reactivated"

    reason: str
    actor: str
    definition: str = ""
    process_event: str = ""
    revision: int = 0
    messages: Sequence[dict[str, Any]] = ()

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.active = True
        for message in self.messages:
            aggregate.expect(Pending.of(message))
