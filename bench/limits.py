"""What the parts reach alone: psycopg committing events, `requests` posting.

commit   one row a commit, or `group` of them, on some connections: rows of the
         size and shape of a captured change, without hash chain, without views
post     `requests` with a keep-alive session in each of some processes
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import psycopg
import requests
from requests.adapters import HTTPAdapter

from bench.together import together
from bench.workload import Change, Workload, chunks

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = """
CREATE TABLE limit_events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigserial,
    hash bytea NOT NULL,
    PRIMARY KEY (originator_id, originator_version),
    CHECK (octet_length(hash) = 32)
);
CREATE UNIQUE INDEX ON limit_events (notification_id);
"""
ONE = """
INSERT INTO limit_events (originator_id, originator_version, topic, state, hash)
VALUES (%b, %b, 'change.captured', %b, %b)
"""
MANY = """
INSERT INTO limit_events (originator_id, originator_version, topic, state, hash)
SELECT a, b, 'change.captured', c, d
FROM unnest(%b::uuid[], %b::bigint[], %b::bytea[], %b::bytea[]) AS u(a, b, c, d)
"""
STATE_BYTES = 920
"""What a captured change of this workload takes in the log."""

HASH = os.urandom(32)


def _row(change: Change) -> tuple[UUID, int, bytes, bytes]:
    state = change.body.ljust(STATE_BYTES)
    return UUID(int=change.key), change.number, state, HASH


def commit(order: dict[str, Any]) -> dict[str, float]:
    """`order`: dsn, changes, keys, connections, group."""
    dsn, group = order["dsn"], order["group"]
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA)
    shares = Workload(order["changes"], order["keys"]).shares(order["connections"])

    def prepare(n: int) -> Callable[[], None]:
        rows = [[_row(change) for change in part] for part in chunks(shares[n], group)]
        connection = psycopg.connect(dsn, autocommit=True)
        cursor = connection.cursor(binary=True)

        def ones() -> None:
            for (row,) in rows:
                cursor.execute(ONE, row, prepare=True)

        def groups() -> None:
            for part in rows:
                cursor.execute(
                    MANY, tuple(list(x) for x in zip(*part, strict=True)), prepare=True
                )

        return ones if group == 1 else groups

    return {"seconds": together(order["connections"], prepare)}


def post(order: dict[str, Any]) -> dict[str, float]:
    """`order`: url, changes, keys, processes."""
    shares = Workload(order["changes"], order["keys"]).shares(order["processes"])

    def prepare(n: int) -> Callable[[], None]:
        bodies = [change.body for change in shares[n]]
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", HTTPAdapter())

        def send() -> None:
            for body in bodies:
                session.post(
                    order["url"],
                    data=body,
                    headers={"Content-Type": "application/json"},
                    timeout=30,
                ).raise_for_status()

        return send

    return {"seconds": together(order["processes"], prepare)}


if __name__ == "__main__":
    LIMITS = {"commit": commit, "post": post}
    print(orjson.dumps(LIMITS[sys.argv[1]](orjson.loads(sys.argv[2]))).decode())
