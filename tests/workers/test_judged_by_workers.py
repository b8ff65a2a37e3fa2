"""What real workers judged, judged again from the log alone, comes out the same."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from engine import Engine
from story import Story

from rps.domain.judgements import Judgement, judgements, same
from rps.domain.logged import find, made_in
from rps.domain.trace import deliveries_shown

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

SCHEDULES = int(os.environ.get("RPS_ENGINE_SCHEDULES", "60")) // 3
KINDS: list[dict[str, bool]] = [
    {},
    {"deletes": True},
    {"manual": True},
    {"latest": True},
    {"edits": True},
]
CORRELATIONS = """
SELECT DISTINCT originator_id FROM rps_events WHERE topic = 'change.captured'
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("grade", "ABC")
def test_a_nodes_log_judged_again_says_what_it_said(database: str, grade: str) -> None:
    engine = Engine(database, grade)
    try:
        engine.run(
            [
                Story(grade, number, **KINDS[number % len(KINDS)])
                for number in range(1, SCHEDULES + 1)
            ]
        )
        found = list(_judged(engine))
        attempts = list(_attempts(engine))
    finally:
        engine.close()
    other = [told for told in found if told]
    log.info("%s: %d judgements, %d others", grade, len(found), len(other))
    assert len(found) > 10 * SCHEDULES
    assert other == []
    assert len(attempts) > 5 * SCHEDULES
    assert all(each["as_sent"] for each in attempts)


def _judged(engine: Engine) -> Iterator[str]:
    """Of each judgement in the log: what came out otherwise, if anything."""
    revisions = engine.application.configuration.refresh().revisions
    for (key,) in engine.ask(CORRELATIONS):
        for each in judgements(_stream(engine, key)):
            definition = revisions[UUID(each.captured.definition)][1]
            again = each.again(definition, 1)
            yield "" if same(again, each.events) else _told(each, again)


def _attempts(engine: Engine) -> Iterator[dict[str, Any]]:
    """Every attempt in the log, as the execution of its message shows it."""
    revisions = engine.application.configuration.refresh().revisions
    for (key,) in engine.ask(CORRELATIONS):
        log = _stream(engine, key)
        for message_id in [m["message_id"] for _, e in log for m in made_in(e)]:
            traced = find(partial(list, log), message_id)
            assert traced is not None
            definitions = revisions[UUID(vars(traced.made_by)["definition"])]
            stream = partial(list, log)
            for each in deliveries_shown(traced, stream, definitions.__getitem__):
                yield from each["attempts"]


def _stream(engine: Engine, key: UUID) -> list[tuple[int, object]]:
    stored = engine.application.recorder.streams({key: 0})
    mapper = engine.application.event_mapper
    return [(each.id, mapper.to_domain_event(each)) for each in stored]


def _told(each: Judgement, again: list[object]) -> str:
    recorded = [f"{e.TOPIC} {vars(e)}" for e in each.events]
    recomputed = [f"{e.TOPIC} {vars(e)}" for e in again]
    return "\n".join(["", str(each.before.id), *recorded, "--", *recomputed])
