"""What a run needs: one PostgreSQL, one sink, and rps on it as a user would have it."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson
import psycopg

from bench.workload import DEFINITION, SYSTEM, TARGET
from rps.connectors.signature import new_secret
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "rps"
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
TAIL_CHARACTERS = 2_000


class Process:
    """A process in a session of its own; what it says goes to a file."""

    def __init__(self, name: str, command: list[str], folder: Path, **env: str) -> None:
        self._name = name
        self._words = folder / f"{name}.log"
        own = {k: v for k, v in os.environ.items() if not k.startswith("RPS_")}
        with self._words.open("ab") as words:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**own, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_running(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._name} ended by itself:\n{self._tail()}")

    def cpu_seconds(self) -> float:
        """Processor time so far, of everything it started as well."""
        ticks = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # After the name, which may hold anything: session is the 4th field,
                # the four times (own and waited-for children's) the 12th to 15th.
                fields = file.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid:
                    ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def answer(self) -> dict[str, Any]:
        """What it prints as JSON before it ends; raises RuntimeError if it fails."""
        try:
            out, _ = self._process.communicate()
        except BaseException:  # Ctrl-C does not reach it in its session
            self.end()
            raise
        if self._process.returncode != 0:
            raise RuntimeError(f"{self._name} failed:\n{self._tail()}")
        found: dict[str, Any] = orjson.loads(out)
        return found

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """By force, with everything it started, where it takes too long."""
        if self._process.poll() is None:
            self.interrupt()
            with suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=STOP_SECONDS_MAX)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _tail(self) -> str:
        return self._words.read_text(errors="replace")[-TAIL_CHARACTERS:]


@dataclass(frozen=True, slots=True)
class Node:
    """`rps serve` as it runs."""

    port: int
    process: Process


class SinkClient:
    """How this process asks the sink; deliveries go there without us."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}"

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self._ask("GET", "/stats"))
        return found

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


class Deployment:
    """Everything it starts is throwaway; leaving it leaves nothing behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rps-bench-"))
        self.server = EmbeddedServer(self.folder / "postgres")
        self.token = ""
        self._databases = 0

    def __enter__(self) -> Self:
        try:
            self.server.start()
            port = free_port()
            self._sink = self.process("sink", "bench.sink", str(port))
            self.sink = SinkClient(port)
            await_true(lambda: answers(port, "/"), "the sink answers", self._sink)
            self._configure()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_sink"):
            self._sink.end()
        self.server.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)

    def process(self, name: str, *command: str, **env: str) -> Process:
        return Process(name, list(command), self.folder, **env)

    def order(self, *command: str, **order: Any) -> Process:
        """Start one of our own modules with `order` as its JSON argument."""
        name = "-".join(part.removeprefix("bench.") for part in command)
        return self.process(name, *command, orjson.dumps(order).decode())

    # --- databases ------------------------------------------------------------------

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """A new database with an rps that is set up and has done nothing yet."""
        self._databases += 1
        name = f"run_{self._databases}"
        with psycopg.connect(self.server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}".encode())
            admin.execute("CHECKPOINT")  # none of the former run's, while we measure
        try:
            yield self.server.dsn(name)
        finally:
            with psycopg.connect(self.server.dsn("postgres"), autocommit=True) as admin:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _configure(self) -> None:
        """Set up the template by the commands a user would give."""
        dsn = self.server.dsn(TEMPLATE)
        self._rps(dsn, "init")
        for name in (SYSTEM, TARGET):
            secret = self.folder / f"{name}.secret"
            secret.write_text(new_secret(os.urandom(32)))
            url = f"{self.sink.url}/rps"
            self._rps(
                *(dsn, "system", "add", name, "--url", url),
                *("--secret-file", str(secret)),
            )
            self._rps(dsn, "system", "activate", name)
        document = self.folder / "definition.yaml"
        document.write_bytes(orjson.dumps(DEFINITION))  # JSON is YAML
        self._rps(dsn, "definition", "apply", str(document))
        self.token = self._rps(
            *(dsn, "token", "issue", "poster", "--role", "ih_process_sync_api")
        ).strip()

    def _rps(self, dsn: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rps", *arguments],
            cwd=ROOT,
            env={**os.environ, **environ_of(dsn)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"rps {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout

    # --- rps ------------------------------------------------------------------------

    @contextmanager
    def serve(self, dsn: str) -> Iterator[Node]:
        """`rps serve`, as it is out of the box."""
        port = free_port()
        env = environ_of(dsn) | {"RPS_PORT": str(port)}
        process = self.process("serve", "rps", "serve", **env)
        try:
            await_true(lambda: answers(port, "/readyz"), "rps serves", process)
            yield Node(port, process)
        finally:
            process.end()

    @contextmanager
    def work(self, dsn: str, *kinds: str) -> Iterator[Process]:
        """`rps work`, with one of each kind where none is named."""
        process = self.process("work", "rps", "work", *kinds, **environ_of(dsn))
        try:
            yield process
        finally:
            process.end()


def environ_of(dsn: str) -> dict[str, str]:
    return {"RPS_DATABASE_URL": dsn, "RPS_ALLOW_NETWORKS": "127.0.0.0/8"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def await_true(
    condition: Callable[[], bool],
    what: str,
    process: Process,
    seconds: float = START_SECONDS_MAX,
    pause: float = 0.02,
) -> None:
    """Look again and again; raises TimeoutError, or RuntimeError if `process` ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        process.require_running()
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(pause)
