from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from linked_node import LinkedNode

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def node(database: str) -> Iterator[LinkedNode]:
    made = LinkedNode(database)
    yield made
    made.close()
