"""Correlations a receiver has seen before, brought up to their streams."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rps.domain.canonical import EPOCH
from rps.domain.correlation import Correlation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from eventsourcing.persistence import StoredEvent

    from rps.domain.aggregate import Event
    from rps.log.mapper import EventMapper

PARTS_MAX = 50_000
"""Correlations, messages and entries of theirs that are kept in memory in all."""

OUTCOMES = {
    "correlation.linked",
    "message.transmitted",
    "message.received",
    "message.acknowledged",
    "message.failed",
    "message.parked",
    "message.released",
}
"""What deliverers and fetchers append: each touches one member's link and waiting
messages."""


@dataclass(frozen=True, slots=True)
class Known:
    """A correlation as of `version`, with events of our own folded into it that stand
    further on, at the versions `ours`; they touched the members `touched`.

    What others appended in between is not folded yet. Captures change nothing, and what
    became of messages touches one member's link and messages: where our events touched
    those of others, either order comes to the same.
    """

    correlation: Correlation
    version: int = 0
    ours: range = range(0)
    touched: frozenset[str] = frozenset()

    @classmethod
    def blank(cls, key: UUID) -> Self:
        return cls(Correlation.blank(key, EPOCH))

    @property
    def parts(self) -> int:
        """How much there is to remember of it."""
        correlation = self.correlation
        held = (correlation.pending, correlation.entry_ids, correlation.attached)
        return 1 + sum(map(len, held))

    def after(
        self, head: int, events: Sequence[Event], versions: Sequence[int]
    ) -> Known:
        """With `events` folded that were decided at `head`, recorded as `versions`."""
        if not versions or versions[0] == head + 1:
            return Known(self.correlation, head + len(versions))
        touched = {event.__dict__.get("member", "") for event in events}
        ours = range(versions[0], versions[-1] + 1)
        return Known(self.correlation, head, ours, frozenset(touched))

    def fold(self, stored: Sequence[StoredEvent], mapper: EventMapper) -> bool:
        """Fold what was appended past `version`, in order. False: something stands
        among our own events that has to be folded before them; start from a blank."""
        for each in stored:
            version = each.originator_version
            if version in self.ours:
                continue
            event = mapper.to_domain_event(each)
            if version < self.ours.start and (
                each.topic not in OUTCOMES or event.member in self.touched
            ):
                return False
            self.correlation.version = version - 1
            event.mutate(self.correlation)
        return True


class Remembered:
    """Those used last; of bounded size in all."""

    def __init__(self, parts_max: int = PARTS_MAX) -> None:
        self._known: OrderedDict[UUID, tuple[Known, int]] = OrderedDict()
        self._parts = 0
        self._parts_max = parts_max

    def take(self, key: UUID) -> Known:
        """What is remembered of it, or a blank one; forgotten until it is kept."""
        known, parts = self._known.pop(key, (None, 0))
        self._parts -= parts
        return known or Known.blank(key)

    def keep(self, known: Known) -> None:
        parts = known.parts
        self._known[known.correlation.id] = known, parts
        self._parts += parts
        while self._parts > self._parts_max and len(self._known) > 1:
            _, (_, parts) = self._known.popitem(last=False)
            self._parts -= parts
