from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from rps import installation
from rps.config import Config
from rps.installation import Account, PostgresError, binaries
from rps.postgres import EmbeddedServer, ensure_database, open_server

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes accounts")
STARTER = """
import sys
from pathlib import Path
from rps.postgres import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def started_elsewhere(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that has started, or attached to, the server of `data_dir`."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert starter.stdout
    assert int(starter.stdout.readline())
    return starter


def setting(dsn: str, name: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture(scope="module")
def open_dir() -> Iterator[Path]:
    """A folder every account can pass through; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="rps-open-"))
    folder.chmod(0o711)
    yield folder
    EmbeddedServer(folder / "postgres").destroy()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this module's own cluster lies; making one is what takes the time."""
    folder = tmp_path_factory.mktemp("own") / "postgres"
    yield folder
    EmbeddedServer(folder).destroy()


@pytest.fixture
def own_server(data_dir: Path) -> Iterator[EmbeddedServer]:
    """A running server for these tests to kill, stop and start."""
    embedded = EmbeddedServer(data_dir)
    embedded.start()
    yield embedded
    embedded.stop("immediate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("max_connections", "200"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "2GB"),
        ("TimeZone", "UTC"),
    ],
)
def test_the_embedded_server_is_set_up_for_keeping_data(
    server: EmbeddedServer, name: str, value: str
) -> None:
    assert setting(server.dsn(), name) == value


def test_the_socket_is_closed_to_others_and_its_path_short(
    server: EmbeddedServer,
) -> None:
    folder = Path(str(conninfo_to_dict(server.dsn())["host"]))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= 103


def test_text_sorts_and_folds_the_same_on_every_machine(server: EmbeddedServer) -> None:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute("SELECT 'Z' < 'a', 'é' > 'z'").fetchone()
        assert row == (True, True)


def test_a_server_killed_comes_back_with_what_was_committed(
    own_server: EmbeddedServer,
) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        own_server.kill()
        assert own_server.pid is None
        own_server.start()
    with psycopg.connect(own_server.dsn()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_stopping_twice_and_starting_twice_is_fine(
    own_server: EmbeddedServer,
) -> None:
    pid = own_server.pid
    own_server.start()
    assert own_server.pid == pid
    own_server.stop("immediate")
    own_server.stop()
    assert own_server.pid is None
    assert not own_server.started_here


def test_a_pid_file_naming_a_strange_process_does_not_stop_a_start(
    own_server: EmbeddedServer,
) -> None:
    """After a crash the process id may be somebody else's; PostgreSQL then refuses."""
    pid_file = own_server.cluster / "postmaster.pid"
    own_server.kill()
    with subprocess.Popen(
        ["/bin/cat"],
        stdin=subprocess.PIPE,
        user=pid_file.stat().st_uid if os.geteuid() == 0 else None,
    ) as stranger:
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        assert own_server.pid is None
        own_server.start()
        assert own_server.pid not in {None, stranger.pid}
        stranger.communicate()


def test_a_stopped_server_leaves_no_socket_folder(own_server: EmbeddedServer) -> None:
    folder = Path(str(conninfo_to_dict(own_server.dsn())["host"]))
    own_server.stop()
    assert not folder.exists()


def test_who_attaches_leaves_the_server_running(own_server: EmbeddedServer) -> None:
    with EmbeddedServer(own_server.data_dir) as attached:
        assert attached.pid == own_server.pid
        assert not attached.started_here
    assert own_server.pid is not None


def test_who_attaches_after_the_starter_was_killed_stops_the_server(
    data_dir: Path,
) -> None:
    with started_elsewhere(data_dir) as starter:
        starter.kill()
    with EmbeddedServer(data_dir) as heir:
        assert heir.started_here
    assert heir.pid is None


def test_of_two_that_start_at_once_one_starts_and_one_attaches(tmp_path: Path) -> None:
    new = tmp_path / "postgres"
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(started_elsewhere, [new, new])
    with one, other, EmbeddedServer(new) as observer:
        assert not observer.started_here
    observer.destroy()
    assert observer.pid is None
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_that_leaves_does_not_stop_the_server(
    own_server: EmbeddedServer,
) -> None:
    """A gunicorn worker unwinds the stack of the process it was forked from."""
    child = os.fork()
    if child == 0:
        own_server.__exit__()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert own_server.pid is not None
    assert own_server.started_here


def test_open_server_runs_the_embedded_server_while_it_is_open(data_dir: Path) -> None:
    config = Config.from_environ({"RPS_DATA_DIR": str(data_dir.parent)})
    with open_server(config) as dsn:
        assert setting(dsn, "fsync") == "on"
    assert EmbeddedServer(data_dir).pid is None


def test_open_server_leaves_the_operators_database_alone(tmp_path: Path) -> None:
    environ = {"RPS_DATA_DIR": str(tmp_path), "RPS_DATABASE_URL": "host=db dbname=x"}
    with open_server(Config.from_environ(environ)) as dsn:
        assert dsn == "host=db dbname=x"
    assert list(tmp_path.iterdir()) == []


def test_a_database_is_made_once_also_by_several_at_once(
    server: EmbeddedServer,
) -> None:
    name = 'odd "name"'
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(ensure_database, server.dsn("postgres"), name)
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        connection.execute("SELECT 1")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute('DROP DATABASE "odd ""name""" WITH (FORCE)')


def test_a_start_that_fails_says_what_the_server_logged(
    own_server: EmbeddedServer,
) -> None:
    own_server.stop()
    conf = own_server.cluster / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(f"{good}no_such_setting = 1\n")
    with pytest.raises(PostgresError, match="no_such_setting"):
        own_server.start()
    assert not own_server.started_here
    conf.write_text(good)


def test_without_any_programs_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installation, "_binary_folders", lambda: iter([tmp_path]))
    with pytest.raises(PostgresError, match="set RPS_DATABASE_URL"):
        binaries()


