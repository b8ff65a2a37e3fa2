"""What was judged, judged again from the log alone, comes out the same."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from linked_simulation import LinkedSimulation
from shared_record import definition, shared
from simulation import Simulation

from rps.domain import events
from rps.domain.branching import branched
from rps.domain.judgements import Judgement, _Reading, judgements, same

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEDULES = int(os.environ.get("RPS_SCHEDULES", "10000")) // 400
KINDS: list[dict[str, bool]] = [
    {},
    {"deletes": True},
    {"manual": True},
    {"latest": True},
    {"edits": True},
    {"edits": True, "deletes": True},
    {"latest": True, "deletes": True},
]
OF_JUDGEMENTS = (
    events.ChangeAccepted,
    events.ChangeIgnored,
    events.ChangeFailed,
    events.CorrelationOpened,
    events.ConflictOpened,
    events.ConflictRecorded,
)


def read(log: Iterable[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(log, 1))


def look_over(log: list[Any], definition_: Any) -> int:
    """Judge all of it again; how much there was to judge."""
    seen: set[int] = set()
    count = 0
    for each in judgements(read(log)):
        count += 1
        seen.update(event.originator_version for event in each.events)
        again = each.again(definition_, 1)
        assert same(again, each.events), (each.events, again)
    left = [
        event
        for event in log
        if isinstance(event, OF_JUDGEMENTS) and event.originator_version not in seen
    ]
    assert left == []
    return count


@pytest.mark.parametrize("what", KINDS, ids=lambda what: "-".join(what) or "plain")
@pytest.mark.parametrize("grade", "ABCD")
def test_every_judgement_of_a_history_comes_out_as_recorded(
    grade: str, what: dict[str, bool]
) -> None:
    count = 0
    for seed in range(SCHEDULES):
        simulation = Simulation(grade, seed, **what)
        simulation.run()
        count += look_over(simulation.node.log, simulation.definition)
    assert count > 15 * SCHEDULES


@pytest.mark.parametrize("shape", ["pair", "chain", "triangle"])
@pytest.mark.parametrize("grade", "AD")
def test_every_judgement_between_nodes_comes_out_as_recorded(
    grade: str, shape: str
) -> None:
    count = 0
    for seed in range(SCHEDULES // 3):
        for what in KINDS[:3]:
            simulation = LinkedSimulation(grade, seed, shape, **what)
            simulation.run()
            for node in simulation.nodes.values():
                count += look_over(node.log, node.definition)
    assert count > 10 * SCHEDULES


def state_of(correlation: Any) -> dict[str, Any]:
    return deepcopy(vars(correlation))


def test_what_happens_to_a_branch_leaves_its_correlation_as_it_is() -> None:
    simulation = Simulation("D", 7, edits=True, deletes=True)
    simulation.run()
    log = simulation.node.log
    looked_at = 0
    for each in judgements(read(log)):
        before = state_of(each.before)
        branch = branched(each.before)
        assert vars(branch) == before
        for event in log[each.events[0].originator_version - 1 :]:
            event.mutate(branch)
        assert vars(each.before) == before
        looked_at += 1
    assert looked_at > 10


def test_a_branch_has_nothing_of_what_was_not_collected_yet() -> None:
    record = shared()
    record.record.deactivate("over", "anna", record.now)

    assert branched(record.record).collect_events() == []
    assert len(list(record.record.collect_events())) == 1


def test_a_conflict_that_settles_itself_is_of_the_judgement_that_settled_it() -> None:
    record = shared(definition("manual"))
    record.shows("a", 2, state="one")
    record.shows("b", 2, state="two")
    stream = Stream(record)
    stream.shows("b", 3, state="one")

    (judgement,) = stream.judgements()
    assert isinstance(judgement.events[-1], events.ConflictResolved)
    assert same(judgement.again(record.definition, 1), judgement.events)


class Stream:
    """What happens to a record from now on, read behind all that was before."""

    def __init__(self, record: Any) -> None:
        self.record, self.before = record, branched(record.record)
        self.happened: list[Any] = []

    def shows(self, member: str, revision: int, **more: Any) -> None:
        self.record.shows(member, revision, **more)
        vars(self.record.captured)["sequence"] = self.record.sequence
        self.happened += [self.record.captured, *self.record.followed]

    def judgements(self) -> list[Judgement]:
        reading = _Reading()
        reading._correlation = self.before
        return [each.kept() for each in reading.read(enumerate(self.happened, 1))]


def test_events_that_tell_a_judgement_nothing_may_be_left_out() -> None:
    simulation = Simulation("B", 3, edits=True)
    simulation.run()
    stream = [
        (position, event)
        for position, event in read(simulation.node.log)
        if not isinstance(event, events.MessageTransmitted)
    ]
    for each in judgements(stream):
        assert same(each.again(simulation.definition, 1), each.events)


def test_a_move_is_no_judgement() -> None:
    record = shared()
    record.shows("a", 2, title="other")
    captured = record.captured.moved_to(record.record.id, 1, 9)
    moved: Any = events.ChangeIgnored(  # type: ignore[call-arg]
        originator_id=captured.originator_id,
        originator_version=2,
        timestamp=record.now,
        domain="top",
        definition=captured.definition,
        sequence=9,
        change_id=captured.change_id,
        member="a",
        record_id="a-1",
        record_revision="2",
        reason=f"moved to {record.record.id}",
        bases={},
        agreed={},
    )
    assert list(judgements([(9, captured), (10, moved)])) == []


def test_a_judgement_kept_stays_as_it_was() -> None:
    simulation = Simulation("A", 5)
    simulation.run()
    kept: list[tuple[Judgement, dict[str, Any]]] = [
        (each.kept(), state_of(each.before))
        for each in judgements(read(simulation.node.log))
    ]
    assert len(kept) > 5
    assert all(vars(each.before) == before for each, before in kept)
