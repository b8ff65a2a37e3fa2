from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workplace import Workplace

# Who works on records is told there; test folders are no packages to import from.
for folder in ("domain", "log", "connectors"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def workplace(database: str) -> Iterator[Workplace]:
    made = Workplace(database)
    yield made
    made.close()
