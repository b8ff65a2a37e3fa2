from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def workplace(database: str) -> Iterator[Workplace]:
    made = Workplace(database)
    yield made
    made.close()
