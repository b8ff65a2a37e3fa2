"""What goes away comes back, and everything arrives in order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from processes import HTTP, Node
from test_kill import DEFINITION, change

from rps.config import Config
from rps.log.chain import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rps.postgres import EmbeddedServer

RECORDS = range(30)
DELIVERER_THREADS = Config.from_environ({}).deliverer_threads


@pytest.fixture
def node(database: str, tmp_path: Path) -> Iterator[Node]:
    made = Node(database, tmp_path, DEFINITION)
    yield made
    made.close()


def settled(count: int) -> str:
    return (
        f"SELECT count(*) FILTER (WHERE status = 'processed') = {count}"
        " FROM outbound_queue"
    )


def subjects(node: Node) -> dict[str, list[str]]:
    lanes: dict[str, list[str]] = {}
    for entry in node.arrived():
        lanes.setdefault(entry["record_id"], []).append(entry["fields"]["subject"])
    return lanes


def test_a_backlog_waits_without_wasting_attempts_and_arrives_in_order(
    node: Node,
) -> None:
    node.post([change(record, 0) for record in RECORDS])
    node.wait_until(settled(len(RECORDS)))
    node.zenith.kill()
    for number in range(1, 6):
        node.post([change(record, number) for record in RECORDS])
    node.wait_until("SELECT bool_or(trips >= 2) FROM breakers")
    spent = node.ask("SELECT coalesce(sum(attempts), 0) FROM outbound_queue")[0][0]
    # Another failed probe later, waiting has cost nothing.
    node.wait_until("SELECT bool_or(trips >= 3) FROM breakers")
    assert node.ask("SELECT sum(attempts) FROM outbound_queue")[0][0] == spent
    # The ten that opened it, and what was in flight then: one a thread at most.
    assert spent <= len(RECORDS) + 10 + DELIVERER_THREADS
    node.zenith.revive()
    node.wait_until(settled(6 * len(RECORDS)))
    assert set(map(tuple, subjects(node).values())) == {
        tuple(f"{number:02}" for number in range(6))
    }
    assert node.ask("SELECT count(*) FROM breakers") == [(0,)]


def test_without_its_database_the_api_says_so_and_acknowledges_nothing(
    crash_server: EmbeddedServer, tmp_path: Path
) -> None:
    node = Node(crash_server.dsn(), tmp_path, DEFINITION, supervised=True)
    try:
        node.post([change(record, 0) for record in RECORDS])
        crash_server.kill()
        answer = refused(node, [change(record, 1) for record in RECORDS])
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
        assert json.loads(answer.data)["status"] == 503
        crash_server.start()
        node.post([change(record, 1) for record in RECORDS])
        node.wait_until(settled(2 * len(RECORDS)))
        assert set(map(tuple, subjects(node).values())) == {("00", "01")}
        node.application.drop_dead_connections()
        result = verify(node.application.recorder.read(0, 10_000))
        assert result.breaks == ()
    finally:
        node.close()


def refused(node: Node, changes: list[dict[str, Any]]) -> Any:
    """The answer of the API to a post that it cannot take."""
    for _ in range(50):
        try:
            answer = HTTP.request(
                "POST",
                f"http://127.0.0.1:{node.port}/v1/changes",
                json=changes,
                headers={"Authorization": f"Bearer {node.token}"},
                timeout=urllib3.Timeout(30),
            )
        except urllib3.exceptions.HTTPError:
            continue
        if answer.status == 503:
            return answer
        assert answer.status != 202, "acknowledged what is nowhere"
    raise AssertionError("the API did not answer")
