"""All copies come to agree, and no user's edit disappears unrecorded."""

from __future__ import annotations

import logging
import os

import pytest
from simulation import DELIVERIES_MAX, Result, Simulation
from simulation_checks import checked

log = logging.getLogger(__name__)

SCHEDULES = int(os.environ.get("RPS_SCHEDULES", "10000")) // 4
"""For each of the four kinds of remote system."""

FOUND = [
    # A whole record that was read, in which a field has no value yet, was not taken for
    # whole: the message that waited for it was revised without end.
    ("A", 1, False),
    # A create whose answer was lost was sent again over what a user had typed since.
    ("B", 9, False),
    # The message that told the sender its merged value was given up in the very
    # judgement that made it; only a later sighting of the record mended that.
    ("D", 2095, False),
    # A message settled by reading was credited at no revision, so an older reading that
    # was judged after it passed for a user's edit.
    ("D", 299, False),
    # A field of a create that was settled by reading was not credited where a user had
    # changed it, so the create's own echo passed for an edit.
    ("B", 1840, False),
]


def run(grade: str, seed: int, **what: bool) -> Result:
    """Run one schedule; whatever goes wrong names the seed."""
    try:
        result = checked(Simulation(grade, seed, **what))
    except Exception as error:
        error.add_note(f"Simulation({grade!r}, {seed}, **{what})")
        raise
    if grade in "AB" and (result.lost or result.late):
        result.problems.append(f"{result.lost} lost, {result.late} late")
    assert not result.problems, f"{grade} {seed} {what}: {result.problems}"
    assert result.deliveries <= DELIVERIES_MAX
    return result


@pytest.mark.parametrize("grade", "ABCD")
def test_copies_agree_and_conditional_writes_lose_no_edit(grade: str) -> None:
    results = [run(grade, seed) for seed in range(SCHEDULES)]
    edits = sum(result.edits for result in results)
    late = sum(result.late for result in results)
    lost = sum(result.lost for result in results)
    log.info(
        "%s: %d schedules, %d edits, %d late, %d lost",
        grade,
        len(results),
        edits,
        late,
        lost,
    )
    assert edits > 5 * len(results)


@pytest.mark.parametrize("grade", "ABCD")
def test_copies_agree_where_records_are_deleted(grade: str) -> None:
    for seed in range(SCHEDULES // 10):
        run(grade, seed, deletes=True)


@pytest.mark.parametrize(("grade", "seed", "deletes"), FOUND)
def test_what_went_wrong_once_is_right(grade: str, seed: int, deletes: bool) -> None:
    run(grade, seed, deletes=deletes)


@pytest.mark.parametrize("grade", "ABCD")
def test_copies_agree_once_people_have_decided_what_is_left_to_them(grade: str) -> None:
    results = [run(grade, seed, manual=True) for seed in range(SCHEDULES // 5)]
    assert sum(result.edits for result in results) > 5 * len(results)


@pytest.mark.parametrize("grade", "ABCD")
def test_copies_agree_where_members_want_the_latest_only(grade: str) -> None:
    for seed in range(SCHEDULES // 5):
        run(grade, seed, latest=True)
    for seed in range(SCHEDULES // 20):
        run(grade, seed, latest=True, deletes=True)


@pytest.mark.parametrize("grade", "ABCD")
def test_entries_come_to_say_the_same_however_they_are_edited(grade: str) -> None:
    results = [run(grade, seed, edits=True) for seed in range(SCHEDULES // 4)]
    assert sum(result.edits for result in results) > 5 * len(results)
    for seed in range(SCHEDULES // 20):
        run(grade, seed, edits=True, deletes=True)
        run(grade, seed, edits=True, latest=True)
