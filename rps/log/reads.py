"""Who looked at what: a chain of its own, so that a row that was changed shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING

from rps.log.chain import Break

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

GENESIS = sha256(b"rps reads").digest()
"""What the first one's hash covers; the migration writes the same."""

_NUMBER, _LENGTH = Struct(">q"), Struct(">i")


@dataclass(frozen=True, slots=True)
class Looked:
    """`reader` is an account, or the user of the machine (`via` `command`); `place` the
    address or machine they came from."""

    number: int
    at: datetime
    domain: str
    reader: str
    via: str
    place: str
    what: str
    object: str
    hash: bytes


def hash_of(previous: bytes, read: Looked) -> bytes:
    at = read.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    parts = [previous, _NUMBER.pack(read.number), at.encode()]
    said = (read.domain, read.reader, read.via, read.place, read.what, read.object)
    for each in said:
        parts += (_LENGTH.pack(len(each.encode())), each.encode())
    return sha256(b"".join(parts)).digest()


@dataclass(frozen=True, slots=True)
class ReadsVerified:
    """How far the reads go, and what is wrong with them."""

    count: int
    number: int
    breaks: tuple[Break, ...]


def verify(
    reads: Iterable[Looked], after: tuple[int, bytes], kept: Mapping[int, bytes]
) -> ReadsVerified:
    """`after`: the last one that was forgotten, and its hash. `kept`: what signed
    checkpoints said of them; what they said of forgotten ones cannot be compared."""
    number, previous = after
    breaks, count = [], 0
    for read in reads:
        count += 1
        if read.number != number + 1:
            breaks.append(Break(read.number, f"expected read {number + 1}"))
        elif hash_of(previous, read) != read.hash:
            breaks.append(Break(read.number, "the read is not what was written"))
        elif kept.get(read.number, read.hash) != read.hash:
            why = "the reads up to here are not those that a checkpoint was signed for"
            breaks.append(Break(read.number, why))
        number, previous = read.number, read.hash
    if (last := max(kept, default=0)) > number:
        breaks.append(
            Break(last, f"a checkpoint saw {last} reads; they end at {number}")
        )
    return ReadsVerified(count, number, tuple(breaks))
