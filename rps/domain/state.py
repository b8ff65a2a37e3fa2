"""What decisions about a correlation need to know, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rps.domain.aggregate import Aggregate
from rps.domain.entries import Said, Shown, digest
from rps.domain.pending import Pending, Unsettled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rps.domain.question import Answers

Stamp = tuple[int, ...]

DELETED = "$deleted"
"""The shared field that says the record is gone; it follows the rules of any field."""


class Past(NamedTuple):
    """A value that a shared field had: its mark, when it got it (seconds), from whom.

    Marks are told apart, not read: they are of this process only.
    """

    mark: int
    at: float
    origin: str


RECEIVED = "received"
"""How a message stands that another node has judged and not yet carried out."""

PAST_MAX = 12
"""Values of a field that are remembered, to tell a loop from people at work."""


@dataclass(slots=True)
class Shared:
    """A shared field: its value, the version and stamp it got, and who gave it; the
    values it had, the present one last."""

    value: Any
    version: int
    stamp: Stamp
    origin: str
    past: tuple[Past, ...] = ()


def mark(value: Any) -> int:
    return hash(tuple(value)) if type(value) is list else hash(value)


@dataclass(slots=True)
class Known:
    """A value last known at a member, and the record revision that showed it."""

    value: Any
    revision: str | None


@dataclass(slots=True)
class Link:
    """The copy of the shared record in one member; `record_id` None: not yet there.

    `revision` is the last one at which the whole record is known: what a conditional
    write may be computed against. `waived` are versions that will not be sent, because
    their message was skipped. `entries` are known where it has to be followed which
    ones are there; of those first shared up to the event `since` it is owed none.
    """

    system: str = ""
    table: str = ""
    record_id: str | None = None
    revision: str | None = None
    base: dict[str, Known] = field(default_factory=dict)
    agreed: dict[str, int] = field(default_factory=dict)
    waived: dict[str, int] = field(default_factory=dict)
    entries: dict[str, Shown] = field(default_factory=dict)
    since: int = 0

    @property
    def deleted(self) -> bool:
        """Whether the member's record is known to be gone."""
        known = self.base.get(DELETED)
        return known is not None and bool(known.value)

    def told(self, name: str) -> int:
        """The version of a field up to which nothing is owed to the member."""
        return max(self.agreed.get(name, 0), self.waived.get(name, 0))


@dataclass(slots=True)
class Held:
    """An open conflict, as a person has to see it."""

    base: Any
    mine: Any
    theirs: Any


@dataclass(slots=True)
class Attached:
    """A file of the shared record, as `attachments.shared` has it.

    `held`: the content (SHA-256) that each member is known to have of it, None where it
    has it no more. `known_as`: the id it has there, where that is the member's own.
    """

    shown: dict[str, Any] = field(default_factory=dict)
    held: dict[str, str | None] = field(default_factory=dict)
    known_as: dict[str, str] = field(default_factory=dict)

    @property
    def deleted(self) -> bool:
        return bool(self.shown.get("deleted"))


