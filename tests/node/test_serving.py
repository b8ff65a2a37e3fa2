"""The server and its connections: kept ones, idle ones, slow ones, and its end."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from rps.cli.demo.processes import free_port
from rps.http.worker import STAY_SECONDS
from rps.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 20
THREADS = 2
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


class Server:
    """`rps serve` with one worker of two threads, of which one never stays."""

    def __init__(self, database: str) -> None:
        migrate(database)
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rps", "serve"],
            env={
                **os.environ,
                "RPS_DATABASE_URL": database,
                "RPS_PORT": str(self.port),
                "RPS_API_PROCESSES": "1",
                "RPS_API_THREADS": str(THREADS),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr
        assert any(re.search("serving http", line) for line in self.process.stderr)

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        connection.connect()
        return connection

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def end(self) -> tuple[int, float]:
        """Its exit code, and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=WAIT)
        return self.process.returncode, time.monotonic() - started


@pytest.fixture
def serving(database: str) -> Iterator[Server]:
    made = Server(database)
    yield made
    made.process.kill()
    made.process.communicate()


def lives(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request("GET", "/livez")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"live":true}')
    return answer


def test_kept_connections_that_are_idle_keep_no_thread_from_others(
    serving: Server,
) -> None:
    connections = [serving.connect() for _ in range(THREADS * 4)]
    for _ in range(3):
        for connection in connections:
            lives(connection)
    lives(serving.connect())


def test_more_clients_than_threads_are_all_answered(serving: Server) -> None:
    answered = []

    def client() -> None:
        connection = serving.connect()
        for _ in range(50):
            lives(connection)
        answered.append(1)

    clients = [threading.Thread(target=client) for _ in range(THREADS * 4)]
    for each in clients:
        each.start()
    for each in clients:
        each.join(WAIT)
    assert len(answered) == len(clients)


def test_requests_sent_at_once_are_answered_one_by_one(serving: Server) -> None:
    started = time.monotonic()
    with serving.raw() as connection:
        connection.sendall(LIVE * 5)
        read = b""
        while read.count(b'{"live":true}') < 5:
            got = connection.recv(65536)
            assert got
            read += got
    assert time.monotonic() - started < STAY_SECONDS


def test_a_caller_that_never_finishes_its_request_holds_up_nobody(
    serving: Server,
) -> None:
    with serving.raw() as slow:
        slow.sendall(LIVE[:20])
        for _ in range(3):
            lives(serving.connect())
        slow.sendall(LIVE[20:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("before", [0, 2])
def test_a_length_that_is_none_is_refused_and_the_connection_ends(
    serving: Server, before: int
) -> None:
    with serving.raw() as connection:
        for _ in range(before):
            connection.sendall(LIVE)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(
            b"POST /v1/changes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            b"\r\nContent-Length: 1x\r\n\r\n[]"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
        while connection.recv(65536):
            pass


def test_a_stop_lets_a_request_end_and_waits_for_no_idle_connection(
    serving: Server, database: str
) -> None:
    """The commit is held up while SIGTERM comes; its answer is still given."""
    idle = [serving.connect() for _ in range(THREADS)]
    for connection in idle:
        lives(connection)
    asking = serving.connect()
    lives(asking)
    with psycopg.connect(database) as holding:
        holding.execute("LOCK TABLE rps_tracking IN ACCESS EXCLUSIVE MODE")
        asking.request("GET", "/readyz")
        pause = threading.Event()
        while not holding.execute(
            "SELECT 1 FROM pg_locks WHERE NOT granted"
        ).fetchone():
            pause.wait(0.01)
        serving.process.send_signal(signal.SIGTERM)
        pause.wait(0.5)
    answer = asking.getresponse()
    assert answer.status == 200
    code, seconds = serving.end()
    assert code == 0
    assert seconds < 10
