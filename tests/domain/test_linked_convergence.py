"""Linked nodes come to agree, and no user's edit disappears unrecorded."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest
from linked_checks import checked
from linked_simulation import LinkedSimulation, Result

log = logging.getLogger(__name__)

SCHEDULES = int(os.environ.get("RPS_LINKED_SCHEDULES", "1000")) // 20
"""For each kind of desk: of two nodes three times as many as of three in a chain, and
as many of three in a ring."""
SHAPES = [("pair", 3), ("chain", 1), ("triangle", 1)]

FOUND = [
    # What a node merely knew of another one's record, from before it was taken there,
    # passed for a link: the record came by a second way and went round in the ring.
    ("A", 102, "triangle", False),
    ("C", 24, "triangle", False),
    # After a record that came here another way, its deletion was refused instead of
    # left alone, and a person had to look.
    ("A", 1035, "triangle", True),
    ("C", 1015, "triangle", True),
]


def run(grade: str, seed: int, shape: str, **what: Any) -> Result:
    """Run one schedule; whatever goes wrong names the seed."""
    try:
        result = checked(LinkedSimulation(grade, seed, shape, **what))
    except Exception as error:
        error.add_note(f"LinkedSimulation({grade!r}, {seed}, {shape!r}, **{what})")
        raise
    if grade in "AB" and (result.lost or result.late):
        result.problems.append(f"{result.lost} lost, {result.late} late")
    assert not result.problems, f"{grade} {seed} {shape} {what}: {result.problems}"
    return result


@pytest.mark.parametrize(("shape", "times"), SHAPES)
@pytest.mark.parametrize("grade", "ABCD")
def test_linked_nodes_agree(grade: str, shape: str, times: int) -> None:
    results = [run(grade, seed, shape) for seed in range(times * SCHEDULES)]
    edits = sum(result.edits for result in results)
    log.info(
        "%s %s: %d schedules, %d edits, %d late, %d lost, %d conflicts, %d messages",
        grade,
        shape,
        len(results),
        edits,
        sum(result.late for result in results),
        sum(result.lost for result in results),
        sum(result.conflicts for result in results),
        sum(result.messages for result in results),
    )
    assert edits > 5 * len(results)


@pytest.mark.parametrize(("shape", "times"), SHAPES)
@pytest.mark.parametrize("grade", "ABCD")
def test_linked_nodes_agree_where_records_are_deleted(
    grade: str, shape: str, times: int
) -> None:
    for seed in range(times * SCHEDULES // 5):
        run(grade, seed, shape, deletes=True)


@pytest.mark.parametrize(("shape", "times"), SHAPES)
@pytest.mark.parametrize("decides", [True, False])
@pytest.mark.parametrize("grade", "AD")
def test_linked_nodes_agree_but_for_what_is_left_to_people(
    grade: str, decides: bool, shape: str, times: int
) -> None:
    for seed in range(times * SCHEDULES // 5):
        run(grade, seed, shape, manual=True, decides=decides)


@pytest.mark.parametrize(("grade", "seed", "shape", "deletes"), FOUND)
def test_what_went_wrong_once_between_nodes_is_right(
    grade: str, seed: int, shape: str, deletes: bool
) -> None:
    run(grade, seed, shape, deletes=deletes)
