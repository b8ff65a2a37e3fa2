"""How far a list that grows at its end was read, so that nothing is missed.

An instance stamps a record before others can see it, and stamps have whole seconds: a
record may turn up behind where we are. It is visible `overlap` seconds later at the
latest. So each round of reading begins where we were `overlap` seconds before the round
before it began: whatever we passed too early is passed again, later than that.

Moments are seconds of our clock; positions are the instance's: (stamp, sys_id).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

THIN_SECONDS = 1.0
"""Marks are not kept closer than that."""


class Position(NamedTuple):
    stamp: str
    id: str

    @property
    def is_whole(self) -> bool:
        """Whether nothing of this second is left."""
        return self.id == WHOLE


NOWHERE = Position("", "")
WHOLE = "~"
"""Behind every sys_id."""


@dataclass(slots=True)
class Reading:
    """`marks`: where we were, when, the latest last. `before`: when the last round
    began; `began`: when the one under way did, from `start`, and it is `at`."""

    marks: list[tuple[float, Position]]
    before: float
    began: float | None = None
    start: Position = NOWHERE
    at: Position = NOWHERE

    @classmethod
    def new(cls, stamp: str, now: float) -> Self:
        """From `stamp` on."""
        return cls([(now, Position(stamp, ""))], now)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        marks = [(when, Position(*where)) for when, where in told["marks"]]
        start, at = Position(*told["start"]), Position(*told["at"])
        return cls(marks, told["before"], told["began"], start, at)

    def to_json(self) -> dict[str, Any]:
        return {
            "marks": [[when, [*where]] for when, where in self.marks],
            "before": self.before,
            "began": self.began,
            "start": [*self.start],
            "at": [*self.at],
        }

    def begin(self, now: float, overlap: float) -> None:
        """A round, unless one is under way."""
        if self.began is not None:
            return
        until = self.before - overlap
        known = [mark for mark in self.marks if mark[0] <= until]
        when, start = known[-1] if known else self.marks[0]
        is_last = bool(known) and len(known) == len(self.marks)
        if is_last and when + 1.0 <= until:
            start = Position(start.stamp, WHOLE)
        self.began, self.start, self.at = now, start, start

    def advance(self, to: Position, now: float) -> None:
        """`to` is the last that was read."""
        self.at = max(self.at, to)
        self._mark(now, THIN_SECONDS)

    def end(self, now: float, overlap: float) -> None:
        """The round has come to the list's end."""
        self._mark(now, 0.0)
        self.before, self.began = self.began or now, None
        until = self.before - overlap
        past = [mark for mark in self.marks if mark[0] <= until]
        if past:
            self.marks = [past[-1], *self.marks[len(past) :]]

    def _mark(self, now: float, apart: float) -> None:
        when, where = self.marks[-1]
        is_further = self.at > where and not self._is_same_second(where)
        if is_further and now - when >= apart:
            self.marks.append((now, self.at))

    def _is_same_second(self, where: Position) -> bool:
        """A second that is known to be whole is not more than the same one read."""
        return self.at.is_whole and self.at.stamp == where.stamp
