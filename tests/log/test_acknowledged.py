"""Nobody is told that something is recorded before its COMMIT has returned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from logs import capture, captured

from rps.log.append import Appended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.recorder import LogRecorder

CALLERS = 16
WAIT = 10
GATE = 4_711

AT_COMMIT = """
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF convert_from(NEW.state, 'UTF8') LIKE '%"change_id":"bad%' THEN
        RAISE EXCEPTION 'this COMMIT fails';
    ELSIF convert_from(NEW.state, 'UTF8') LIKE '%"change_id":"slow"%' THEN
        PERFORM pg_advisory_xact_lock_shared(4711);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON rps_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit();
"""
"""Every statement of the transaction succeeds; only its COMMIT fails or waits."""


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(AT_COMMIT)
        yield connection


def stored(connection: psycopg.Connection[Any]) -> dict[int, str]:
    """Change ids by position, as another connection sees them."""
    return dict(
        connection.execute(
            "SELECT notification_id, convert_from(state, 'UTF8')::jsonb ->> 'change_id'"
            " FROM rps_events"
        ).fetchall()
    )


def test_a_commit_that_fails_acknowledges_nothing(
    recorder: LogRecorder, admin: psycopg.Connection[Any]
) -> None:
    outcome = recorder.append([capture(captured("bad"))])[0]
    assert isinstance(outcome, Exception)
    assert "this COMMIT fails" in str(outcome)
    assert stored(admin) == {}


def test_of_a_group_whose_commit_fails_only_what_is_stored_is_acknowledged(
    recorder: LogRecorder, admin: psycopg.Connection[Any]
) -> None:
    together = Barrier(CALLERS)

    def caller(number: int) -> list[tuple[int, str]]:
        """What this caller was told, and had seen stored right then."""
        told = []
        with psycopg.connect(admin.info.dsn, autocommit=True) as own:
            together.wait(WAIT)
            for turn in range(10):
                bad = (number + turn) % 4 == 0
                name = f"{'bad' if bad else 'good'}-{number}-{turn}"
                outcome = recorder.append([capture(captured(name, f"R{number}"))])[0]
                assert isinstance(outcome, Appended) is not bad, outcome
                if isinstance(outcome, Appended):
                    (position,) = outcome.positions
                    assert isinstance(position, int)
                    assert stored(own)[position] == name
                    told.append((position, name))
        return told

    with ThreadPoolExecutor(CALLERS) as pool:
        told = dict(
            pair for pairs in pool.map(caller, range(CALLERS)) for pair in pairs
        )
    assert told == stored(admin)


def test_while_the_commit_waits_so_do_all_of_its_callers(
    recorder: LogRecorder, admin: psycopg.Connection[Any]
) -> None:
    admin.execute("SELECT pg_advisory_lock(%s)", (GATE,))
    with ThreadPoolExecutor(CALLERS) as pool:
        asked = [
            pool.submit(recorder.append, [capture(captured(name, name))])
            for name in ("slow", *(f"c{n}" for n in range(CALLERS - 1)))
        ]
        pause = Event()
        while not admin.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND objid = %s",
            (GATE,),
        ).fetchone():
            pause.wait(0.01)
        held = [each for each in asked if not each.done()]
        assert asked[0] in held
        with pytest.raises(TimeoutError):
            asked[0].result(0.2)
        assert not any(each.done() for each in held)
        assert "slow" not in stored(admin).values()
        admin.execute("SELECT pg_advisory_unlock(%s)", (GATE,))
        outcomes = [each.result(WAIT)[0] for each in asked]
    positions = [each.positions[0] for each in outcomes if isinstance(each, Appended)]
    assert sorted(positions) == sorted(stored(admin)) == list(range(1, CALLERS + 1))
