"""A system described in YAML, as a connector."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records
from rps.connectors.rest.answers import Heard
from rps.connectors.rest.calls import Calls, Placed
from rps.connectors.rest.contents import Contents
from rps.connectors.rest.polling import Polling
from rps.connectors.rest.reader import Reader
from rps.connectors.rest.writer import Writer
from rps.domain.delivery import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rps.connectors.rest.calls import Wire
    from rps.connectors.rest.contents import FileStore
    from rps.domain.delivery import (
        Capabilities,
        ChangesRead,
        Fetched,
        FilesListed,
        Outcome,
        Preview,
        Reading,
        Refused,
        Settlement,
        Shown,
        Write,
    )


class RestConnector:
    """`clock` gives seconds of the epoch; `pause` waits that many seconds."""

    def __init__(
        self,
        transport: Wire,
        placed: Placed,
        files: FileStore,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        description = placed.description
        self._capabilities = description.capabilities
        self._check = description.check
        self._calls = Calls(transport, placed, clock, pause)
        self._reader = Reader(description, self._calls)
        contents = Contents(description, self._calls, files)
        parts = (description, self._calls, self._reader, contents)
        self._writer = Writer(*parts)
        self._polling = Polling(*parts, clock)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def write(self, write: Write) -> Outcome:
        return self._writer.write(write)

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        for place, write in enumerate(writes):
            yield [(place, self._writer.write(write))]

    def preview(self, write: Write) -> Preview | Refused:
        return self._writer.preview(write)

    def settle(self, write: Write) -> Settlement:
        return self._writer.settle(write)

    def read(self, table: str, record_id: str) -> Reading:
        seen = self._reader.read(table, record_id)
        return seen.snapshot if isinstance(seen, records.Seen) else seen

    def find(self, table: str, by: str, value: str) -> Reading:
        seen = self._reader.find(table, by, value)
        return seen.snapshot if isinstance(seen, records.Seen) else seen

    def changes_since(
        self, table: str, cursor: Mapping[str, Any] | None
    ) -> ChangesRead:
        return self._polling.changes_since(table, cursor)

    def show(self, table: str, record_id: str, since: str = "") -> Shown | Any:
        """The record as it is now, with the comments and files that changed since then
        (ISO 8601; "": all); else what a reading may be."""
        return self._polling.shown(table, record_id, since)

    def files_of(self, table: str, record_id: str) -> FilesListed:
        return self._reader.files_of(table, record_id)

    def fetch(self, sha256: str, offset: int) -> Fetched:  # noqa: ARG002 - the protocol's
        """Bytes are kept when a file is first seen, as only they tell its SHA-256."""
        return Missing(
            "its bytes were kept when it was seen, and are gone: it has to"
            " change there to be offered again"
        )

    def check(self) -> tuple[bool, str]:
        came = self._calls.ask(self._check, self._calls.context())
        if isinstance(came, Heard):
            return True, "it answers and accepts us"
        return False, came.detail
