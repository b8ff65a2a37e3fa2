"""The instance's stamps: `YYYY-MM-DD HH:MM:SS` in UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from rps.connectors.servicenow.words import STAMP


def stamp_of(seconds: float) -> str:
    """Of a moment, seconds of the epoch."""
    moment = datetime.fromtimestamp(max(int(seconds), 0), UTC)
    return moment.replace(tzinfo=None).isoformat(" ")


def seconds_of(stamp: str) -> float:
    """0 for what is no stamp."""
    if STAMP.fullmatch(stamp) is None:
        return 0.0
    try:
        return datetime.fromisoformat(f"{stamp}+00:00").timestamp()
    except ValueError:
        return 0.0


def earlier(stamp: str, seconds: float) -> str:
    """`seconds` before it."""
    return stamp_of(seconds_of(stamp) - seconds)
