"""Actions: Python functions that the operator installed, as entry points of the group
`rps.actions`. Each call is a process of its own, bounded in time, memory and output:
what it does there harms nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from rps.acting import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.question import Answer

ANSWER_BYTES = 64 * 1024
START_SECONDS = 2.0
"""What a process takes to start, on a busy machine; that is not the action's time."""
HIDDEN = ("RPS_", "PG")
"""How names of environment variables begin that are nobody's but ours: the database's
address and password."""


def installed() -> list[str]:
    """The names of all actions there are."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def call(asked: Mapping[str, Any]) -> Answer:
    """What the action `{action, with, seconds, megabytes}` answers: `{"values"}`, or
    `{"error"}` with what went wrong."""
    name, seconds = asked["action"], asked["seconds"]
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "rps.acting"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)},
        start_new_session=True,
    )
    try:
        request = json.dumps(dict(asked)).encode()
        said, _ = child.communicate(request, timeout=seconds + START_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"{name} took longer than {seconds} seconds; it was ended"}
    finally:
        _end(child)
    if len(said) > ANSWER_BYTES:
        return {"error": f"{name} answered with more than {ANSWER_BYTES} bytes"}
    try:
        answer: Answer = json.loads(said)
    except ValueError:
        return {"error": f"{name} {_ending(child.returncode, asked)}"}
    return answer


def _end(child: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


def _ending(status: int, asked: Mapping[str, Any]) -> str:
    if status == -signal.SIGXCPU:
        return f"took longer than {asked['seconds']} seconds; it was ended"
    if status < 0:
        return f"ended with signal {-status} ({asked['megabytes']} MB were allowed)"
    return f"ended with status {status} and without an answer"
