"""Systems of each kind, ready to be tried: nothing of a node is needed for that."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rps.connectors.conformance.tried import CONTENT, Sample, Tried
from rps.connectors.conformance.unreliable import Unreliable
from rps.connectors.push import PushConnector
from rps.connectors.rest.connector import RestConnector
from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.connectors.servicenow.keeping import MemoryFiles
from rps.connectors.signature import new_secret
from rps.domain.agreement import SharedAttachments
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rps.connectors.conformance.unreliable import Wire
    from rps.connectors.rest.calls import Placed
    from rps.connectors.rest.description import Description
    from rps.domain.delivery import Capabilities, Connector

PAGE = 2
"""So that a few records are more than one page."""
NO_SYS_ID = "0123456789abcdef" * 2
NO_NODE = "a receiver pulls files from the node, and this run has none"
_OPERATIONS = frozenset(("create", "update"))


def described(wire: Wire, placed: Placed) -> Tried:
    """A system whose description has a sample."""
    placed = replace(placed, description=_in_small_pages(placed.description))
    known = placed.description.sample
    if known is None:
        raise ValueError("the description has no 'sample'")
    files, unreliable = HeldFiles(), Unreliable(wire)
    stranger = None
    if placed.description.auth.kind != "none":
        wrong = replace(placed, secret=f"wrong-{uuid4().hex}")
        stranger = RestConnector(wire, wrong, files)
    sample = Sample(known.table, known.fields, known.field, known.journal)
    return _tried(
        *(RestConnector(unreliable, placed, files), unreliable, stranger, sample),
        shows=RestConnector(wire, placed, HeldFiles()).show,
    )


def instance(
    wire: Wire, settings: Mapping[str, Any], secret: str, sample: Sample
) -> Tried:
    """A ServiceNow instance; `settings` and `secret` as a system of that kind has
    them. Raises SecretUnusable."""
    uses = _uses(sample)
    sample = replace(sample, nowhere=NO_SYS_ID)

    def connector(by: Wire, secret: str, files: HeldFiles) -> ServiceNowConnector:
        return ServiceNowConnector(
            *(by,),
            settings=settings,
            secrets=[secret],
            uses=lambda _table: uses,
            files=files,
            page=PAGE,
        )

    unreliable = Unreliable(wire)
    wrong = '{"password": "wrong", "client_secret": "wrong", "refresh_token": "wrong"}'
    return _tried(
        *(connector(unreliable, secret, HeldFiles()), unreliable),
        *(connector(wire, wrong, HeldFiles()), sample),
        shows=connector(wire, secret, HeldFiles()).show,
    )


def receiver(
    wire: Wire, url: str, secret: str, capabilities: Capabilities, sample: Sample
) -> Tried:
    """What takes messages by the push connector. Raises SecretUnusable."""

    def connector(by: Wire, secret: str) -> PushConnector:
        return PushConnector(by, url=url, secrets=[secret], capabilities=capabilities)

    unreliable = Unreliable(wire)
    return _tried(
        *(connector(unreliable, secret), unreliable),
        *(connector(wire, new_secret(uuid4().bytes * 2)), sample),
        shows=None,
    )


def _tried(
    connector: Connector,
    unreliable: Unreliable,
    stranger: Connector | None,
    sample: Sample,
    shows: Any,
) -> Tried:
    return Tried(
        *(connector, unreliable, stranger, sample),
        new_id=lambda: str(uuid4()),
        pause=time.sleep,
        shows=shows,
    )


def _in_small_pages(description: Description) -> Description:
    tables = {
        name: replace(table, changes=replace(table.changes, limit=PAGE))
        if table.changes
        else table
        for name, table in description.tables.items()
    }
    return replace(description, tables=tables)


def _uses(sample: Sample) -> Uses:
    """As a definition that shares just this would have it."""
    journals = frozenset(filter(None, [sample.journal]))
    terms = SharedAttachments(sample.journal, len(CONTENT))
    return Uses(
        dict.fromkeys(sample.fields, "text"),
        *(journals, _OPERATIONS, _OPERATIONS),
        (terms,),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A file in memory."""

    sha256: str
    size: int


@dataclass(slots=True)
class HeldFiles(MemoryFiles):
    """Files in memory, for a run that has no node."""

    held: dict[str, bytes] = field(
        default_factory=lambda: {hashlib.sha256(CONTENT).hexdigest(): CONTENT}
    )

    def read(self, sha256: str) -> Iterator[bytes]:
        return iter([self.held[sha256]] if sha256 in self.held else [])

    def keep(self, pieces: Iterable[bytes], most: int) -> Held | None:
        content = b"".join(pieces)
        if len(content) > most:
            return None
        kept = Held(hashlib.sha256(content).hexdigest(), len(content))
        self.held[kept.sha256] = content
        return kept
