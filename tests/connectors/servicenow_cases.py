"""What the tests of the ServiceNow connector write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from small_instance import SECRETS, SETTINGS, SmallInstance

from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.connectors.servicenow.keeping import MemoryFiles, MemoryLedger
from rps.domain.agreement import SharedAttachments
from rps.domain.delivery import Attachment, JournalEntry, Write
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Iterator

CORRELATION = "2d2dca26-b83f-5c8a-bbe0-9b20553b194f"
USES = Uses(
    {"short_description": "text", "state": "choice", "due_date": "date-time"},
    frozenset({"comments", "work_notes"}),
    frozenset({"create", "update", "delete"}),
    frozenset({"create", "update", "delete"}),
    (SharedAttachments("comments", 10_000_000),),
)


class OurFiles(MemoryFiles):
    """Files with their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, bytes] = {}

    def read(self, sha256: str) -> Iterator[bytes]:
        yield self.contents[sha256]


class Case:
    """An instance and a connector to it. What is kept outlives the connector."""

    def __init__(self, **settings: Any) -> None:
        self.there = SmallInstance()
        self.settings = {**SETTINGS, **settings}
        self.ledger, self.files = MemoryLedger(), OurFiles()
        self.uses = USES
        self.connector = self.connect()

    def connect(self) -> ServiceNowConnector:
        return ServiceNowConnector(
            self.there,
            settings=self.settings,
            secrets=SECRETS,
            uses=lambda _table: self.uses,
            ledger=self.ledger,
            files=self.files,
            clock=self.there.clock,
        )

    def calls(self) -> list[str]:
        """Methods of the requests since the last look."""
        asked = [request.method for request in self.there.asked]
        self.there.asked.clear()
        return asked


def write(operation: str = "create", **given: Any) -> Write:
    about: dict[str, Any] = {
        "delivery_id": "m1",
        "correlation_id": CORRELATION,
        "process_event": "incident.shared",
        "operation": operation,
        "table": "incident",
        "record_id": None,
        "if_match": None,
        "fields": {"short_description": "Printer on fire"},
    }
    return Write(**{**about, **given})


def entry(text: str, key: str = "zenith:c1", journal: str = "comments") -> JournalEntry:
    return JournalEntry(key, journal, text)


def attachment(content: bytes, sha256: str, name: str = "shot.png") -> Attachment:
    return Attachment("zenith:a1", name, len(content), "image/png", sha256)
