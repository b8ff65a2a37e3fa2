"""What differs between two definition documents, place by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rps.domain.problem import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Difference:
    """`before` and `after` are None where there is nothing."""

    kind: Literal["added", "removed", "changed"]
    place: str
    before: Any = None
    after: Any = None


def differences(before: object, after: object, place: str = "") -> Iterator[Difference]:
    """Mappings are compared key by key, everything else as a whole; in the order of
    `before`, then what is new."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            yield Difference("changed", place, before, after)
        return
    for key, value in before.items():
        at = place + pointer(key)
        if key in after:
            yield from differences(value, after[key], at)
        else:
            yield Difference("removed", at, value)
    for key, value in after.items():
        if key not in before:
            yield Difference("added", place + pointer(key), None, value)
