"""What has been there for a while: logs of so many events, lanes of so many messages.

All of it is made as it would come about: posted over HTTP, judged and delivered by
workers. Each is made once in a run; measures work on copies of it. Afterwards VACUUM
and ANALYZE, as autovacuum does in the course of time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from bench.deployment import ONE_BY_ONE
from bench.node_measures import BEHIND, BULK, EVENTS, OPEN, judging, post
from bench.outcome import PATIENCE_SECONDS, one
from bench.process import await_true
from bench.workload import SEED_KEY

if TYPE_CHECKING:
    from bench.deployment import Deployment

EVENTS_A_CHANGE = 4
CHANGES_A_RECORD = 10
PORTION = 50_000
"""Changes posted by one client process, which makes them all beforehand."""


def log_of(run: Deployment, events: int) -> str:
    """Name of a template with at least so many events, all of them acknowledged."""
    key = f"log of {events}"
    if found := run.seeded(key):
        return found
    with run.seeding(key, ONE_BY_ONE) as dsn:
        changes = events // EVENTS_A_CHANGE
        with run.serve(dsn) as node, run.work(dsn) as workers:
            for start in range(0, changes, PORTION):
                many = min(PORTION, changes - start)
                records = -(-many // CHANGES_A_RECORD)
                first = SEED_KEY + start // CHANGES_A_RECORD
                post(run, node, many, records, first_key=first, **BULK)
            with psycopg.connect(dsn, autocommit=True) as connection:
                await_true(
                    lambda: (
                        one(connection, EVENTS) >= changes * EVENTS_A_CHANGE
                        and not one(connection, OPEN)
                        and one(connection, BEHIND) == 0
                    ),
                    f"a log of {events} events is there",
                    workers,
                    PATIENCE_SECONDS + changes / 100,
                    pause=0.5,
                )
        _settle(dsn)
    return str(run.seeded(key))


def lanes_of(run: Deployment, depth: int, lanes: int) -> str:
    """Name of a template with lanes of keys 0, 1, … that deep, ready to be sent."""
    key = f"{lanes} lanes of {depth}"
    if found := run.seeded(key):
        return found
    with run.seeding(key, ONE_BY_ONE) as dsn:
        run.sink.reset()
        numbers = max(1, PORTION // lanes)
        with run.serve(dsn) as node, judging(run, dsn, depth * lanes):
            for start in range(0, depth, numbers):
                many = min(numbers, depth - start) * lanes
                post(run, node, many, lanes, first_number=start + 1, **BULK)
        _settle(dsn)
    return str(run.seeded(key))


def _settle(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
