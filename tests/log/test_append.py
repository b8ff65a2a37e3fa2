from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from eventsourcing.persistence import DataError, IntegrityError, OperationalError
from examples import example
from logs import capture, captured, claimed, ignored, linked, opened, stream

from rps.log.append import (
    Append,
    Appended,
    ChangeIdReused,
    ConfigurationMoved,
    Duplicate,
    Fence,
    LeaseLost,
    VersionTaken,
)
from rps.log.chain import verify
from rps.log.columns import column

if TYPE_CHECKING:
    from rps.log.recorder import LogRecorder


def appended(recorder: LogRecorder, *appends: Append) -> list[Any]:
    """Positions of what was recorded, the error of what was not."""
    return [
        list(outcome.positions) if isinstance(outcome, Appended) else outcome
        for outcome in recorder.append(appends)
    ]


def topics(recorder: LogRecorder) -> list[tuple[int, str, int]]:
    return [(r.position, r.topic, r.version) for r in recorder.read(0, 1000)]


def test_positions_and_versions_go_up_by_one(recorder: LogRecorder) -> None:
    first = recorder.append([capture(captured("a"), captured("b", "R2"))])[0]
    second = recorder.append([capture(captured("c"), captured("d"))])[0]
    assert first == Appended((1, 2), (1, 1))
    assert second == Appended((3, 4), (2, 3))
    assert verify(recorder.read(0, 10), head=recorder.head()).breaks == ()


def test_one_append_that_is_refused_costs_the_others_nothing(
    recorder: LogRecorder,
) -> None:
    recorder.append([linked("R1", "one")])
    outcomes = appended(
        recorder,
        linked("R2", "two"),
        linked("R1", "three"),  # linked already: the table says so
        linked("R3", "four", version=7),  # a version that is not next
        capture(captured("x\x00y", "R\x00")),  # no text of PostgreSQL's
        linked("R5", "five"),
    )
    assert outcomes[0] == [2]
    assert isinstance(outcomes[1], IntegrityError)
    assert isinstance(outcomes[2], VersionTaken)
    assert isinstance(outcomes[3], DataError)
    assert outcomes[4] == [3]
    assert len(topics(recorder)) == 3
    assert verify(recorder.read(0, 10), head=recorder.head()).breaks == ()


def test_two_of_a_group_that_contradict_each_other_are_taken_in_turn(
    recorder: LogRecorder,
) -> None:
    outcomes = appended(recorder, linked("R1", "one"), linked("R1", "two"))
    assert outcomes[0] == [1]
    assert isinstance(outcomes[1], IntegrityError)
    again = appended(recorder, linked("R8", "one"), linked("R9", "two"))
    assert isinstance(again[0], IntegrityError)  # one record a member
    assert again[1] == [2]


def test_a_change_captured_again_is_a_duplicate_of_the_first(
    recorder: LogRecorder,
) -> None:
    appended(recorder, capture(captured("a")))
    outcomes = appended(
        recorder,
        capture(captured("a"), captured("b")),
        capture(captured("b")),
        capture(captured("c"), captured("c")),
    )
    assert outcomes == [
        [Duplicate(1, stream("R1")), 2],
        [Duplicate(2, stream("R1"))],
        [3, Duplicate(3, stream("R1"))],
    ]
    assert [v for _, _, v in topics(recorder)] == [1, 2, 3]


def test_a_change_id_used_for_something_else_is_refused(recorder: LogRecorder) -> None:
    appended(recorder, capture(captured("a")))
    before, within, fine = appended(
        recorder,
        capture(captured("b"), captured("a", fingerprint="else")),
        capture(captured("c"), captured("c", fingerprint="else")),
        capture(captured("d")),
    )
    assert isinstance(before, ChangeIdReused)
    assert before.index == 1
    assert isinstance(within, ChangeIdReused)
    assert within.index == 1
    assert fine == [2]


