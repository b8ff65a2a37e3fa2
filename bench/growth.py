"""Does a change cost the same when much is there already? Log, lanes, memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bench import node_measures as node
from bench.outcome import (
    PATIENCE_SECONDS,
    WARM_UP_CHANGES,
    Meter,
    Outcome,
    judged,
    one,
)
from bench.process import await_true
from bench.seeds import lanes_of, log_of

if TYPE_CHECKING:
    from bench.deployment import Deployment
    from bench.outcome import Series, Size
    from bench.process import Process

LEAST_LANES = 32
MEMORY_RATE = 200
SAMPLE_SECONDS = 5.0
MEGABYTE = 1_048_576
PAGE = 4096


def log_capture(run: Deployment, size: Size, *, events: int) -> Outcome:
    return node.capture(
        run, size, template=log_of(run, events), times=4, clients=4, batch=100
    )


def log_drain(run: Deployment, size: Size, *, events: int) -> Outcome:
    return node.drain(run, size, template=log_of(run, events))


def log_latency(run: Deployment, size: Size, *, events: int) -> Outcome:
    return node.latency(run, size, template=log_of(run, events))


def lanes_capture(run: Deployment, size: Size, *, depth: int) -> Outcome:
    """More changes for records whose lanes are that deep; nothing works on them."""
    lanes = _lanes(size, depth)
    with run.fresh(lanes_of(run, depth, lanes)) as dsn, run.serve(dsn) as served:
        node.post(run, served, WARM_UP_CHANGES, size.keys, **node.WARM_UP)
        meter = Meter(run, [served.process])
        how = {"first_number": depth + 1, "clients": 4, "batch": 100}
        seconds = node.post(run, served, size.changes, lanes, **how)
        return Outcome(
            {"per_second": size.changes / seconds} | meter.each(size.changes)
        )


def lanes_drain(run: Deployment, size: Size, *, depth: int) -> Outcome:
    """From the first arrival to that of as many as are measured everywhere."""
    lanes = _lanes(size, depth)
    with run.fresh(lanes_of(run, depth, lanes)) as dsn:
        run.sink.reset()
        kinds = ("projector", "receiver", "deliverer", "sweeper")
        with run.work(dsn, *kinds) as workers:
            await_true(lambda: _arrived(run) > 0, "the first has arrived", workers)
            before, meter = _arrived(run), Meter(run, [workers])
            patience = PATIENCE_SECONDS + size.changes
            await_true(
                lambda: _arrived(run) >= size.changes, "enough came", workers, patience
            )
            stats = run.sink.stats()
            used = meter.each(stats["distinct"] - before)
    took = int(stats["t_last"]) - int(stats["t_first"])
    outcome = judged(stats, stats["distinct"])
    outcome.values = {"per_second": (stats["distinct"] - 1) * 1e9 / took} | used
    return outcome


def _lanes(size: Size, depth: int) -> int:
    return max(LEAST_LANES, size.changes // depth)


def _arrived(run: Deployment) -> int:
    return int(run.sink.stats()["distinct"])


def memory(run: Deployment, size: Size) -> Outcome:
    """Steady load on a whole node; what each process holds, every five seconds."""
    changes = int(size.minutes * 60 * MEMORY_RATE)
    with run.fresh() as dsn, run.serve(dsn) as served, run.work(dsn) as workers:
        run.sink.reset()
        asked = {"port": served.port, "token": served.token, "clients": node.CLIENTS}
        client = run.order(
            *("bench.client",),
            **asked,
            changes=changes,
            keys=size.keys,
            rate=MEMORY_RATE,
        )
        try:
            series = _sampled(run, [served.process, workers], changes, size)
            client.answer()
        finally:
            client.end()
        with psycopg.connect(dsn, autocommit=True) as connection:
            await_true(lambda: not one(connection, node.OPEN), "all is done", workers)
        stats = run.sink.stats()
    outcome = judged(stats, changes)
    outcome.series = series
    grown = {name: _growth(points) for name, points in series.items()}
    outcome.values = {"growth": max(grown.values(), default=0.0)}
    outcome.values |= {
        f"{name} MB": points[-1][1] for name, points in series.items() if points
    }
    return outcome


def _sampled(
    run: Deployment, processes: list[Process], changes: int, size: Size
) -> Series:
    """Until all has arrived, or far too much time has passed. Minutes and megabytes."""
    series: Series = {}
    await_true(lambda: _arrived(run) > 0, "the load begins", processes[0], 120)
    start = time.monotonic()
    patience = size.minutes * 60 * 1.5 + PATIENCE_SECONDS
    while _arrived(run) < changes and time.monotonic() - start < patience:
        at = (time.monotonic() - start) / 60
        for process in processes:
            for pid in process.members():
                name, held = _held(pid)
                if held:
                    series.setdefault(f"{name} {pid}", []).append((at, held))
            process.require_running()
        time.sleep(SAMPLE_SECONDS)
    return _named(series)


def _held(pid: int) -> tuple[str, float]:
    """What the process is called, and its resident megabytes; 0 where it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return "", 0.0
    verbs = [word for word in words if word and not word.startswith(("-", "/"))]
    at = verbs.index("rps") + 1 if "rps" in verbs else 0
    name = " ".join(verbs[at : at + 2]) or "unnamed"
    return name, pages * PAGE / MEGABYTE


def _named(series: Series) -> Series:
    """Numbered instead of process ids, which say nothing to a reader."""
    named: Series = {}
    for name in sorted(series, key=lambda x: (x.rsplit(" ", 1)[0], int(x.split()[-1]))):
        kind = name.rsplit(" ", 1)[0]
        number = sum(1 for other in named if other.rsplit(" ", 1)[0] == kind) + 1
        named[f"{kind} {number}"] = series[name]
    return named


def _growth(points: list[tuple[float, float]]) -> float:
    """The last tenth of the time against the second tenth, when all is warm."""
    tenth = max(1, len(points) // 10)
    early, late = points[tenth : 2 * tenth] or points[:1], points[-tenth:]
    return _mean(late) / _mean(early) - 1


def _mean(points: list[tuple[float, float]]) -> float:
    return sum(held for _, held in points) / len(points)
