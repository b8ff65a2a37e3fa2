"""The instance's clock: to the second, in UTC, and wrong by as much as is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = "%Y-%m-%d %H:%M:%S"


class Clock:
    """`skew_seconds` is how far it goes ahead of `now`."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or (lambda: datetime.now(UTC))
        self.skew_seconds = 0.0

    def now(self) -> datetime:
        return self._now() + timedelta(seconds=self.skew_seconds)

    def unskewed(self) -> float:
        """UNIX time as it really is."""
        return self._now().timestamp()

    def text(self) -> str:
        """As records hold it: `2024-01-31 12:00:00`."""
        return self.now().strftime(FORMAT)


def read_time(text: str, zone: str = "") -> str:
    """What a user of `zone` wrote, in UTC; "" where it is no time."""
    for known in (FORMAT, "%Y-%m-%d"):
        try:
            local = datetime.strptime(text.strip(), known).replace(tzinfo=_zone(zone))
            return local.astimezone(UTC).strftime(FORMAT)
        except (ValueError, OverflowError):
            continue
    return ""


def shown_time(text: str, zone: str) -> str:
    """A stored time as a user of `zone` sees it."""
    if not zone or not text:
        return text
    try:
        held = datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
        return held.astimezone(_zone(zone)).strftime(FORMAT)
    except (ValueError, OverflowError):
        return text


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
