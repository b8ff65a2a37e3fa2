"""The bytes of files: pulled once, hashed and kept, as APIs do not tell SHA-256."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from rps.connectors.fetching import fetched
from rps.connectors.rest.reader import Item, Unread, unread
from rps.domain import attachments
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
    from collections.abc import Callable, Iterable, Iterator

    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.description import Description
    from rps.domain.uses import Uses

NEW_BYTES_MAX = 100_000_000
"""Of a file, where no definition says how large one may be."""
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


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A file of at least so many bytes, more than any definition lets pass."""

    size: int


class Contents:
    """`uses` tells what definitions have to do with a table; nothing: all is read."""

    def __init__(
        self,
        description: Description,
        calls: Calls,
        files: FileStore,
        uses: Callable[[str], Uses],
    ) -> None:
        self._uses = uses
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
        kept, unless it may not pass anyway. None where it is gone."""
        kept = self._known.get((name, record_id, item.id))
        if kept is None:
            shown, terms = item.shown, self._uses(name).files
            if terms and "size" in shown and attachments.is_refused(terms, shown):
                return {**shown, "sha256": attachments.NOT_READ}
            came = self._pulled(name, record_id, item)
            if isinstance(came, TooLarge):
                return {**shown, "size": came.size, "sha256": attachments.NOT_READ}
            if came is None or isinstance(came, Unread):
                return came
            kept = came
            self.knows(name, record_id, item.id, kept)
        return {**item.shown, "size": kept.size, "sha256": kept.sha256}

    def _pulled(
        self, name: str, record_id: str, item: Item
    ) -> Kept | TooLarge | Unread | None:
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
                return self._kept(name, came)
            case Missing():
                return None
            case _:
                return came

    def _kept(self, name: str, came: Incoming) -> Kept | TooLarge | Unavailable:
        terms = self._uses(name).files
        most = max((each.size_max for each in terms), default=NEW_BYTES_MAX)
        try:
            kept = self._files.keep(came.pieces, most)
        except CutOff as cut:
            return Unavailable(f"a file was cut: {cut}")
        finally:
            came.pieces.close()
        return kept or TooLarge(max(most + 1, came.size or 0))

    def are_shared(self, name: str) -> bool:
        """Whether anybody wants to know of the table's files."""
        uses = self._uses(name)
        return bool(uses.files or not uses.fields)

    def bytes_of(self, sha256: str, most: int) -> bytes | None:
        """The bytes of a file that the node has; None where it has not."""
        pieces, size = [], 0
        for piece in self._files.read(sha256):
            size += len(piece)
            if size > most:
                return None
            pieces.append(piece)
        return b"".join(pieces) if pieces else None
