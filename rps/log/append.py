"""What can be asked of the log, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from rps.domain.aggregate import Event

NEXT = 0
"""As an event's version: whatever comes next on its stream."""


class Fence(NamedTuple):
    """The lane an outcome belongs to, and the epoch under which it was claimed.

    `keep_seconds` extends the lease for whoever goes on with the lane; None gives the
    lane back.
    """

    correlation_id: UUID
    direction: str
    member: str
    epoch: int
    keep_seconds: float | None = None


class IntakeKey(NamedTuple):
    """What makes a captured change the same change again."""

    domain: str
    system: str
    change_id: str
    definition: UUID


@dataclass(frozen=True, slots=True)
class Append:
    """Events that are recorded together or not at all.

    Captures name the configuration position they were matched under, and are taken
    once per `IntakeKey`. Outcomes carry a fence; the lanes in `quiet` (correlation,
    member) must have no message under way, or they are refused and their own lane is
    given back. Both are recorded at the next version of their streams; anything else at
    the versions its events have, or not at all.
    """

    events: Sequence[Event]
    fence: Fence | None = None
    quiet: tuple[tuple[UUID, str], ...] = ()
    configuration: int | None = None
    capture: bool = False

    def __post_init__(self) -> None:
        if self.fence is not None and (self.capture or self.configuration is not None):
            raise ValueError("an outcome is no capture: leave out its configuration")


class Recorded(NamedTuple):
    """An event on its way into the log, as inline views see it."""

    position: int
    event: Event


class Duplicate(NamedTuple):
    """The change had been captured before; this is where."""

    position: int
    correlation_id: UUID


@dataclass(frozen=True, slots=True)
class Appended:
    """Positions and versions in the order of the events; a Duplicate where one was."""

    positions: tuple[int | Duplicate, ...]
    versions: tuple[int, ...]


class AppendRefused(Exception):
    """Nothing of this append was recorded; the others of its group were."""


class LeaseLost(AppendRefused):
    """The lane was claimed by someone else since; its outcome is theirs to record."""


class LaneHeld(AppendRefused):
    """A message to the member whose change was judged is under way: settle it first."""


class VersionTaken(AppendRefused):
    """The stream has moved on since it was loaded: load it again and decide again."""


class ConfigurationMoved(AppendRefused):
    """Definitions, systems or accounts changed since the change was matched."""


class ChangeIdReused(AppendRefused):
    """The change id or idempotency key was used before, for something else."""

    def __init__(self, text: str, index: int | None = None) -> None:
        super().__init__(text)
        self.index = index


class InlineViews(Protocol):
    """Views written in the transaction of the append."""

    def statements(
        self, recorded: Sequence[Recorded], fences: Sequence[Fence] = ()
    ) -> Iterable[tuple[str, Sequence[Any]]]:
        """SQL and parameters that bring the views up to these events, and keep or give
        back the lanes of `fences`; they fail where such a lane was claimed meanwhile.
        """
        ...


class NoViews:
    """For logs that only record."""

    def statements(
        self,
        recorded: Sequence[Recorded],  # noqa: ARG002 - nothing to bring up to date
        fences: Sequence[Fence] = (),  # noqa: ARG002 - no lanes either
    ) -> Iterable[tuple[str, Sequence[Any]]]:
        return ()
