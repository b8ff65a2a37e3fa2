"""What is asked of a remote system, and what it may answer.

A connector turns its system's dialect into these types; everything else speaks only
them. Field names here are the remote system's own, values in its own form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

Operation = Literal["create", "update", "delete"]

POLL = "poll"
"""The source of changes that a system was asked for."""

FROM = "from"
"""A cursor with this key alone is where to begin: a moment, ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One comment or work note. `id` is unique within its origin.

    `operation`: "" for a new one; `update` where its text was changed, `delete` where
    it was removed. `yours`: the id is the one that its own system gave it.
    """

    id: str
    journal: str
    text: str
    author: str = ""
    written_at: str = ""
    operation: str = ""
    yours: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file by what it is; its bytes are pulled by their SHA-256. `version` counts up
    with each new content; `deleted`: it is to be removed; `yours`: the id is the one
    that the system itself gave it."""

    id: str
    name: str
    size: int
    type: str
    sha256: str
    version: int = 1
    deleted: bool = False
    yours: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """One message, ready for one remote system.

    `delivery_id` stays the same over every retry of the same bytes; `correlation_id`
    is the external id the record keeps at the other side; `if_match` is the revision
    the write was computed against, None where nothing is known. `changed_by` and
    `changed_at` are of the change that made it; `version` is that of the shared record
    which the fields are from, 0 for entries alone.
    """

    delivery_id: str
    correlation_id: str
    process_event: str
    operation: Operation
    table: str
    record_id: str | None
    if_match: str | None
    fields: Mapping[str, Any]
    entries: tuple[JournalEntry, ...] = ()
    origin: tuple[str, ...] = ()
    hop: int = 0
    changed_by: str = ""
    changed_at: str = ""
    version: int = 0
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A record as its system shows it now."""

    record_id: str
    revision: str | None
    fields: Mapping[str, Any]
    deleted: bool = False
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What went over the wire, for the audit. `response` is cut at 64 KiB."""

    request_sha256: str = ""
    status: int | None = None
    response: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Preview:
    """The request that a write would be, secrets and signatures left out of it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The write is done; `stored` is what the system made of it. `record`: as it was
    read some time after, where no answer told; others may have changed it between."""

    record_id: str
    revision: str | None
    stored: Mapping[str, Any]
    exchange: Exchange = field(default_factory=Exchange)
    record: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """Another node has the write and has yet to write its own side. `judged`: it shares
    it, at `revision`; else it may do so at any moment."""

    detail: str
    judged: bool = False
    record_id: str | None = None
    revision: str | None = None
    stored: Mapping[str, Any] = field(default_factory=dict)
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Postponed:
    """Another node cannot take this yet, and may once somebody there has changed
    something: only this lane waits for that."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another node has the record already, from somebody else: it is not to be told by
    us."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Refused:
    """A retry will not cure it: a person has to look."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Moved:
    """The record is no longer at the revision the write was computed against. `record`:
    as it is now, where the answer tells."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)
    record: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing was written; trying later may work. `retry_after` in seconds."""

    detail: str
    retry_after: float | None = None
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class NeedsCredentials:
    """The system does not accept who we are (401, 403)."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Gone:
    """The system said for good that it takes nothing here any more (410)."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The request went out, the answer did not come back."""

    detail: str
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Read back: the write has not happened there; it may be sent again."""

    detail: str = ""
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Found:
    """Read back: the write took effect. `record` is what is there by now, which may
    tell of more than the write."""

    record: Snapshot
    exchange: Exchange = field(default_factory=Exchange)


@dataclass(frozen=True, slots=True)
class Missing:
    """Read back: the system has no such record. `is_deleted`: the answer was about this
    record, and its system answers so of what was deleted, and of nothing else."""

    detail: str = ""
    is_deleted: bool = False


class CutOff(Exception):
    """The bytes of a file ended too early; what came is good."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file's bytes from `start` on, as they come; of `size` in all where the system
    says so. `pieces` raises CutOff; close it."""

    start: int
    size: int | None
    pieces: Generator[bytes, None, None]


Fetched = Incoming | Missing | Unavailable | NeedsCredentials | Gone | Refused


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as a system's list of changes shows it. `entries` and `attachments` are
    as a posted change has them: `{id, journal, text, author, written_at}` and
    `{id, name, size, type, sha256}`, `{id, deleted}` of what is not there any more; a
    file without its `sha256` is opened by its id (`OpensFiles`) to find out. `is_new`:
    the record was made by this change; `external_id` is as a posted change has it. A
    record without a revision and fields tells of nothing but what comes with it.
    `files`: the ids of all that it has, where they are known.

    `earlier`: entries written before this change, which are told by themselves as well;
    here they come in their order, whichever of the two is taken."""

    record: Snapshot
    changed_by: str = ""
    entries: tuple[Mapping[str, Any], ...] = ()
    attachments: tuple[Mapping[str, Any], ...] = ()
    is_new: bool = False
    external_id: str | None = None
    files: frozenset[str] | None = None
    earlier: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of what changed. `cursor` is plain JSON, to be handed in for the next one;
    what it tells twice is taken once. `has_more`: there is a next page now."""

    records: tuple[Shown, ...]
    cursor: Mapping[str, Any]
    has_more: bool = False


ChangesRead = Changes | Unavailable | NeedsCredentials | Gone | Refused
Outcome = (
    Delivered
    | Received
    | Postponed
    | Elsewhere
    | Refused
    | Moved
    | Unavailable
    | NeedsCredentials
    | Gone
    | Uncertain
)
Settled = (
    Delivered | Found | Unavailable | NeedsCredentials | Gone | Refused | Uncertain
)
Settlement = Settled | NotApplied
Reading = Snapshot | Missing | Unavailable | NeedsCredentials | Gone | Refused


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the system behind a connector can do (`convergence.md`, classes A to D).

    `batch`: how many writes one request may carry; `abreast`: where it is one, how many
    requests are sent side by side. With 1 of both there is only `write`.
    `at_once`: how many writes a deliverer has under way there at most, 0: as many as
    it can. `resend_to_ask`: a write sent again is answered with how far it has come.
    `polls`: it can be asked what changed.
    """

    dedupe: bool
    conditional_write: bool
    read_back: bool
    batch: int = 1
    abreast: int = 1
    at_once: int = 0
    resend_to_ask: bool = False
    polls: bool = False

    @property
    def together(self) -> int:
        """How many writes `write_many` takes at a time."""
        return max(self.batch, self.abreast)

    def share_of(self, most: int) -> int:
        """How many of `most` writes may be under way."""
        return min(most, self.at_once) if self.at_once else most

    @property
    def grade(self) -> Literal["A", "B", "C", "D"]:
        if self.conditional_write:
            return "A" if self.dedupe else "B"
        return "C" if self.dedupe else "D"


