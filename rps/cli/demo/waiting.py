"""Waiting for what real processes do, as long as they run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rps.cli.terminal import Failure

if TYPE_CHECKING:
    from rps.cli.demo.processes import Processes

START_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.05


def wait_until(
    condition: Any,
    what: str,
    processes: Processes,
    draw: Any = lambda: None,
    seconds: float = START_SECONDS_MAX,
) -> None:
    """Look again and again; raises Failure when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        processes.require_running()
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:.0f} s in vain until {what}")
        draw()
        time.sleep(LOOK_SECONDS)
    draw()
