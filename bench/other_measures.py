"""The hand-written baseline, and the limits of the parts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg

from bench import baseline
from bench.deployment import EMPTY
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
    quantiles,
)
from bench.process import await_true
from bench.workload import WARM_UP_KEY

if TYPE_CHECKING:
    from bench.deployment import Deployment
    from bench.outcome import Size
    from bench.process import Process


def intake(run: Deployment, size: Size, *, connections: int) -> Outcome:
    """One commit a change."""
    with run.fresh(EMPTY) as dsn:
        _make_outbox(dsn)
        seconds = _insert(run, dsn, size.changes, size.keys, connections=connections)
    return Outcome({"per_second": size.changes / seconds})


def drain(
    run: Deployment,
    size: Size,
    *,
    threads: int,
    batch: int = 1,
    processes: int = 1,
    delay_ms: int = 0,
) -> Outcome:
    with run.fresh(EMPTY) as dsn, ExitStack() as stack:
        _make_outbox(dsn)
        _insert(run, dsn, size.changes, size.keys, connections=8)
        run.sink.reset(delay_ms)
        workers = []
        for _ in range(processes):
            workers.append(_worker(run, dsn, threads, batch))
            stack.callback(workers[-1].end)
        connection = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        return drained(
            run, size.changes, workers, lambda: not one(connection, baseline.OPEN)
        )


def latency(run: Deployment, size: Size) -> Outcome:
    with run.fresh(EMPTY) as dsn, ExitStack() as stack:
        _make_outbox(dsn)
        run.sink.reset()
        worker = _worker(run, dsn, 8, 1)
        stack.callback(worker.end)
        warm_up = {"first_key": WARM_UP_KEY, "rate": RATE}
        _insert(run, dsn, WARM_UP_CHANGES, size.keys, **warm_up)
        await_warm(run, worker)
        meter = Meter(run, [worker])
        _insert(run, dsn, size.paced, size.keys, rate=RATE)
        await_true(
            lambda: int(run.sink.stats()["distinct"]) >= size.paced,
            "everything has arrived",
            worker,
            pause=0.2,
        )
        used = meter.each(size.paced)
        worker.interrupt()
        waits: list[int] = worker.answer()["waits"]
        stats = run.sink.stats()
    outcome = judged(stats, size.paced)
    if len(waits) != size.paced:
        outcome.faults.append(f"{len(waits)} of {size.paced} marked done")
    outcome.values = arrivals(stats) | quantiles("acknowledged", waits) | used
    return outcome


def commit(
    run: Deployment,
    size: Size,
    *,
    connections: int,
    group: int,
    times: int = 1,
    how: str = "",
) -> Outcome:
    """Rows like those of captured changes, by psycopg alone."""
    changes = size.changes * times
    with run.fresh(EMPTY) as dsn:
        answer = run.order(
            *("bench.limits", "commit"),
            dsn=dsn,
            changes=changes,
            keys=size.keys,
            connections=connections,
            group=group,
            how=how,
        ).answer()
    return Outcome({"per_second": changes / answer["seconds"]})


def requests_alone(
    run: Deployment, size: Size, *, processes: int, threads: int, client: str
) -> Outcome:
    """Beside PostgreSQL and sink as they run for everybody; PostgreSQL is idle."""
    run.sink.reset()
    before = run.sink_seconds()
    answer = run.order(
        *("bench.limits", "post"),
        url=f"{run.sink.url}/deliveries",
        changes=size.changes,
        keys=size.keys,
        processes=processes,
        threads=threads,
        client=client,
    ).answer()
    outcome = judged(run.sink.stats(), size.changes)
    sink_us = (run.sink_seconds() - before) * 1e6 / size.changes
    outcome.values = {
        "per_second": size.changes / answer["seconds"],
        "sink_us": sink_us,
    }
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
