from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from logs import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.recorder import LogRecorder


@pytest.fixture
def recorder(database: str) -> Iterator[LogRecorder]:
    with opened(database) as made:
        yield made
