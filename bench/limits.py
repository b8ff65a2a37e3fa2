"""What the parts reach alone: psycopg committing events, `requests` posting.

commit   one row a commit, or `group` of them, on some connections: rows of the
         size and shape of a captured change, without hash chain, without views
post     `requests` with a keep-alive session in each thread of some processes: as it
         is, with rps's adapter mounted, or rps's transport without a session
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import psycopg
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from bench.together import together
from bench.workload import Change, Workload, chunks
from rps.connectors.transport import Adapter, Answer, Transport

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
LOOPBACK = (ip_network("127.0.0.0/8"),)


Row = tuple[UUID, int, bytes, bytes]


def _row(change: Change) -> Row:
    state = change.body.ljust(STATE_BYTES)
    return UUID(int=change.key), change.number, state, HASH


def commit(order: dict[str, Any]) -> dict[str, float]:
    """`order`: dsn, a workload, connections, group, how."""
    dsn, group = order["dsn"], order["group"]
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA)
    shares = Workload.of(order).shares(order["connections"])

    def prepare(n: int) -> Callable[[], None]:
        rows = [[_row(change) for change in part] for part in chunks(shares[n], group)]
        connection = psycopg.connect(dsn, autocommit=True)
        insert = _inserts(connection, order["how"] if group > 1 else "")

        def run() -> None:
            for part in rows:
                insert(part)

        return run

    return {"seconds": together(order["connections"], prepare)}


def _inserts(
    connection: psycopg.Connection[Any], how: str
) -> Callable[[list[Row]], object]:
    """Commits a group of rows: `unnest`, `executemany`, or the only one it holds."""
    cursor = connection.cursor(binary=True)

    def one(part: list[Row]) -> None:
        cursor.execute(ONE, part[0], prepare=True)

    def many(part: list[Row]) -> None:
        with connection.transaction():
            cursor.executemany(ONE, part)

    def group(part: list[Row]) -> None:
        columns = tuple(list(column) for column in zip(*part, strict=True))
        cursor.execute(MANY, columns, prepare=True)

    return {"executemany": many, "unnest": group}.get(how, one)


def post(order: dict[str, Any]) -> dict[str, float]:
    """`order`: url, changes, keys, processes, threads (of each), client."""
    threads: int = order["threads"]
    sender = SENDERS[order["client"]]
    work = Workload.of(order)
    shares = work.shares(order["processes"] * threads)

    def prepare(n: int) -> Callable[[], None]:
        own = shares[n * threads : (n + 1) * threads]
        sends = [sender(order["url"], share) for share in own]
        if threads == 1:
            return sends[0]

        def send() -> None:
            with ThreadPoolExecutor(threads) as pool:
                for done in [pool.submit(each) for each in sends]:
                    done.result()

        return send

    return {"seconds": together(order["processes"], prepare)}


def _session_sender(
    url: str, changes: list[Change], adapter: BaseAdapter
) -> Callable[[], None]:
    bodies = [change.body for change in changes]
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", adapter)

    def send() -> None:
        for body in bodies:
            session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=30,
            ).raise_for_status()

    return send


def _transport_sender(url: str, changes: list[Change]) -> Callable[[], None]:
    bodies = [change.body for change in changes]
    transport = Transport(LOOPBACK)
    headers = {"Content-Type": "application/json"}

    def send() -> None:
        for body in bodies:
            answer = transport.request("POST", url, headers, body)
            if not isinstance(answer, Answer) or answer.status != HTTPStatus.OK:
                raise RuntimeError(str(answer))

    return send


SENDERS: dict[str, Callable[[str, list[Change]], Callable[[], None]]] = {
    "requests": lambda url, mine: _session_sender(url, mine, HTTPAdapter()),
    "adapter": lambda url, mine: _session_sender(url, mine, Adapter(LOOPBACK)),
    "transport": _transport_sender,
}


if __name__ == "__main__":
    LIMITS = {"commit": commit, "post": post}
    print(orjson.dumps(LIMITS[sys.argv[1]](orjson.loads(sys.argv[2]))).decode())
