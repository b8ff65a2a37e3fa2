"""Lanes wait for their turn: as many at a time as their system takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from rps.domain.delivery import Capabilities
from rps.workers.turns import BATCHES, Turns

ONE = Capabilities(dedupe=True, conditional_write=True, read_back=True)
ABREAST = Capabilities(dedupe=True, conditional_write=True, read_back=True, abreast=4)
BATCHING = Capabilities(dedupe=True, conditional_write=True, read_back=True, batch=10)
KEY, OTHER = ("top", "acme"), ("top", "zenith")


@dataclass
class Waiting:
    """As much of a lane as turns look at."""

    number: int
    first: bool = False
    probe: bool = False

    def asks_first(self, _able: Capabilities) -> bool:
        return self.first


def lanes(count: int, **given: Any) -> list[Any]:
    return [Waiting(number, **given) for number in range(count)]


class Hall:
    """Turns whose threads wait until they are let go."""

    def __init__(self, threads: int = 8) -> None:
        self.taken: list[list[int]] = []
        self._came = threading.Condition()
        self._go = threading.Semaphore(0)
        self.turns = Turns(self._work, threads)

    def _work(self, taken: list[Any]) -> None:
        with self._came:
            self.taken.append([lane.number for lane in taken])
            self._came.notify_all()
        self._go.acquire()

    def await_turns(self, count: int) -> list[int]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.taken) >= count, 10)
            assert not self._came.wait_for(lambda: len(self.taken) > count, 0.05)
            return [len(taken) for taken in self.taken]

    def end(self) -> list[Any]:
        self._go.release(1000)
        return self.turns.close()


def test_a_system_that_takes_few_writes_at_once_gets_no_more() -> None:
    hall = Hall()
    able = Capabilities(dedupe=False, conditional_write=True, read_back=True, at_once=2)
    hall.turns.share(KEY, able, 8)
    hall.turns.put(KEY, lanes(5))
    assert hall.await_turns(2) == [1, 1]
    assert len(hall.end()) == 3


def test_a_system_gets_its_share_and_no_more() -> None:
    hall = Hall()
    hall.turns.share(KEY, ONE, 3)
    assert hall.turns.put(KEY, lanes(5))
    assert hall.await_turns(3) == [1, 1, 1]
    hall.turns.answered(KEY, 1, doubtful=False)
    assert hall.await_turns(4) == [1, 1, 1, 1]
    assert [lane.number for lane in hall.end()] == [4]


def test_lanes_go_together_side_by_side() -> None:
    hall = Hall()
    hall.turns.share(KEY, ABREAST, 8)
    hall.turns.put(KEY, lanes(10))
    assert hall.await_turns(2) == [4, 4]
    hall.turns.answered(KEY, 1, doubtful=False)
    hall.await_turns(2)  # a turn of one alone is not worth a thread
    hall.turns.answered(KEY, 1, doubtful=False)
    assert hall.await_turns(3) == [4, 4, 2]
    hall.end()


def test_a_request_carries_what_is_there() -> None:
    hall = Hall()
    hall.turns.share(KEY, BATCHING, 8)
    hall.turns.put(KEY, lanes(3))
    assert hall.await_turns(1) == [3]
    hall.turns.put(KEY, lanes(60))
    assert hall.await_turns(BATCHES) == [3, 10, 10, 10]
    hall.end()


def test_what_has_to_be_asked_about_goes_alone() -> None:
    hall = Hall()
    hall.turns.share(KEY, BATCHING, 8)
    hall.turns.put(KEY, [*lanes(3, first=True), *lanes(5)])
    assert sorted(hall.await_turns(4)) == [1, 1, 1, 5]
    hall.end()


def test_a_full_system_leaves_threads_to_another() -> None:
    hall = Hall()
    for key in (KEY, OTHER):
        hall.turns.share(key, ONE, 2)
    hall.turns.put(KEY, lanes(5))
    hall.await_turns(2)
    hall.turns.put(OTHER, lanes(5))
    hall.await_turns(4)
    assert len(hall.end()) == 6


def test_after_failures_nothing_goes_until_the_breaker_was_told() -> None:
    hall = Hall()
    hall.turns.share(KEY, ONE, 1)
    hall.turns.put(KEY, lanes(3))
    hall.await_turns(1)
    hall.turns.answered(KEY, 1, doubtful=True)
    hall.await_turns(1)
    hall.turns.told(KEY, 1)
    hall.await_turns(2)
    hall.end()


def test_what_waits_is_dropped_but_for_a_probe() -> None:
    hall = Hall()
    hall.turns.share(KEY, ONE, 1)
    hall.turns.put(KEY, [*lanes(3), *lanes(1, probe=True)])
    hall.await_turns(1)
    assert [lane.number for lane in hall.turns.drop(KEY)] == [1, 2]
    assert hall.turns.drop(OTHER) == []
    assert [lane.probe for lane in hall.end()] == [True]
    assert not hall.turns.put(KEY, lanes(1))
