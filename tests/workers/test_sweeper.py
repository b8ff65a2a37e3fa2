"""The sweeper carries out what was planned and started, once, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from workplace import Record

from rps.application.operations import Operations
from rps.domain.replay import Replay
from rps.projections.lookup import Selector
from rps.workers.sweeper import Sweeper

if TYPE_CHECKING:
    from workplace import Workplace


def planned(workplace: Workplace) -> tuple[Operations, Replay]:
    operations = Operations(workplace.application, workplace.receiver.lanes)
    replay = operations.plan_replay(
        uuid4(),
        "top",
        Selector(system="zenith"),
        "restored from a backup",
        "eve",
        workplace.now(),
    )
    return operations, replay


def delivered_and_lost(workplace: Workplace) -> None:
    """Two records at zenith, which then forgets what it was told last."""
    for record in ("A1", "A2"):
        workplace.title("old", record)
        workplace.title("new", record)
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    zenith.records = {
        name: Record(held.revision, {"subject": "old"}, held.external_id)
        for name, held in zenith.records.items()
    }


def test_a_started_replay_brings_members_back_to_what_is_shared(
    workplace: Workplace,
) -> None:
    delivered_and_lost(workplace)
    operations, replay = planned(workplace)
    sweeper = Sweeper(workplace.application, workplace.now)
    assert sweeper.work() == 0  # planned is not started
    operations.start_replay("top", replay.id, "eve", workplace.now())
    assert sweeper.work() == 2
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    assert [r.fields["subject"] for r in zenith.records.values()] == ["new", "new"]
    found = workplace.application.find(Replay, replay.id)
    assert found is not None
    assert (found.state, found.sent) == ("completed", 2)


def test_a_replay_is_carried_out_once_however_often_it_is_swept(
    workplace: Workplace,
) -> None:
    delivered_and_lost(workplace)
    operations, replay = planned(workplace)
    operations.start_replay("top", replay.id, "eve", workplace.now())
    assert Sweeper(workplace.application, workplace.now).work() == 2
    assert Sweeper(workplace.application, workplace.now).work() == 0
    found = operations.replay("top", replay.id)
    again = [
        operations.replay_lane(found, lane, workplace.now()) for lane in found.lanes
    ]
    assert again == [False, False]
    assert workplace.ask(
        "SELECT count(*) FROM outbound_queue WHERE replay_id IS NOT NULL"
    ) == [(2,)]


def test_a_cancelled_replay_sends_no_more(workplace: Workplace) -> None:
    delivered_and_lost(workplace)
    operations, replay = planned(workplace)
    operations.start_replay("top", replay.id, "eve", workplace.now())
    Sweeper(workplace.application, workplace.now).work()
    operations_state = operations.replay("top", replay.id).state
    assert operations_state == "completed"
    operations, replay = planned(workplace)
    operations.start_replay("top", replay.id, "eve", workplace.now())
    operations.cancel_replay("top", replay.id, "wrong system", "eve", workplace.now())
    assert Sweeper(workplace.application, workplace.now).work() == 0
    assert operations.replay("top", replay.id).state == "cancelled"
