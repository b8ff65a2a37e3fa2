"""The files of a node, as far as a described system has to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kept(Protocol):
    """A file whose bytes are in the node by now."""

    @property
    def sha256(self) -> str: ...

    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A file of at least so many bytes, more than any definition lets pass."""

    size: int


class FileStore(Protocol):
    """The node's own files."""

    def read(self, sha256: str) -> Iterator[bytes]:
        """Nothing where it is not here."""
        ...

    def keep(self, pieces: Iterable[bytes], most: int) -> Kept | None:
        """None where there are more bytes than `most`. Raises CutOff."""
        ...
