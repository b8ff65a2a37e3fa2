"""One schedule on a real node: people, and the systems and the network between."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from simulated_people import MEMBERS, People

from rps.domain.delivery import (
    Capabilities,
    Delivered,
    Exchange,
    Found,
    Snapshot,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from simulated_remote import Remote

    from rps.domain.delivery import Outcome, Reading, Settlement, Write

Keep = Literal["mine", "theirs", "other"]


Told = list[tuple["Story", dict[str, Any]]]
"""Changes as they are reported, each with whose they are."""


class Killed(BaseException):
    """The deliverer's process ends here."""


class Story(People):
    """What happens to one record, of which `capture` tells the node. Workers' threads
    come in here too. `is_calm`: the network behaves and nobody does anything more."""

    capture: Callable[[Told], None]
    node: Any
    """What came of it, as checks ask for it."""

    def __init__(self, grade: str, number: int, **what: bool) -> None:
        super().__init__(grade, number, number=number, **what)
        self._lock = threading.RLock()
        self.is_calm = False
        self.problems: list[str] = []
        self.correlations: set[UUID] = set()
        self.deliveries: Counter[str] = Counter()
        self.backlog: Counter[str] = Counter()
        self.tells = {name: self._draw() < 0.6 for name in self.remotes}
        """Whether a system knows which shared record one of its own is."""
        self.external: dict[str, str] = {}

    def _draw(self) -> float:
        return self.random.random()

    def step(self, seconds: int) -> Told:
        """Somebody does something, or it is reported: what of it comes in."""
        with self._lock:
            self.seconds = seconds
            remote = self.remotes[self.random.choice(MEMBERS)]
            draw = self._draw()
            if draw < 0.4:
                self.user(remote)
            elif draw < 0.95:
                return self._hook(remote)
            elif remote.record is not None:
                return self._told([remote.shown()])
            return []

    def _hook(self, remote: Remote) -> Told:
        """A report comes in, out of order, twice, or never."""
        if not remote.hooks:
            return []
        index = self.random.randrange(len(remote.hooks))
        fate, hook = self._draw(), remote.hooks[index]
        opens = not self.correlations
        if fate < 0.9 or opens:
            del remote.hooks[index]
        return self._told([hook]) if fate > 0.08 or opens else []

    def _told(self, changes: Sequence[dict[str, Any]]) -> Told:
        """A report stays as it is, however often it comes."""
        for change in changes:
            name = change["member"]
            known = self.external.get(name, "") if self.tells[name] else None
            change.setdefault("external_id", known)
        return [(self, change) for change in changes]

    def report(self, seconds: int) -> Told:
        """All that is to be reported, in any order."""
        with self._lock:
            self.seconds = seconds
            hooks = [h for r in self.remotes.values() for h in r.hooks]
            for remote in self.remotes.values():
                remote.hooks.clear()
            self.random.shuffle(hooks)
            return self._told(hooks)

    def tell_all(self, seconds: int) -> Told:
        """Every record is read once more."""
        with self._lock:
            self.seconds = seconds
            there = [r for r in self.remotes.values() if r.record is not None]
            return self._told([remote.shown() for remote in there])

    def decision(self, field: str) -> tuple[Keep, Any]:
        keeps: tuple[Keep, ...] = ("mine", "theirs", "other")
        keep = self.random.choice(keeps)
        other = ["w"] if field == "tags" else self.random.choice("pqr")
        return keep, other if keep == "other" else None

    # --- what workers ask for -------------------------------------------------------

    def write(self, name: str, write: Write) -> Outcome:
        with self._lock:
            remote = self.remotes[name]
            self.deliveries[name] += 1
            draw = 1.0 if self.is_calm else self._draw()
            if draw < 0.1:
                return Uncertain("no answer")
            if draw < 0.16:
                return Unavailable("busy", None, Exchange("", 503, "", 0.0))
            if draw < 0.165:
                raise Killed
            self._meanwhile(remote)
            answer = remote.write(write)
            self.external[name] = write.correlation_id
            self._meanwhile(remote)
            if not self.is_calm and (draw := self._draw()) < 0.15:
                if draw < 0.01:
                    raise Killed
                return Uncertain("no answer")
            return answer

    def _meanwhile(self, remote: Remote) -> None:
        """Nobody waits for us."""
        if self.is_calm:
            return
        draw = self._draw()
        if draw < 0.15:
            self.user(remote)
        elif draw < 0.3:
            self.capture(self._hook(remote))

    def settle(self, name: str, write: Write) -> Settlement:
        with self._lock:
            remote = self.remotes[name]
            settlement = remote.settle(write)
            if remote.dedupes or not isinstance(settlement, Delivered):
                return settlement
            told = settlement.record_id, settlement.revision, settlement.stored
            return Found(Snapshot(*told))

    def read(self, name: str) -> Reading:
        with self._lock:
            return self.remotes[name].read()


class Site:
    """The connector to one system, which has a record in each schedule."""

    def __init__(
        self,
        name: str,
        grade: str,
        story: Callable[[str], Story],
        together: dict[str, int],
    ) -> None:
        self.capabilities = Capabilities(
            dedupe=grade in "AC",
            conditional_write=grade in "AB",
            read_back=True,
            **together,
        )
        self._name, self._story = name, story
        self.records: dict[str, Story] = {}

    def write(self, write: Write) -> Outcome:
        return self._story(write.correlation_id).write(self._name, write)

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        for place, write in enumerate(writes):
            yield [(place, self.write(write))]

    def settle(self, write: Write) -> Settlement:
        return self._story(write.correlation_id).settle(self._name, write)

    def read(self, _table: str, record_id: str) -> Reading:
        return self.records[record_id].read(self._name)

    def check(self) -> tuple[bool, str]:
        return True, ""
