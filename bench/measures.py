"""What is measured, each on a database of its own; see README.md for the terms."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bench import baseline
from bench.deployment import Deployment, Process, await_true
from bench.workload import WARM_UP_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RATE = 100
PACED_CLIENTS = 8
WARM_UP_CHANGES = 200
WORK_SECONDS_MAX = 60.0
LEAST_RATE = 20
"""Changes a second; what is slower than that is taken to be stuck."""

MISPLACED = """
SELECT count(*) FROM (
    SELECT split_part(change_id, '.', 2)::integer AS number,
           row_number() OVER (PARTITION BY record_id ORDER BY sequence) AS place
    FROM inbound_queue
) AS captured WHERE number <> place
"""
CAPTURED = "SELECT count(*) FROM inbound_queue"
JUDGED = "SELECT NOT EXISTS (SELECT FROM inbound_queue WHERE status = 'ready')"
FOLLOWED = """
SELECT (SELECT notification_id FROM rps_log_head)
     - (SELECT coalesce(min(notification_id), 0) FROM rps_tracking)
"""
OPEN = """
SELECT EXISTS (SELECT FROM outbound_queue
               WHERE status IN ('ready', 'error', 'uncertain'))
"""
EVENTS = "SELECT notification_id FROM rps_log_head"
ACKNOWLEDGED = """
SELECT notification_id, state FROM rps_events
WHERE notification_id > %b AND topic = 'message.acknowledged' ORDER BY 1
"""
MESSAGES = "SELECT message_id::text, change_id FROM outbound_queue"


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
    """Rates are called `per_second`. With a fault the figures are worth nothing."""

    values: dict[str, float]
    faults: list[str] = field(default_factory=list)


Measure = "Callable[[Deployment, Size], Outcome]"


# --- rps ----------------------------------------------------------------------------


def capture(run: Deployment, size: Size, *, clients: int, batch: int) -> Outcome:
    """POST /v1/changes until all are receipted; nothing else runs meanwhile."""
    with run.fresh() as dsn, run.serve(dsn) as port:
        _post(run, port, WARM_UP_CHANGES, size.keys, first_key=WARM_UP_KEY)
        seconds = _post(
            *(run, port, size.changes, size.keys), clients=clients, batch=batch
        )
        with psycopg.connect(dsn) as connection:
            captured = _one(connection, CAPTURED) - WARM_UP_CHANGES
            misplaced = _one(connection, MISPLACED)
    outcome = Outcome({"per_second": size.changes / seconds})
    if captured != size.changes or misplaced:
        outcome.faults.append(f"{captured} captured, {misplaced} out of order")
    return outcome


def drain(
    run: Deployment, size: Size, *, deliverers: int, accepted: bool = True
) -> Outcome:
    """From the first arrival until no message is open; workers start beforehand."""
    with run.fresh() as dsn, run.serve(dsn) as port:
        _post(run, port, size.changes, size.keys, clients=4, batch=100)
        if accepted:
            _judge(run, dsn, size)
        run.sink.reset()
        kinds = ("projector", "receiver", f"deliverer={deliverers}", "sweeper")
        with (
            run.work(dsn, *kinds) as workers,
            psycopg.connect(dsn, autocommit=True) as connection,
        ):
            stats, done = _await_drained(run, size, workers, connection, OPEN)
            behind = _one(connection, FOLLOWED)
            events = _one(connection, EVENTS)
    outcome = _judged(stats, size.changes)
    outcome.values = {
        "per_second": _rate(size, stats, done),
        "events_a_change": events / size.changes,
        "views_behind": behind,
    }
    return outcome


def latency(run: Deployment, size: Size) -> Outcome:
    """Open loop, everything of a node running and warm."""
    with (
        run.fresh() as dsn,
        run.serve(dsn) as port,
        run.work(dsn) as workers,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        run.sink.reset()
        warm_up = {"first_key": WARM_UP_KEY, "rate": RATE}
        _post(run, port, WARM_UP_CHANGES, size.keys, **warm_up)
        _await_warm(run, workers)
        client = run.order(
            "bench.client",
            **_client_order(run, port, size.paced, size.keys, rate=RATE),
        )
        try:
            seen = _watch(connection, client, size)
            client.answer()
        finally:
            client.end()
        acknowledged = [
            seen[message] - int(change.rsplit(".", 1)[1])
            for message, change in connection.execute(MESSAGES)
            if message in seen and not change.endswith(".0")
        ]
        stats = run.sink.stats()
    outcome = _judged(stats, size.paced)
    if len(acknowledged) != size.paced:
        outcome.faults.append(f"{len(acknowledged)} of {size.paced} acknowledged")
    outcome.values = _quantiles("arrived", stats["waits"])
    outcome.values |= _quantiles("acknowledged", acknowledged)
    return outcome


def _watch(
    connection: psycopg.Connection[Any], client: Process, size: Size
) -> dict[str, int]:
    """When each acknowledgement was seen in the log by one who listens to it."""
    seen: dict[str, int] = {}
    at = _one(connection, EVENTS)
    connection.execute("LISTEN rps_events")
    cursor = connection.cursor(binary=True)
    deadline = time.monotonic() + size.seconds + WORK_SECONDS_MAX
    while len(seen) < size.paced and time.monotonic() < deadline:
        list(connection.notifies(timeout=0.2, stop_after=1))
        rows = cursor.execute(ACKNOWLEDGED, (at,), prepare=True).fetchall()
        now = time.monotonic_ns()
        for position, state in rows:
            at = position
            seen[orjson.loads(state)["message_id"]] = now
    return seen


def _judge(run: Deployment, dsn: str, size: Size) -> None:
    """Let the receiver accept everything, and the views follow."""
    with (
        run.work(dsn, "receiver", "projector") as workers,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        await_true(
            lambda: bool(_one(connection, JUDGED)) and _one(connection, FOLLOWED) == 0,
            "everything is accepted",
            workers,
            size.patience,
        )


def _post(run: Deployment, port: int, changes: int, keys: int, **how: Any) -> float:
    order = _client_order(run, port, changes, keys, **how)
    return float(run.order("bench.client", **order).answer().get("seconds", 0))


def _client_order(
    run: Deployment, port: int, changes: int, keys: int, **how: Any
) -> dict[str, Any]:
    return {
        "port": port,
        "token": run.token,
        "clients": PACED_CLIENTS,
        "changes": changes,
        "keys": keys,
        **how,
    }


# --- the baseline -------------------------------------------------------------------


def baseline_intake(run: Deployment, size: Size, *, connections: int) -> Outcome:
    with run.fresh() as dsn:
        _make_outbox(dsn)
        seconds = _insert(run, dsn, size.changes, size.keys, connections=connections)
    return Outcome({"per_second": size.changes / seconds})


def baseline_drain(run: Deployment, size: Size, *, threads: int, batch: int) -> Outcome:
    with run.fresh() as dsn:
        _make_outbox(dsn)
        _insert(run, dsn, size.changes, size.keys, connections=8)
        run.sink.reset()
        worker = _outbox_worker(run, dsn, threads, batch)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                stats, done = _await_drained(
                    run, size, worker, connection, baseline.OPEN
                )
        finally:
            worker.end()
    outcome = _judged(stats, size.changes)
    outcome.values["per_second"] = _rate(size, stats, done)
    return outcome


def baseline_latency(run: Deployment, size: Size) -> Outcome:
    with run.fresh() as dsn:
        _make_outbox(dsn)
        run.sink.reset()
        worker = _outbox_worker(run, dsn, 8, 1)
        try:
            _insert(
                *(run, dsn, WARM_UP_CHANGES, size.keys),
                first_key=WARM_UP_KEY,
                rate=RATE,
            )
            _await_warm(run, worker)
            _insert(run, dsn, size.paced, size.keys, rate=RATE)
            await_true(
                lambda: int(run.sink.stats()["distinct"]) >= size.paced,
                "everything has arrived",
                worker,
                pause=0.2,
            )
            worker.interrupt()
            waits: list[int] = worker.answer()["waits"][-size.paced :]
        finally:
            worker.end()
        stats = run.sink.stats()
    outcome = _judged(stats, size.paced)
    outcome.values = _quantiles("arrived", stats["waits"])
    outcome.values |= _quantiles("acknowledged", waits)
    return outcome


def _make_outbox(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(baseline.SCHEMA)


def _insert(run: Deployment, dsn: str, changes: int, keys: int, **how: Any) -> float:
    order = {"dsn": dsn, "changes": changes, "keys": keys, **how}
    return float(run.order("bench.baseline", "intake", **order).answer()["seconds"])


def _outbox_worker(run: Deployment, dsn: str, threads: int, batch: int) -> Process:
    return run.order(
        *("bench.baseline", "work"),
        dsn=dsn,
        url=f"{run.sink.url}/deliveries",
        threads=threads,
        batch=batch,
    )


# --- limits -------------------------------------------------------------------------


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
    outcome = _judged(run.sink.stats(), size.changes)
    outcome.values["per_second"] = size.changes / answer["seconds"]
    return outcome


# --- shared -------------------------------------------------------------------------


def _await_warm(run: Deployment, process: Process) -> None:
    await_true(
        lambda: int(run.sink.stats()["warm_ups"]) >= WARM_UP_CHANGES,
        "the warm-up has arrived",
        process,
    )


def _await_drained(
    run: Deployment,
    size: Size,
    process: Process,
    connection: psycopg.Connection[Any],
    still_open: str,
) -> tuple[dict[str, Any], int]:
    """What the sink saw, and when the store said that nothing was left to do."""
    await_true(
        lambda: int(run.sink.stats()["distinct"]) >= size.changes,
        "everything has arrived",
        process,
        size.patience,
    )
    await_true(
        lambda: not _one(connection, still_open),
        "everything is acknowledged",
        process,
        pause=0.002,
    )
    done = time.monotonic_ns()
    return run.sink.stats(), done


def _rate(size: Size, stats: dict[str, Any], done: int) -> float:
    return size.changes / ((done - stats["first"]) / 1e9)


def _judged(stats: dict[str, Any], changes: int) -> Outcome:
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


def _quantiles(what: str, nanoseconds: Sequence[int]) -> dict[str, float]:
    ordered = sorted(nanoseconds) or [0]
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"{what}_{name}_ms": ordered[round(q * (len(ordered) - 1))] / 1e6
        for name, q in places.items()
    }


def _one(connection: psycopg.Connection[Any], sql: str) -> int:
    row = connection.execute(sql.encode()).fetchone()
    if row is None:
        raise LookupError(sql)
    return int(row[0])


MEASURES: dict[str, Callable[[Deployment, Size], Outcome]] = {
    "capture-1": partial(capture, clients=1, batch=1),
    "capture-8": partial(capture, clients=8, batch=1),
    "capture-32": partial(capture, clients=32, batch=1),
    "capture-batch-1": partial(capture, clients=1, batch=100),
    "capture-batch-4": partial(capture, clients=4, batch=100),
    "capture-batch-8": partial(capture, clients=8, batch=100),
    "limit-commit-1": partial(commit, connections=1, group=1),
    "limit-commit-8": partial(commit, connections=8, group=1),
    "limit-commit-group": partial(commit, connections=1, group=100),
    "baseline-intake-1": partial(baseline_intake, connections=1),
    "baseline-intake-8": partial(baseline_intake, connections=8),
    "drain-1": partial(drain, deliverers=1),
    "drain-2": partial(drain, deliverers=2),
    "drain-captured-1": partial(drain, deliverers=1, accepted=False),
    "drain-captured-2": partial(drain, deliverers=2, accepted=False),
    "limit-requests-1": partial(requests_alone, processes=1),
    "limit-requests-2": partial(requests_alone, processes=2),
    "baseline-drain-8": partial(baseline_drain, threads=8, batch=1),
    "baseline-drain-32": partial(baseline_drain, threads=32, batch=1),
    "baseline-drain-8-by-16": partial(baseline_drain, threads=8, batch=16),
    "baseline-drain-32-by-16": partial(baseline_drain, threads=32, batch=16),
    "latency": latency,
    "baseline-latency": baseline_latency,
}
