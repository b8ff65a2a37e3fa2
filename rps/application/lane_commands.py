"""Saying something to a correlation while nobody else works on one of its lanes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast
from uuid import UUID  # noqa: TC003 - of a NamedTuple

from rps.domain.correlation import Correlation
from rps.log.append import Append, Appended, Fence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event


class NotFound(LookupError):
    """Nothing of that name exists within the caller's reach."""


class LaneBusy(Exception):
    """Somebody is working on this very entry now; ask again in a moment."""


class NotOpen(Exception):
    """The entry is settled: it was processed or skipped before."""


class Held(NamedTuple):
    """A lane that is ours. `interrupted`: whoever had it never came back and may have
    sent its message; so it stays for whoever claims it next."""

    correlation_id: UUID
    direction: str
    member: str
    epoch: int
    interrupted: bool

    @property
    def fence(self) -> Fence:
        """Under which something is recorded, and the lane let go."""
        return Fence(*self[:4], 0.0 if self.interrupted else None)


class Leases(Protocol):
    """Holding one lane at a time."""

    def hold(self, correlation_id: UUID, direction: str, member: str) -> Held | None:
        """Take this lane; None while somebody else has it."""
        ...

    def let_go(self, lane: Held) -> None:
        """As if we had never had it."""
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
        held = self._held(correlation_id, direction, member)
        try:
            events = self._told(correlation_id, tell)
        except BaseException:
            if held is not None:
                self._leases.let_go(held)
            raise
        fence = None if held is None else held.fence
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
        held = self._held(correlation_id, "out", member)
        try:
            yield
        finally:
            if held is not None:
                self._leases.let_go(held)

    def _held(self, correlation_id: UUID, direction: str, member: str) -> Held | None:
        """The lane, ours for now; None where there is no such lane yet. LaneBusy."""
        held = self._leases.hold(correlation_id, direction, member)
        if held is None and self._application.lookup.has_lane(
            correlation_id, direction, member
        ):
            raise LaneBusy(f"{correlation_id} {member}".strip())
        return held
