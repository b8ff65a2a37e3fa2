from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from eventsourcing.persistence import DataError, OperationalError
from histories import History
from logs import capture, captured, claimed, ignored, opened

from rps.log.append import Append, Appended, Fence, LeaseLost
from rps.projections import rebuild
from rps.projections.followed import Follower, position_of
from rps.projections.rebuild import Rebuild, ViewUnknown, names
from rps.projections.views import followed_views

if TYPE_CHECKING:
    from rps.log.recorder import LogRecorder

SCHEMA = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid), a.attstorage, a.attstattarget
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
          AND c.relkind = 'r' ORDER BY 1, a.attnum""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "tables": """
        SELECT relname, reloptions, relowner::regrole::text,
               ARRAY(SELECT a::text FROM unnest(relacl) a ORDER BY 1)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        ORDER BY 1""",
    "schemas": """
        SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg%' ORDER BY 1""",
}


def schema(dsn: str) -> dict[str, Any]:
    with psycopg.connect(dsn) as conn:
        return {
            name: conn.execute(question).fetchall()  # type: ignore[call-overload]
            for name, question in SCHEMA.items()
        }


def rebuilt(recorder: LogRecorder, batch: int = 2000) -> Rebuild:
    return Rebuild(recorder, recorder.mapper, batch=batch)


def project(recorder: LogRecorder, limit: int = 1000) -> None:
    for view in followed_views():
        follower = Follower([view], recorder, recorder.mapper)
        while follower.advance(limit):
            pass


def record(recorder: LogRecorder, history: History) -> None:
    outcomes = recorder.append([Append(events) for events in history.appends])
    assert [o for o in outcomes if not isinstance(o, Appended)] == []


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("batch", [1, 7, 500])
def test_rebuilt_views_are_the_live_ones_row_for_row(
    recorder: LogRecorder, batch: int, seed: int
) -> None:
    record(recorder, History(seed, steps=150))
    project(recorder, limit={1: 500, 7: 1, 500: 7}[batch])
    assert rebuilt(recorder, batch).compare([]) == []


def test_a_swap_leaves_the_schema_the_migrations_made_and_can_be_repeated(
    recorder: LogRecorder, database: str
) -> None:
    record(recorder, History(21, steps=150))
    project(recorder)
    before = schema(database)
    for _ in range(2):
        rebuilt(recorder).run([])
        assert schema(database) == before
        assert rebuilt(recorder).compare([]) == []
    with opened(database) as serving:
        outcome = serving.append([capture(captured("later", "R99"))])[0]
        assert isinstance(outcome, Appended)
        project(serving)
    assert rebuilt(recorder).compare([]) == []


def test_a_view_with_wrong_rows_is_found_and_mended(
    recorder: LogRecorder, database: str
) -> None:
    record(recorder, History(22, steps=150))
    project(recorder)
    with psycopg.connect(database) as conn:
        conn.execute("UPDATE inbound_queue SET detail = 'wrong'")
        conn.execute("DELETE FROM history WHERE position = 5")
    found = {(d.table, d.side) for d in rebuilt(recorder).compare([])}
    assert found == {
        ("inbound_queue", "live"),
        ("inbound_queue", "rebuilt"),
        ("history", "rebuilt"),
    }
    rebuilt(recorder).run(["inbound_queue", "history"])
    assert rebuilt(recorder).compare([]) == []


def test_a_view_that_lags_or_was_never_there_is_rebuilt_to_the_end(
    recorder: LogRecorder,
) -> None:
    record(recorder, History(23, steps=60))
    end = recorder.head()[0]
    assert rebuilt(recorder).compare(["history"]) == []
    rebuilt(recorder).run([])
    with recorder.datastore.get_connection() as conn:
        for view in followed_views():
            assert position_of(conn, view.name) == end


def test_leases_are_carried_over(recorder: LogRecorder, database: str) -> None:
    recorder.append([capture(captured("a"), captured("b", "R2"))])
    stale = claimed(database, "R1")
    held = claimed(database, "R1")
    rebuilt(recorder).run(["lanes"])
    outcomes = recorder.append(
        [Append([ignored("R1", 1)], stale), Append([ignored("R1", 1)], held)]
    )
    assert isinstance(outcomes[0], LeaseLost)
    assert isinstance(outcomes[1], Appended)


