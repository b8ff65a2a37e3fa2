"""Many lanes in one request: order is each lane's own, and so is what fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from workplace import DOWN, LOST, Tracker

from rps.domain.delivery import Capabilities, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workplace import Workplace

    from rps.domain.delivery import Outcome, Write

RECORDS = [f"A{number}" for number in range(20)]


class BatchTracker(Tracker):
    """Takes up to ten writes in a request; `cut` loses the answer of a request after
    so many of its writes were carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(
            dedupe=True, conditional_write=True, read_back=True, batch=10
        )
        self.requests: list[list[Write]] = []
        self.cut: int | None = None

    def write_many(
        self, writes: Sequence[Write]
    ) -> Iterator[list[tuple[int, Outcome]]]:
        self.requests.append(list(writes))
        if self.cut is not None:
            for write in writes[: self.cut]:
                self.write(write)
            yield [(place, LOST) for place in range(len(writes))]
        else:
            yield [(place, self.write(write)) for place, write in enumerate(writes)]


@pytest.fixture
def zenith(workplace: Workplace) -> BatchTracker:
    made = BatchTracker()
    workplace.trackers["zenith"] = made
    return made


def fill(workplace: Workplace, number: int) -> None:
    for record in RECORDS:
        workplace.title(f"{record} {number:02}", record)


def subjects(zenith: Tracker) -> list[str]:
    return [write.fields["subject"] for write in zenith.applied]


def test_a_request_carries_many_lanes_and_each_keeps_its_order(
    workplace: Workplace, zenith: BatchTracker
) -> None:
    for number in range(8):
        fill(workplace, number)
    workplace.settle()
    sent = subjects(zenith)
    for record in RECORDS:
        mine = [subject for subject in sent if subject.split()[0] == record]
        assert mine == [f"{record} {number:02}" for number in range(8)]
    assert max(map(len, zenith.requests)) == 10
    assert sum(map(len, zenith.requests)) > len(sent) // 2
    for request in zenith.requests:
        lanes = [write.correlation_id for write in request]
        assert len(lanes) == len(set(lanes))


def test_a_message_that_is_refused_holds_up_its_own_lane_only(
    workplace: Workplace, zenith: BatchTracker
) -> None:
    zenith.before = lambda write: (
        Refused("no") if write.fields["subject"] == "A7 00" else None
    )
    fill(workplace, 0)
    fill(workplace, 1)
    workplace.settle()
    assert len(zenith.applied) == 38
    assert not [subject for subject in subjects(zenith) if subject.startswith("A7 ")]
    waiting = [row for row in workplace.messages() if row[0] != "processed"]
    assert waiting == [("error", 1, "no"), ("ready", 0, "")]


def test_a_request_that_is_cut_is_settled_without_a_second_effect(
    workplace: Workplace, zenith: BatchTracker
) -> None:
    fill(workplace, 0)
    workplace.settle()
    fill(workplace, 1)
    workplace.receive()
    zenith.cut = 4
    workplace.deliver()
    assert "uncertain" in {row[0] for row in workplace.messages()}
    zenith.cut = None
    for _ in range(5):
        workplace.make_due()
        workplace.end_pause_of_breakers()
        workplace.settle()
    assert {row[0] for row in workplace.messages()} == {"processed"}
    assert sorted(subjects(zenith)) == sorted(
        f"{record} {number:02}" for record in RECORDS for number in range(2)
    )
    ids = [write.delivery_id for write in zenith.applied]
    assert len(ids) == len(set(ids))


def test_a_system_that_is_down_gets_no_more_than_what_was_under_way(
    workplace: Workplace, zenith: BatchTracker
) -> None:
    """Lanes held ahead of their turn are given back when the breaker opens."""
    zenith.before = lambda _write: DOWN
    for number in range(100):
        workplace.title("t", f"A{number}")
    workplace.receive()
    workplace.deliver()
    attempts = sum(row[1] for row in workplace.messages())
    assert 10 <= attempts <= 60
    assert workplace.ask("SELECT count(*) FROM lanes WHERE holder IS NOT NULL") == [
        (0,)
    ]
    workplace.ask("UPDATE breakers SET open_until = now() + interval '1 hour'")
    workplace.make_due()
    assert workplace.deliver() == 0


def test_what_was_held_ahead_is_given_back_at_the_end(
    workplace: Workplace, zenith: BatchTracker
) -> None:
    fill(workplace, 0)
    workplace.settle()
    fill(workplace, 1)
    workplace.receive()
    ending = workplace.new_deliverer()

    def end(_write: Write) -> None:
        ending._closing = True

    zenith.before = end
    ending.work()
    ending.close()
    assert workplace.ask("SELECT count(*) FROM lanes WHERE holder IS NOT NULL") == [
        (0,)
    ]
    workplace.settle()
    assert {row[0] for row in workplace.messages()} == {"processed"}
