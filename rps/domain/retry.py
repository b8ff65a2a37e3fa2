"""When a delivery is tried again, and when a system is left alone for a while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SCHEDULE_SECONDS = (
    5,
    30,
    120,
    300,
    900,
    1_800,
    3_600,
    7_200,
    18_000,
    36_000,
    50_400,
    72_000,
    86_400,
)
"""Pause after attempt 1, 2, …; after the last a person decides."""

ATTEMPTS_MAX = len(SCHEDULE_SECONDS) + 1
JITTER = 0.2
RETRY_AFTER_MAX_SECONDS = 86_400.0

WINDOW_SECONDS = 300.0
REQUESTS_LEAST = 10
FAILING_SHARE = 0.7
CONSECUTIVE = 10
OPEN_MAX_SECONDS = 900.0


def next_attempt(
    attempt: int, now: datetime, chance: float, retry_after: float | None = None
) -> datetime | None:
    """When to try again after `attempt` (from 1) failed; None: no more by itself.

    `chance` is uniform in [0, 1) and spreads the pause by a fifth either way. A wait
    that the system asked for is honoured, up to a day.
    """
    if attempt >= ATTEMPTS_MAX:
        return None
    pause = SCHEDULE_SECONDS[max(attempt, 1) - 1] * (1 - JITTER + 2 * JITTER * chance)
    asked = min(retry_after or 0.0, RETRY_AFTER_MAX_SECONDS)
    return now + timedelta(seconds=max(pause, asked))


def open_seconds(trips: int, first: float) -> float:
    """How long a breaker stays open the `trips`-th time in a row (from 1)."""
    return float(min(first * 2 ** min(trips - 1, 20), OPEN_MAX_SECONDS))


@dataclass(slots=True)
class _Second:
    """What was asked in one second of the clock."""

    number: int
    asked: int = 0
    failed: int = 0


@dataclass
class FailureWindow:
    """What one worker saw of a system in the last five minutes, second by second."""

    seen: deque[_Second] = field(default_factory=deque)
    consecutive: int = 0
    asked: int = 0
    failed: int = 0

    def note(self, failed: bool, now: datetime) -> bool:
        """Count a request; True when it is time to stop asking."""
        number = int(now.timestamp())
        if not self.seen or self.seen[-1].number < number:
            self.seen.append(_Second(number))
            while number - self.seen[0].number > WINDOW_SECONDS:
                gone = self.seen.popleft()
                self.asked -= gone.asked
                self.failed -= gone.failed
        second = self.seen[-1]
        second.asked += 1
        second.failed += failed
        self.asked += 1
        self.failed += failed
        self.consecutive = self.consecutive + 1 if failed else 0
        return failed and (
            self.consecutive >= CONSECUTIVE
            or (
                self.asked >= REQUESTS_LEAST
                and self.failed / self.asked >= FAILING_SHARE
            )
        )
