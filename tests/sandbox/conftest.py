"""A sandbox to talk to, and its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_neighbours import SECRET, Client, Listener, Node

from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> SandboxSettings:
    return SandboxSettings(
        name="globex", database=tmp_path / "globex.sqlite", secrets=(SECRET,)
    )


@pytest.fixture
def client(settings: SandboxSettings) -> Client:
    return create_app(settings).test_client()


@pytest.fixture
def node(client: Client) -> Node:
    return Node(client)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()
