"""The migration against the library's own tables, and what each role may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from eventsourcing.postgres import PostgresApplicationRecorder
from logs import capture, captured, claimed, ignored, opened

from rps.log.append import Append, Appended
from rps.projections.followed import Follower
from rps.projections.views import followed_views

if TYPE_CHECKING:
    from rps.log.recorder import LogRecorder

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
WHERE a.attrelid = 'rps_events'::regclass AND attnum > 0 AND attname <> 'hash'
ORDER BY attnum
"""
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = 'rps_events'::regclass AND indpred IS NULL ORDER BY 1
"""
KEY = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'rps_events'::regclass AND contype = 'p'
"""
STORAGE = "SELECT reloptions FROM pg_class WHERE oid = 'rps_events'::regclass"
COMPOSITE = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'stored_event_uuid'::regclass ORDER BY attnum
"""

WRITES = [
    "UPDATE rps_events SET topic = 'x'",
    "DELETE FROM rps_events",
    "TRUNCATE rps_events",
    (
        "INSERT INTO rps_events TABLE rps_events"
        " ON CONFLICT (notification_id) DO UPDATE SET topic = 'x'"
    ),
]


def described(conn: psycopg.Connection) -> list[Any]:
    return [
        conn.execute(question).fetchall()  # type: ignore[call-overload]
        for question in (COLUMNS, INDEXES, KEY, STORAGE, COMPOSITE)
    ]


def test_the_migration_makes_what_the_library_would(
    recorder: LogRecorder, database: str
) -> None:
    library = PostgresApplicationRecorder(
        recorder.datastore, events_table_name="rps_events"
    )
    with psycopg.connect(database) as conn:
        ours = described(conn)
        conn.execute("DROP TABLE rps_events")
        conn.execute("DROP TYPE stored_event_uuid")
        for statement in library.sql_create_statements:
            if b"FUNCTION" not in statement.as_bytes(conn):
                conn.execute(statement)
        assert described(conn) == ours
        conn.rollback()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("role", ["rps", "rps_serving"])
def test_what_is_in_the_log_stays(
    recorder: LogRecorder, database: str, role: str, write: str
) -> None:
    recorder.append([capture(captured("a"))])
    with psycopg.connect(database) as conn:
        conn.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(write)  # type: ignore[call-overload]


def test_also_a_session_that_fires_no_triggers_changes_nothing(
    recorder: LogRecorder, database: str
) -> None:
    recorder.append([capture(captured("a"))])
    with psycopg.connect(database) as conn:
        conn.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM rps_events")


def test_the_serving_role_appends_keeps_views_and_follows(database: str) -> None:
    with opened(database, role="rps_serving") as recorder:
        with recorder._connection.use() as conn:
            role = conn.execute("SELECT current_user AS it").fetchone()
            assert role == {"it": "rps_serving"}
        assert isinstance(recorder.append([capture(captured("a"))])[0], Appended)
        fence = claimed(database, "R1")
        judged = Append([ignored("R1", 1)], fence)
        assert isinstance(recorder.append([judged])[0], Appended)
        for view in followed_views():
            assert Follower([view], recorder, recorder.mapper).advance() == 2


@pytest.mark.parametrize("mode", ["SHARE UPDATE EXCLUSIVE", "ROW SHARE"])
def test_an_append_does_not_wait_for_a_vacuum(
    recorder: LogRecorder, database: str, mode: str
) -> None:
    with psycopg.connect(database) as vacuum:
        vacuum.execute(f"LOCK TABLE rps_events IN {mode} MODE")
        assert isinstance(recorder.append([capture(captured("a"))])[0], Appended)
