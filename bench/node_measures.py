"""rps as a user has it: `rps serve`, `rps work`, one published definition."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bench.deployment import ONE_BY_ONE
from bench.outcome import (
    PATIENCE_SECONDS,
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
    from collections.abc import Iterator

    from bench.deployment import Deployment, Node
    from bench.outcome import Size
    from bench.process import Process

CLIENTS = 8
WARM_UP = {"first_key": WARM_UP_KEY, "clients": CLIENTS}
BULK = {"clients": 4, "batch": 100}
FAULTS = {"changes": 1000, "keys": 100}
"""The work of the runs with refusals: that of the peers' harness."""

REFUSE_ONE_IN = 20
SLOW_MS = 20

MISPLACED = """
SELECT count(*) FROM (
    SELECT split_part(change_id, '.', 2)::integer AS number,
           row_number() OVER (PARTITION BY record_id ORDER BY sequence) AS place
    FROM inbound_queue
) AS captured WHERE number <> place
"""
CAPTURED = "SELECT count(*) FROM inbound_queue"
JUDGED = "SELECT NOT EXISTS (SELECT FROM inbound_queue WHERE status = 'ready')"
BEHIND = """
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


def capture(
    run: Deployment,
    size: Size,
    *,
    template: str = ONE_BY_ONE,
    processes: int = 0,
    times: float = 1,
    **how: Any,
) -> Outcome:
    """POST /v1/changes until all are receipted; nothing else runs meanwhile."""
    settings = {"RPS_API_PROCESSES": str(processes)} if processes else {}
    changes = max(1, int(size.changes * times))
    with run.fresh(template) as dsn, run.serve(dsn, **settings) as node:
        post(run, node, WARM_UP_CHANGES, size.keys, **WARM_UP)
        before = _answered(dsn, CAPTURED)
        meter = Meter(run, [node.process])
        seconds = post(run, node, changes, size.keys, **how)
        used = meter.each(changes)
        captured = _answered(dsn, CAPTURED) - before
        misplaced = _answered(dsn, MISPLACED)
    outcome = Outcome({"per_second": changes / seconds} | used)
    if captured != changes or misplaced:
        outcome.faults.append(f"{captured} captured, {misplaced} out of order")
    return outcome


def drain(
    run: Deployment,
    size: Size,
    *,
    template: str = ONE_BY_ONE,
    deliverers: int = 1,
    accepted: bool = True,
    delay_ms: int = 0,
) -> Outcome:
    """Deliver a backlog; without `accepted` the receiver has it to judge first."""
    with run.fresh(template) as dsn:
        _backlog(run, dsn, accepted=accepted, changes=size.changes, keys=size.keys)
        run.sink.reset(delay_ms)
        return _delivered(run, dsn, size.changes, deliverers)


def faults(
    run: Deployment, size: Size, *, template: str = ONE_BY_ONE, peers_work: bool = True
) -> Outcome:
    """The first try of about one message in twenty is refused."""
    work = FAULTS if peers_work else {"changes": size.changes, "keys": size.keys}
    with run.fresh(template) as dsn:
        _backlog(run, dsn, accepted=True, burst=True, **work)
        run.sink.reset(refuse_one_in=REFUSE_ONE_IN)
        return _delivered(run, dsn, work["changes"], 1)


def latency(run: Deployment, size: Size, *, template: str = ONE_BY_ONE) -> Outcome:
    """Open loop, everything of a node running and warm."""
    with (
        run.fresh(template) as dsn,
        run.serve(dsn) as node,
        run.work(dsn) as workers,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        run.sink.reset()
        post(run, node, WARM_UP_CHANGES, size.keys, **WARM_UP, rate=RATE)
        await_warm(run, workers)
        await_true(lambda: not one(connection, OPEN), "it is acknowledged", workers)
        order = _order(node, size.paced, size.keys, clients=CLIENTS, rate=RATE)
        meter = Meter(run, [node.process, workers])
        client = run.order("bench.client", **order)
        try:
            seen = _watch(connection, size)
            client.answer()
        finally:
            client.end()
        used = meter.each(size.paced)
        acknowledged = [
            seen[message] - int(change.rsplit(".", 1)[1])
            for message, change in connection.execute(MESSAGES)
            if message in seen and int(change.split(".", 1)[0]) < WARM_UP_KEY
        ]
        stats = run.sink.stats()
    outcome = judged(stats, size.paced)
    if len(acknowledged) != size.paced:
        outcome.faults.append(f"{len(acknowledged)} of {size.paced} acknowledged")
    outcome.values = arrivals(stats) | quantiles("acknowledged", acknowledged) | used
    return outcome


def _delivered(run: Deployment, dsn: str, changes: int, deliverers: int) -> Outcome:
    kinds = ("projector", "receiver", f"deliverer={deliverers}", "sweeper")
    with (
        run.work(dsn, *kinds) as workers,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        before = one(connection, EVENTS)
        outcome = drained(run, changes, [workers], lambda: not one(connection, OPEN))
        outcome.values["views_behind"] = one(connection, BEHIND)
        outcome.values["events"] = one(connection, EVENTS) - before
    return outcome


def _watch(connection: psycopg.Connection[Any], size: Size) -> dict[str, int]:
    """When each acknowledgement was seen in the log by one who listens to it."""
    seen: dict[str, int] = {}
    at = one(connection, EVENTS)
    connection.execute("LISTEN rps_events")
    cursor = connection.cursor(binary=True)
    deadline = time.monotonic() + size.seconds + PATIENCE_SECONDS
    while len(seen) < size.paced and time.monotonic() < deadline:
        list(connection.notifies(timeout=0.2, stop_after=1))
        rows = cursor.execute(ACKNOWLEDGED, (at,), prepare=True).fetchall()
        now = time.monotonic_ns()
        for position, state in rows:
            at = position
            seen[orjson.loads(state)["message_id"]] = now
    return seen


def _backlog(run: Deployment, dsn: str, *, accepted: bool, **work: Any) -> None:
    with run.serve(dsn) as node:
        post(run, node, **work, **BULK)
    if accepted:
        with judging(run, dsn, work["changes"]):
            pass


@contextmanager
def judging(run: Deployment, dsn: str, changes: int) -> Iterator[Process]:
    """Let the receiver accept everything, and the views follow."""
    with (
        run.work(dsn, "receiver", "projector") as workers,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        yield workers
        await_true(
            lambda: bool(one(connection, JUDGED)) and one(connection, BEHIND) == 0,
            "everything is accepted",
            workers,
            PATIENCE_SECONDS + changes / 100,
        )


def post(run: Deployment, node: Node, changes: int, keys: int, **how: Any) -> float:
    """Seconds it took until all were receipted; 0 where they were paced."""
    order = _order(node, changes, keys, **how)
    return float(run.order("bench.client", **order).answer().get("seconds", 0))


def _order(node: Node, changes: int, keys: int, **how: Any) -> dict[str, Any]:
    asked = {"port": node.port, "token": node.token, "changes": changes, "keys": keys}
    return asked | how


def _answered(dsn: str, sql: str) -> int:
    with psycopg.connect(dsn) as connection:
        return one(connection, sql)
