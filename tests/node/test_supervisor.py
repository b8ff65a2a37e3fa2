"""`rps work` starts again what dies, and leaves nothing behind when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in found.split()]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_a_worker_that_dies_is_started_again_and_all_end_together(
    database: str,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rps", "work", "sweeper=2"],
        env={**os.environ, "RPS_DATABASE_URL": database},
    )
    try:
        wait_until(lambda: len(children(process.pid)) == 2)
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        wait_until(
            lambda: (
                len(children(process.pid)) == 2 and first not in children(process.pid)
            )
        )
        assert second in children(process.pid)
        started = children(process.pid)
    finally:
        process.terminate()
    assert process.wait(20) == 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
