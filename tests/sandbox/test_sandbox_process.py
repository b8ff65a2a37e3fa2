"""The ticket sandbox as a process: connections, framing, sudden death."""

from __future__ import annotations

import json
import socket
import threading
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
import urllib3
from sandbox_neighbours import SECRET, SandboxProcess, message, signed

from rps.connectors.push import PushConnector
from rps.connectors.transport import Transport
from rps.domain.delivery import Capabilities, Found, Missing, Snapshot, Write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox_neighbours import Listener

LANES = 8
CONNECTIONS = 64


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "globex.sqlite"


@pytest.fixture
def sandbox(database: Path) -> Iterator[SandboxProcess]:
    process = SandboxProcess(database)
    yield process
    process.kill()


def post(pool: urllib3.PoolManager, url: str, lane: int, number: int) -> bytes:
    """Write value `number` to lane's record; the answer, if the sandbox lives."""
    operation = "update" if number else "create"
    body = json.dumps(
        message(operation, correlation_id=f"c{lane}", fields={"n": number})
    )
    answer = pool.request(
        "POST",
        f"{url}/rps/messages",
        body=body,
        headers=signed(f"m_{lane}_{number}", body),
        retries=False,
        timeout=20,
    )
    assert answer.status in (200, 201)
    return answer.data


def write_until_killed(sandbox: SandboxProcess) -> dict[tuple[int, int], bytes]:
    """Write in several lanes, kill the sandbox; the answers by lane and number."""
    answered: dict[tuple[int, int], bytes] = {}
    came = threading.Semaphore(0)

    def write_lane(lane: int) -> None:
        pool = urllib3.PoolManager()
        try:
            for number in range(100_000):
                answered[lane, number] = post(pool, sandbox.url, lane, number)
                came.release()
        except urllib3.exceptions.HTTPError:
            return

    lanes = [threading.Thread(target=write_lane, args=(n,)) for n in range(LANES)]
    for thread in lanes:
        thread.start()
    for _ in range(200):
        assert came.acquire(timeout=20)
    sandbox.kill()
    for thread in lanes:
        thread.join()
    return answered


def test_the_connector_finds_what_it_looks_for(sandbox: SandboxProcess) -> None:
    """By our id, to settle a create; and by a field, as flows look things up."""
    post(urllib3.PoolManager(), sandbox.url, 1, 0)
    post(urllib3.PoolManager(), sandbox.url, 2, 0)
    post(urllib3.PoolManager(), sandbox.url, 2, 7)
    connector = PushConnector(
        Transport([ip_network("127.0.0.0/8")]),
        url=f"{sandbox.url}/rps",
        secrets=[SECRET],
        capabilities=Capabilities(
            dedupe=False, conditional_write=False, read_back=True
        ),
    )
    created = message("create", correlation_id="c1", fields={"n": 0})
    write = Write(
        delivery_id="forgotten",
        correlation_id="c1",
        process_event="incident.shared",
        operation="create",
        table=created["table"],
        record_id=None,
        if_match=None,
        fields={"n": 0},
    )
    settled = connector.settle(write)
    assert isinstance(settled, Found)
    assert settled.record.fields == {"n": 0}
    found = connector.find(created["table"], "n", "7")
    assert isinstance(found, Snapshot)
    assert found.fields == {"n": 7}
    assert isinstance(connector.find(created["table"], "n", "8"), Missing)


def test_what_was_answered_survives_kill_9_and_repeats_have_no_effect(
    database: Path,
) -> None:
    answered = write_until_killed(SandboxProcess(database))

    sandbox = SandboxProcess(database)
    pool = urllib3.PoolManager()
    for (lane, number), answer in answered.items():
        assert post(pool, sandbox.url, lane, number) == answer
    log = pool.request("GET", f"{sandbox.url}/log").json()
    assert sandbox.terminate() == 0

    for lane in range(LANES):
        written = [
            row["fields"]["n"] for row in log if row["correlation_id"] == f"c{lane}"
        ]
        assert written == list(range(len(written)))
    # One message of each lane may have been applied without its answer going out.
    assert 0 <= len(log) - len(answered) <= LANES
    assert sum(row["replays"] for row in log) == len(answered)


def test_many_connections_are_kept_open_at_once(sandbox: SandboxProcess) -> None:
    pool = urllib3.PoolManager(maxsize=CONNECTIONS)
    together = threading.Barrier(CONNECTIONS, timeout=20)
    failed: list[BaseException] = []

    def write_thrice(lane: int) -> None:
        try:
            together.wait()
            for number in range(3):
                post(pool, sandbox.url, lane, number)
        except (AssertionError, OSError, urllib3.exceptions.HTTPError) as error:
            failed.append(error)

    threads = [
        threading.Thread(target=write_thrice, args=(lane,))
        for lane in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    opened = pool.connection_from_url(sandbox.url).num_connections
    assert opened <= CONNECTIONS
    assert pool.request("GET", f"{sandbox.url}/records/incident").json()[63]


def test_an_edit_not_yet_reported_is_reported_by_the_next_process(
    database: Path, listener: Listener
) -> None:
    listener.judge = lambda _: 503
    first = SandboxProcess(database, listener.url)
    urllib3.request("POST", f"{first.url}/records/incident", json={"fields": {"n": 0}})
    listener.wait_for(lambda heard: len(heard.requests) > 0)
    first.kill()

    listener.judge = lambda _: 202
    second = SandboxProcess(database, listener.url)
    urllib3.request("POST", f"{second.url}/records/incident", json={"fields": {"n": 1}})
    listener.wait_for(lambda heard: len(heard.heard) == 2)

    assert second.terminate() == 0
    assert [change["fields"] for change in listener.heard] == [{"n": 0}, {"n": 1}]


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST /records/incident HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", b"411"),
        (b"POST /records/incident HTTP/1.1\r\nContent-Length: -1\r\n", b"411"),
        (b"POST /records/incident HTTP/1.1\r\nContent-Length: x\r\n", b"411"),
        (b"POST /records/incident HTTP/1.1\r\nContent-Length: 99999999\r\n", b"413"),
        (b"GARBAGE\r\n", b"400"),
    ],
)
def test_a_request_framed_badly_is_refused_and_the_connection_closed(
    sandbox: SandboxProcess, request_head: bytes, status: bytes
) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request_head + b"\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert status in answer
    assert urllib3.request("GET", f"{sandbox.url}/log").status == 200
