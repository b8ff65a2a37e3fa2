"""rps serve: the API, with the embedded database and the workers where asked for."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from rps.cli.keys import require_keys
from rps.cli.lifetime import end_with, parent_option
from rps.cli.session import require_migrated
from rps.cli.terminal import Exit, Failure, say, verbosity
from rps.config import Config
from rps.migrate import migrate
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("rps.serve")

OWN_SECONDS_MAX = 30.0
WORKERS_STOP_SECONDS = 45.0


@click.command()
@click.option("--workers", is_flag=True, help="Run one worker of each kind as well.")
@click.option("--access-log", is_flag=True, help="One line a request on stdout.")
@parent_option
def serve(*, workers: bool, access_log: bool, parent: int | None) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C.

    Without RPS_DATABASE_URL this also starts the embedded PostgreSQL, brings it to
    the schema and stops it at the end; other commands attach to it meanwhile. With
    RPS_DATABASE_URL the schema must be there already: rps migrate.
    """
    from rps.node import Node  # noqa: PLC0415 - gunicorn parses what it finds at import

    end_with(parent)
    signal.signal(signal.SIGTERM, _end)  # until gunicorn has its own
    config = Config.from_environ()
    with database_of(config) as database_url, _workers(database_url, run=workers):
        Node(
            config,
            database_url,
            access_log=access_log,
            log_level=logging.getLevelName(logging.getLogger().level).lower(),
            ready=lambda url: say(f"serving {url}"),
        ).run()


def _end(*_: object) -> None:
    raise SystemExit(0)


@contextmanager
def database_of(config: Config) -> Iterator[str]:
    """The operator's database, or the embedded server, owned as long as this lasts."""
    if config.database_url:
        require_migrated(config.database_url)
        require_keys(config, config.database_url)
        yield config.database_url
        return
    with EmbeddedServer(config.data_dir / "postgres") as server:
        _own(server)
        migrate(server.dsn())
        require_keys(config, server.dsn(), own=True)
        yield server.dsn()


def _own(server: EmbeddedServer) -> None:
    """Outlast a command that started the server for a moment and will stop it."""
    deadline = time.monotonic() + OWN_SECONDS_MAX
    while not server.started_here:
        if time.monotonic() > deadline:
            raise Failure(
                f"another process runs the embedded PostgreSQL of {server.data_dir}: "
                "stop it, or set RPS_DATA_DIR to another folder"
            )
        time.sleep(0.2)
        server.start()


@contextmanager
def _workers(database_url: str, *, run: bool) -> Iterator[None]:
    """`rps work` beside us; where it ends unasked, so do we."""
    if not run:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "rps", "work", "--parent", str(os.getpid())],
        env={**os.environ, "RPS_DATABASE_URL": database_url, **verbosity()},
        start_new_session=True,  # Ctrl-C is for us alone; we end it in our own time
    )
    stopping, died = threading.Event(), threading.Event()

    def watch() -> None:
        process.wait()
        if not stopping.is_set():
            died.set()
            os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=watch, name="workers", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        process.terminate()
        watcher.join(WORKERS_STOP_SECONDS)
        if watcher.is_alive():
            process.kill()  # its workers see that it is gone, and end
        if died.is_set():
            log.error("workers.died: see above; nothing was lost, start again")
            sys.exit(Exit.FAILED)
