"""A connector is made anew when its system's settings or secrets change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from rps.application import connections
from rps.application.connections import SECRETS_SECONDS, Connections
from rps.connectors.transport import Transport
from rps.domain.remote_system import RemoteSystem

if TYPE_CHECKING:
    import pytest
    from linked_node import LinkedNode

FIRST = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"


def test_a_changed_secret_is_noticed(
    node: LinkedNode, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(connections, "monotonic", lambda: now)
    system, _ = node.here.register_system(
        "top",
        "acme",
        "push",
        "",
        {"url": "https://acme.test", "secrets": ["s"]},
        "eve",
        node.now,
    )
    made = Connections(node.here, Transport(()))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO secrets VALUES ('top', 's', %s)", (FIRST,))
        before = made.connect(system)
        connection.execute("UPDATE secrets SET value = %s", (SECOND,))
        assert made.connect(system) is before
        now = SECRETS_SECONDS + 1
        after = made.connect(system)
    assert after is not before
    assert made.connect(system) is after


def test_changed_settings_make_another_connector(node: LinkedNode) -> None:
    node.register("acme")
    made = Connections(node.here, Transport(()))
    key = RemoteSystem.id_of("top", "acme")
    system = node.here.find(RemoteSystem, key)
    assert system is not None
    before = made.connect(system)
    system.change("", {"url": "http://elsewhere"}, "eve", node.now)
    assert made.connect(system) is not before
