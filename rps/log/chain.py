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

_NUMBERS = Struct(">qqH")


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


@dataclass(frozen=True, slots=True)
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
    rows: Iterable[Row], previous: bytes = GENESIS, position: int = 0
) -> Verified:
    """Check rows in order, going on after a break so that each is found."""
    count, breaks = 0, []
    for row in rows:
        count += 1
        if row.position != position + 1:
            breaks.append(
                Break(row.position, f"expected position {position + 1}: rows missing")
            )
        expected = hash_of(
            previous, row.position, row.originator_id, row.version, row.topic, row.state
        )
        if expected != row.hash and row.position == position + 1:
            breaks.append(Break(row.position, "the row is not what was written"))
        previous, position = row.hash, row.position
    return Verified(count, position, previous, tuple(breaks))