NOT_SHARED = ("seen", "kept")
"""Operations of accepted entries that only tell what the sender holds: a shared
version, or another text that was not taken."""


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
    pending: Unsettled
    entry_ids: set[str]
    entries_as: dict[tuple[str, str], str]
    """By member and its own id of an entry that we wrote there: the id it has here."""
    replayed: set[str]
    attached: dict[str, Attached]
    attached_as: dict[tuple[str, str], str]
    held: dict[tuple[str, str], Held]
    conflicts: int
    said: dict[str, Said]
    withdrawn: dict[tuple[str, str], str]
    """By member and entry: the text (its digest) of a message that was out of date
    before anybody knew whether it had arrived."""
    unlinked: dict[str, Link]
    """Members that take no part any more, and what was known of them."""
    questions: dict[str, tuple[str, str]]
    """What flows have asked and nobody has answered yet, by id: for which change or
    message (`question.subject_of`), and the question's key."""
    answers: dict[str, Answers]
    """What was answered for changes and messages that are not settled."""
    missed: dict[str, dict[str, Known]]
    """What changes showed that were not taken, for their member's condition did not
    hold: by shared name, values as the member says them."""

    def start(self) -> None:
        self.definition = self.process_event = self.domain = ""
        self.active = False
        self.shared_version = self.conflicts = 0
        self.fields, self.links, self.held, self.unlinked = {}, {}, {}, {}
        self.pending = Unsettled()
        self.entry_ids, self.replayed = set(), set()
        self.entries_as = {}
        self.attached, self.attached_as = {}, {}
        self.said, self.missed, self.withdrawn = {}, {}, {}
        self.questions, self.answers = {}, {}

    @property
    def opened(self) -> bool:
        return bool(self.definition)

    def share(
        self, name: str, value: Any, version: int, stamp: Stamp, origin: str, at: float
    ) -> None:
        """Let the shared field have a value from now on."""
        before = self.fields.get(name)
        past = before.past[1 - PAST_MAX :] if before else ()
        self.fields[name] = Shared(
            value, version, stamp, origin, (*past, Past(mark(value), at, origin))
        )

    def learn(
        self,
        member: str,
        bases: Mapping[str, Any],
        agreed: Mapping[str, int],
        revision: str | None,
        *,
        complete: bool,
    ) -> None:
        """Note what `member` is now known to hold. `complete`: nothing of its record up
        to `revision` is unknown. What is known from a later revision stays."""
        if member in self.unlinked:
            return
        link = self.links.get(member)
        if link is None:
            link = self.links[member] = Link()
        self._not_missed(member, {**bases, **agreed}, revision)
        for name in {**bases, **agreed}:
            known = link.base.get(name)
            if known is not None and _is_older(revision, known.revision):
                continue
            if name in bases:
                link.base[name] = Known(bases[name], revision)
            if name in agreed:
                link.agreed[name] = agreed[name]
        if complete and revision is not None and newer(revision, link.revision):
            link.revision = revision

    def miss(
        self, member: str, fields: Mapping[str, Any], revision: str | None
    ) -> None:
        """Note what a change showed that was not taken."""
        known = self.missed.setdefault(member, {})
        for name, value in fields.items():
            if name not in known or not _is_older(revision, known[name].revision):
                known[name] = Known(value, revision)

    def _not_missed(
        self, member: str, names: Mapping[str, Any], revision: str | None
    ) -> None:
        missed = self.missed.get(member)
        if not missed:
            return
        for name in names:
            if name in missed and not _is_older(revision, missed[name].revision):
                del missed[name]

    def has_files(self, member: str, message: Pending) -> None:
        """Note that `member` holds the files of a message that it took."""
        for each in message.attachments:
            if (file := self.attached.get(each["id"])) is not None:
                file.held[member] = None if each.get("deleted") else each["sha256"]

    def forget_files(self, member: str) -> None:
        """`member` has another record now: nobody knows which files that has, nor what
        it calls the entries that it got."""
        for key in [key for key in self.entries_as if key[0] == member]:
            del self.entries_as[key]
        for file in self.attached.values():
            file.held.pop(member, None)
            file.known_as.pop(member, None)
        for key in [key for key in self.attached_as if key[0] == member]:
            del self.attached_as[key]

    def ask_no_more(self, subject: str) -> None:
        """Forget what was asked and answered for a change or message."""
        if self.answers or self.questions:
            self.answers.pop(subject, None)
            for key in [k for k, (s, _) in self.questions.items() if s == subject]:
                del self.questions[key]

    def hear(
        self,
        member: str,
        revision: str | None,
        entries: Iterable[Mapping[str, Any]],
        at: int,
    ) -> None:
        """Note what the event `at` tells of journal entries, as `member` has them."""
        for entry in entries:
            key = entry["id"]
            if own := entry.get("as"):
                self.entries_as[(member, own)] = key
            if entry.get("operation") in NOT_SHARED:
                shown = Shown(entry["version"], entry["digest"], revision)
                self._hold(member, key, shown)
                continue
            new = Said.of(entry, member, revision, at)
            if (old := self.said.get(key)) is not None:
                new.first = old.first
                self._hold(old.member, key, old.shown)
            self.said[key] = new
            self.entry_ids.add(key)

    def hold(
        self, member: str, revision: str | None, entries: Iterable[Mapping[str, Any]]
    ) -> None:
        """Note that `member` was sent these entries; those are followed that have a
        version."""
        for entry in entries:
            if (version := entry.get("version")) is not None:
                held = entry.get("digest") or digest(entry["text"])
                self._hold(member, entry["id"], Shown(version, held, revision))

    def withdraw(self, message: Pending, left: Iterable[Mapping[str, Any]]) -> None:
        """Note what of a message's entries will not be sent any more, but may have
        been."""
        if not message.attempt:
            return
        kept = {entry["id"] for entry in left}
        for entry in message.entries:
            if entry.get("operation") == "update" and entry["id"] not in kept:
                said = entry.get("digest") or digest(entry["text"])
                self.withdrawn[(message.member, entry["id"])] = said

    def _hold(self, member: str, key: str, shown: Shown) -> None:
        self.withdrawn.pop((member, key), None)
        taking_part = self.links.get(member) or self.unlinked.get(member)
        if taking_part is not None:
            taking_part.entries[key] = shown

    def expect(self, message: Pending) -> None:
        """Note a message that is to be settled."""
        self.pending[message.message_id] = message

    def waiting(self, member: str) -> list[Pending]:
        """The messages to `member` that are not settled, oldest first."""
        return list(self.pending.to(member))


@lru_cache(maxsize=1024)  # each field of a change asks the same
def newer(revision: str | None, than: str | None) -> bool:
    """Whether a record revision is later than another one.

    Numbers are compared; of other revisions (ETags) only equality can be told, so any
    other one counts as later.
    """
    if revision is None or than is None:
        return True
    if _is_number(revision) and _is_number(than):
        return int(revision) > int(than)
    return revision != than


def _is_number(revision: str) -> bool:
    return revision.isascii() and revision.isdigit()


def _is_older(revision: str | None, than: str | None) -> bool:
    """Whether a revision is known to come before another one."""
    if revision is None or than is None or revision == than:
        return False
    return not newer(revision, than)
