from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rps.domain.retry import (
    ATTEMPTS_MAX,
    CONSECUTIVE,
    OPEN_MAX_SECONDS,
    REQUESTS_LEAST,
    SCHEDULE_SECONDS,
    WINDOW_SECONDS,
    FailureWindow,
    next_attempt,
    open_seconds,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("attempt", range(1, ATTEMPTS_MAX))
def test_the_pause_follows_the_schedule_give_or_take_a_fifth(attempt: int) -> None:
    pause = SCHEDULE_SECONDS[attempt - 1]
    assert next_attempt(attempt, NOW, 0.5) == after(pause)
    assert next_attempt(attempt, NOW, 0.0) == after(pause * 0.8)


def test_after_the_last_attempt_a_person_decides() -> None:
    assert next_attempt(ATTEMPTS_MAX, NOW, 0.5) is None


def test_a_probe_that_counts_no_attempt_waits_as_after_the_first() -> None:
    assert next_attempt(0, NOW, 0.5) == after(SCHEDULE_SECONDS[0])


def test_a_wait_that_was_asked_for_is_honoured_up_to_a_day() -> None:
    assert next_attempt(1, NOW, 0.5, 60) == after(60)
    assert next_attempt(1, NOW, 0.5, 1) == after(5)
    assert next_attempt(1, NOW, 0.5, 10**9) == after(86_400)


def test_a_breaker_stays_open_twice_as_long_each_time_up_to_fifteen_minutes() -> None:
    assert [open_seconds(trips, 30) for trips in (1, 2, 3)] == [30, 60, 120]
    assert open_seconds(10**6, 30) == OPEN_MAX_SECONDS


def test_failures_in_a_row_trip() -> None:
    window = FailureWindow()
    told = [window.note(True, after(n)) for n in range(CONSECUTIVE)]
    assert told == [False] * (CONSECUTIVE - 1) + [True]


def test_mostly_failures_trip_and_a_success_never_does() -> None:
    window = FailureWindow()
    failed = [n % 4 != 0 for n in range(REQUESTS_LEAST * 2)]
    told = [window.note(each, after(n)) for n, each in enumerate(failed)]
    assert any(told)
    assert not any(t for t, f in zip(told, failed, strict=True) if not f)


def test_what_is_long_past_counts_no_more() -> None:
    window = FailureWindow()
    for n in range(REQUESTS_LEAST - 1):
        window.note(True, after(n))
    window.note(False, after(REQUESTS_LEAST))
    assert not window.note(True, after(WINDOW_SECONDS * 3))
    assert len(window.seen) == 1


def test_a_busy_system_takes_no_more_memory_than_a_quiet_one() -> None:
    window = FailureWindow()
    for n in range(5_000):
        window.note(n % 3 == 0, after(n / 1_000))
    assert (window.asked, window.failed) == (5_000, 1_667)
    assert len(window.seen) <= 6
