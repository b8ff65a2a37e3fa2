from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from hubs import Hub
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.postgres import EmbeddedServer


@pytest.fixture
def hubs(server: EmbeddedServer, template: str) -> Iterator[dict[str, Hub]]:
    """Three nodes that know nothing of each other yet."""
    made: dict[str, Hub] = {}
    with ExitStack() as stack:
        for name in ("acme", "globex", "initech"):
            database = stack.enter_context(_database(server, template))
            stack.callback(Hub(name, database, made).close)
        yield made


@contextmanager
def _database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    parts = sql.Identifier(name), sql.Identifier(template)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*parts))
        try:
            yield server.dsn(name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(parts[0]))
