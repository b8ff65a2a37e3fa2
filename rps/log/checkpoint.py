"""Checkpoints: what a log was at some size, as a note (c2sp.org/tlog-checkpoint).

origin                  rps/ and the first half of the hash of the log's first event
size                    how many events it had
root                    of the Merkle tree over the events' hashes, base64
reads NUMBER HASH       where the record of who looked at what ended, if there was one
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.log.note import Note, NoteUnreadable, PublicKey, bytes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.note import PrivateKey

_PREFIX = "rps/"
_ORIGIN_DIGITS = 32
_HASH_BYTES = 32
_LINES = 3
_SUCCESSION = "rps audit key"
_READS = re.compile(r"reads ([1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)")


def origin_of(genesis: str) -> str:
    """The log's name, from the hash of its first event (hexadecimal)."""
    return f"{_PREFIX}{genesis[:_ORIGIN_DIGITS]}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`reads`: number and hash of the last read that was recorded by then."""

    origin: str
    size: int
    root: bytes
    reads: tuple[int, bytes] | None = None

    @property
    def text(self) -> str:
        lines = [self.origin, str(self.size), b64encode(self.root).decode()]
        if self.reads is not None:
            lines.append(f"reads {self.reads[0]} {b64encode(self.reads[1]).decode()}")
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def of(cls, text: str) -> Checkpoint:
        """Other lines may follow that are not ours. Raises NoteUnreadable."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < _LINES or not all(lines):
            raise NoteUnreadable("a checkpoint has three lines: origin, size, root")
        origin, written, root = lines[0], lines[1], bytes_of(lines[2])
        is_number = written.isascii() and written.isdecimal()
        if not is_number or str(int(written[:20])) != written or int(written) >= 2**63:
            raise NoteUnreadable(f"{written[:40]!r} is no size of a log")
        if len(root) != _HASH_BYTES:
            raise NoteUnreadable(f"{lines[2][:60]!r} is no hash in base64")
        reads = None
        for line in lines[_LINES:]:
            if shape := _READS.fullmatch(line):
                reads = int(shape[1]), bytes_of(shape[2])
        return cls(origin, int(written), root, reads)

    def signed(self, key: PrivateKey) -> Note:
        return Note(self.text, (key.sign(self.text),))


def notes_in(text: str) -> Iterator[Note]:
    """Notes one after the other, as a witness's file has them, blank lines between.
    Raises NoteUnreadable."""
    lines: list[str] = []
    is_signed = False
    for line in text.split("\n"):
        if is_signed and not line.startswith("— "):
            yield Note.of("\n".join([*lines, ""]))
            lines, is_signed = [], False
        if line or lines:
            lines.append(line)
        is_signed = is_signed or line.startswith("— ")
    if lines:
        yield Note.of("\n".join([*lines, ""]))


def succession(key: PublicKey, before: PrivateKey) -> Note:
    """The key before vouches for the one that follows it."""
    text = f"{_SUCCESSION}\n{before.public.name}\n{key}\n"
    return Note(text, (before.sign(text),))


def successor(note: Note) -> PublicKey:
    """The key that a note of succession is about. Raises NoteUnreadable."""
    kind, *rest = note.text.removesuffix("\n").split("\n")
    if kind != _SUCCESSION or len(rest) != 2:  # noqa: PLR2004 - origin and key
        raise NoteUnreadable("this is no note about the next key")
    return PublicKey.of(rest[1])
