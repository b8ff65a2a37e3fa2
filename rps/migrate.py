"""Brings a database to the schema this code needs: numbered SQL files, each once."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

import rps

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

ADVISORY_LOCK = 0x7270735F6D696772  # "rps_migr"
WAIT_SECONDS_MAX = 120  # for another process that migrates
LOCK_TIMEOUT_SECONDS = 5  # a table somebody uses: rather fail than hold up everybody
STATEMENT_TIMEOUT_SECONDS = 900
NAME = re.compile(r"[0-9]{4}_[a-z0-9_]+\.sql")


class MigrationError(RuntimeError):
    """The database cannot be brought to this code's schema; the text says why."""


@dataclass(frozen=True, slots=True)
class _Migration:
    name: str
    script: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.script).hexdigest()


def migrate(
    dsn: str,
    directory: Path | None = None,
    *,
    wait_seconds: float = WAIT_SECONDS_MAX,
) -> list[str]:
    """Apply what is missing, each file in a transaction of its own; returns its names.

    One process at a time: another waits up to `wait_seconds`, then finds nothing left
    to do. Raises MigrationError where a file changed after it was applied, where the
    database has migrations this code does not know, and where a file fails; the files
    before that one stay applied.
    """
    migrations = _migrations(directory)
    with psycopg.connect(dsn, autocommit=True) as connection:
        _lock(connection, wait_seconds)
        connection.execute(
            """
            CREATE TABLE IF NOT EXISTS rps_migrations (
                name text PRIMARY KEY,
                sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
                applied_at timestamptz NOT NULL DEFAULT now()
            )
            """
        )
        missing = _missing(migrations, _applied(connection))
        for migration in missing:
            _apply(connection, migration)
            log.info("migration.applied name=%s", migration.name)
    return [migration.name for migration in missing]


def pending(dsn: str, directory: Path | None = None) -> list[str]:
    """Names of the files `migrate` would apply; raises what it would raise."""
    migrations = _migrations(directory)
    with psycopg.connect(dsn, autocommit=True) as connection:
        missing = _missing(migrations, _applied(connection))
    return [migration.name for migration in missing]


def _migrations(directory: Path | None) -> list[_Migration]:
    folder = directory or _own_directory()
    files = sorted(folder.glob("*.sql"))
    strange = [file.name for file in files if not NAME.fullmatch(file.name)]
    if strange:
        raise MigrationError(f"name migrations like 0001_log.sql: {', '.join(strange)}")
    numbers = [file.name[:4] for file in files]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise MigrationError(f"migration numbers given twice: {', '.join(twice)}")
    return [_Migration(file.name, file.read_bytes()) for file in files]


def _own_directory() -> Path:
    package = Path(rps.__file__).parent
    for folder in (package / "migrations", package.parent / "migrations"):
        if folder.is_dir():
            return folder
    raise MigrationError(f"no migrations beside {package}: the installation is damaged")


def _lock(connection: psycopg.Connection, wait_seconds: float) -> None:
    # Held by the connection that migrates: should it break, lock and work end together.
    _set_timeouts(connection, lock_seconds=wait_seconds, statement_seconds=0)
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
    except psycopg.errors.LockNotAvailable as error:
        raise MigrationError(
            f"another process has been migrating this database for {wait_seconds:g} s: "
            "wait for it to end, then try again"
        ) from error


def _set_timeouts(
    connection: psycopg.Connection, *, lock_seconds: float, statement_seconds: float
) -> None:
    connection.execute(
        "SELECT set_config('lock_timeout', %s, false),"
        " set_config('statement_timeout', %s, false)",
        [f"{lock_seconds * 1000:.0f}ms", f"{statement_seconds * 1000:.0f}ms"],
    )


def _applied(connection: psycopg.Connection) -> dict[str, str]:
    found = connection.execute("SELECT to_regclass('rps_migrations')").fetchone()
    if found is None or found[0] is None:
        return {}
    return dict(connection.execute("SELECT name, sha256 FROM rps_migrations"))


def _missing(
    migrations: list[_Migration], applied: Mapping[str, str]
) -> list[_Migration]:
    """What is not applied yet, in order; the database must be a past of this code."""
    known = {migration.name: migration.sha256 for migration in migrations}
    if unknown := sorted(applied.keys() - known):
        raise MigrationError(
            f"the database has migrations this code does not know: "
            f"{', '.join(unknown)}; run the rps that made them, or a newer one"
        )
    if changed := sorted(name for name in applied if applied[name] != known[name]):
        raise MigrationError(
            f"changed after they were applied: {', '.join(changed)}; "
            "restore them and put the change into a new migration"
        )
    missing = [each for each in migrations if each.name not in applied]
    last = max(applied, default="")
    if late := [each.name for each in missing if each.name < last]:
        raise MigrationError(
            f"{', '.join(late)} would come before {last}, which is already applied; "
            "give it the next number"
        )
    return missing


def _apply(connection: psycopg.Connection, migration: _Migration) -> None:
    # Anew for each file: the one before may have set its own.
    connection.execute("RESET ALL")
    _set_timeouts(
        connection,
        lock_seconds=LOCK_TIMEOUT_SECONDS,
        statement_seconds=STATEMENT_TIMEOUT_SECONDS,
    )
    try:
        with connection.transaction():
            connection.execute(migration.script)
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise MigrationError(
                    f"{migration.name} ends the transaction it runs in: remove its "
                    "COMMIT, and repair by hand what it has already done"
                )
            connection.execute(
                "INSERT INTO rps_migrations (name, sha256) VALUES (%s, %s)",
                [migration.name, migration.sha256],
            )
    except psycopg.Error as error:
        raise MigrationError(f"{_place(migration, error)}: {error}") from error


def _place(migration: _Migration, error: psycopg.Error) -> str:
    if error.diag.statement_position is None:
        return migration.name
    before = migration.script.decode()[: int(error.diag.statement_position)]
    return f"{migration.name}, line {before.count(chr(10)) + 1}"
