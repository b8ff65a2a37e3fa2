"""Described systems as the tests of the rest connector have them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.rest.reading import chosen
from rps.domain.delivery import Attachment, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rps.connectors.transport import Transport

NOW = 1_795_900_000.0
CORRELATION = "2d2dca26-b83f-5c8a-bbe0-9b20553b194f"
CONTENT = b"hello"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Kept:
    sha256: str
    size: int


@dataclass
class Files:
    held: dict[str, bytes] = field(default_factory=lambda: {SHA256: CONTENT})

    def read(self, sha256: str) -> Iterator[bytes]:
        return iter([self.held[sha256]] if sha256 in self.held else [])

    def keep(self, pieces: Iterable[bytes], most: int) -> Kept | None:
        content = b"".join(pieces)
        if len(content) > most:
            return None
        kept = Kept(hashlib.sha256(content).hexdigest(), len(content))
        self.held[kept.sha256] = content
        return kept


def connector(
    transport: Transport,
    url: str,
    preset: str = "generic",
    secret: str = "a-token",
    **settings: str,
) -> RestConnector:
    _, description = presets.read_text(presets.text(preset))
    placed = Placed(description, url, chosen(description, settings), secret)
    return RestConnector(transport, placed, Files(), lambda: NOW, lambda _: None)


def write(**more: Any) -> Write:
    known: dict[str, Any] = {
        "delivery_id": "1001ee3f-0a76-59fe-96e0-8c25497e3951",
        "correlation_id": CORRELATION,
        "process_event": "ticket.shared",
        "operation": "update",
        "table": "ticket",
        "record_id": "7",
        "if_match": "1",
        "fields": {"title": "Printer"},
    }
    return Write(**known | more)


FILE_OF = Attachment("acme:att1", "shot.txt", len(CONTENT), "text/plain", SHA256)
