"""The simulation of linked nodes finds each of these faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from test_linked_convergence import run

from rps.domain import between_nodes
from rps.domain.correlation import Correlation

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULES = 60
"""At most; a rare fault begins near a seed that shows it."""

Patch = pytest.MonkeyPatch


def _without(patch: Patch, reason: str) -> None:
    right = between_nodes.objection

    def lenient(state: Any, captured: Any) -> str:
        objection = right(state, captured)
        return "" if objection.startswith(reason) else objection

    patch.setattr(between_nodes, "objection", lenient)


def no_version_asked_for(patch: Patch) -> None:
    _without(patch, between_nodes.MOVED_ON)


def no_one_way(patch: Patch) -> None:
    _without(patch, between_nodes.ELSEWHERE)


def both_decide(patch: Patch) -> None:
    """What the deciding node wrote is merged, not obeyed."""
    right = Correlation._decide

    def decide(self: Any, case: Any, seen: Any, entries: Any) -> None:
        vars(case.captured)["if_match"] = None
        right(self, case, seen, entries)

    patch.setattr(Correlation, "_decide", decide)


def each_waits_for_the_other(patch: Patch) -> None:
    patch.setattr(between_nodes, "is_judged_at_once", lambda _captured: False)


def no_exception_for_entries_of_nodes(patch: Patch) -> None:
    right = Correlation._new_entries

    def doubting(self: Any, case: Any) -> Any:
        vars(case.captured)["source"] = "api"
        return right(self, case)

    patch.setattr(Correlation, "_new_entries", doubting)


TEETH = [
    (no_version_asked_for, "A", "pair", 0),
    (no_one_way, "A", "triangle", 0),
    (both_decide, "A", "pair", 0),
    (each_waits_for_the_other, "A", "pair", 0),
    (no_exception_for_entries_of_nodes, "A", "pair", 0),
]


@pytest.mark.parametrize(
    ("fault", "grade", "shape", "first"),
    TEETH,
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_the_simulation_of_linked_nodes_finds(
    fault: Callable[[Patch], None],
    grade: str,
    shape: str,
    first: int,
    monkeypatch: Patch,
) -> None:
    fault(monkeypatch)
    with pytest.raises((AssertionError, LookupError, TypeError)):
        run_all(grade, shape, first)


def run_all(grade: str, shape: str, first: int) -> None:
    for seed in range(first, first + SCHEDULES):
        run(grade, seed, shape)