def test_an_idempotency_key_belongs_to_one_request(recorder: LogRecorder) -> None:
    def keyed(change_id: str, request: str) -> Append:
        return capture(
            captured(change_id, idempotency_key="key", request_fingerprint=request)
        )

    assert appended(recorder, keyed("a", "one")) == [[1]]
    outcomes = appended(recorder, keyed("b", "two"), keyed("a", "one"))
    assert isinstance(outcomes[0], ChangeIdReused)
    assert outcomes[1] == [Duplicate(1, stream("R1"))]
    in_one_group = appended(
        recorder,
        capture(captured("e", idempotency_key="k2", request_fingerprint="one")),
        capture(captured("f", idempotency_key="k2", request_fingerprint="two")),
    )
    assert in_one_group[0] == [2]
    assert isinstance(in_one_group[1], ChangeIdReused)


def test_an_outcome_counts_only_under_the_epoch_of_its_lane(
    recorder: LogRecorder, database: str
) -> None:
    appended(recorder, capture(captured("a")), capture(captured("b", "R2")))
    stale, held = claimed(database, "R1"), claimed(database, "R1")
    other = claimed(database, "R2")
    outcomes = appended(
        recorder,
        Append([ignored("R1", 1)], stale),
        Append([ignored("R2", 2)], other),
        Append([ignored("R1", 1)], held),
        Append([ignored("R1", 1)], held),  # given back by the one before
    )
    assert isinstance(outcomes[0], LeaseLost)
    assert outcomes[1:3] == [[3], [4]]
    assert isinstance(outcomes[3], LeaseLost)


def test_a_lane_that_is_kept_takes_more_outcomes(
    recorder: LogRecorder, database: str
) -> None:
    appended(recorder, capture(captured("a")), capture(captured("b")))
    fence = claimed(database, "R1")
    kept = Fence(*fence[:4], 30.0)
    assert appended(recorder, Append([ignored("R1", 1)], kept)) == [[3]]
    assert appended(recorder, Append([ignored("R1", 2)], fence)) == [[4]]
    refused = appended(recorder, Append([ignored("R1", 2)], kept))
    assert isinstance(refused[0], LeaseLost)


def test_a_capture_matched_before_the_configuration_moved_is_refused(
    recorder: LogRecorder,
) -> None:
    moved = Append([example("system.activated", originator_version=1)])
    assert appended(recorder, capture(captured("a"), configuration=0), moved) == [
        [1],
        [2],
    ]
    outcomes = appended(
        recorder,
        capture(captured("b"), configuration=0),
        capture(captured("c"), configuration=2),
    )
    assert isinstance(outcomes[0], ConfigurationMoved)
    assert outcomes[1] == [3]


def test_an_outcome_cannot_name_a_configuration() -> None:
    fence = Fence(stream("R1"), "in", "", 1)
    with pytest.raises(ValueError, match="no capture"):
        Append([ignored("R1", 1)], fence, configuration=3)


def test_a_log_that_is_held_up_says_so_and_goes_on(
    recorder: LogRecorder, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rps.log.recorder.SESSION", "SET lock_timeout = '200ms'")
    with psycopg.connect(database) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [recorder.lock_key])
        outcome = recorder.append([capture(captured("a"))])[0]
        assert isinstance(outcome, OperationalError)
        assert "lock timeout" in str(outcome)
    assert appended(recorder, capture(captured("a"))) == [[1]]


def test_a_closed_log_takes_nothing_more(database: str) -> None:
    with opened(database) as recorder:
        assert appended(recorder, capture(captured("a"))) == [[1]]
    outcome = recorder.append([capture(captured("b"))])[0]
    assert isinstance(outcome, OperationalError)


