"""The hand-written baseline, and the limits of the parts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg

from bench import baseline
from bench.deployment import await_true
from bench.outcome import (
    RATE,
    WARM_UP_CHANGES,
    Outcome,
    await_warm,
    drained,
    judged,
    quantiles,
)
from bench.workload import WARM_UP_KEY

if TYPE_CHECKING:
    from bench.deployment import Deployment, Process
    from bench.outcome import Size


def intake(run: Deployment, size: Size, *, connections: int) -> Outcome:
    """One commit a change."""
    with run.fresh() as dsn:
        _make_outbox(dsn)
        seconds = _insert(run, dsn, size.changes, size.keys, connections=connections)
    return Outcome({"per_second": size.changes / seconds})


def drain(
    run: Deployment, size: Size, *, threads: int, batch: int = 1, processes: int = 1
) -> Outcome:
    with run.fresh() as dsn, ExitStack() as stack:
        _make_outbox(dsn)
        _insert(run, dsn, size.changes, size.keys, connections=8)
        run.sink.reset()
        workers = [_worker(run, dsn, threads, batch) for _ in range(processes)]
        for worker in workers:
            stack.callback(worker.end)
        with psycopg.connect(dsn, autocommit=True) as connection:
            return drained(run, size, workers, connection, baseline.OPEN)


def latency(run: Deployment, size: Size) -> Outcome:
    with run.fresh() as dsn, ExitStack() as stack:
        _make_outbox(dsn)
        run.sink.reset()
        worker = _worker(run, dsn, 8, 1)
        stack.callback(worker.end)
        warm_up = {"first_key": WARM_UP_KEY, "rate": RATE}
        _insert(run, dsn, WARM_UP_CHANGES, size.keys, **warm_up)
        await_warm(run, worker)
        before = worker.cpu_seconds()
        _insert(run, dsn, size.paced, size.keys, rate=RATE)
        await_true(
            lambda: int(run.sink.stats()["distinct"]) >= size.paced,
            "everything has arrived",
            worker,
            pause=0.2,
        )
        used = worker.cpu_seconds() - before
        worker.interrupt()
        waits: list[int] = worker.answer()["waits"]
        stats = run.sink.stats()
    outcome = judged(stats, size.paced)
    if len(waits) != size.paced:
        outcome.faults.append(f"{len(waits)} of {size.paced} marked done")
    outcome.values = quantiles("arrived", stats["waits"])
    outcome.values |= quantiles("acknowledged", waits)
    outcome.values["cpu_us"] = used * 1e6 / size.paced
    return outcome


def commit(run: Deployment, size: Size, *, connections: int, group: int) -> Outcome:
    """Rows like those of captured changes, by psycopg alone."""
    with run.fresh() as dsn:
        answer = run.order(
            *("bench.limits", "commit"),
            dsn=dsn,
            changes=size.changes,
            keys=size.keys,
            connections=connections,
            group=group,
        ).answer()
    return Outcome({"per_second": size.changes / answer["seconds"]})


def requests_alone(run: Deployment, size: Size, *, processes: int) -> Outcome:
    run.sink.reset()
    answer = run.order(
        *("bench.limits", "post"),
        url=f"{run.sink.url}/deliveries",
        changes=size.changes,
        keys=size.keys,
        processes=processes,
    ).answer()
    outcome = judged(run.sink.stats(), size.changes)
    outcome.values["per_second"] = size.changes / answer["seconds"]
    return outcome


def _make_outbox(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(baseline.SCHEMA)


def _insert(run: Deployment, dsn: str, changes: int, keys: int, **how: Any) -> float:
    order = {"dsn": dsn, "changes": changes, "keys": keys, **how}
    return float(run.order("bench.baseline", "intake", **order).answer()["seconds"])


def _worker(run: Deployment, dsn: str, threads: int, batch: int) -> Process:
    return run.order(
        *("bench.baseline", "work"),
        dsn=dsn,
        url=f"{run.sink.url}/deliveries",
        threads=threads,
        batch=batch,
    )
