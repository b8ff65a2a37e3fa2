"""What a connector wants kept outside of itself, so that a killed one doubles nothing.

Implemented over the database by `rps.application.remote_parts`; in memory for a
connector that only reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Part(NamedTuple):
    """An entry or a file that was begun to be written, at `begun` (seconds of the
    epoch, our clock). `remote_id` is what the system calls it, once it is `done`."""

    begun: float
    done: bool
    remote_id: str = ""


class Ledger(Protocol):
    """Parts of the writes to one system, by their record (`table/id`): an entry is
    written once to a record, whatever becomes of the message that brings it."""

    def part(self, record: str, part: str) -> Part | None: ...

    def begin(self, record: str, part: str, content: str, at: float) -> None:
        """Nothing where it was begun before; `content` tells what from what else."""
        ...

    def done(self, record: str, part: str, remote_id: str = "") -> None: ...

    def forget(self, record: str, part: str) -> None:
        """It was taken away again."""
        ...

    def twins(self, record: str, content: str, since: float) -> int:
        """How many parts with this content were begun since then, and are done."""
        ...


class Files(Protocol):
    """The files of one system: which content its ids stand for, and our own bytes."""

    def read(self, sha256: str) -> Iterator[bytes]: ...

    def note(self, file_id: str, record_id: str, sha256: str, size: int) -> None: ...

    def sha256_of(self, file_id: str) -> str | None: ...

    def id_of(self, sha256: str) -> str | None: ...


class Budget(Protocol):
    """The requests that a system may be sent, by all processes together."""

    def take(self) -> float:
        """Count one; seconds to wait where there is none left."""
        ...


@dataclass(slots=True)
class MemoryLedger:
    """For who writes nothing that has to outlive it."""

    parts: dict[tuple[str, str], tuple[str, Part]] = field(default_factory=dict)

    def part(self, record: str, part: str) -> Part | None:
        return self.parts.get((record, part), ("", None))[1]

    def begin(self, record: str, part: str, content: str, at: float) -> None:
        self.parts.setdefault((record, part), (content, Part(at, done=False)))

    def done(self, record: str, part: str, remote_id: str = "") -> None:
        content, begun = self.parts[record, part]
        self.parts[record, part] = content, Part(begun.begun, True, remote_id)

    def forget(self, record: str, part: str) -> None:
        self.parts.pop((record, part), None)

    def twins(self, record: str, content: str, since: float) -> int:
        return sum(
            part.done and part.begun >= since and content == said
            for (of, _), (said, part) in self.parts.items()
            if of == record
        )


@dataclass(slots=True)
class MemoryFiles:
    """Knows nothing but what it is told; has no bytes."""

    known: dict[str, str] = field(default_factory=dict)

    def read(self, sha256: str) -> Iterator[bytes]:
        raise LookupError(sha256)

    def note(self, file_id: str, record_id: str, sha256: str, size: int) -> None:  # noqa: ARG002
        self.known[file_id] = sha256

    def sha256_of(self, file_id: str) -> str | None:
        return self.known.get(file_id)

    def id_of(self, sha256: str) -> str | None:
        return next((k for k, known in self.known.items() if known == sha256), None)


class Unlimited:
    """No budget."""

    def take(self) -> float:
        return 0.0
