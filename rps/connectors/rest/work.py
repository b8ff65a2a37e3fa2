"""A write under way, and what is known to be there of one that was not finished."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from rps.domain.delivery import Exchange

if TYPE_CHECKING:
    from rps.connectors.rest.description import Table
    from rps.connectors.rest.reader import Unread
    from rps.connectors.rest.records import Seen
    from rps.domain.delivery import Missing, Write

_REMEMBERED = 10_000


@dataclass(slots=True)
class Parts:
    """What of a write is there already."""

    record_id: str | None = None
    fields: bool = False
    entries: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    settled: bool = False

    @property
    def any(self) -> bool:
        return bool(self.fields or self.entries or self.files)


@dataclass(slots=True)
class Work:
    """A write under way. `began`: something was written in this try."""

    write: Write
    table: Table
    parts: Parts
    context: dict[str, Any]
    exchange: Exchange = field(default_factory=Exchange)
    began: bool = False
    is_new: bool = False
    shown: Seen | None = None
    found: Seen | Missing | Unread | None = None
    """The record as it was read before the first request that asks for it."""

    @property
    def record_id(self) -> str:
        return self.write.record_id or self.parts.record_id or ""


class Unfinished:
    """What is there of writes of which a part is missing, by the message's id."""

    def __init__(self) -> None:
        self._parts: OrderedDict[str, Parts] = OrderedDict()
        self._lock = Lock()

    def keep(self, delivery_id: str, parts: Parts) -> None:
        with self._lock:
            self._parts[delivery_id] = parts
            while len(self._parts) > _REMEMBERED:
                self._parts.popitem(last=False)

    def take(self, delivery_id: str) -> Parts:
        with self._lock:
            return self._parts.pop(delivery_id, None) or Parts()
