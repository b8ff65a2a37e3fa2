"""The schedules of the domain's tests on a node as it is: copies come to agree, and no
user's edit disappears unrecorded, however often the deliverer is killed."""

from __future__ import annotations

import logging
import os

import pytest
from engine import Engine, told
from logs import opened
from simulation import DELIVERIES_MAX, Result
from simulation_checks import look_over
from story import Story

from rps.log.chain import verify
from rps.projections.inline import VIEWS
from rps.projections.rebuild import Rebuild

log = logging.getLogger(__name__)

SCHEDULES = int(os.environ.get("RPS_ENGINE_SCHEDULES", "160")) // 4
"""For each of the four classes of remote system."""
ABREAST = 50
KINDS: list[dict[str, bool]] = [
    {},
    {},
    {"deletes": True},
    {"manual": True},
    {"latest": True},
    {"latest": True, "deletes": True},
    {"edits": True},
    {"edits": True, "latest": True},
]
"""Of every eight schedules, one goes by each of these."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("grade", "ABCD")
def test_copies_agree_and_no_edit_is_lost_by_real_workers(
    database: str, grade: str
) -> None:
    engine = Engine(database, grade)
    total = Result()
    try:
        for first in range(1, SCHEDULES + 1, ABREAST):
            numbers = range(first, min(first + ABREAST, SCHEDULES + 1))
            stories = [
                Story(grade, number, **KINDS[number % len(KINDS)]) for number in numbers
            ]
            engine.run(stories)
            for story in stories:
                _add(total, _checked(story))
    finally:
        engine.close()
    log.info(
        "%s: %d schedules, %d edits, %d late, %d lost, the deliverer killed %d times",
        *(grade, SCHEDULES, total.edits, total.late, total.lost, engine.deaths),
    )
    assert total.edits > 5 * SCHEDULES
    if grade in "AB":
        assert (total.lost, total.late) == (0, 0)
    with opened(database, role="") as owner:  # as who may rebuild them
        assert verify(owner.read(0, 10_000_000), head=owner.head()).breaks == ()
        assert Rebuild(owner, owner.mapper).compare(VIEWS) == []


def _checked(story: Story) -> Result:
    result = Result(list(story.problems))
    look_over(story, result)  # type: ignore[arg-type]
    if story.grade in "CD":
        # A write that took effect unknown to us, over an edit that came before it, is
        # told from another edit only by who writes conditionally.
        result.problems = [p for p in result.problems if "nobody typed" not in p]
    for name, written in story.deliveries.items():
        if written - story.backlog[name] > DELIVERIES_MAX:
            result.problems.append(f"{name} is written to again and again")
    if story.grade in "AB" and (result.lost or result.late):
        result.problems.append(f"{result.lost} lost, {result.late} late")
    who = f"{story.grade} {story.remotes['a'].number} {story.rules}"
    assert not result.problems, "\n".join([who, *result.problems, *told(story)])
    return result


def _add(total: Result, one: Result) -> None:
    total.edits += one.edits
    total.late += one.late
    total.lost += one.lost