def test_appends_and_a_projector_go_on_during_rebuilds(
    recorder: LogRecorder, database: str
) -> None:
    record(recorder, History(31, steps=80))
    start = recorder.head()[0]
    stop = Event()

    def append(thread: int) -> int:
        """Captures, claims and judges until told to stop; answers how many events."""
        count = 0
        while not stop.is_set():
            change, name = f"{thread}-{count}", f"T{thread}"
            (taken,) = recorder.append([capture(captured(change, name))])
            assert isinstance(taken, Appended), taken
            fence: Fence = claimed(database, name)
            (position,) = taken.positions
            assert isinstance(position, int)
            judged = Append([ignored(name, position)], fence)
            (settled,) = recorder.append([judged])
            assert isinstance(settled, Appended), settled
            count += 2
        return count

    def follow() -> None:
        while not stop.is_set():
            project(recorder, limit=20)

    with ThreadPoolExecutor(5) as pool:
        appending = [pool.submit(append, n) for n in range(4)]
        following = pool.submit(follow)
        try:
            for _ in range(2):
                rebuilt(recorder, batch=50).run([])
                assert rebuilt(recorder, batch=50).compare([]) == []
        finally:
            stop.set()
        recorded = sum(future.result(30) for future in appending)
        following.result(30)
    assert recorder.head()[0] == start + recorded
    project(recorder)
    assert rebuilt(recorder).compare([]) == []
    with psycopg.connect(database) as conn:
        waiting = "SELECT 1 FROM inbound_queue WHERE status = 'ready' AND position > %s"
        assert conn.execute(waiting, [start]).fetchall() == []


def test_a_table_in_use_makes_the_swap_wait_and_then_give_up_unharmed(
    recorder: LogRecorder, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "SWAP_WAIT", "50ms")
    monkeypatch.setattr(rebuild, "SWAP_TRIES", 3)
    record(recorder, History(41, steps=100))
    project(recorder)
    before = schema(database)
    with psycopg.connect(database) as reader:
        reader.execute("SELECT * FROM links")
        with pytest.raises(OperationalError, match="stayed in use"):
            rebuilt(recorder).run(["links", "lanes"])
    assert schema(database) == before
    assert isinstance(recorder.append([capture(captured("a", "R77"))])[0], Appended)
    project(recorder)
    assert rebuilt(recorder).compare([]) == []
    rebuilt(recorder).run(["links", "lanes"])


def test_a_rebuild_that_fails_leaves_nothing_behind(
    recorder: LogRecorder, database: str
) -> None:
    record(recorder, History(42, steps=60))
    project(recorder)
    before = schema(database)

    def fail(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    for view in ("links", "history"):
        with pytest.raises(ZeroDivisionError):
            Rebuild(recorder, recorder.mapper, fail).run([view])
    assert schema(database) == before
    project(recorder)
    with recorder.datastore.get_connection() as conn:
        path = conn.execute("SHOW search_path").fetchone()
        assert path == {"search_path": '"$user", public'}
    assert rebuilt(recorder).compare([]) == []


def test_progress_is_told_in_positions_of_the_log(recorder: LogRecorder) -> None:
    record(recorder, History(43, steps=60))
    end = recorder.head()[0]
    told: list[tuple[int, int]] = []
    Rebuild(recorder, recorder.mapper, lambda *place: told.append(place), batch=10).run(
        ["history"]
    )
    assert told == [(min(n, end), end) for n in range(10, end + 10, 10)]


def test_only_views_that_exist_are_rebuilt(recorder: LogRecorder) -> None:
    with pytest.raises(ViewUnknown, match="nonsense"):
        rebuilt(recorder).run(["history", "nonsense"])
    assert set(names()) > {"links", "history"}


def test_projectors_that_take_turns_write_the_same_rows(recorder: LogRecorder) -> None:
    """Each remembers rows; what the other wrote meanwhile is read again."""
    record(recorder, History(51, steps=200))
    followers = [
        Follower(followed_views(), recorder, recorder.mapper) for _ in range(2)
    ]
    turns = random.Random(51)
    while turns.choice(followers).advance(9):
        pass
    assert rebuilt(recorder).compare([]) == []


def test_rows_of_a_batch_that_was_undone_are_not_remembered(
    recorder: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(recorder, History(52, steps=200))
    follower = Follower(followed_views(), recorder, recorder.mapper)
    follower.advance(100)
    with monkeypatch.context() as patched:
        patched.setattr("rps.projections.followed.TRACK", "SELECT 1 / 0, %b, %b, %b")
        with pytest.raises(DataError):
            follower.advance(100)
    while follower.advance(100):
        pass
    assert rebuilt(recorder).compare([]) == []