@needs_root
def test_as_root_the_cluster_lies_in_the_data_dir_where_the_account_can_enter(
    open_dir: Path,
) -> None:
    with EmbeddedServer(open_dir / "postgres") as embedded:
        assert embedded.cluster.resolve().parent == open_dir / "postgres"
        assert embedded.cluster.stat().st_uid == Account.unprivileged().uid


@needs_root
def test_as_root_a_closed_data_dir_stays_closed_and_the_cluster_lies_elsewhere(
    open_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = open_dir / "closed"
    closed.mkdir(0o700)
    with EmbeddedServer(closed / "postgres") as embedded:
        elsewhere = embedded.cluster.resolve()
        assert not elsewhere.is_relative_to(closed)
        assert "postgres.elsewhere" in caplog.text
        assert str(elsewhere) in caplog.text
        with psycopg.connect(embedded.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with embedded, psycopg.connect(embedded.dsn()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    embedded.destroy()
    assert not elsewhere.exists()


@needs_root
def test_database_files_that_are_gone_are_not_replaced_by_empty_ones(
    tmp_path: Path,
) -> None:
    (tmp_path / "cluster").symlink_to(tmp_path / "emptied")
    with pytest.raises(PostgresError, match="are gone"):
        EmbeddedServer(tmp_path).start()


@needs_root
def test_as_root_programs_in_a_closed_folder_run_from_a_copy(
    monkeypatch: pytest.MonkeyPatch, open_dir: Path
) -> None:
    wheel = binaries().parent
    closed = open_dir / "programs"
    closed.mkdir(0o700)
    package = closed / wheel.parent.name
    no_headers = shutil.ignore_patterns("include")
    shutil.copytree(wheel, package / wheel.name, ignore=no_headers)
    libraries = wheel.parent.with_name(f"{wheel.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(installation, "binaries", lambda: package / wheel.name / "bin")
    with EmbeddedServer(open_dir / "postgres") as embedded:
        assert setting(embedded.dsn(), "fsync") == "on"
        copy = installation.Installation.of(embedded.cluster).bin_dir
        assert not copy.is_relative_to(open_dir)
    shutil.rmtree(copy.parents[2])
    copy.parents[2].with_suffix(".lock").unlink()


def test_a_copy_that_lost_a_file_is_made_anew(tmp_path: Path) -> None:
    """Cleaners of temporary folders go file by file."""
    bin_dir = tmp_path / "packages" / "wheel" / "install" / "bin"
    bin_dir.mkdir(parents=True)
    (bin_dir / "postgres").touch(0o700)
    (bin_dir / "notes").touch(0o600)
    (tmp_path / "packages" / "wheel.libs").mkdir()
    copy = installation.copied(bin_dir, tmp_path)
    assert stat.S_IMODE((copy / "postgres").stat().st_mode) == 0o755
    assert stat.S_IMODE((copy / "notes").stat().st_mode) == 0o644
    (copy / "notes").unlink()
    assert installation.copied(bin_dir, tmp_path) == copy
    assert (copy / "notes").exists()
    assert (copy.parents[2] / "wheel.libs").is_dir()


@needs_root
def test_a_private_folder_somebody_else_made_is_not_used(
    monkeypatch: pytest.MonkeyPatch, open_dir: Path
) -> None:
    trap = open_dir / "rps-0"
    trap.mkdir()
    os.chown(trap, Account.unprivileged().uid, -1)
    monkeypatch.setattr(tempfile, "tempdir", str(open_dir))
    made = installation.Installation.of(open_dir / "cluster")
    assert not made.private_dir.is_relative_to(open_dir)
