from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from companies import Company
from hubs import Hub, document
from psycopg import sql

# How a log is opened is told there; test folders are no packages to import from.
sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

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


@pytest.fixture
def linked(hubs: dict[str, Hub]) -> tuple[Hub, Hub]:
    """Two of them that share tickets."""
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(document("globex"))
    globex.publish(document("acme"))
    return acme, globex


@pytest.fixture
def new_database(
    server: EmbeddedServer, template: str
) -> Callable[[], AbstractContextManager[str]]:
    """Opens another database; it is gone when it is left."""
    return lambda: _database(server, template)


@pytest.fixture
def companies(
    server: EmbeddedServer, template: str, tmp_path: Path
) -> Iterator[Callable[..., list[Company]]]:
    """Founds as many as there are names; each with a node and a desk that run."""
    with ExitStack() as stack:

        def found(*names: str) -> list[Company]:
            made = []
            for name, words in zip(names, ("", "their_", "third_"), strict=False):
                database = stack.enter_context(_database(server, template))
                made.append(Company(name, database, tmp_path / name, words))
                stack.callback(made[-1].close)
            for company in made:
                company.await_api()
            return made

        yield found


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
