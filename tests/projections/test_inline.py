"""Inline views depend on the events alone, not on how they were grouped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from examples import example
from histories import History
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import stream
from psycopg.rows import tuple_row

from rps.log.append import Append, Appended, Recorded
from rps.log.connection import connect
from rps.projections.inline import VIEWS, InlineProjection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from psycopg import Connection

    from rps.log.recorder import LogRecorder

Rows = dict[str, list[Any]]


def rows(conn: Connection[Any]) -> Rows:
    cursor = conn.cursor(row_factory=tuple_row)
    return {
        view: sorted(
            row[0]
            for row in cursor.execute(f"SELECT row_to_json(v)::text FROM {view} v")
        )
        for view in VIEWS
    }


def folded(conn: Connection[Any], groups: Iterable[list[Recorded]]) -> Rows:
    """What the views hold after these groups; nothing of it stays."""
    with conn.transaction(force_rollback=True):
        for group in groups:
            for sql, params in InlineProjection().statements(group):
                conn.execute(sql, params)
        return rows(conn)


def grouped(recorded: list[Recorded], sizes: Iterator[int]) -> Iterator[list[Recorded]]:
    at = 0
    while at < len(recorded):
        size = next(sizes)
        yield recorded[at : at + size]
        at += size


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32), most=st.integers(2, 60))
def test_any_grouping_of_the_same_events_gives_the_same_rows(
    recorder: LogRecorder, seed: int, most: int
) -> None:
    chance = random.Random(seed)
    events = History(seed, steps=120).events
    recorded = [Recorded(n, event) for n, event in enumerate(events, start=1)]
    sizes = iter(lambda: chance.randrange(1, most), 0)
    with connect(recorder.datastore) as conn:
        one_by_one = folded(conn, ([each] for each in recorded))
        assert folded(conn, [recorded]) == one_by_one
        assert folded(conn, grouped(recorded, sizes)) == one_by_one
    assert one_by_one["inbound_queue"]


@pytest.mark.parametrize(
    ("revisions", "expected"),
    [
        (["5", "3"], "5"),
        (["9", "10"], "10"),
        (["5", "W/a", "3"], "3"),
        (["W/a", "2", "1"], "2"),
        (["5", "007"], "007"),
        (["5", "٣"], "٣"),
    ],
)
def test_revisions_that_are_numbers_only_go_forward(
    recorder: LogRecorder, revisions: list[str], expected: str
) -> None:
    """Folded together, 5, W/a and 3 had left a stored 4 alone."""
    made = [
        example(
            "correlation.linked", originator_id=stream("one"), record_revision=None
        ),
        *(
            example(
                "message.acknowledged",
                originator_id=stream("one"),
                record_revision=revision,
            )
            for revision in revisions
        ),
    ]
    recorded = [Recorded(n, event) for n, event in enumerate(made, start=1)]
    with connect(recorder.datastore) as conn:
        for groups in ([recorded], [[each] for each in recorded]):
            with conn.transaction(force_rollback=True):
                for group in groups:
                    for sql, params in InlineProjection().statements(group):
                        conn.execute(sql, params)
                row = conn.execute("SELECT revision FROM links").fetchone()
                assert row == {"revision": expected}


def test_a_recorded_history_has_the_rows_of_its_events(recorder: LogRecorder) -> None:
    history = History(seed=7, steps=300)
    outcomes = recorder.append([Append(events) for events in history.appends])
    assert [o for o in outcomes if not isinstance(o, Appended)] == []
    recorded = [Recorded(n, e) for n, e in enumerate(history.events, start=1)]
    with connect(recorder.datastore) as conn:
        live = rows(conn)
        with conn.transaction(force_rollback=True):
            for view in VIEWS:
                conn.execute(f"TRUNCATE {view}")
            for sql, params in InlineProjection().statements(recorded):
                conn.execute(sql, params)
            assert rows(conn) == live
