from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from api_node import Node
from people import PASSWORD, account, signing
from psycopg import sql
from trying import Wire
from visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.postgres import EmbeddedServer


@pytest.fixture
def node(database: str) -> Iterator[Node]:
    """A node of the test's own, with nothing configured but accounts."""
    made = Node(database)
    yield made
    made.close()


@pytest.fixture
def sharing(node: Node) -> Node:
    """A node that shares incidents between acme and globex."""
    return node.share_incidents()


@pytest.fixture(scope="module")
def lasting(server: EmbeddedServer, template: str) -> Iterator[Node]:
    """A node for a whole module whose tests do not mind each other."""
    name = f"test_{uuid4().hex}"
    made = sql.Identifier(name), sql.Identifier(template)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*made))
        node = Node(server.dsn(name)).share_incidents()
        yield node
        node.close()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made[0]))


@pytest.fixture
def wire(sharing: Node, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Real connectors on a wire of the test's own."""
    made = Wire()
    connector = staticmethod(made.connector)
    monkeypatch.setattr(type(sharing), "_connector", connector)
    sharing.app = sharing.make_app()
    sharing.client = sharing.app.test_client()
    return made


@pytest.fixture
def people(node: Node) -> Node:
    """A node whose operator and admin have a password."""
    for name in ("operator", "admin"):
        signing(node).set_password(account(node, name), PASSWORD, "test", node.now)
    return node


@pytest.fixture
def ada(people: Node) -> Visitor:
    """The operator, signed in."""
    visitor = Visitor(people.app)
    assert visitor.sign_in("operator", PASSWORD).path == "/"
    return visitor
