"""Two edits of one text, put together line by line (diff3).

Source: Khanna, Kunal, Pierce: A Formal Investigation of Diff3 (2007). Where both only
added lines at one place, both are kept, ours first.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LINES_MAX = 1_000
"""Of each text: comparing takes time that grows with the square of this."""


class _Stretch(NamedTuple):
    """Lines that all three have: where they begin in each, and how many they are."""

    base: int
    mine: int
    theirs: int
    length: int

    @property
    def end(self) -> _Stretch:
        """What comes right behind it, of no length."""
        length = self.length
        return _Stretch(self.base + length, self.mine + length, self.theirs + length, 0)


def merged_text(base: str, mine: str, theirs: str) -> str | None:
    """Both edits of `base`; None where they changed the same lines."""
    texts = [text.split("\n") for text in (base, mine, theirs)]
    if max(map(len, texts)) > LINES_MAX:
        return None
    old, left, right = texts
    merged: list[str] = []
    at = _Stretch(0, 0, 0, 0)
    for common in _common(old, left, right):
        between = _either(
            old[at.base : common.base],
            left[at.mine : common.mine],
            right[at.theirs : common.theirs],
        )
        if between is None:
            return None
        merged += between
        merged += old[common.base : common.base + common.length]
        at = common.end
    return "\n".join(merged)


def _either(
    old: Sequence[str], left: Sequence[str], right: Sequence[str]
) -> Sequence[str] | None:
    """What stands between two stretches that all have; None where both changed it."""
    if left in (right, old):
        return right
    if right == old:
        return left
    return None if old else [*left, *right]


def _common(
    old: Sequence[str], left: Sequence[str], right: Sequence[str]
) -> Iterator[_Stretch]:
    """What all three have, in order; an empty stretch at their ends comes last."""
    ours = SequenceMatcher(None, old, left, autojunk=False).get_matching_blocks()
    others = SequenceMatcher(None, old, right, autojunk=False).get_matching_blocks()
    i = j = 0
    while i < len(ours) and j < len(others):
        mine, theirs = ours[i], others[j]
        start = max(mine.a, theirs.a)
        end = min(mine.a + mine.size, theirs.a + theirs.size)
        if start < end:
            yield _Stretch(
                start,
                mine.b + start - mine.a,
                theirs.b + start - theirs.a,
                end - start,
            )
        if mine.a + mine.size < theirs.a + theirs.size:
            i += 1
        else:
            j += 1
    yield _Stretch(len(old), len(left), len(right), 0)
