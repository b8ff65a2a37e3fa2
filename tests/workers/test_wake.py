"""A worker hears at once, and looks by the clock where it cannot hear."""

from __future__ import annotations

import threading
import time

import psycopg

from rps.workers.wake import Wake


def waited(wake: Wake, seconds: float = 5.0) -> float:
    started = time.monotonic()
    wake.wait(seconds)
    return time.monotonic() - started


def test_it_wakes_when_told(database: str) -> None:
    wake = Wake(database, "rps_test")
    assert waited(wake) < 2  # what came before could not be heard
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("NOTIFY rps_test")
        assert waited(wake) < 2
        assert waited(wake, 0.1) >= 0.1  # told once, woken once
        threading.Timer(0.1, lambda: connection.execute("NOTIFY rps_test")).start()
        assert 0.05 < waited(wake) < 2
    wake.close()


def test_it_wakes_when_nudged_before_or_meanwhile(database: str) -> None:
    wake = Wake(database, "rps_test")
    wake.wait(0)
    wake.nudge()
    wake.nudge()
    assert waited(wake) < 2
    assert waited(wake, 0.1) >= 0.1
    threading.Timer(0.1, wake.nudge).start()
    assert 0.05 < waited(wake) < 2
    wake.close()


def test_it_listens_again_after_its_connection_was_cut(database: str) -> None:
    wake = Wake(database, "rps_test")
    wake.wait(0)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        waited(wake)
        waited(wake)
        connection.execute("NOTIFY rps_test")
        assert waited(wake) < 2
        assert waited(wake, 0.1) >= 0.1
    wake.close()


def test_without_a_database_it_waits_by_the_clock() -> None:
    wake = Wake("host=/nowhere/at/all", "rps_test")
    assert 0.1 <= waited(wake, 0.1) < 2
    wake.nudge()
    assert waited(wake) < 0.4
    wake.close()
