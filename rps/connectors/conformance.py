"""What every connector has to do with its system, asked of a real one.

A run makes a few records and leaves them there. What a system cannot be made to do
(lose an answer, be busy) is done on the way to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from rps.connectors.transport import Answer, NoAnswer
from rps.domain.delivery import (
    Attachment,
    Changes,
    Delivered,
    Found,
    JournalEntry,
    Missing,
    Moved,
    NeedsCredentials,
    NotApplied,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rps.connectors.streaming import Opened
    from rps.connectors.transport import Request, Said
    from rps.domain.delivery import Connector, Shown

LOOKS_MAX = 20
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 7
NOWHERE = "999999999"
NO_FIELD = "rps_no_such_field"
CONTENT = b"rps conformance\n"


class Wire(Protocol):
    def send(self, request: Request) -> Said: ...

    def stream(self, request: Request) -> Said | Opened: ...


class Unreliable:
    """A way to a system on which answers to writes get lost, or are turned away."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.loses = 0
        """So many answers to writes from now on."""
        self.throttles = 0

    def send(self, request: Request) -> Said:
        if self.throttles:
            self.throttles -= 1
            return Answer(429, {"Retry-After": str(PAUSE_SECONDS)}, b"", 0.0)
        said = self._wire.send(request)
        if self.loses and request.method not in ("GET", "HEAD"):
            self.loses -= 1
            return NoAnswer("the answer was lost, for a test")
        return said

    def stream(self, request: Request) -> Said | Opened:
        return self._wire.stream(request)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is made and changed; see `rest.description.Sample`. `sha256` is of a file
    that the connector can read, of these bytes; `pages` says so of its poll."""

    table: str
    fields: Mapping[str, Any]
    field: str
    journal: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Result:
    """`passed` None: it does not apply, and `says` why."""

    case: str
    passed: bool | None
    says: str = ""


class Failed(Exception):
    """The system, or what is said of it, does not do what it has to."""


class NotApplicable(Exception):
    """The description does not claim it."""


@dataclass(slots=True)
class Conformance:
    """`connector` goes by `wire`; `stranger` has wrong credentials, None where there
    are none. `new_id` makes ids; `pause` waits so many seconds."""

    connector: Connector
    wire: Unreliable
    stranger: Connector | None
    subject: Subject
    new_id: Callable[[], str]
    pause: Callable[[float], None]
    shows: Callable[[str, str], Any]
    """The record with its comments and files, as `RestConnector.show`."""
    _made: str = field(default="", init=False)

    def run(self) -> Iterator[Result]:
        for name, case in self._cases():
            try:
                says = case() or ""
            except NotApplicable as why:
                yield Result(name, None, str(why))
            except Failed as why:
                yield Result(name, False, str(why))
                if name in ("check", "create"):
                    return  # nothing further can be said
            else:
                yield Result(name, True, says)

    def _cases(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("check", self._check),
            ("create", self._create),
            ("create-again", self._create_again),
            ("update", self._update),
            ("conditional-update", self._conditional),
            ("comment", self._comment),
            ("attachment", self._attachment),
            ("poll", self._poll),
            ("poll-pages", self._poll_pages),
            ("uncertain-create", self._uncertain_create),
            ("uncertain-update", self._uncertain_update),
            ("uncertain-comment", self._uncertain_comment),
            ("throttling", self._throttling),
            ("wrong-credentials", self._wrong_credentials),
            ("deleted-record", self._deleted_record),
            ("unknown-field", self._unknown_field),
        ]

    # --- what there is to ask with ----------------------------------------------------

    def _write(self, **more: Any) -> Write:
        known: dict[str, Any] = {
            "delivery_id": self.new_id(),
            "correlation_id": self.new_id(),
            "process_event": "rps.conformance",
            "operation": "update",
            "table": self.subject.table,
            "record_id": self._made or None,
            "if_match": None,
            "fields": {},
        }
        return Write(**known | more)

    def _new(self) -> Write:
        text = f"{self.subject.fields[self.subject.field]} {self.new_id()[:8]}"
        fields = {**self.subject.fields, self.subject.field: text}
        return self._write(operation="create", record_id=None, fields=fields)

    def _changed(self, **more: Any) -> Write:
        fields = {self.subject.field: f"changed {self.new_id()[:8]}"}
        return self._write(fields=fields, if_match=self._revision(), **more)

    def _read(self, record_id: str = "") -> Snapshot:
        seen = self.connector.read(self.subject.table, record_id or self._made)
        if not isinstance(seen, Snapshot):
            raise Failed(f"reading it: {_said(seen)}")
        return seen

    def _revision(self) -> str | None:
        return self._read().revision

    def _delivered(self, write: Write) -> Delivered:
        outcome = self.connector.write(write)
        if not isinstance(outcome, Delivered):
            raise Failed(f"writing: {_said(outcome)}")
        return outcome

    def _holds(self, write: Write, record_id: str = "") -> Snapshot:
        seen = self._read(record_id)
        for name, value in write.fields.items():
            if name in seen.fields and str(seen.fields[name]) != str(value):
                raise Failed(f"{name} is {seen.fields[name]!r}, written was {value!r}")
        if self.subject.field not in seen.fields:
            raise Failed(f"reading it shows no field {self.subject.field}")
        return seen

    # --- writing ----------------------------------------------------------------------

    def _check(self) -> str:
        fine, says = self.connector.check()
        if not fine:
            raise Failed(says)
        return says

    def _create(self) -> str:
        write = self._new()
        done = self._delivered(write)
        self._made = done.record_id
        seen = self._holds(write)
        if self.connector.capabilities.conditional_write and seen.revision is None:
            raise Failed("reading it shows no revision: see record/revision")
        return f"record {self._made}"

    def _create_again(self) -> None:
        """What a node does whose memory of the first try is gone."""
        write = self._new()
        first = self._delivered(write)
        settled = self.connector.settle(write)
        if isinstance(settled, Refused):
            raise NotApplicable(f"{settled.detail}; a lost answer needs a person")
        if not isinstance(settled, Found | Delivered):
            raise Failed(f"it is not found again: {_said(settled)}")
        second = self._delivered(write)
        if second.record_id != first.record_id:
            raise Failed(f"it was made twice: {first.record_id}, {second.record_id}")

    def _update(self) -> None:
        write = self._changed()
        self._delivered(write)
        self._holds(write)

    def _conditional(self) -> None:
        if not self.connector.capabilities.conditional_write:
            raise NotApplicable("it does not write conditionally")
        stale = self._revision()
        self._delivered(self._changed())
        late = replace(self._changed(), if_match=stale)
        outcome = self.connector.write(late)
        if not isinstance(outcome, Moved):
            raise Failed(f"a write against an old revision: {_said(outcome)}")

    def _comment(self) -> None:
        entry = self._entry()
        self._delivered(self._write(entries=(entry,), if_match=self._revision()))
        found = self._comments(entry)
        if found != 1:
            raise Failed(f"the comment is there {found} times")

    def _entry(self) -> JournalEntry:
        if not self.subject.journal:
            raise NotApplicable("the description has no comments")
        key = self.new_id()
        text = f"a comment {key[:8]}\nin two lines: äöü"
        return JournalEntry(f"rps:{key}", self.subject.journal, text)

    def _comments(self, entry: JournalEntry) -> int:
        """How often it is there; those of our account count too."""
        shown = self._shown()
        told = [e for e in shown.entries if e["id"] == entry.id]
        return len(told) or self._found_again(entry)

    def _found_again(self, entry: JournalEntry) -> int:
        write = self._write(entries=(entry,), if_match=self._revision())
        return int(isinstance(self.connector.settle(write), Found))

    def _shown(self) -> Shown:
        shown: Shown | Any = self.shows(self.subject.table, self._made)
        if not hasattr(shown, "entries"):
            raise Failed(f"reading its comments and files: {_said(shown)}")
        return shown

    def _attachment(self) -> None:
        name = f"rps {self.new_id()[:8]}.txt"
        file = Attachment(
            *(f"rps:{name}", name, len(CONTENT), "text/plain"), self.subject.sha256
        )
        outcome = self.connector.write(
            self._write(attachments=(file,), if_match=self._revision())
        )
        if isinstance(outcome, Refused) and "description" in outcome.detail:
            raise NotApplicable(outcome.detail)
        if not isinstance(outcome, Delivered):
            raise Failed(f"writing: {_said(outcome)}")
        there = [f for f in self._shown().attachments if f["name"] == name]
        if [f["sha256"] for f in there] != [self.subject.sha256]:
            raise Failed(f"the file is there {len(there)} times, or with other bytes")

    # --- polling ----------------------------------------------------------------------

    def _from_now(self) -> Mapping[str, Any]:
        if not self.connector.capabilities.polls:
            raise NotApplicable("it is not asked for its changes")
        came = self.connector.changes_since(self.subject.table, None)
        if not isinstance(came, Changes):
            raise Failed(f"asking for changes: {_said(came)}")
        return came.cursor

    def _told(
        self, cursor: Mapping[str, Any], wanted: set[str]
    ) -> tuple[set[str], Mapping[str, Any]]:
        """The records told of since, until those wanted are among them."""
        told: set[str] = set()
        for _ in range(LOOKS_MAX):
            has_more = True
            while has_more:
                came = self.connector.changes_since(self.subject.table, cursor)
                if not isinstance(came, Changes):
                    raise Failed(f"asking for changes: {_said(came)}")
                told |= {each.record.record_id for each in came.records}
                cursor, has_more = came.cursor, came.has_more
            if wanted <= told:
                return told, cursor
            self.pause(LOOK_SECONDS)
        raise Failed(
            f"{len(wanted - told)} of {len(wanted)} changed records were not told of in"
            f" {LOOKS_MAX:g} looks. Does our account see them, and is its time zone"
            " UTC? Are 'since' and time_format as the system reads them?"
        )

    def _poll(self) -> None:
        cursor = self._from_now()
        self._delivered(self._changed())
        _, cursor = self._told(cursor, {self._made})
        self._delivered(self._changed())
        self._told(cursor, {self._made})

    def _poll_pages(self) -> str:
        """Records of one second, and one that changes while pages are turned."""
        cursor = self._from_now()
        made = {self._delivered(self._new()).record_id for _ in range(5)}
        _, cursor = self._told(cursor, made)
        self._delivered(self._changed())
        self._told(cursor, {self._made})
        return f"{len(made)} records"

    # --- what goes wrong --------------------------------------------------------------

    def _uncertain_create(self) -> None:
        write = self._new()
        first = self._lost(write)
        if isinstance(first, Delivered):
            return
        settled = self.connector.settle(write)
        if isinstance(settled, Refused):
            raise NotApplicable(f"{settled.detail}")
        if not isinstance(settled, Found):
            raise Failed(f"the record was made, and: {_said(settled)}")
        again = self._delivered(write)
        if again.record_id != settled.record.record_id:
            raise Failed("it was made twice")

    def _lost(self, write: Write) -> object:
        self.wire.loses = 1
        outcome = self.connector.write(write)
        self.wire.loses = 0
        if not isinstance(outcome, Uncertain | Delivered | Unavailable | Moved):
            raise Failed(f"an answer was lost: {_said(outcome)}")
        return outcome

    def _uncertain_update(self) -> None:
        write = self._changed()
        self._lost(write)
        settled = self.connector.settle(write)
        if not isinstance(settled, Found | Delivered):
            raise Failed(f"the write was made, and: {_said(settled)}")
        self._holds(write)

    def _uncertain_comment(self) -> None:
        entry = self._entry()
        write = self._write(entries=(entry,), if_match=self._revision())
        self._lost(write)
        if isinstance(self.connector.settle(write), NotApplied):
            self._delivered(write)
        found = self._comments(entry)
        if found != 1:
            raise Failed(f"the comment is there {found} times")

    def _throttling(self) -> None:
        write = self._changed()
        self.wire.throttles = 1
        outcome = self.connector.write(write)
        self.wire.throttles = 0
        if not isinstance(outcome, Unavailable) or outcome.retry_after != PAUSE_SECONDS:
            raise Failed(f"429 with Retry-After: {_said(outcome)}")

    def _wrong_credentials(self) -> None:
        if self.stranger is None:
            raise NotApplicable("it takes no credentials")
        outcome = self.stranger.write(self._changed())
        if not isinstance(outcome, NeedsCredentials):
            raise Failed(f"a wrong secret: {_said(outcome)}")

    def _deleted_record(self) -> None:
        outcome = self.connector.write(
            replace(self._changed(), record_id=NOWHERE, if_match="1")
        )
        seen = self.connector.read(self.subject.table, NOWHERE)
        if not isinstance(seen, Missing):
            raise Failed(f"reading a record that is not there: {_said(seen)}")
        if not isinstance(outcome, Refused | Moved):
            raise Failed(f"writing to a record that is not there: {_said(outcome)}")

    def _unknown_field(self) -> str:
        outcome = self.connector.write(
            self._write(fields={NO_FIELD: "1"}, if_match=self._revision())
        )
        if not isinstance(outcome, Refused):
            raise Failed(f"a field that there is not: {_said(outcome)}")
        return outcome.detail


def _said(outcome: object) -> str:
    kind = type(outcome).__name__.lower()
    detail = getattr(outcome, "detail", "")
    return f"{kind}: {detail}" if detail else kind
