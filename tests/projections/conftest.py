from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Events and histories are the log's; test folders are no packages to import from.
sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from logs import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.recorder import LogRecorder


@pytest.fixture
def recorder(database: str) -> Iterator[LogRecorder]:
    """As the owner of the views, who may rebuild them."""
    with opened(database, role="") as made:
        yield made
