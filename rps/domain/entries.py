"""What is known of shared journal entries. Not their texts: those are in the log."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST_BYTES = 8


@dataclass(slots=True)
class Said:
    """A shared entry as it was said last: by whom, and by which event (`at`).

    `digest` is "" where it was removed. `first` is the event that shared it. Versions
    count from 1; `revision` is that of the record which showed this one.
    """

    journal: str
    author: str
    written_at: str
    version: int
    digest: str
    size: int
    stamp: tuple[int, ...]
    member: str
    revision: str | None
    first: int
    at: int

    @classmethod
    def of(
        cls, entry: Mapping[str, Any], member: str, revision: str | None, at: int
    ) -> Said:
        text = entry["text"]
        return cls(
            entry["journal"],
            entry.get("author", ""),
            entry.get("written_at", ""),
            entry.get("version", 1),
            digest(text),
            len(text),
            tuple(entry.get("stamp", (0, 0))),
            member,
            revision,
            at,
            at,
        )

    @property
    def shown(self) -> Shown:
        """What the member holds that said it."""
        return Shown(self.version, self.digest, self.revision)


class Shown(NamedTuple):
    """What a member was last known to hold of an entry, the version that is or follows,
    and the revision of its record that told so."""

    version: int
    digest: str
    revision: str | None


def digest(text: str) -> str:
    """Tells texts apart, whatever a system does to the ends of lines and the blanks
    around them; "" for what holds nothing else."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not plain:
        return ""
    return blake2b(plain.encode(errors="replace"), digest_size=DIGEST_BYTES).hexdigest()
