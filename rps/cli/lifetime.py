"""Processes that end with the one that started them, however that one ended."""

from __future__ import annotations

import os
import signal
import threading
import time

import click

LOOK_SECONDS = 0.5

parent_option = click.option(
    "--parent",
    type=int,
    hidden=True,
    help="End when this process, which started us, is gone.",
)


def end_with(parent: int | None) -> None:
    """Send ourselves SIGTERM as soon as `parent` is not our parent any more."""
    if parent is not None:
        threading.Thread(
            target=_watch, args=(parent,), name="parent", daemon=True
        ).start()


def _watch(parent: int) -> None:
    # Signals are for the main thread, which may have blocked them to wait for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
