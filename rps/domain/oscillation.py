"""Telling a loop from people at work: a field that two sides keep changing in answer to
each other, as an automation in each system would without end.

Only changes that answer another member's count: one member may change its own value as
often as it likes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rps.domain.state import PAST_MAX, Past, mark

if TYPE_CHECKING:
    from rps.domain.state import Shared

WINDOW_SECONDS = 600.0
RETURNS_MAX = 3
"""Times that a field may come back to a value of its last four within the window."""

AHEAD = 4
ANSWERS_MAX = PAST_MAX
"""Times that members may answer each other's changes of a field within the window."""


def oscillates(current: Shared, value: Any, member: str, at: float) -> bool:
    """Whether `member` setting the field to `value` now would go on with a loop."""
    if current.origin == member:
        return False  # no answer to anybody
    past = (*current.past, Past(mark(value), at, member))
    answers = returns = 0
    for index, (before, each) in enumerate(pairwise(past), 1):
        if each.origin == before.origin or at - each.at > WINDOW_SECONDS:
            continue
        answers += 1
        if any(each.mark == p.mark for p in past[max(0, index - AHEAD) : index]):
            returns += 1
    return returns >= RETURNS_MAX or answers >= ANSWERS_MAX