class Connector(Protocol):
    """One remote system. Every call is bounded in time and size; none raises."""

    @property
    def capabilities(self) -> Capabilities: ...

    def write(self, write: Write) -> Outcome:
        """Carry out `write`. Safe to repeat with the same `delivery_id`."""
        ...

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        """Carry out up to `together` writes, in any order. Outcomes as they come back,
        each with the place of its write; one for each write in the end."""
        ...

    def preview(self, write: Write) -> Preview | Refused:
        """The request that `write` would be, alone; nothing is sent."""
        ...

    def settle(self, write: Write) -> Settlement:
        """Find out whether an earlier `write` of these bytes took effect."""
        ...

    def read(self, table: str, record_id: str) -> Reading:
        """The record as it is there now."""
        ...

    def find(self, table: str, by: str, value: str) -> Reading:
        """The one record of the table whose field `by` has the value. Refused where
        there are several, or the system cannot be asked."""
        ...

    def changes_since(
        self, table: str, cursor: Mapping[str, Any] | None
    ) -> ChangesRead:
        """What changed in the table, oldest first, since the `cursor` of an earlier
        answer; None: from now on. Refused where it cannot be asked."""
        ...

    def fetch(self, sha256: str, offset: int) -> Fetched:
        """The file with this content that the system offered, from byte `offset` on, or
        from an earlier one."""
        ...

    def check(self) -> tuple[bool, str]:
        """Whether the system answers and accepts us, and what it said."""
        ...


FilesListed = (
    Mapping[str, str] | Missing | Unavailable | NeedsCredentials | Gone | Refused
)


class ListsFiles(Protocol):
    """A connector whose system can say which files a record has, all of them."""

    def files_of(self, table: str, record_id: str) -> FilesListed:
        """Names by id. Refused where some may be missing."""
        ...


class OpensFiles(Protocol):
    """A connector whose lists of changes show files without their SHA-256."""

    def open_file(self, file_id: str) -> Fetched:
        """The whole file with this id, from its first byte on."""
        ...
