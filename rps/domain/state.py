"""What decisions about a correlation need to know, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Aggregate

if TYPE_CHECKING:
    from collections.abc import Mapping

Stamp = tuple[int, ...]

DELETED = "$deleted"
"""The shared field that says the record is gone; it follows the rules of any field."""


@dataclass(slots=True)
class Shared:
    """A shared field: its value, the version and stamp it got, and who gave it."""

    value: Any
    version: int
    stamp: Stamp
    origin: str


@dataclass(slots=True)
class Known:
    """A value last known at a member, and the record revision that showed it."""

    value: Any
    revision: str | None


@dataclass(slots=True)
class Link:
    """The copy of the shared record in one member; `record_id` None: not yet there."""

    system: str = ""
    table: str = ""
    record_id: str | None = None
    revision: str | None = None
    base: dict[str, Known] = field(default_factory=dict)
    agreed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Held:
    """An open conflict, as a person has to see it."""

    base: Any
    mine: Any
    theirs: Any


@dataclass(slots=True)
class Pending:
    """A message made and not yet settled."""

    message_id: str
    member: str
    operation: str
    fields: dict[str, Any]
    versions: dict[str, int]
    entries: list[dict[str, Any]]
    origin: list[str]
    hop: int
    generation: int = 0
    attempt: int = 0
    failed: str = ""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Pending:
        return cls(
            message["message_id"],
            message["member"],
            message["operation"],
            dict(message["fields"]),
            dict(message["versions"]),
            message["entries"],
            message["origin"],
            message["hop"],
        )


class CorrelationState(Aggregate):
    """The state of a correlation, folded from its events.

    `shared_version` counts accepted changes; the library's `version` counts events.
    """

    definition: str
    process_event: str
    active: bool
    shared_version: int
    fields: dict[str, Shared]
    links: dict[str, Link]
    pending: dict[str, Pending]
    entry_ids: set[str]
    held: dict[tuple[str, str], Held]
    conflicts: int

    def start(self) -> None:
        self.definition = self.process_event = self.domain = ""
        self.active = False
        self.shared_version = self.conflicts = 0
        self.fields, self.links, self.pending, self.held = {}, {}, {}, {}
        self.entry_ids = set()

    @property
    def opened(self) -> bool:
        return bool(self.definition)

    def learn(
        self,
        member: str,
        bases: Mapping[str, Any],
        agreed: Mapping[str, int],
        revision: str | None,
    ) -> None:
        """Note what `member` is now known to hold."""
        link = self.links.setdefault(member, Link())
        for name, value in bases.items():
            link.base[name] = Known(value, revision)
        for name, version in agreed.items():
            link.agreed[name] = max(version, link.agreed.get(name, 0))
        if revision is not None and newer(revision, link.revision):
            link.revision = revision

    def expect(self, message: Pending) -> None:
        """Note a message that is to be settled."""
        self.pending[message.message_id] = message


def newer(revision: str | None, than: str | None) -> bool:
    """Whether a record revision is later than another one.

    Numbers are compared; of other revisions (ETags) only equality can be told, so any
    other one counts as later.
    """
    if revision is None or than is None:
        return True
    if revision.isdecimal() and than.isdecimal():
        return int(revision) > int(than)
    return revision != than
