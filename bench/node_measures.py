"""rps as a user has it: `rps serve`, `rps work`, one published definition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bench.deployment import await_true
from bench.outcome import (
    RATE,
    WARM_UP_CHANGES,
    WORK_SECONDS_MAX,
    Outcome,
    await_warm,
    drained,
    judged,
    one,
    quantiles,
)
from bench.workload import WARM_UP_KEY

if TYPE_CHECKING:
    from bench.deployment import Deployment, Node
    from bench.outcome import Size

CLIENTS = 8
WARM_UP = {"first_key": WARM_UP_KEY, "clients": CLIENTS}

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


def capture(run: Deployment, size: Size, *, clients: int, batch: int) -> Outcome:
    """POST /v1/changes until all are receipted; nothing else runs meanwhile."""
    with run.fresh() as dsn, run.serve(dsn) as node:
        _post(run, node, WARM_UP_CHANGES, size.keys, **WARM_UP)
        before = node.process.cpu_seconds()
        how = {"clients": clients, "batch": batch}
        seconds = _post(run, node, size.changes, size.keys, **how)
        used = node.process.cpu_seconds() - before
        with psycopg.connect(dsn) as connection:
            captured = one(connection, CAPTURED) - WARM_UP_CHANGES
            misplaced = one(connection, MISPLACED)
    values = {
        "per_second": size.changes / seconds,
        "cpu_us": used * 1e6 / size.changes,
    }
    outcome = Outcome(values)
    if captured != size.changes or misplaced:
        outcome.faults.append(f"{captured} captured, {misplaced} out of order")
    return outcome


def drain(
    run: Deployment, size: Size, *, deliverers: int, accepted: bool = True
) -> Outcome:
    """Deliver a backlog; without `accepted` the receiver has it to judge first."""
    with run.fresh() as dsn, run.serve(dsn) as node:
        _post(run, node, size.changes, size.keys, clients=4, batch=100)
        if accepted:
            _judge(run, dsn, size)
        run.sink.reset()
        kinds = ("projector", "receiver", f"deliverer={deliverers}", "sweeper")
        with (
            run.work(dsn, *kinds) as workers,
            psycopg.connect(dsn, autocommit=True) as connection,
        ):
            outcome = drained(run, size, [workers], connection, OPEN)
            outcome.values["views_behind"] = one(connection, BEHIND)
            outcome.values["events_a_change"] = one(connection, EVENTS) / size.changes
    return outcome


def latency(run: Deployment, size: Size) -> Outcome:
    """Open loop, everything of a node running and warm."""
    with (
        run.fresh() as dsn,
        run.serve(dsn) as node,
        run.work(dsn) as workers,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        run.sink.reset()
        _post(run, node, WARM_UP_CHANGES, size.keys, **WARM_UP, rate=RATE)
        await_warm(run, workers)
        await_true(lambda: not one(connection, OPEN), "it is acknowledged", workers)
        order = _order(run, node, size.paced, size.keys, clients=CLIENTS, rate=RATE)
        before = node.process.cpu_seconds() + workers.cpu_seconds()
        client = run.order("bench.client", **order)
        try:
            seen = _watch(connection, size)
            client.answer()
        finally:
            client.end()
        used = node.process.cpu_seconds() + workers.cpu_seconds() - before
        acknowledged = [
            seen[message] - int(change.rsplit(".", 1)[1])
            for message, change in connection.execute(MESSAGES)
            if message in seen and int(change.split(".", 1)[0]) < WARM_UP_KEY
        ]
        stats = run.sink.stats()
    outcome = judged(stats, size.paced)
    if len(acknowledged) != size.paced:
        outcome.faults.append(f"{len(acknowledged)} of {size.paced} acknowledged")
    outcome.values = quantiles("arrived", stats["waits"])
    outcome.values |= quantiles("acknowledged", acknowledged)
    outcome.values["cpu_us"] = used * 1e6 / size.paced
    return outcome


def _watch(connection: psycopg.Connection[Any], size: Size) -> dict[str, int]:
    """When each acknowledgement was seen in the log by one who listens to it."""
    seen: dict[str, int] = {}
    at = one(connection, EVENTS)
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
            lambda: bool(one(connection, JUDGED)) and one(connection, BEHIND) == 0,
            "everything is accepted",
            workers,
            size.patience,
        )


def _post(run: Deployment, node: Node, changes: int, keys: int, **how: Any) -> float:
    order = _order(run, node, changes, keys, **how)
    return float(run.order("bench.client", **order).answer().get("seconds", 0))


def _order(
    run: Deployment, node: Node, changes: int, keys: int, **how: Any
) -> dict[str, Any]:
    asked = {"port": node.port, "token": run.token, "changes": changes, "keys": keys}
    return asked | how