def test_appends_survive_that_their_connection_was_ended(
    recorder: LogRecorder, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        for number in range(5):
            assert appended(recorder, capture(captured(f"c{number}"))) == [[number + 1]]
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def test_an_append_that_was_given_up_in_a_deadlock_is_tried_again(
    recorder: LogRecorder, database: str
) -> None:
    """A heartbeat and an append take the same lanes in different orders."""
    with psycopg.connect(database, autocommit=True) as admin:
        # Time for the lock below, and the append gives up well before its own timeout.
        name = admin.info.dbname
        admin.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '3s'")
    appended(recorder, capture(captured("a"), captured("b", "R2")))
    fences = [claimed(database, "R1"), claimed(database, "R2")]
    events = [ignored("R1", 1), ignored("R2", 2)]
    lane = "UPDATE lanes SET holder = holder WHERE correlation_id = %s"
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database) as beating:
        beating.execute("SET deadlock_timeout = '30s'")
        beating.execute(lane, [stream("R2")])
        outcome = pool.submit(appended, recorder, Append(events, fences[0]))
        while not beating.execute(waiting).fetchall():
            pass
        beating.execute(lane, [stream("R1")])
        beating.commit()
        assert outcome.result(20) == [[3, 4]]


def test_threads_share_commits_and_each_gets_its_own_positions(
    recorder: LogRecorder,
) -> None:
    def run(thread: int) -> list[int]:
        mine = [captured(f"{thread}-{n}", f"R{thread}") for n in range(40)]
        return [appended(recorder, capture(change))[0][0] for change in mine]

    with ThreadPoolExecutor(8) as pool:
        positions = list(pool.map(run, range(8)))
    rows = recorder.read(0, 1000)
    for thread, mine in enumerate(positions):
        assert mine == sorted(mine)
        assert [
            r.position for r in rows if r.originator_id == stream(f"R{thread}")
        ] == mine
    assert [r.position for r in rows] == list(range(1, 321))
    with recorder.datastore.get_connection() as conn:
        commits = conn.execute("SELECT count(DISTINCT xmin::text) AS n FROM rps_events")
        assert commits.fetchone()["n"] < 320  # type: ignore[index]


@pytest.mark.parametrize(
    ("kind", "cast", "values"),
    [
        ("uuid", "uuid", [stream("a"), None]),
        ("text", "text", ["", "Grüße", None]),
        ("bytea", "bytea", [b"", b"\x00\xff", None]),
        ("smallint", "smallint", [-1, 2, None]),
        ("integer", "integer", [-1, 2**31 - 1]),
        ("bigint", "bigint", [-(2**63), None]),
        ("bool", "boolean", [True, False, None]),
        ("float8", "float8", [1.5, None]),
        ("moment", "timestamptz", [example("change.captured").timestamp, None]),
        ("text", "text", []),
    ],
)
def test_columns_arrive_as_they_were(
    recorder: LogRecorder, kind: Any, cast: str, values: list[Any]
) -> None:
    with recorder._connection.use() as conn:
        row = conn.execute(f"SELECT %b::{cast}[] AS it", [column(kind, values)])
        assert row.fetchone()["it"] == values  # type: ignore[index]


def test_a_lane_claimed_after_its_fence_was_looked_at_is_lost(
    recorder: LogRecorder, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended(recorder, capture(captured("a"), captured("b", "R2")))
    fences = [claimed(database, "R1"), claimed(database, "R2")]
    statements = recorder.views.statements
    later: list[Fence] = []

    def after_the_look(*asked: Any) -> Any:
        if not later:
            later.append(claimed(database, "R1"))
        return statements(*asked)

    monkeypatch.setattr(recorder.views, "statements", after_the_look)
    judged = [
        Append([ignored("R1", 1)], fences[0]),
        Append([ignored("R2", 2)], fences[1]),
    ]
    outcomes = appended(recorder, *judged)
    assert isinstance(outcomes[0], LeaseLost)
    assert outcomes[1] == [3]
    assert appended(recorder, Append([ignored("R1", 1)], later[0])) == [[4]]
