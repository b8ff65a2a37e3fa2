"""What a measure comes out with, and the sink's word on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from bench.process import await_true

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from bench.deployment import Deployment
    from bench.process import Process

RATE = 100
"""Changes a second where latency is measured."""

WARM_UP_CHANGES = 200
PATIENCE_SECONDS = 60.0
EARLY = 0.7
LEAST_RATE = 20
"""Changes a second; what is slower than that is taken to be stuck."""

Series = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Size:
    changes: int
    keys: int
    seconds: int
    """Of the open loop for latency."""

    minutes: float
    """Of the run whose memory is looked at."""

    @property
    def paced(self) -> int:
        return self.seconds * RATE


@dataclass(slots=True)
class Outcome:
    """Rates are called `per_second`. With a fault the figures are worth nothing.

    `cpu_us` is the processor time of the side's own processes for each change;
    PostgreSQL's and the sink's are beside it, the clients' is nowhere.
    """

    values: dict[str, float]
    faults: list[str] = field(default_factory=list)
    series: Series = field(default_factory=dict)
    says: str = ""


class Meter:
    """Processor time from now on: of the side's processes, PostgreSQL and the sink."""

    def __init__(self, run: Deployment, processes: Sequence[Process]) -> None:
        self._run = run
        self._processes = processes
        self._at = self._now()

    def each(self, changes: int) -> dict[str, float]:
        """Microseconds for each of so many changes."""
        names = ("cpu_us", "postgres_us", "sink_us")
        return {
            name: (now - before) * 1e6 / max(changes, 1)
            for name, before, now in zip(names, self._at, self._now(), strict=True)
        }

    def _now(self) -> tuple[float, float, float]:
        own = sum(each.cpu_seconds() for each in self._processes)
        return own, self._run.server_seconds(), self._run.sink_seconds()


def judged(stats: dict[str, Any], changes: int) -> Outcome:
    """The sink's word on order and duplicates."""
    outcome = Outcome({})
    if stats["distinct"] != changes:
        outcome.faults.append(f"{stats['distinct']} of {changes} arrived")
    outcome.faults += [
        f"{stats[name]} {name.replace('_', ' ')}"
        for name in ("out_of_order", "overlaps", "duplicates", "malformed")
        if stats[name]
    ]
    return outcome


def drained(
    run: Deployment, changes: int, workers: Sequence[Process], done: Callable[[], bool]
) -> Outcome:
    """From the first arrival to when the store says that nothing is left to do.

    Where some were refused, `early_per_second` is the rate up to a share of all that
    comes without waiting for a retry.
    """
    early: dict[str, Any] = {}

    def arrived() -> int:
        stats = run.sink.stats()
        if not early and stats["distinct"] >= changes * EARLY:
            early.update(stats)
        return int(stats["distinct"])

    await_true(lambda: arrived() > 0, "the first has arrived", workers[0])
    before, meter = arrived(), Meter(run, workers)
    patience = PATIENCE_SECONDS + changes / LEAST_RATE
    await_true(
        lambda: arrived() >= changes, "everything has arrived", workers[0], patience
    )
    await_true(done, "everything is acknowledged", workers[0], pause=0.002)
    finished = monotonic_ns()
    used = meter.each(changes - before)
    stats = run.sink.stats()
    outcome = judged(stats, changes)
    took = finished - int(stats["t_first"])
    outcome.values = {"per_second": changes * 1e9 / took} | used
    if stats["refused"]:
        until = int(early["t_last"]) - int(early["t_first"])
        outcome.values |= {
            "early_per_second": int(early["distinct"]) * 1e9 / until,
            "seconds": took / 1e9,
            "refused": stats["refused"],
        }
    if stats["requests"] < stats["accepted"]:
        outcome.values["messages_a_request"] = stats["accepted"] / stats["requests"]
    return outcome


def await_warm(run: Deployment, process: Process) -> None:
    await_true(
        lambda: int(run.sink.stats()["warm_ups"]) >= WARM_UP_CHANGES,
        "the warm-up has arrived",
        process,
    )


def arrivals(stats: dict[str, Any]) -> dict[str, float]:
    """How long changes took from when they were due, as the sink saw it."""
    return {f"arrived_{name}": float(stats[name]) for name in ("p50_ms", "p99_ms")} | {
        "arrived_max_ms": float(stats["max_ms"])
    }


def quantiles(what: str, nanoseconds: Sequence[int]) -> dict[str, float]:
    ordered = sorted(nanoseconds) or [0]
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"{what}_{name}_ms": ordered[round(q * (len(ordered) - 1))] / 1e6
        for name, q in places.items()
    }


def one(connection: psycopg.Connection[Any], sql: str) -> int:
    """The only value a query answers with."""
    row = connection.execute(sql.encode()).fetchone()
    if row is None:
        raise LookupError(sql)
    return int(row[0])
