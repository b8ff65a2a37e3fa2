"""What a measure comes out with, and the sink's word on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.deployment import await_true

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from bench.deployment import Deployment, Process

RATE = 100
"""Changes a second where latency is measured."""

WARM_UP_CHANGES = 200
WORK_SECONDS_MAX = 60.0
LEAST_RATE = 20
"""Changes a second; what is slower than that is taken to be stuck."""


@dataclass(frozen=True, slots=True)
class Size:
    changes: int
    keys: int
    seconds: int

    @property
    def paced(self) -> int:
        return self.seconds * RATE

    @property
    def patience(self) -> float:
        return WORK_SECONDS_MAX + self.changes / LEAST_RATE


@dataclass(slots=True)
class Outcome:
    """Rates are called `per_second`. With a fault the figures are worth nothing.

    `cpu_us` is the processor time of the side's own processes for each change, without
    PostgreSQL, the sink and the clients.
    """

    values: dict[str, float]
    faults: list[str] = field(default_factory=list)


def judged(stats: dict[str, Any], changes: int) -> Outcome:
    """The sink's word on order and duplicates."""
    outcome = Outcome({})
    if stats["distinct"] != changes:
        outcome.faults.append(f"{stats['distinct']} of {changes} arrived")
    outcome.faults += [
        f"{stats[name]} {name.replace('_', ' ')}"
        for name in ("out_of_order", "duplicates")
        if stats[name]
    ]
    return outcome


def drained(
    run: Deployment,
    size: Size,
    workers: Sequence[Process],
    connection: psycopg.Connection[Any],
    still_open: str,
) -> Outcome:
    """From the first arrival to when the store says that nothing is left to do."""

    def arrived() -> int:
        return int(run.sink.stats()["distinct"])

    await_true(lambda: arrived() > 0, "the first has arrived", workers[0])
    before, at = arrived(), sum(each.cpu_seconds() for each in workers)
    await_true(
        lambda: arrived() >= size.changes,
        "everything has arrived",
        workers[0],
        size.patience,
    )
    await_true(
        lambda: not one(connection, still_open),
        "everything is acknowledged",
        workers[0],
        pause=0.002,
    )
    done = time.monotonic_ns()
    used = sum(each.cpu_seconds() for each in workers) - at
    stats = run.sink.stats()
    outcome = judged(stats, size.changes)
    outcome.values = {
        "per_second": size.changes * 1e9 / (done - int(stats["first"])),
        "cpu_us": used * 1e6 / max(size.changes - before, 1),
    }
    return outcome


def await_warm(run: Deployment, process: Process) -> None:
    await_true(
        lambda: int(run.sink.stats()["warm_ups"]) >= WARM_UP_CHANGES,
        "the warm-up has arrived",
        process,
    )


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
