"""A system that is being tried, and what there is to ask it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rps.connectors.conformance.results import Failed, NotApplicable, said
from rps.domain.delivery import (
    Changes,
    Delivered,
    Found,
    JournalEntry,
    Received,
    Snapshot,
    Uncertain,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.connectors.conformance.unreliable import Unreliable
    from rps.domain.delivery import Connector, Outcome, Settlement, Shown

LOOKS_MAX = 20
LOOK_SECONDS = 1.0
CONTENT: Final = b"rps conformance\n"
"""Of the file that is attached: the connector can read it by its SHA-256."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is made and changed: a record of `table` with `fields`, of which the text
    `field` is changed; `journal` is where is commented, "" for nowhere. `nowhere` is an
    id that no record has; `no_files` says why none is attached, where none is."""

    table: str
    fields: Mapping[str, Any]
    field: str
    journal: str = ""
    process_event: str = "rps.conformance"
    nowhere: str = "999999999"
    no_files: str = ""


@dataclass(slots=True)
class Tried:
    """`connector` goes by `wire` and lists few records a page; `stranger` has wrong
    credentials, None where there are none. `new_id` makes ids; `pause` waits so many
    seconds. `shows` is the record with its comments and files, read by somebody who
    remembers nothing of what was written; None: it is not shown."""

    connector: Connector
    wire: Unreliable
    stranger: Connector | None
    sample: Sample
    new_id: Callable[[], str]
    pause: Callable[[float], None]
    shows: Callable[[str, str], Shown | Any] | None
    made: str = field(default="", init=False)
    """The record that is worked on."""
    shared: str = field(default="", init=False)
    """Our own id of it."""

    # --- writing ----------------------------------------------------------------------

    def write(self, **more: Any) -> Write:
        known: dict[str, Any] = {
            "delivery_id": self.new_id(),
            "correlation_id": self.shared or self.new_id(),
            "process_event": self.sample.process_event,
            "operation": "update",
            "table": self.sample.table,
            "record_id": self.made or None,
            "if_match": None,
            "fields": {},
        }
        return Write(**known | more)

    def new(self) -> Write:
        key = self.new_id()
        text = f"{self.sample.fields[self.sample.field]} {key[:8]}"
        fields = {**self.sample.fields, self.sample.field: text}
        return self.write(
            operation="create", record_id=None, correlation_id=key, fields=fields
        )

    def changed(self, record_id: str = "") -> Write:
        fields = {self.sample.field: f"changed {self.new_id()[:8]}"}
        wanted = record_id or self.made
        return self.write(
            fields=fields, record_id=wanted, if_match=self.revision(wanted)
        )

    def delivered(self, write: Write) -> Delivered:
        outcome = self.written(write)
        if not isinstance(outcome, Delivered):
            raise Failed(f"writing: {said(outcome)}")
        return outcome

    def written(self, write: Write) -> Outcome:
        """What becomes of it; another node may have to do its own part first."""
        outcome = self.connector.write(write)
        for _ in range(LOOKS_MAX):
            if not isinstance(outcome, Received):
                break
            self.pause(LOOK_SECONDS)
            outcome = self.connector.write(write)
        return outcome

    def lost(self, write: Write) -> None:
        """Write it, without hearing what became of it."""
        self.wire.loses = 1
        outcome = self.connector.write(write)
        self.wire.loses = 0
        if not isinstance(outcome, Uncertain):
            raise Failed(f"an answer was lost: {said(outcome)}")

    def settled(self, write: Write) -> Settlement:
        """What is found out of it."""
        if self.connector.capabilities.resend_to_ask:
            return self.delivered(write)
        return self.connector.settle(write)

    # --- reading ----------------------------------------------------------------------

    def read(self, record_id: str = "") -> Snapshot:
        seen = self.connector.read(self.sample.table, record_id or self.made)
        if not isinstance(seen, Snapshot):
            raise Failed(f"reading it: {said(seen)}")
        return seen

    def revision(self, record_id: str = "") -> str | None:
        return self.read(record_id).revision

    def holds(self, write: Write, record_id: str = "") -> Snapshot:
        seen = self.read(record_id)
        for name, value in write.fields.items():
            if name in seen.fields and str(seen.fields[name]) != str(value):
                raise Failed(f"{name} is {seen.fields[name]!r}, written was {value!r}")
        if self.sample.field not in seen.fields:
            raise Failed(f"reading it shows no field {self.sample.field}")
        return seen

    def shown(self) -> Shown:
        came: Shown | Any = self.shows and self.shows(self.sample.table, self.made)
        if not hasattr(came, "entries"):
            raise Failed(f"reading its comments and files: {said(came)}")
        shown: Shown = came
        return shown

    # --- comments ---------------------------------------------------------------------

    def entry(self) -> JournalEntry:
        if not self.sample.journal:
            raise NotApplicable("no journal is named to comment in")
        key = self.new_id()
        text = f"a comment {key[:8]}\nin two lines: äöü"
        return JournalEntry(f"rps:{key}", self.sample.journal, text)

    def is_there_once(self, entry: JournalEntry) -> str:
        """Raises Failed. Says so where the comments cannot be looked at."""
        if self.shows is None:
            return f"taken; whether {self.made} has it once, its own page tells"
        told = [e for e in self.shown().entries if _is_of(e, entry)]
        found = len(told) or self._found_again(entry)
        if found != 1:
            raise Failed(f"the comment is there {found} times")
        return ""

    def _found_again(self, entry: JournalEntry) -> int:
        """Those of our own account are not always shown."""
        write = self.write(entries=(entry,), if_match=self.revision())
        return int(isinstance(self.connector.settle(write), Found))

    # --- polling ----------------------------------------------------------------------

    def from_now(self) -> Mapping[str, Any]:
        if not self.connector.capabilities.polls:
            raise NotApplicable("it is not asked for its changes")
        return self.page(None).cursor

    def page(self, cursor: Mapping[str, Any] | None) -> Changes:
        came = self.connector.changes_since(self.sample.table, cursor)
        if not isinstance(came, Changes):
            raise Failed(f"asking for changes: {said(came)}")
        return came

    def told(
        self,
        cursor: Mapping[str, Any],
        wanted: Mapping[str, Any],
        seen: Mapping[str, Snapshot] | None = None,
    ) -> tuple[Mapping[str, Any], dict[str, Snapshot]]:
        """Read on until all records of `wanted` were told of, last with that value of
        the sample's field; the cursor then, and what was told, with what was `seen`
        before."""
        last = dict(seen or {})
        for _ in range(LOOKS_MAX):
            has_more = True
            while has_more:
                came = self.page(cursor)
                last |= self.snapshots(came)
                cursor, has_more = came.cursor, came.has_more
            late = [
                k for k, v in wanted.items() if k not in last or self._of(last[k]) != v
            ]
            if not late:
                return cursor, last
            self.pause(LOOK_SECONDS)
        missed = sum(each not in last for each in late)
        raise Failed(
            f"{missed} of {len(wanted)} changed records were not told of, and"
            f" {len(late) - missed} not as they are by now, in {LOOKS_MAX} looks. Does"
            " our account see them, and is its time zone UTC? Of a description: are"
            " 'since' and time_format as the system reads them?"
        )

    def snapshots(self, came: Changes) -> dict[str, Snapshot]:
        """The records that a page tells of."""
        records = [each.record for each in came.records]
        return {r.record_id: r for r in records if self.sample.field in r.fields}

    def _of(self, record: Snapshot) -> Any:
        return record.fields[self.sample.field]


def _is_of(told: Mapping[str, Any], entry: JournalEntry) -> bool:
    """By our id, where it is kept; else by its text, which nobody else writes."""
    text = str(told.get("text", "")).replace("\r\n", "\n").strip()
    return told.get("id") == entry.id or text == entry.text
