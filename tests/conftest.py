"""A real PostgreSQL for all tests: one server a run, one fresh database a test."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from rps.application import RemoteProcessSync
from rps.migrate import migrate
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "rps_template"
SERVER_DIR = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """The controller names the server's folder; its xdist workers are told."""
    told: dict[str, str] = getattr(config, "workerinput", {})
    os.environ.setdefault("RPS_KEY", f"rpskey_{'t' * 43}")
    if not told:
        signal.signal(signal.SIGTERM, _end)
    config.stash[SERVER_DIR] = Path(
        told.get("server_dir") or tempfile.mkdtemp(prefix="rps-tests-")
    )


def _end(*_: object) -> None:
    pytest.exit("terminated", returncode=128 + signal.SIGTERM)  # so that we clean up


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["server_dir"] = str(node.config.stash[SERVER_DIR])


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller outlives every worker, also one that crashed: it stops."""
    if not hasattr(config, "workerinput") and SERVER_DIR in config.stash:
        EmbeddedServer(config.stash[SERVER_DIR] / "postgres").destroy()
        shutil.rmtree(config.stash[SERVER_DIR], ignore_errors=True)


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> EmbeddedServer:
    """The run's server, started by the first who needs it. Do not stop it."""
    shared = EmbeddedServer(pytestconfig.stash[SERVER_DIR] / "postgres")
    shared.start()
    return shared


@pytest.fixture(scope="session")
def template(server: EmbeddedServer) -> str:
    """Name of a migrated database to copy; made once a run."""
    with (server.data_dir / "template.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            found = admin.execute(
                "SELECT FROM pg_database WHERE datname = %s", [TEMPLATE]
            )
            if found.fetchone() is None:
                admin.execute("DROP DATABASE IF EXISTS rps_template_new")  # it failed
                admin.execute("CREATE DATABASE rps_template_new")
                migrate(server.dsn("rps_template_new"))
                admin.execute("ALTER DATABASE rps_template_new RENAME TO rps_template")
    return TEMPLATE


@pytest.fixture
def database(server: EmbeddedServer, template: str) -> Iterator[str]:
    """DSN of a migrated database of the test's own."""
    with _new_database(server, template) as dsn:
        yield dsn


@pytest.fixture
def application(database: str) -> Iterator[RemoteProcessSync]:
    """The application on that database."""
    made = RemoteProcessSync(database)
    yield made
    made.close()


@pytest.fixture
def empty_database(server: EmbeddedServer) -> Iterator[str]:
    """DSN of a database without any tables, of the test's own."""
    with _new_database(server, "template0") as dsn:
        yield dsn


@pytest.fixture
def crash_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A running server of the test's own, to kill, stop and start."""
    private = EmbeddedServer(tmp_path / "postgres")
    private.start()
    try:
        yield private
    finally:
        private.destroy()


@contextmanager
def _new_database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        # The default strategy wal_log: 35 ms to make and 10 ms to drop against 70 ms
        # and 43 ms for file_copy, which waits for checkpoints.
        made = sql.Identifier(name), sql.Identifier(template)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*made))
        try:
            yield server.dsn(name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made[0]))
