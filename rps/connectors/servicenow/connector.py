"""One ServiceNow instance as a connector.

Class D by nature: the Table API neither dedupes nor writes under a condition. What a
lost answer left behind can be found out (by the correlation id, the record, its journal
and its files), and a record is read right before it is written and compared by its
`sys_mod_count`; between those two requests somebody else may still write.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rps.connectors.servicenow import attaching, checking, showing
from rps.connectors.servicenow.instance import Instance
from rps.connectors.servicenow.keeping import MemoryFiles, MemoryLedger, Unlimited
from rps.connectors.servicenow.lists import PAGE
from rps.connectors.servicenow.parts import Parts
from rps.connectors.servicenow.polling import Polling
from rps.connectors.servicenow.reading import Records
from rps.connectors.servicenow.settings import Credentials, Settings
from rps.connectors.servicenow.writing import Writing
from rps.domain.delivery import Capabilities, Missing
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from rps.connectors.servicenow.checking import Checked
    from rps.connectors.servicenow.instance import Wire
    from rps.connectors.servicenow.keeping import Budget, Files, Ledger
    from rps.domain.delivery import (
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

SERVICENOW: Final = "servicenow"
AT_ONCE: Final = 8
"""Writes under way. An instance answers a few requests of its API at a time, keeps some
tens waiting, and refuses the rest."""
CAPABILITIES: Final = Capabilities(
    dedupe=False, conditional_write=False, read_back=True, at_once=AT_ONCE, polls=True
)


class ServiceNowConnector:
    """Raises SecretUnusable where `secrets` lack what its way to log in needs.

    `uses` tells what the definitions have to do with a table; `ledger`, `files` and
    `budget` are kept for all processes together. `clock` gives seconds of the epoch;
    `page`: how much is listed at once.
    """

    def __init__(
        self,
        transport: Wire,
        *,
        settings: Mapping[str, Any],
        secrets: list[str],
        uses: Callable[[str], Uses] = lambda _table: Uses(),
        ledger: Ledger | None = None,
        files: Files | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.time,
        page: int = PAGE,
    ) -> None:
        told = Settings.of(settings)
        credentials = Credentials.of(secrets, told.auth)
        self.instance = Instance(
            transport, told, credentials, budget or Unlimited(), clock
        )
        self._files = files or MemoryFiles()
        self._records = Records(self.instance, uses)
        kept = ledger or MemoryLedger()
        parts = Parts(self._records, kept, self._files)
        self._writing = Writing(self._records, kept, parts)
        self._polling = Polling(self._records, page)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def write(self, write: Write) -> Outcome:
        return self._writing.write(write)

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        for place, each in enumerate(writes):
            yield [(place, self.write(each))]

    def preview(self, write: Write) -> Preview | Refused:
        return self._writing.preview(write)

    def settle(self, write: Write) -> Settlement:
        return self._writing.settle(write)

    def read(self, table: str, record_id: str) -> Reading:
        return self._records.read(table, record_id)

    def show(self, table: str, record_id: str) -> Shown | Any:
        """The record with its entries and files; else what went wrong."""
        return showing.shown(self._records, table, record_id)

    def find(self, table: str, by: str, value: str) -> Reading:
        return self._records.find(table, by, value)

    def changes_since(
        self, table: str, cursor: Mapping[str, Any] | None
    ) -> ChangesRead:
        return self._polling.changes_since(table, cursor)

    def fetch(self, sha256: str, offset: int) -> Fetched:
        file_id = self._files.id_of(sha256)
        if file_id is None:
            return Missing("no attachment with this content has been seen")
        return attaching.opened(self.instance, file_id, offset)

    def open_file(self, file_id: str) -> Fetched:
        """The bytes of a file that a list of changes showed without its SHA-256."""
        return attaching.opened(self.instance, file_id)

    def files_of(self, table: str, record_id: str) -> FilesListed:
        return attaching.listed(self.instance, table, record_id)

    def check(self) -> tuple[bool, str]:
        return checking.answers(self.instance)

    def examine(self, tables: Iterable[str]) -> Iterator[Checked]:
        """What works, and which right is missing where something does not."""
        return checking.examined(self._records, tables)
