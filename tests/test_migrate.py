from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from rps.migrate import ADVISORY_LOCK, MigrationError, migrate, pending

if TYPE_CHECKING:
    from pathlib import Path

LOG = "CREATE TABLE log (id bigint PRIMARY KEY);"
VIEW = "CREATE VIEW newest AS SELECT max(id) FROM log;\nINSERT INTO log VALUES (1);"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "0001_log.sql").write_text(LOG)
    (tmp_path / "0002_view.sql").write_text(VIEW)
    return tmp_path


def tables(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') "
            "AND relnamespace = 'public'::regnamespace ORDER BY relname"
        )
        return [name for (name,) in rows]


def test_applies_every_file_in_order(empty_database: str, scripts: Path) -> None:
    assert migrate(empty_database, scripts) == ["0001_log.sql", "0002_view.sql"]
    assert tables(empty_database) == ["log", "newest", "rps_migrations"]


def test_applies_a_file_once(empty_database: str, scripts: Path) -> None:
    migrate(empty_database, scripts)
    assert migrate(empty_database, scripts) == []
    (scripts / "0003_more.sql").write_text("CREATE TABLE more (id int);")
    assert migrate(empty_database, scripts) == ["0003_more.sql"]


def test_pending_names_what_is_missing_and_applies_nothing(
    empty_database: str, scripts: Path
) -> None:
    assert pending(empty_database, scripts) == ["0001_log.sql", "0002_view.sql"]
    assert tables(empty_database) == []
    migrate(empty_database, scripts)
    assert pending(empty_database, scripts) == []


def test_of_two_at_once_one_applies_and_the_other_waits(
    empty_database: str, scripts: Path
) -> None:
    together = threading.Barrier(4)

    def one(_: int) -> list[str]:
        together.wait(10)
        return migrate(empty_database, scripts)

    with ThreadPoolExecutor(4) as pool:
        applied = sorted(pool.map(one, range(4)))
    assert applied == [[], [], [], ["0001_log.sql", "0002_view.sql"]]


def test_waiting_for_another_is_bounded(empty_database: str, scripts: Path) -> None:
    with psycopg.connect(empty_database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        with pytest.raises(MigrationError, match="another process has been migrating"):
            migrate(empty_database, scripts, wait_seconds=0.05)
    assert tables(empty_database) == []


def test_a_failing_file_leaves_nothing_of_itself(
    empty_database: str, scripts: Path
) -> None:
    (scripts / "0002_view.sql").write_text("CREATE TABLE half (id int);\nSELEKT 1;")
    with pytest.raises(MigrationError, match=r"0002_view\.sql, line 2: syntax error"):
        migrate(empty_database, scripts)
    assert tables(empty_database) == ["log", "rps_migrations"]
    (scripts / "0002_view.sql").write_text(VIEW)
    assert migrate(empty_database, scripts) == ["0002_view.sql"]


def test_a_constraint_checked_at_commit_fails_the_file(
    empty_database: str, scripts: Path
) -> None:
    (scripts / "0003_late.sql").write_text(
        "CREATE TABLE late (id int REFERENCES log DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO late VALUES (7);"
    )
    with pytest.raises(MigrationError, match=r"0003_late\.sql: .*foreign key"):
        migrate(empty_database, scripts)
    assert pending(empty_database, scripts) == ["0003_late.sql"]


def test_a_file_that_commits_is_refused(empty_database: str, scripts: Path) -> None:
    (scripts / "0003_own.sql").write_text("CREATE TABLE own (id int); COMMIT;")
    with pytest.raises(MigrationError, match="remove its COMMIT"):
        migrate(empty_database, scripts)


def test_a_table_in_use_fails_the_file_instead_of_holding_everybody_up(
    empty_database: str, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rps.migrate.LOCK_TIMEOUT_SECONDS", 0.05)
    migrate(empty_database, scripts)
    (scripts / "0003_alter.sql").write_text("ALTER TABLE log ADD COLUMN a int;")
    with psycopg.connect(empty_database) as reader:
        reader.execute("SELECT FROM log")
        with pytest.raises(MigrationError, match=r"0003_alter\.sql: .*lock timeout"):
            migrate(empty_database, scripts)
    assert migrate(empty_database, scripts) == ["0003_alter.sql"]


def test_what_one_file_sets_does_not_reach_the_next(
    empty_database: str, scripts: Path
) -> None:
    (scripts / "0003_set.sql").write_text("SET jit = off; SET lock_timeout = 1;")
    (scripts / "0004_see.sql").write_text(
        "CREATE TABLE seen AS SELECT current_setting('jit') AS jit,"
        " current_setting('lock_timeout') AS lock_timeout;"
    )
    migrate(empty_database, scripts)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT * FROM seen").fetchone() == ("on", "5s")


def test_a_file_changed_after_it_was_applied_is_an_error(
    empty_database: str, scripts: Path
) -> None:
    migrate(empty_database, scripts)
    (scripts / "0001_log.sql").write_text(LOG + " ")
    with pytest.raises(MigrationError, match="changed after they were applied: 0001"):
        migrate(empty_database, scripts)
    with pytest.raises(MigrationError, match="changed after they were applied: 0001"):
        pending(empty_database, scripts)


def test_a_database_newer_than_the_code_is_an_error(
    empty_database: str, scripts: Path
) -> None:
    migrate(empty_database, scripts)
    (scripts / "0002_view.sql").unlink()
    with pytest.raises(MigrationError, match=r"does not know: 0002_view\.sql"):
        migrate(empty_database, scripts)


def test_a_file_before_an_applied_one_is_an_error(
    empty_database: str, scripts: Path
) -> None:
    (scripts / "0001_log.sql").rename(scripts / "0001_log.later")
    (scripts / "0002_view.sql").write_text(LOG)
    migrate(empty_database, scripts)
    (scripts / "0001_log.later").rename(scripts / "0001_log.sql")
    with pytest.raises(MigrationError, match=r"would come before 0002_view\.sql"):
        migrate(empty_database, scripts)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("log.sql", r"name migrations like 0001_log\.sql: log\.sql"),
        ("0003-log.sql", r"name migrations like"),
        ("0002_twice.sql", "numbers given twice: 0002"),
    ],
)
def test_a_file_with_a_wrong_name_is_an_error(
    empty_database: str, scripts: Path, name: str, complaint: str
) -> None:
    (scripts / name).write_text("")
    with pytest.raises(MigrationError, match=complaint):
        migrate(empty_database, scripts)


def test_the_projects_own_migrations_are_found_and_applied(database: str) -> None:
    assert pending(database) == []
