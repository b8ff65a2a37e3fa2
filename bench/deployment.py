"""What a run needs: one PostgreSQL, one sink, and rps on it as a user would have it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson
import psycopg

from bench.process import ROOT, Process, await_true, family_seconds, ours
from bench.sink import SinkClient, answers, compiled
from bench.workload import DEFINITION, SYSTEM, TARGET
from rps.connectors.signature import new_secret
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_BY_ONE, BATCHED = "rps", "rps_batched"
"""Templates of databases: by how messages go to the target."""

EMPTY = "empty"
MESSAGES_A_REQUEST = 500
TRANSPORTS = {ONE_BY_ONE: (), BATCHED: ("--batch", str(MESSAGES_A_REQUEST))}


@dataclass(frozen=True, slots=True)
class Node:
    """`rps serve` as it runs."""

    port: int
    process: Process
    token: str


class Deployment:
    """Everything it starts is throwaway; leaving it leaves nothing behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rps-bench-"))
        self.server = EmbeddedServer(self.folder / "postgres")
        self.tokens: dict[str, str] = {}
        self._databases = 0
        self._started = 0
        self._seeded: dict[str, str] = {}
        self._sink: Process | None = None

    def __enter__(self) -> Self:
        try:
            program = compiled(self.folder)
            self.server.start()
            port = free_port()
            self._sink = self.start([str(program), str(port)], "sink")
            self.sink = SinkClient(port)
            await_true(lambda: answers(port, "/"), "the sink answers", self._sink)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._sink is not None:
            self._sink.end()
        self.server.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- processes ------------------------------------------------------------------

    def start(
        self,
        command: list[str],
        name: str,
        env: dict[str, str] | None = None,
        folder: Path = ROOT,
    ) -> Process:
        self._started += 1
        said = self.folder / f"{name}-{self._started}.log"
        return Process(command, said, env or {}, folder)

    def order(self, *command: str, **order: Any) -> Process:
        """Start one of our own modules with `order` as its JSON argument."""
        name = "-".join(part.removeprefix("bench.") for part in command)
        return self.start(ours(*command, orjson.dumps(order).decode()), name)

    def server_seconds(self) -> float:
        """Processor time of PostgreSQL so far."""
        return family_seconds(self.server.pid or -1)

    def sink_seconds(self) -> float:
        return self._sink.cpu_seconds() if self._sink else 0.0

    # --- databases ------------------------------------------------------------------

    @contextmanager
    def fresh(self, template: str = ONE_BY_ONE) -> Iterator[str]:
        """A new database, like `template`: an rps set up that has done nothing yet,
        one that is seeded, or EMPTY.
        """
        if template in TRANSPORTS:
            self._require(template)
        name = self._create(template)
        try:
            self._admin("CHECKPOINT")  # none of the former run's, while we measure
            yield self.server.dsn(name)
        finally:
            self._drop(name)

    @contextmanager
    def seeding(self, key: str, template: str) -> Iterator[str]:
        """A database that stays, to be the template called `key`; not if it fails."""
        self._require(template)
        name = self._create(template)
        try:
            yield self.server.dsn(name)
        except BaseException:
            self._drop(name)
            raise
        self._seeded[key] = name
        self.tokens[name] = self.tokens[template]

    def seeded(self, key: str) -> str | None:
        return self._seeded.get(key)

    def forget(self, key: str) -> None:
        """Drop what was seeded, to give its space back."""
        if name := self._seeded.pop(key, None):
            self._drop(name)

    def _create(self, template: str) -> str:
        self._databases += 1
        name = f"run_{self._databases}"
        origin = "template1" if template == EMPTY else template
        # A copy of the files: no write-ahead log for what is thrown away anyhow.
        self._admin(f"CREATE DATABASE {name} TEMPLATE {origin} STRATEGY FILE_COPY")
        if template in self.tokens:
            self.tokens[name] = self.tokens[template]
        return name

    def _drop(self, name: str) -> None:
        with suppress(psycopg.OperationalError):  # the server went away first
            self._admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(statement.encode())

    def _require(self, template: str) -> None:
        """Set up a template by the commands a user would give, once."""
        if template in self.tokens or template not in TRANSPORTS:
            return
        if template != ONE_BY_ONE:  # the embedded server has made that one
            self._admin(f"CREATE DATABASE {template}")
        dsn = self.server.dsn(template)
        try:
            self.rps(dsn, "init")
            self._add_systems(dsn, TRANSPORTS[template])
            document = self.folder / "definition.yaml"
            document.write_bytes(orjson.dumps(DEFINITION))  # JSON is YAML
            self.rps(dsn, "definition", "apply", str(document))
            asked = ("token", "issue", "poster", "--role", "ih_process_sync_api")
            self.tokens[template] = self.rps(dsn, *asked).strip()
        except BaseException:
            self._drop(template)
            if template == ONE_BY_ONE:
                self._admin(f"CREATE DATABASE {template}")
            raise

    def _add_systems(self, dsn: str, transport: tuple[str, ...]) -> None:
        for name in (SYSTEM, TARGET):
            secret = self.folder / f"{name}.secret"
            secret.write_text(new_secret(os.urandom(32)))
            reached = ("--url", f"{self.sink.url}/rps", *transport)
            self.rps(
                *(dsn, "system", "add", name, *reached),
                *("--secret-file", str(secret)),
            )
            self.rps(dsn, "system", "activate", name)

    # --- rps ------------------------------------------------------------------------

    def rps(self, dsn: str, *arguments: str, code: int = 0) -> str:
        """Run a command to its end; raises RuntimeError with what it said where it does
        not end with `code`."""
        done = subprocess.run(
            ours("rps", *arguments),
            cwd=ROOT,
            env={**os.environ, **environ_of(dsn)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            raise RuntimeError(f"rps {' '.join(arguments)}:\n{done.stderr[-2000:]}")
        return done.stdout

    @contextmanager
    def serve(self, dsn: str, **settings: str) -> Iterator[Node]:
        """`rps serve`, as it is out of the box."""
        port = free_port()
        env = environ_of(dsn) | {"RPS_PORT": str(port)} | settings
        process = self.start(ours("rps", "serve"), "serve", env)
        try:
            await_true(lambda: answers(port, "/readyz"), "rps serves", process)
            yield Node(port, process, self.tokens[_name_of(dsn)])
        finally:
            process.end()

    @contextmanager
    def work(self, dsn: str, *kinds: str) -> Iterator[Process]:
        """`rps work`, with one of each kind where none is named."""
        process = self.start(ours("rps", "work", *kinds), "work", environ_of(dsn))
        try:
            yield process
        finally:
            process.end()


def environ_of(dsn: str) -> dict[str, str]:
    return {"RPS_DATABASE_URL": dsn, "RPS_ALLOW_NETWORKS": "127.0.0.0/8"}


def _name_of(dsn: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
