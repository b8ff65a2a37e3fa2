"""The commands that read the whole log: views rebuilt, the chain verified."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from bench.node_measures import EVENTS
from bench.outcome import Outcome, one
from bench.seeds import log_of

if TYPE_CHECKING:
    from bench.deployment import Deployment
    from bench.outcome import Size


def command(
    run: Deployment, _: Size, *, events: int, command: tuple[str, ...]
) -> Outcome:
    """Events a second by the whole command, its start included."""
    with run.fresh(log_of(run, events)) as dsn:
        with psycopg.connect(dsn) as connection:
            there = one(connection, EVENTS)
        before, start = run.server_seconds(), time.monotonic()
        run.rps(dsn, *command)
        seconds = time.monotonic() - start
        server = run.server_seconds() - before
        start = time.monotonic()
        run.rps(dsn, "--version")
        idle = time.monotonic() - start
    return Outcome(
        {
            "per_second": there / seconds,
            "seconds": seconds,
            "start_seconds": idle,
            "events": there,
            "postgres_us": server * 1e6 / there,
        }
    )
