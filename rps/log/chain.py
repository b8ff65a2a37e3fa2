"""The hash chain: each event's hash covers the one before it.

A changed, removed, added or moved row shows at the first row after it; a cut tail
shows at the head. Whoever can rewrite everything is caught only by a hash kept
elsewhere (`rps audit export` writes it out).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

GENESIS = sha256(b"rps log").digest()
"""What the first event's hash covers; the migration writes the same."""

_NUMBERS = Struct(">qqI")


def hash_of(
    previous: bytes,
    position: int,
    originator_id: UUID,
    version: int,
    topic: str,
    state: bytes,
) -> bytes:
    """SHA-256 over the hash before and everything the row says."""
    name = topic.encode()
    numbers = _NUMBERS.pack(position, version, len(name))
    return sha256(
        b"".join((previous, numbers, originator_id.bytes, name, state))
    ).digest()


@dataclass(slots=True)  # read by the hundred thousand: frozen takes twice as long
class Row:
    """An event as stored."""

    position: int
    originator_id: UUID
    version: int
    topic: str
    state: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """Where a log does not say what it said when it was written."""

    position: int
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a log was read, its last hash there, and what is wrong with it."""

    events: int
    position: int
    hash: bytes
    breaks: tuple[Break, ...]


def verify(
    rows: Iterable[Row],
    previous: bytes = GENESIS,
    position: int = 0,
    head: tuple[int, bytes] | None = None,
) -> Verified:
    """Check rows in order, going on after a break so that each is found.

    `head` is where the log is known to reach at least, and its hash there: what the
    log's own head said before the rows were read, or what was kept elsewhere.
    """
    count, breaks, last = 0, [], head or (position, previous)
    met = position == last[0] and previous == last[1]
    for row in rows:
        count += 1
        breaks += _breaks(row, previous, position)
        previous, position = row.hash, row.position
        met = met or (position, previous) == last
    if not met:
        breaks.append(
            Break(
                last[0], f"the log does not meet its head at {last[0]}: cut or redone"
            )
        )
    return Verified(count, position, previous, tuple(breaks))


def _breaks(row: Row, previous: bytes, position: int) -> list[Break]:
    if row.position != position + 1:
        return [Break(row.position, f"expected position {position + 1}")]
    expected = hash_of(
        previous, row.position, row.originator_id, row.version, row.topic, row.state
    )
    if expected != row.hash:
        return [Break(row.position, "the row is not what was written")]
    return []
