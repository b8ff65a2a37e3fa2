"""People are told once of each thing while the notifier is killed at work."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
import pytest
from processes import Running
from standardwebhooks import Webhook

# A receiver of any kind is told there; test folders are no packages to import from.
sys.path.insert(0, str(Path(__file__).parents[1] / "connectors"))

from loopback_server import LoopbackServer, answer

from rps.application.secret_store import SecretStore
from rps.application.subscriptions import Subscriptions
from rps.domain.remote_system import RemoteSystem
from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_server import Line, Received

SYSTEMS = 6


@pytest.fixture
def node(database: str, tmp_path: Path) -> Iterator[Running]:
    made = Running(database, tmp_path)
    yield made
    made.close()


def subscribe(node: Running, url: str) -> str:
    store = SecretStore(node.application, lambda n: bytes(range(n)))
    wanted = {"settings": {"url": url}, "about": ["system.tripped"]}
    wanted |= {"process_event": "", "system": ""}
    _, secret = Subscriptions(node.application, store).put(
        "top", "ops", "webhook", wanted, None, "test", clock()
    )
    assert secret is not None
    return secret


def trip(node: Running, name: str) -> None:
    application, now = node.application, clock()
    settings: dict[str, Any] = {"url": "http://127.0.0.1:9/"}
    system, _ = application.register_system(
        *("top", name, "push", "", settings, "test", now)
    )
    system.activate("test", now)
    application.save(system)
    application.change(RemoteSystem, system.id, lambda s: s.trip("refused", now))


def test_a_notifier_killed_while_it_sends_loses_nothing_and_repeats_the_same(
    node: Running,
) -> None:
    """Killed the moment the receiver has the request, before it can answer: nobody
    knows then whether it arrived, so it comes again, with the same id and body."""
    asked = threading.Semaphore(0)
    killed = threading.Event()

    def first_hangs(line: Line, received: Received) -> bool:
        asked.release()
        if not killed.is_set():
            killed.wait(60)
            return False
        return answer(204)(line, received)

    with LoopbackServer(first_hangs) as receiver:
        secret = subscribe(node, receiver.url)
        node.start()
        notifier = node.processes["notifier"]
        for number in range(SYSTEMS):
            trip(node, f"system{number}")
        node.wait_until(f"SELECT count(*) = {SYSTEMS} FROM notice_deliveries")
        assert asked.acquire(timeout=60)
        notifier.kill()
        killed.set()
        release_leases(node)  # their time passes
        notifier.revive()
        node.wait_until(
            f"SELECT count(*) FILTER (WHERE state = 'sent') = {SYSTEMS}"
            " FROM notice_deliveries"
        )
        got = list(receiver.received)
    bodies: dict[str, set[bytes]] = {}
    for each in got:
        Webhook(secret).verify(each.body.decode(), each.headers)
        bodies.setdefault(each.headers["webhook-id"], set()).add(each.body)
    assert len(bodies) == SYSTEMS
    assert all(len(said) == 1 for said in bodies.values())
    assert len(got) > SYSTEMS  # what was cut off came again
    told = {orjson.loads(body)["subject"] for said in bodies.values() for body in said}
    assert told == {f"system{number}" for number in range(SYSTEMS)}


def release_leases(node: Running) -> None:
    with psycopg.connect(node.database) as connection:
        connection.execute("UPDATE notice_deliveries SET leased_until = now()")
