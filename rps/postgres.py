"""The PostgreSQL server behind a node: the operator's own, or one we run ourselves.

The embedded server listens on a Unix socket only, in a folder nobody else can enter.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shlex
import shutil
import signal
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TextIO

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rps.installation import SUPERUSER, Installation, PostgresError, binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.config import Config

__all__ = [
    "EmbeddedServer",
    "PostgresError",
    "binaries",
    "ensure_database",
    "open_server",
]

log = logging.getLogger(__name__)

DATABASE = "rps"
PORT = 5432  # names the socket file; nothing listens on the network
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
START_SECONDS_MAX = 300  # recovery after a crash replays the log first
STOP_SECONDS_MAX = 60
ORPHANS_SECONDS_MAX = 30
PROCESS_ID_NEVER_USED = 2**22 + 1  # above what Linux and macOS ever hand out

StopMode = Literal["fast", "immediate"]


def ensure_database(admin_dsn: str, name: str) -> None:
    """Create the database unless it is there already, or appears meanwhile."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
        if found is None:
            with suppress(
                psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
            ):
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
                )


@contextmanager
def open_server(config: Config) -> Iterator[str]:
    """DSN of the operator's database, else of the embedded server while it is open.

    An embedded server started here is stopped on leaving; one already running stays.
    """
    if config.database_url:
        yield config.database_url
        return
    with EmbeddedServer(config.data_dir / "postgres") as server:
        yield server.dsn()


class EmbeddedServer:
    """One PostgreSQL cluster under `data_dir`, reached over a Unix socket only.

    As a context manager it is started on entry, or attached to where it already runs,
    and stopped on leaving by the process that started it. Who attaches after the
    starter died takes its place. Not for several threads at once.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self._owner: TextIO | None = None
        self._owner_pid = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.started_here:
            self.stop()

    @property
    def started_here(self) -> bool:
        """Whether it is for us to stop the server; a forked child never does."""
        return self._owner is not None and self._owner_pid == os.getpid()

    @property
    def cluster(self) -> Path:
        """The database files; a link where PostgreSQL's account cannot enter here."""
        return self.data_dir / "cluster"

    @property
    def log_file(self) -> Path:
        return self.cluster.resolve() / "server.log"

    @property
    def pid(self) -> int | None:
        """Process id of the living postmaster."""
        lines = self._pid_file_lines()
        if not lines:
            return None
        # The number alone proves nothing, it may be another process's by now.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(f"{lines[4]}/.s.PGSQL.{PORT}")
            except OSError:
                return None
        return int(lines[0])

    def dsn(self, dbname: str = DATABASE, user: str = SUPERUSER) -> str:
        """Connection string of one of its databases, from `start` to `stop`."""
        lines = self._pid_file_lines()
        if not lines:
            raise PostgresError(f"no PostgreSQL is running for {self.data_dir}")
        return make_conninfo(host=lines[4], port=PORT, dbname=dbname, user=user)

    def start(self) -> None:
        """Make the cluster if there is none, start it, wait until it answers.

        Raises PostgresError with the end of the server's log where it does not start.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._claim()
            try:
                if self.pid is None:
                    self._launch()
                self._await_answer()
                ensure_database(self.dsn("postgres"), DATABASE)
            except BaseException:  # also Ctrl-C: nothing may be left running
                if self.started_here:
                    self._halt("immediate")
                    self._disclaim()
                raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server, whoever started it; fine when it does not run.

        `immediate` leaves recovery to the next start, as a crash does.
        """
        if self.data_dir.is_dir():
            with self._locked():
                self._halt(mode)
                self._disclaim()

    def kill(self) -> None:
        """Kill the postmaster as a crash would; `start` afterwards recovers."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            while self.pid is not None:
                time.sleep(0.01)

    def destroy(self) -> None:
        """Stop the server and delete the cluster, wherever it lies."""
        self.stop("immediate")
        if not self.data_dir.is_dir():
            return
        installation = Installation.of(self.cluster)
        shutil.rmtree(installation.socket_dir(self.cluster))
        if self.cluster.exists():
            shutil.rmtree(self.cluster.resolve())
        for name in ("cluster", "start.lock", "owner.lock"):
            (self.data_dir / name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else keeps files there
            self.data_dir.rmdir()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time starts or stops; the lock dies with its process."""
        with (self.data_dir / "start.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _claim(self) -> None:
        if self.started_here:
            return
        file = (self.data_dir / "owner.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
        else:
            self._owner, self._owner_pid = file, os.getpid()

    def _disclaim(self) -> None:
        if self._owner is not None and self.started_here:
            # closing is not enough: forked children hold the same open file
            fcntl.flock(self._owner, fcntl.LOCK_UN)
            self._owner.close()
            self._owner = None

    def _pid_file_lines(self) -> list[str]:
        """Process id, cluster, start time, port, socket folder; all or nothing."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        return lines if len(lines) > 4 and lines[4] else []  # noqa: PLR2004 - see above

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.dsn("postgres")).close()
            except psycopg.OperationalError:  # recovering, if its starter was killed
                if self.pid is None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _launch(self) -> None:
        if self.cluster.is_symlink() and not self.cluster.exists():
            raise PostgresError(
                f"the database files were in {self.cluster.readlink()} and are gone: "
                f"restore them, or remove {self.cluster} to begin with an empty one"
            )
        installation = Installation.of(self.cluster)
        if not self.cluster.exists():
            installation.initialise(self.cluster)
        self._forget_dead_postmaster()
        sockets = installation.socket_dir(self.cluster)
        settings = SETTINGS | {"unix_socket_directories": str(sockets)}
        options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in settings.items())
        deadline = time.monotonic() + ORPHANS_SECONDS_MAX
        while True:
            logged = self.log_file.stat().st_size if self.log_file.exists() else 0
            result = installation.run(
                *("pg_ctl", "start", "-D", str(self.cluster.resolve()), "-o", options),
                *("-l", str(self.log_file), "-w", "-t", str(START_SECONDS_MAX)),
            )
            if result.returncode == 0:
                log.info("postgres.started cluster=%s", self.cluster)
                return
            told = result.stdout + self._logged_since(logged)
            # Backends of a killed postmaster end by themselves, but not at once.
            if "still in use" not in told or time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start: {told[-2000:]}")
            time.sleep(0.1)

    def _logged_since(self, size: int) -> str:
        if not self.log_file.exists():
            return ""
        return self.log_file.read_bytes()[size:].decode(errors="replace")

    def _forget_dead_postmaster(self) -> None:
        """Let a pid file left by a crash not name a process of somebody else.

        PostgreSQL would refuse to start; containers count process ids anew. The file
        stays for its other guard, the check that no backend is left.
        """
        lines = self._pid_file_lines()
        if lines:
            text = "\n".join([str(PROCESS_ID_NEVER_USED), *lines[1:], ""])
            (self.cluster / "postmaster.pid").write_text(text)

    def _halt(self, mode: StopMode) -> None:
        if self.pid is None:
            return
        installation = Installation.of(self.cluster)
        sockets = Path(self._pid_file_lines()[4])
        told = ""
        for attempt in (mode, "immediate"):
            result = installation.run(
                *("pg_ctl", "stop", "-D", str(self.cluster.resolve()), "-m", attempt),
                *("-w", "-t", str(STOP_SECONDS_MAX)),
            )
            if result.returncode == 0:
                shutil.rmtree(sockets, ignore_errors=True)
                log.info("postgres.stopped cluster=%s", self.cluster)
                return
            told += result.stdout
        raise PostgresError(f"PostgreSQL did not stop: {told}")
