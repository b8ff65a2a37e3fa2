from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING, Any

import pytest

from rps.log.group import GROUP_MAX, CommitInterrupted, GroupCommit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WAIT = 10


class Commits:
    """Commits one at a time; each waits until it is let through."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.started = Semaphore(0)
        self.let_through = Semaphore(0)
        self.then: Callable[[list[Any]], list[Any]] = list
        self.group: GroupCommit[Any, Any] = GroupCommit(self._commit, lambda _: 1)

    def _commit(self, items: Sequence[Any]) -> list[Any]:
        self.groups.append(list(items))
        self.started.release()
        assert self.let_through.acquire(timeout=WAIT)
        return self.then(list(items))

    def wait_for(self, waiting: int) -> None:
        """Until so many callers wait for the commit under way to end."""
        pause = Event()
        while len(self.group._waiting) < waiting:
            pause.wait(0.001)


@pytest.fixture
def commits() -> Commits:
    return Commits()


def test_callers_that_come_during_a_commit_share_the_next(commits: Commits) -> None:
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(commits.group.submit, [1])
        assert commits.started.acquire(timeout=WAIT)
        others = [pool.submit(commits.group.submit, [n, -n]) for n in (2, 3)]
        commits.wait_for(2)
        commits.let_through.release(2)
        assert first.result(WAIT) == [1]
        assert [o.result(WAIT) for o in others] == [[2, -2], [3, -3]]
    assert commits.groups[0] == [1]
    assert sorted(commits.groups[1]) == [-3, -2, 2, 3]


def test_a_group_is_bounded_and_the_rest_follows(commits: Commits) -> None:
    half = list(range(GROUP_MAX // 2 + 1))
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(commits.group.submit, [0])]
        assert commits.started.acquire(timeout=WAIT)
        asked += [pool.submit(commits.group.submit, half) for _ in range(2)]
        commits.wait_for(2)
        commits.let_through.release(3)
        assert [len(a.result(WAIT)) for a in asked] == [1, len(half), len(half)]
    assert [len(g) for g in commits.groups] == [1, len(half), len(half)]


def test_an_item_larger_than_a_group_is_committed_alone(commits: Commits) -> None:
    commits.let_through.release()
    assert len(commits.group.submit([0] * (GROUP_MAX * 2))) == GROUP_MAX * 2


def test_when_a_commit_fails_its_callers_hear_it_and_the_next_group_goes_on(
    commits: Commits,
) -> None:
    def fail(items: list[Any]) -> list[Any]:
        if 1 in items:
            raise ValueError("away")
        return items

    commits.then = fail
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(commits.group.submit, [1])
        assert commits.started.acquire(timeout=WAIT)
        second = pool.submit(commits.group.submit, [2])
        commits.wait_for(1)
        commits.let_through.release(2)
        with pytest.raises(ValueError, match="away"):
            first.result(WAIT)
        assert second.result(WAIT) == [2]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_when_the_leader_is_interrupted_the_others_of_its_group_are_told(
    commits: Commits, interrupt: type[BaseException]
) -> None:
    """It had been raised in the threads of the others too, and ended them."""
    heard: dict[int, BaseException | None] = {}

    def caller(number: int) -> None:
        try:
            commits.group.submit([number])
            heard[number] = None
        except BaseException as error:  # noqa: BLE001 - that is what is looked at
            heard[number] = error

    def interrupted(items: list[Any]) -> list[Any]:
        if 2 in items:
            raise interrupt
        return items

    commits.then = interrupted
    threads = [Thread(target=caller, args=(n,)) for n in (1, 2, 3)]
    threads[0].start()
    assert commits.started.acquire(timeout=WAIT)
    for waiting, thread in enumerate(threads[1:], start=1):
        thread.start()
        commits.wait_for(waiting)
    commits.let_through.release(2)
    for thread in threads:
        thread.join(WAIT)
    assert heard[1] is None
    assert isinstance(heard[2], interrupt)
    assert isinstance(heard[3], CommitInterrupted)
    commits.let_through.release()
    assert commits.group.submit([4]) == [4]


def test_a_caller_interrupted_while_it_waits_leaves_no_gap(
    commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to lead next: nobody would have led, and everybody waited for ever."""
    woken, interrupt = Event(), Event()

    class Interrupted(Event):
        def wait(self, _timeout: float | None = None) -> bool:
            super().wait(WAIT)
            woken.set()
            interrupt.wait(WAIT)
            raise KeyboardInterrupt

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            commits.group.submit([2])

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(commits.group.submit, [1])
        assert commits.started.acquire(timeout=WAIT)
        with monkeypatch.context() as patched:
            patched.setattr("rps.log.group.Event", Interrupted)
            second = pool.submit(interrupted)
            commits.wait_for(1)
        third = pool.submit(commits.group.submit, [3])
        commits.wait_for(2)
        commits.let_through.release(2)
        assert first.result(WAIT) == [1]
        assert woken.wait(WAIT)
        interrupt.set()
        second.result(WAIT)
        assert third.result(WAIT) == [3]
    assert commits.groups == [[1], [3]]


def test_many_threads_lose_no_wake_up() -> None:
    group: GroupCommit[int, int] = GroupCommit(list, lambda _: 1)

    def run(offset: int) -> bool:
        return all(group.submit([offset + n]) == [offset + n] for n in range(300))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(run, range(0, 16_000, 1000), timeout=60))
