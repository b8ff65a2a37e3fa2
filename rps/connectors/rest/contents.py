"""The bytes of files: pulled once, hashed and kept, as APIs do not tell SHA-256."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from rps.connectors.fetching import fetched
from rps.connectors.rest.reader import Item, Unread, unread
from rps.domain.delivery import (
    CutOff,
    Incoming,
    Missing,
    Moved,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.description import Description

NEW_BYTES_MAX = 100_000_000
_REMEMBERED = 5000


class Kept(Protocol):
    """A file whose bytes are in the node by now."""

    @property
    def sha256(self) -> str: ...

    @property
    def size(self) -> int: ...


class FileStore(Protocol):
    """The node's own files."""

    def read(self, sha256: str) -> Iterator[bytes]:
        """Nothing where it is not here."""
        ...

    def keep(self, pieces: Iterable[bytes], most: int) -> Kept | None:
        """None where there are more bytes than `most`. Raises CutOff."""
        ...


class Contents:
    def __init__(
        self, description: Description, calls: Calls, files: FileStore
    ) -> None:
        self._description = description
        self._calls = calls
        self._files = files
        self._known: OrderedDict[tuple[str, ...], Kept] = OrderedDict()
        self._lock = Lock()

    def knows(self, name: str, record_id: str, file_id: str, kept: Kept) -> None:
        """Remember what a file holds, so that it is not pulled to find out."""
        with self._lock:
            self._known[(name, record_id, file_id)] = kept
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def offered(
        self, name: str, record_id: str, item: Item
    ) -> dict[str, Any] | Unread | None:
        """The file as a change tells of it: its bytes are pulled once, to be hashed and
        kept. None where it is gone, or too large."""
        kept = self._known.get((name, record_id, item.id))
        if kept is None:
            came = self._pulled(name, record_id, item)
            if came is None or isinstance(came, Unread):
                return came
            kept = came
            self.knows(name, record_id, item.id, kept)
        return {**item.shown, "size": kept.size, "sha256": kept.sha256}

    def _pulled(self, name: str, record_id: str, item: Item) -> Kept | Unread | None:
        files = self._description.tables[name].files
        if files is None:
            return None
        context = self._calls.context(
            table=name, record_id=record_id, id=item.id, of=item.of
        )
        said = self._calls.stream(files.content, context)
        if isinstance(said, Refused | Unavailable | Missing | Moved | Uncertain):
            return unread(said)
        came = fetched(said, 0, 0.0)  # type: ignore[arg-type]
        match came:
            case Incoming():
                try:
                    return self._files.keep(came.pieces, NEW_BYTES_MAX)
                except CutOff as cut:
                    return Unavailable(f"a file was cut: {cut}")
                finally:
                    came.pieces.close()
            case Missing():
                return None
            case _:
                return came

    def bytes_of(self, sha256: str, most: int) -> bytes | None:
        """The bytes of a file that the node has; None where it has not."""
        pieces, size = [], 0
        for piece in self._files.read(sha256):
            size += len(piece)
            if size > most:
                return None
            pieces.append(piece)
        return b"".join(pieces) if pieces else None
