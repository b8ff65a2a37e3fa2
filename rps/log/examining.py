"""Whether a log, or an export of it, is what was signed and what witnesses saw.

No database and no node: whoever has the lines can ask. What is wrong is told with the
first event that is; what could not be proven with what was at hand is told as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import orjson

from rps.log.chain import GENESIS, Break, Row, hash_of
from rps.log.checkpoint import Checkpoint, origin_of
from rps.log.exported import After, End, Head, Key, Proven, Selection, Unread
from rps.log.merkle import Tree, leaf_of, root_by
from rps.log.note import Note, NoteUnreadable, PublicKey, SignatureWrong
from rps.log.trust import Held, Trust, signers, trusted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.log.exported import Read

NO_WITNESS = (
    "no checkpoint from outside was given: a log that was cut at its end, or written"
    " anew with its hashes and signatures, would look like this one"
)
OWN_WORD = (
    "no key and no checkpoint from outside were given: that the signing key is this"
    " node's is the log's own word"
)
NOT_SIGNED = (
    "no signed checkpoint is about these events: the hash chain is all there is"
)
LEAVES = 4_096
SELECTED = (
    "that each of these events is in the log is proven; that no other one belongs here"
    " is not"
)


@dataclass(slots=True)
class Examined:
    """What was found. `breaks` in the order of the log; `signed_to`: the largest signed
    checkpoint that fits; `seen_to`: the largest that a witness saw and that fits. 0:
    none."""

    events: int = 0
    position: int = 0
    hash: bytes = GENESIS
    origin: str = ""
    selection: dict[str, str] | None = None
    checkpoints: int = 0
    signed_to: int = 0
    seen_to: int = 0
    keys: tuple[PublicKey, ...] = ()
    reads: dict[int, bytes] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)


class _Expected(NamedTuple):
    """A root that the log has to have at some size; `outside`: a witness says so."""

    root: bytes
    outside: bool


class Examiner:
    """Takes the items of an export, or of the log itself, in their order."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._found = Examined()
        self._keys: list[Key] = []
        self._notes: list[Note] = []
        self._expected: dict[int, list[_Expected]] = {}
        self._tree = Tree()
        self._leaves: list[bytes] = []
        """Those that the tree has yet to get: many at a time."""
        self._at_their_places = True
        """Whether roots can be compared: no event is missing or too many so far."""
        self._witnessed: set[int] = set()
        self._good = 0
        """Up to here the log is what was signed, or seen."""
        self._before = 0
        self._begun = False
        self._ended: Head | End | None = None

    def examine(self, items: Iterable[Read]) -> Examined:
        for item in items:
            if self._ended is not None:
                self._wrong(self._found.position, "there are lines after the last one")
                break
            self._take(item)
        self._begin()
        self._finish()
        self._found.breaks.sort(key=lambda each: each.position)
        return self._found

    def _take(self, item: Read) -> None:
        match item:
            case Row():
                self._event(item)
            case Proven():
                self._proven(item)
            case After():
                self._after(item)
            case Unread(line, detail):
                self._wrong(self._found.position, f"line {line}: {detail}")
                self._at_their_places = False
            case _:
                self._told(item)

    def _told(self, item: Key | Note | Selection | Head | End) -> None:
        """What is said about the events."""
        match item:
            case Key():
                self._keys.append(item)
            case Note():
                self._notes.append(item)
            case Selection(of):
                self._found.selection = of
            case Head() | End():
                self._ended = item

    def _wrong(self, position: int, detail: str) -> None:
        self._found.breaks.append(Break(position, detail))

    # --- what is expected -----------------------------------------------------------

    def _begin(self) -> None:
        """Once, before the first event: whose signatures count, and for which roots."""
        if self._begun:
            return
        self._begun = True
        trust = trusted(self._keys, self._held)
        self._found.keys = trust.keys
        for text in trust.wrong:
            self._wrong(0, text)
        unsigned = []
        for note in self._notes:
            if (said := self._read(note, outside=False)) is None:
                continue
            if self._signed(note, said, trust):
                self._found.checkpoints += 1
                self._found.signed_to = max(self._found.signed_to, said.size)
            else:
                unsigned.append(said.size)
        self._judge_unsigned(unsigned)
        for note in self._held.checkpoints:
            self._read(note, outside=True)
        if trust.on_own_word and self._keys:
            self._found.unproven.append(OWN_WORD)

    def _read(self, note: Note, *, outside: bool) -> Checkpoint | None:
        try:
            said = Checkpoint.of(note.text)
        except NoteUnreadable as error:
            self._wrong(0, f"a checkpoint cannot be read: {error}")
            return None
        self._found.origin = self._found.origin or said.origin
        if said.origin != self._found.origin:
            whose = "the checkpoint from outside" if outside else "a checkpoint"
            self._wrong(0, f"{whose} is of another log, {said.origin}")
            return None
        expected = self._expected.setdefault(said.size, [])
        expected.append(_Expected(said.root, outside))
        if outside:
            self._witnessed.add(said.size)
        if said.reads is not None:
            self._found.reads[said.reads[0]] = said.reads[1]
        return said

    def _signed(self, note: Note, said: Checkpoint, trust: Trust) -> bool:
        try:
            signed = signers(note, [*(key.public for key in self._keys), *trust.keys])
        except SignatureWrong as error:
            self._wrong(said.size, f"checkpoint of {said.size} events: {error}")
            return True  # told already
        if not signed:
            why = (
                f"the checkpoint of {said.size} events is signed by no key of this log"
            )
            self._wrong(said.size, why)
            return True
        return any(key in trust.keys for key in signed)

    def _judge_unsigned(self, sizes: list[int]) -> None:
        """Older keys may be unknown: what was signed later covers what they signed."""
        if not sizes:
            return
        if (last := max(sizes)) > self._found.signed_to:
            why = "is signed by a key that nothing you gave vouches for"
            self._wrong(last, f"the checkpoint of {last} events {why}")
        else:
            self._found.unproven.append(
                f"{len(sizes)} checkpoint(s) up to {last} events are signed by older"
                " keys that yours does not vouch for; later ones cover them"
            )

    # --- the events -----------------------------------------------------------------

    def _after(self, after: After) -> None:
        self._begin()
        self._found.position, self._found.hash = after.position, after.hash
        self._before = after.position
        try:
            self._tree = Tree.of(after.position, after.tree)
        except ValueError as error:
            self._wrong(after.position, str(error))
            self._at_their_places = False
        self._compare()

    def _event(self, row: Row) -> None:
        if not self._begun:
            self._begin()
        found, position = self._found, row.position
        found.events += 1
        if position != found.position + 1:
            self._wrong(position, f"expected position {found.position + 1}")
            self._at_their_places = False
        elif row.hash != _expected_hash(row, found.hash):
            self._wrong(position, "the event is not what was written")
        if position in self._held.hashes or position == 1:
            self._compare_hash(row)
        found.position, found.hash = position, row.hash
        if self._at_their_places:
            self._leaves.append(leaf_of(row.hash))
            if position in self._expected or len(self._leaves) == LEAVES:
                self._compare()

    def _compare_hash(self, row: Row) -> None:
        """With what somebody kept of it, and with the name of the log."""
        if self._held.hashes.get(row.position, row.hash) != row.hash:
            self._wrong(row.position, "not the hash that you kept")
        origin = self._found.origin
        if row.position == 1 and origin not in ("", origin_of(row.hash.hex())):
            self._wrong(1, f"this is not the first event of {origin}")

    def _compare(self) -> None:
        """The root as it is with those that were signed and seen for this size."""
        self._tree.extend(self._leaves)
        self._leaves.clear()
        if (size := self._tree.size) not in self._expected:
            return
        root = self._tree.root()
        wrong = [each for each in self._expected.pop(size) if each.root != root]
        if not wrong:
            self._good = size
            if size in self._witnessed:
                self._found.seen_to = size
            return
        outside = any(each.outside for each in wrong)
        good = self._found.seen_to if outside else self._good
        if any(each.position > good for each in self._found.breaks):
            return  # that is why
        who = "a witness saw" if outside else "the checkpoint was signed for"
        self._wrong(
            good + 1, f"among events {good + 1} to {size} are others than {who}"
        )

    def _proven(self, item: Proven) -> None:
        self._begin()
        row, found = item.row, self._found
        if row.position <= found.position:
            self._wrong(row.position, f"comes after event {found.position}")
        found.events += 1
        found.position, found.hash = row.position, row.hash
        if row.hash != _expected_hash(row, item.previous):
            self._wrong(row.position, "the event is not what was written")
            return
        size = found.signed_to
        root = root_by(row.position - 1, size, leaf_of(row.hash), item.proof)
        if root not in [each.root for each in self._expected.get(size, ())]:
            why = (
                f"not an event of the log that the checkpoint of {size} was signed for"
            )
            self._wrong(row.position, why)
        elif why := _strays(found.selection or {}, row):
            self._wrong(row.position, why)

    # --- after the events -----------------------------------------------------------

    def _finish(self) -> None:
        match self._ended:
            case None:
                self._wrong(self._found.position, "cut: the last line is missing")
                self._finish_log()
            case Head(position, digest):
                if (position, digest) != (self._found.position, self._found.hash):
                    at = min(position, self._found.position)
                    self._wrong(at, "the log does not end where its head says")
                self._finish_log()
            case End(events):
                if events != self._found.events:
                    why = (
                        f"{events} events were selected, {self._found.events} are here"
                    )
                    self._wrong(self._found.position, why)
                self._finish_selection()

    def _finish_log(self) -> None:
        found = self._found
        self._miss_the_end()
        found.signed_to = min(found.signed_to, self._good)
        if not found.checkpoints:
            found.unproven.append(NOT_SIGNED)
        elif found.signed_to < found.position:
            found.unproven.append(
                f"events {found.signed_to + 1} to {found.position} came after the last"
                " signed checkpoint: only the hash chain covers them"
            )
        if not self._held.checkpoints and not self._held.hashes:
            found.unproven.append(NO_WITNESS)
        elif self._held.checkpoints and found.seen_to < found.position:
            found.unproven.append(
                f"events {found.seen_to + 1} to {found.position} are not covered by a"
                " checkpoint from outside"
            )

    def _miss_the_end(self) -> None:
        """What is known of events that the log does not have any more."""
        end = self._found.position
        for size in sorted(each for each in self._expected if each > end):
            who = "a checkpoint was signed for"
            if size in self._witnessed:
                who = "a witness saw"
            self._wrong(end, f"{who} {size} events, the log ends at {end}: cut")
        for position in self._held.hashes:
            if position > end:
                why = f"you kept a hash of event {position}, the log ends at {end}: cut"
                self._wrong(end, why)
        if earlier := [each for each in self._witnessed if each < self._before]:
            self._found.unproven.append(
                f"the checkpoint from outside, of {max(earlier)} events, is about"
                " earlier events than these"
            )

    def _finish_selection(self) -> None:
        found, size = self._found, self._found.signed_to
        expected = self._expected.get(size, [])
        if len({each.root for each in expected}) > 1:
            self._wrong(size, f"a witness saw another log of {size} events")
        elif any(each.outside for each in expected):
            found.seen_to = size
        elif self._held.checkpoints:
            sizes = ", ".join(str(each) for each in self._expected if each != size)
            found.unproven.append(
                f"the proofs are of the log of {size} events, your checkpoint of"
                f" {sizes}: have them made with --at"
            )
        else:
            found.unproven.append(NO_WITNESS)
        found.unproven.append(SELECTED)


def _expected_hash(row: Row, previous: bytes) -> bytes:
    about = (row.position, row.originator_id, row.version, row.topic, row.state)
    return hash_of(previous, *about)


def _strays(of: dict[str, str], row: Row) -> str:
    """Why the event does not belong to the selection, else ""."""
    domain = of.get("domain")
    if domain is not None and orjson.loads(row.state)["domain"] != domain:
        return f"not an event of domain {domain}"
    if of.get("correlation", str(row.originator_id)) != str(row.originator_id):
        return f"not an event of correlation {of['correlation']}"
    return ""
