"""What a user would pick instead, from a folder of peers the user names.

The folder has a `run.py` with a table PEERS: of each peer its command, which answers
`setup`, `enqueue` and `worker` and takes its settings from BENCH_*, and the SQL that
counts what is not done yet. Only that table is taken from it. Server, sink, timing and
judgement are ours, so that peers and rps are measured by the same code in one run.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg

from bench.deployment import EMPTY
from bench.node_measures import FAULTS, REFUSE_ONE_IN
from bench.outcome import (
    RATE,
    WARM_UP_CHANGES,
    Meter,
    Outcome,
    arrivals,
    await_warm,
    drained,
    judged,
    one,
)
from bench.process import await_true
from bench.workload import WARM_UP_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.deployment import Deployment
    from bench.outcome import Size
    from bench.process import Process

STRONGEST = (
    "outbox",
    "outbox-batch16",
    "pgqueuer-lanes",
    "graphile-worker-local",
    "pg-boss-tuned",
)
"""The first in some discipline; the others are run if they are asked for."""

NODE_BINARY = "node_modules/.bin/node"
CALL_SECONDS_MAX = 300.0


class NoPeers(RuntimeError):
    """The folder is not one of peers, or does not have what was asked for."""


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    folder: Path
    command: tuple[str, ...]
    env: dict[str, str]
    pending: str

    @property
    def in_python(self) -> bool:
        return not self.command[0].endswith(NODE_BINARY)

    # --- its processes --------------------------------------------------------------

    def _start(
        self, run: Deployment, dsn: str, what: str, settings: dict[str, Any]
    ) -> Process:
        env = {
            "BENCH_DSN": _address(dsn),
            "BENCH_SINK": run.sink.url,
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            **self.env,
            **{f"BENCH_{name.upper()}": str(value) for name, value in settings.items()},
        }
        return run.start([*self.command, what], f"{self.name}-{what}", env, self.folder)

    def _call(
        self, run: Deployment, dsn: str, what: str, **settings: Any
    ) -> dict[str, Any]:
        return self._start(run, dsn, what, settings).answer(CALL_SECONDS_MAX)

    def _enqueue(self, run: Deployment, dsn: str, **settings: Any) -> float:
        """Changes a second."""
        told = self._call(run, dsn, "enqueue", **settings)
        return float(told["n"]) / float(told["seconds"])

    # --- what is measured -----------------------------------------------------------

    def intake(self, run: Deployment, size: Size, *, producers: int) -> Outcome:
        """A call inside the producer's own process, one commit a change."""
        with run.fresh(EMPTY) as dsn:
            self._call(run, dsn, "setup")
            how = {"n": size.changes, "keys": size.keys, "producers": producers}
            return Outcome({"per_second": self._enqueue(run, dsn, **how)})

    def drain(self, run: Deployment, size: Size, *, delay_ms: int = 0) -> Outcome:
        with run.fresh(EMPTY) as dsn:
            self._call(run, dsn, "setup")
            run.sink.reset(delay_ms)
            self._enqueue(run, dsn, n=size.changes, keys=size.keys, producers=8)
            return self._delivered(run, dsn, size.changes)

    def faults(
        self, run: Deployment, size: Size, *, peers_work: bool = True
    ) -> Outcome:
        own = {"changes": size.changes, "keys": size.keys}
        work = FAULTS if peers_work else own
        with run.fresh(EMPTY) as dsn:
            self._call(run, dsn, "setup")
            run.sink.reset(refuse_one_in=REFUSE_ONE_IN)
            how = {"n": work["changes"], "keys": work["keys"], "pattern": "burst"}
            self._enqueue(run, dsn, **how)
            return self._delivered(run, dsn, work["changes"])

    def latency(self, run: Deployment, size: Size) -> Outcome:
        # Their producer gives each key the same number of changes.
        wanted = size.paced - size.paced % size.keys or size.keys
        with run.fresh(EMPTY) as dsn:
            self._call(run, dsn, "setup")
            run.sink.reset()
            worker = self._start(run, dsn, "worker", {})
            try:
                warm_up = {"n": WARM_UP_CHANGES, "keys": WARM_UP_CHANGES}
                self._enqueue(run, dsn, **warm_up, first_key=WARM_UP_KEY, rate=RATE)
                await_warm(run, worker)
                meter = Meter(run, [worker])
                self._enqueue(run, dsn, n=wanted, keys=size.keys, rate=RATE)
                await_true(
                    lambda: int(run.sink.stats()["distinct"]) >= wanted,
                    "everything has arrived",
                    worker,
                )
                used, stats = meter.each(wanted), run.sink.stats()
            finally:
                worker.end()
        outcome = judged(stats, wanted)
        outcome.values = arrivals(stats) | used
        return outcome

    def _delivered(self, run: Deployment, dsn: str, changes: int) -> Outcome:
        worker = self._start(run, dsn, "worker", {})
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                return drained(
                    *(run, changes, [worker]), lambda: not one(connection, self.pending)
                )
        finally:
            worker.end()


def peers_in(folder: Path, names: Sequence[str]) -> list[Peer]:
    """Those named, in their order. Raises NoPeers where one cannot be run."""
    table = _table(folder / "run.py")
    interpreter = folder / ".venv" / "bin" / "python"
    python = str(interpreter) if interpreter.exists() else sys.executable
    unknown = [name for name in names if name not in table]
    if unknown:
        raise NoPeers(f"no peer {', '.join(unknown)}; there are: {', '.join(table)}")
    return [_peer(name, folder, table[name], python) for name in names]


def _peer(name: str, folder: Path, entry: dict[str, Any], python: str) -> Peer:
    if entry.get("redis") or not entry.get("pending"):
        raise NoPeers(f"{name} keeps its work outside PostgreSQL: not comparable here")
    first, *others = (str(word) for word in entry["cmd"])
    command = (python if first == sys.executable else first, *others)
    if not Path(command[0]).exists():
        raise NoPeers(f"{name} needs {command[0]}: see the README of {folder}")
    return Peer(name, folder, command, entry.get("env", {}), entry["pending"])


def _table(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise NoPeers(f"{file} is not there")
    spec = importlib.util.spec_from_file_location("peers_run", file)
    if spec is None or spec.loader is None:
        raise NoPeers(f"{file} is no module")
    module = importlib.util.module_from_spec(spec)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = kept
    found: dict[str, Any] = module.PEERS
    return found


def _address(dsn: str) -> str:
    """A DSN as a URL, which every driver reads; over the same socket as ours."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    host, port = quote(str(parts["host"]), safe=""), parts["port"]
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={host}&port={port}"
