"""Saying something to a correlation while nobody else works on one of its lanes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, cast

from rps.domain.correlation import Correlation
from rps.log.append import Append, Appended, Fence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event


class NotFound(LookupError):
    """Nothing of that name exists within the caller's reach."""


class LaneBusy(Exception):
    """Somebody is working on this very entry now; ask again in a moment."""


class NotOpen(Exception):
    """The entry is settled: it was processed or skipped before."""


class Leases(Protocol):
    """Holding one lane at a time."""

    def claim(self, correlation_id: UUID, direction: str, member: str) -> int | None:
        """The epoch of this lane; None while somebody else holds it."""
        ...

    def give_back(self, lanes: Sequence[tuple[UUID, str, str, int, float]]) -> None:
        """Let go of (correlation, direction, member, epoch); due again in seconds."""
        ...


class LaneCommands:
    """What commands on correlations have in common."""

    def __init__(self, application: RemoteProcessSync, leases: Leases) -> None:
        self._application = application
        self._leases = leases

    def _on_lane(
        self,
        correlation_id: UUID,
        direction: str,
        member: str,
        tell: Callable[[Correlation], object],
    ) -> None:
        """Say something to a correlation while nobody else works on this lane."""
        epoch = self._claimed(correlation_id, direction, member)
        fence = (
            None if epoch is None else Fence(correlation_id, direction, member, epoch)
        )
        try:
            events = self._told(correlation_id, tell)
        except BaseException:
            if fence is not None:
                self._leases.give_back([(*fence[:4], 0.0)])
            raise
        outcome = self._application.recorder.append([Append(events, fence)])[0]
        if not isinstance(outcome, Appended):
            raise outcome

    def _told(
        self, correlation_id: UUID, tell: Callable[[Correlation], object]
    ) -> Sequence[Event]:
        correlation = self._application.find(Correlation, correlation_id)
        if correlation is None:
            raise NotFound(f"no correlation {correlation_id}")
        tell(correlation)
        return cast("Sequence[Event]", correlation.collect_events())

    @contextmanager
    def _nothing_sent(self, correlation_id: UUID, member: str) -> Iterator[None]:
        """Hold the lane to `member`, so that meanwhile nothing is under way there."""
        epoch = self._claimed(correlation_id, "out", member)
        try:
            yield
        finally:
            if epoch is not None:
                self._leases.give_back([(correlation_id, "out", member, epoch, 0.0)])

    def _claimed(self, correlation_id: UUID, direction: str, member: str) -> int | None:
        """The epoch of this lane; None where there is no such lane yet. LaneBusy."""
        epoch = self._leases.claim(correlation_id, direction, member)
        if epoch is None and self._application.lookup.has_lane(
            correlation_id, direction, member
        ):
            raise LaneBusy(f"{correlation_id} {member}".strip())
        return epoch
