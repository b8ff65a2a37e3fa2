"""The log as it leaves the node: all of it with its checkpoints, or a selection in
which each event has its proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from rps.application.checkpoints import NotCovered
from rps.application.operations import NotFound
from rps.application.stored_tree import StoredTree
from rps.domain.canonical import instant
from rps.log.chain import GENESIS, Row
from rps.log.checkpoint import Checkpoint
from rps.log.exported import After, End, Head, Proven, Selection
from rps.projections.change_questions import ChangeQuestions
from rps.projections.correlation_questions import CorrelationQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.checkpoints import Checkpoints
    from rps.log.exported import Item
    from rps.log.note import Note

ROWS = 1_000
POSITION_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; what is None does not narrow. `definition` is a process event of
    the domain: its own events, and those of all its shared records."""

    domain: str | None = None
    definition: str | None = None
    definition_id: UUID | None = None
    correlation: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def said(self) -> dict[str, str]:
        named = {
            "domain": self.domain,
            "definition": self.definition,
            "correlation": self.correlation and str(self.correlation),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in named.items() if value}


class AuditExport:
    """Told how far it is by `tell(done, total)`."""

    def __init__(
        self,
        application: RemoteProcessSync,
        checkpoints: Checkpoints,
        tell: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        self._application = application
        self._recorder = application.recorder
        self._questions = ChangeQuestions(application.datastore)
        self._correlations = CorrelationQuestions(application.datastore)
        self._checkpoints = checkpoints
        self._tell = tell

    # --- all of it ------------------------------------------------------------------

    def log(self, after: int = 0, until: int | None = None) -> Iterator[Item]:
        """The log past position `after`, up to `until` or where it ends now. Raises
        NotFound, before the first item, where it has no such event."""
        # Before the head: none of them is of a longer log than there was.
        notes = self._checkpoints.notes(after, POSITION_MAX if until is None else until)
        head, digest = self._recorder.head()
        end = min(head, until) if until is not None else head
        before = self._after(after) if after else None
        if end < head:
            digest = self._row(end).hash if end else GENESIS
        return self._log(notes, before, after, Head(end, digest))

    def _log(
        self, notes: list[Note], before: After | None, after: int, head: Head
    ) -> Iterator[Item]:
        yield from (kept.key for kept in self._checkpoints.public_keys())
        yield from notes
        if before is not None:
            yield before
        yield from self.rows(after, head.position)
        yield head

    def rows(self, after: int, until: int) -> Iterator[Row]:
        """As they are stored."""
        while after < until and (rows := self._recorder.read(after, ROWS)):
            for row in rows:
                if row.position > until:
                    return
                yield row
            after = rows[-1].position
            self._tell(min(after, until), until)

    def _after(self, position: int) -> After:
        tree = StoredTree(self._application.datastore).first(position)
        return After(position, self._row(position).hash, tree.roots)

    def _row(self, position: int) -> Row:
        found = self._recorder.read(position - 1, 1)
        if not found or found[0].position != position:
            raise NotFound(f"the log has no event {position}")
        return found[0]

    # --- a selection ----------------------------------------------------------------

    def selected(self, wanted: Wanted, size: int | None = None) -> Iterator[Item]:
        """Events of the first `size`, else of those that the last checkpoint covers,
        each proven. Raises NotCovered."""
        note = self._checkpoints.note(size)
        covered = Checkpoint.of(note.text).size
        if wanted.correlation:
            rows = self.stream(wanted.correlation, covered)
        else:
            rows = self.rows(0, covered)
        return self._proven(filter(_Chosen(wanted).takes, rows), wanted.said, note)

    def message(self, domain: str, key: str, size: int | None = None) -> Iterator[Item]:
        """Everything the log has about one message, or change, of a domain. Raises
        NotFound, NotCovered."""
        rows = sorted(self._about(domain, key), key=lambda row: row.position)
        if not rows:
            raise NotFound(f"no message and no change {key} in {domain}")
        note = self._checkpoints.note(size)
        covered = Checkpoint.of(note.text).size
        if rows[-1].position > covered:
            raise NotCovered(
                f"the checkpoint covers {covered} events, the message's last one is"
                f" {rows[-1].position}"
            )
        return self._proven(rows, {"domain": domain, "message": key}, note)

    def _proven(
        self, rows: Iterable[Row], said: dict[str, str], note: Note
    ) -> Iterator[Item]:
        size = Checkpoint.of(note.text).size
        tree = StoredTree(self._application.datastore)
        yield Selection(said)
        yield from (kept.key for kept in self._checkpoints.public_keys())
        yield note
        count = 0
        before: Row | None = None
        for row in rows:
            if before is None or before.position != row.position - 1:
                before = self._row(row.position - 1) if row.position > 1 else None
            previous = before.hash if before else GENESIS
            proof = tree.inclusion(row.position, size)
            yield Proven(row, previous, tuple(proof))
            before, count = row, count + 1
        yield End(count)

    def _about(self, domain: str, key: str) -> Iterator[Row]:
        """What is said of a message, and the change that it came from."""
        for stream in self._streams(domain, key):
            rows = [(row, orjson.loads(row.state)) for row in self.stream(stream)]
            keys = {key}
            keys |= {
                said.get("change_id", key) for _, said in rows if _makes(said, key)
            }
            for row, said in rows:
                if said["domain"] == domain and _speaks_of(row, said, key, keys):
                    yield row

    def _streams(self, domain: str, key: str) -> set[UUID]:
        """Correlations that made the message, or took in the change, of that id."""
        configuration = self._application.configuration.refresh()
        systems = [s.name for s in configuration.systems() if s.domain == domain]
        taken = self._questions.taken(domain, systems, key)
        found = {row["correlation_id"] for row in taken}
        try:
            made = self._application.lookup.message(domain, UUID(key))
        except ValueError:
            made = None
        return found | ({made.correlation_id} if made else set())

    def stream(self, stream: UUID, until: int = POSITION_MAX) -> Iterator[Row]:
        """In the order of the log."""
        version = 0
        while rows := self._correlations.events(stream, version, ROWS):
            for row in rows:
                version = row["version"]
                position, state = row["position"], bytes(row["state"])
                if position > until:
                    return
                about = (position, stream, version, row["topic"], state)
                yield Row(*about, bytes(row["hash"]))


class _Chosen:
    """Whether events are wanted, asked in the order of the log: a stream begins with
    what names its definition."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._streams = {wanted.definition_id}

    def takes(self, row: Row) -> bool:
        wanted, said = self._wanted, orjson.loads(row.state)
        if wanted.domain not in (None, said["domain"]):
            return False
        if wanted.definition_id is not None:
            if said.get("definition") == str(wanted.definition_id):
                self._streams.add(row.originator_id)
            if row.originator_id not in self._streams:
                return False
        if wanted.since is None and wanted.until is None:
            return True
        at = instant(said["timestamp"]["_data_"])
        is_late = wanted.since is None or at >= wanted.since
        return is_late and (wanted.until is None or at < wanted.until)


def _makes(said: Mapping[str, Any], key: str) -> bool:
    made = [*said.get("messages", ()), said.get("message") or {}]
    return any(each.get("message_id") == key for each in made)


def _speaks_of(row: Row, said: Mapping[str, Any], key: str, changes: set[str]) -> bool:
    if _makes(said, key) or said.get("message_id") == key:
        return True
    return row.topic.startswith("change.") and said.get("change_id") in changes
