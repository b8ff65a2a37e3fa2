"""Journal entries: what of them is shared, changed or removed, and who is to be told.

An entry goes by the id its origin gave it. Its versions are judged as a field's values
are: what the member was known to hold is no edit, what it showed before that is late,
and of two edits made unaware of each other the later one wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain import flow
from rps.domain.between_nodes import NODE
from rps.domain.entries import Said, Shown, digest
from rps.domain.journal_news import again
from rps.domain.merge import Conflict
from rps.domain.problem import printable
from rps.domain.state import NOT_SHARED, newer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rps.domain.agreement import JournalMap
    from rps.domain.plan import Case
    from rps.domain.state import CorrelationState, Stamp

Entry = dict[str, Any]

NOBODY_KNOWS = Shown(1, "?", None)


@dataclass(slots=True)
class Heard:
    """What a change tells of journals: `entries` for ChangeAccepted, edits that lost or
    won against others, names of what is late, and what the sender is to be told."""

    entries: list[Entry] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    back: list[Entry] = field(default_factory=list)

    @property
    def has_edits(self) -> bool:
        """Whether an entry has a version that it had not: a version of the record."""
        return any(e.get("operation") in ("update", "delete") for e in self.entries)


def edits(state: CorrelationState, case: Case, stamp: Stamp, heard: Heard) -> None:
    """Judge what the change shows of entries that are shared already, or removed.

    Raises MappingRefused for an internal note that a public journal would get.
    """
    for entry in {each["id"]: each for each in case.captured.entries}.values():
        each = case.member.by_journal.get(entry["journal"])
        key = key_of(state, case, entry)
        said = state.said.get(key)
        if each is None or (said is None and not entry.get("deleted")):
            continue
        flow.inbound_entries(case.member, case.definition, [entry])
        if said is None:
            heard.entries.append(_removed_unseen(key, each, stamp))
        else:
            _Sight(state, case, stamp, each, key, entry, said).judge(heard)


def key_of(state: CorrelationState, case: Case, entry: Mapping[str, Any]) -> str:
    """The id an entry is shared under: one that we wrote comes back under the id we
    gave it (from a node only where it says so), one of the member's own under an id of
    its own."""
    given: str = entry["id"]
    if named := state.entries_as.get((case.captured.member, given)):
        return named
    is_ours = case.captured.source != NODE or entry.get("yours", False)
    if is_ours and given in state.entry_ids:
        return given
    return f"{case.captured.member}:{given}"


def twins(state: CorrelationState, case: Case) -> Iterator[Entry]:
    """Entries of a member that was polled which are those we wrote there, under ids of
    its own: they say what we wrote. Each of ours has one."""
    member = case.captured.member
    named = {key for (of, _), key in state.entries_as.items() if of == member}
    for entry in case.captured.entries:
        each = case.member.by_journal.get(entry["journal"])
        if each is None or entry.get("deleted") or _is_known(state, case, entry):
            continue
        for key, said in state.said.items():
            if key not in named and _is_twin(each, said, member, entry["text"]):
                named.add(key)
                yield {
                    "id": key,
                    "journal": said.journal,
                    "text": "",
                    "operation": "seen",
                    "version": said.version,
                    "digest": said.digest,
                    "as": entry["id"],
                }
                break


def _is_known(state: CorrelationState, case: Case, entry: Entry) -> bool:
    """Whether the entry has an id here already."""
    member, given = case.captured.member, entry["id"]
    return (
        (member, given) in state.entries_as
        or given in state.entry_ids
        or f"{member}:{given}" in state.entry_ids
    )


def _is_twin(each: JournalMap, said: Said, member: str, text: str) -> bool:
    if said.member == member or said.journal != each.shared or not said.digest:
        return False
    about = {"author": said.author, "written_at": said.written_at}
    before = each.prefix_of(about).replace("\r\n", "\n").lstrip()
    plain = text.replace("\r\n", "\n").replace("\r", "\n").lstrip()
    is_as_written = plain.startswith(before)
    return is_as_written and digest(plain.removeprefix(before)) == said.digest


def _removed_unseen(key: str, each: JournalMap, stamp: Stamp) -> Entry:
    """Removed before we heard of it: what tells of its writing is late."""
    return {
        "id": key,
        "journal": each.shared,
        "text": "",
        "operation": "delete",
        "version": 1,
        "stamp": list(stamp),
    }


@dataclass(slots=True)
class _Sight:
    """A member's entry as it shows itself, next to what is shared of it."""

    state: CorrelationState
    case: Case
    stamp: Stamp
    map: JournalMap
    key: str
    entry: Mapping[str, Any]
    said: Said
    text: str = ""
    digest: str = ""

    def judge(self, heard: Heard) -> None:
        is_own = self.key.startswith(f"{self.member}:")
        if not self.entry.get("deleted"):
            self.text = self.entry["text"]
            if not is_own:
                self.text = self._without_prefix(self.text)
            self.digest = digest(self.text)
            if not (is_own or self.map.edits):
                return  # how the system shows what we wrote
        known = self._known()
        if known is None and not self.entry.get("deleted"):
            heard.entries.append(self._told("kept", 1, self.digest))
            return
        known = known or NOBODY_KNOWS
        if self.digest != known.digest:
            self._other_text(known, heard)

    @property
    def member(self) -> str:
        return self.case.captured.member

    @property
    def name(self) -> str:
        return f"{self.said.journal} {printable(self.key)}"

    def _without_prefix(self, text: str) -> str:
        about = {"author": self.said.author, "written_at": self.said.written_at}
        return text.removeprefix(self.map.prefix_of(about)) if self.map.prefix else text

    def _known(self) -> Shown | None:
        """What the member was last known to hold; None: nobody knows, as what it holds
        was not followed when it was written there."""
        link = self.state.links.get(self.member)
        shown = link.entries.get(self.key) if link else None
        if self.said.member == self.member:
            is_kept = shown is not None and shown.version >= self.said.version
            return shown if is_kept else self.said.shown
        if shown is not None:
            return shown
        first = Shown(1, self.said.digest, None)
        return first if self.said.version == 1 else None

    def _other_text(self, known: Shown, heard: Heard) -> None:
        if self.case.captured.if_match is not None and self.digest != self.said.digest:
            heard.entries.append(self._edit())  # it was decided by who sent it
        elif not self._is_later(known):
            heard.late.append(self.name)
        elif (version := self._version_shown()) is not None:
            heard.entries.append(self._told("seen", version, self.digest))
        elif self.said.journal != self.map.shared:
            self._kept(known, heard, "journal")
        elif self._is_withdrawn():
            self._kept(known, heard, "newer_wins")
        elif self.said.version <= known.version:
            heard.entries.append(self._edit())
        elif self._wins():
            heard.conflicts.append(self._conflict("newer_wins", "remote"))
            heard.entries.append(self._edit())
        else:
            self._kept(known, heard, "newer_wins")

    def _is_later(self, known: Shown) -> bool:
        """Some systems count no edit of an entry as one of the record: what a member
        says after what it said itself is later at the same revision too."""
        revision = self.case.captured.record_revision
        if revision is not None and revision == known.revision:
            return self.said.member == self.member
        return newer(revision, known.revision)

    def _version_shown(self) -> int | None:
        """The shared version that this is, or one that a message under way brought."""
        if self.digest == self.said.digest:
            return self.said.version
        for entry in self._coming():
            if "text" in entry and digest(entry["text"]) == self.digest:
                return int(entry.get("version", 1))
        return None

    def _is_withdrawn(self) -> bool:
        """Whether it is what a message of ours brings that was out of date before it
        was heard of: it arrived after all, over what its users had written."""
        text = self.state.withdrawn.get((self.member, self.key))
        return text is not None and text == self.digest

    def _coming(self) -> Iterator[Entry]:
        """The entry in messages that wait for the member, the latest first."""
        for message in reversed(self.state.waiting(self.member)):
            yield from (e for e in reversed(message.entries) if e["id"] == self.key)

    def _wins(self) -> bool:
        mine = (self.said.stamp, self.said.member, self.said.digest)
        return (self.stamp, self.member, self.digest) > mine

    def _kept(self, known: Shown, heard: Heard, policy: str) -> None:
        """Its text is not taken: it is told the shared one again, unless it is."""
        heard.conflicts.append(self._conflict(policy, "hub"))
        heard.entries.append(self._told("kept", known.version, self.digest))
        if policy == "newer_wins" and not any(
            entry.get("version", 1) >= self.said.version for entry in self._coming()
        ):
            heard.back.append(again(self.key, self.said))

    def _conflict(self, policy: str, winner: str) -> Conflict:
        mine = next((e.get("text") for e in self._coming()), None)
        if policy == "journal":
            mine = self.said.journal
        return Conflict(self.name, None, mine, self.text or None, policy, winner)

    def _told(self, operation: str, version: int, shown: str) -> Entry:
        return {
            "id": self.key,
            "journal": self.said.journal,
            "text": self.text,
            "operation": operation,
            "version": version,
            "digest": shown,
        }

    def _edit(self) -> Entry:
        """An entry that holds nothing any more is one that was removed."""
        stamp = max(self.stamp, (self.said.stamp[0], self.said.stamp[1] + 1))
        return {
            "id": self.key,
            "journal": self.said.journal,
            "text": self.text if self.digest else "",
            "author": self.said.author,
            "written_at": self.said.written_at,
            "operation": "update" if self.digest else "delete",
            "version": self.said.version + 1,
            "stamp": list(stamp),
        }


# --- texts --------------------------------------------------------------------------


def lacking(entries: Iterable[Entry]) -> list[Entry]:
    """Those whose texts have to be looked up, in events from the one at `at` on: those
    that are decided together are counted as if nobody else had recorded anything."""
    return [entry for entry in entries if "text" not in entry]


def fill(entries: Iterable[Entry], accepted: Iterable[Any]) -> None:
    """Put into `entries` the texts that the events `accepted` hold."""
    wanted = {(each["id"], each["version"]): each for each in lacking(entries)}
    for event in accepted:
        for entry in event.entries:
            if entry.get("operation") not in NOT_SHARED:
                version = (entry["id"], entry.get("version", 1))
                if (each := wanted.pop(version, None)) is not None:
                    each["text"] = entry["text"]
        if not wanted:
            return
