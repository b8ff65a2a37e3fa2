"""What one would write by hand: a table as queue, and threads that post its rows.

A thread locks the oldest undelivered rows whose key has nothing older undelivered
(SKIP LOCKED: threads never wait for each other), posts them with `requests`, marks
them done and commits. A refused row stays the head of its key: order is kept.

    intake   one commit a change on some connections; or paced
    work     deliver until SIGTERM; then print when each paced change was marked done
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
import requests

from bench.together import together
from bench.workload import WARM_UP_KEY, Workload

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = """
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    key integer NOT NULL,
    due bigint NOT NULL,
    body bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_try timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    error text
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_waiting_key ON outbox (key, id) WHERE delivered_at IS NULL;
"""
INSERT = "INSERT INTO outbox (key, due, body) VALUES (%b, %b, %b)"
HEADS = """
SELECT id, key, due, body FROM outbox o
WHERE delivered_at IS NULL AND next_try <= now() AND NOT EXISTS (
    SELECT FROM outbox older
    WHERE older.key = o.key AND older.delivered_at IS NULL AND older.id < o.id
)
ORDER BY id LIMIT %b
FOR UPDATE SKIP LOCKED
"""
DONE = """
UPDATE outbox SET delivered_at = clock_timestamp(), attempts = attempts + 1
WHERE id = ANY(%b)
"""
REFUSED = """
UPDATE outbox SET attempts = attempts + 1, error = %b,
                  next_try = clock_timestamp() + interval '1 second'
WHERE id = %b
"""
OPEN = "SELECT EXISTS (SELECT FROM outbox WHERE delivered_at IS NULL)"
IDLE_SECONDS = 0.5


def intake(order: dict[str, Any]) -> dict[str, float]:
    """`order`: dsn, a workload, connections, and rate."""
    work = Workload.of(order)
    rate = order.get("rate")
    if rate:
        shares = [work.paced(rate, time.monotonic_ns() + 500_000_000)]
    else:
        shares = work.shares(order["connections"])

    def prepare(n: int) -> Callable[[], None]:
        rows = [(change.key, change.due, change.body) for change in shares[n]]
        connection = psycopg.connect(order["dsn"], autocommit=True)
        cursor = connection.cursor(binary=True)

        def insert() -> None:
            for row in rows:
                if (left := row[1] - time.monotonic_ns()) > 0:
                    time.sleep(left / 1e9)
                with connection.pipeline(), connection.transaction():
                    cursor.execute(INSERT, row, prepare=True)
                    cursor.execute("NOTIFY outbox")

        return insert

    return {"seconds": together(len(shares), prepare)}


class Worker:
    def __init__(self, dsn: str, url: str, batch: int) -> None:
        self._dsn = dsn
        self._url = url
        self._batch = batch
        self._stop = threading.Event()
        self._wake = threading.Semaphore(0)
        self.done: list[tuple[int, int]] = []

    def run(self, threads: int) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        running = [threading.Thread(target=self._deliver) for _ in range(threads)]
        for thread in running:
            thread.start()
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("LISTEN outbox")
            while not self._stop.is_set():
                for _ in connection.notifies(timeout=IDLE_SECONDS, stop_after=1):
                    self._wake.release()
        for thread in running:
            thread.join()

    def _deliver(self) -> None:
        session = requests.Session()
        session.trust_env = False
        with psycopg.connect(self._dsn) as connection:
            while not self._stop.is_set():
                if not self._turn(connection, session):
                    self._wake.acquire(timeout=IDLE_SECONDS)

    def _turn(
        self, connection: psycopg.Connection[Any], session: requests.Session
    ) -> int:
        cursor = connection.cursor(binary=True)
        rows = cursor.execute(HEADS, (self._batch,), prepare=True).fetchall()
        done = []
        for number, _, _, body in rows:
            try:
                session.post(
                    self._url,
                    data=body,
                    headers={"Content-Type": "application/json"},
                    timeout=30,
                ).raise_for_status()
            except requests.RequestException as error:
                cursor.execute(REFUSED, (str(error), number))
            else:
                done.append(number)
        if done:
            cursor.execute(DONE, (done,), prepare=True)
        connection.commit()
        now = time.monotonic_ns()
        self.done += [
            (due, now) for _, key, due, _ in rows if due and key < WARM_UP_KEY
        ]
        return len(rows)


def work(order: dict[str, Any]) -> dict[str, list[int]]:
    """`order`: dsn, url, threads, batch. Nanoseconds from due to done, where due."""
    worker = Worker(order["dsn"], order["url"], order["batch"])
    worker.run(order["threads"])
    return {"waits": [now - due for due, now in worker.done]}


if __name__ == "__main__":
    COMMANDS: dict[str, Callable[[dict[str, Any]], object]] = {
        "intake": intake,
        "work": work,
    }
    print(orjson.dumps(COMMANDS[sys.argv[1]](orjson.loads(sys.argv[2]))).decode())
