"""The demo's processes: each a real one, in a session of its own, with a log file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rps.cli.terminal import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rps.cli.demo.interrupts import Interrupts
    from rps.postgres import EmbeddedServer

STOP_SECONDS = 50.0
"""All of them have that long together."""
TAIL_CHARACTERS = 2_000


class Processes:
    """Started in order, ended in the opposite one.

    They are in sessions of their own, so that Ctrl-C reaches only the demo, which ends
    them one after the other; and they end by themselves when the demo is gone.
    """

    def __init__(
        self, folder: Path, servers: Sequence[EmbeddedServer], interrupts: Interrupts
    ) -> None:
        """`servers` are stopped with them."""
        self._interrupts = interrupts
        self._folder = folder
        self._servers = servers
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._from: dict[str, int] = {}

    def start(self, name: str, environ: Mapping[str, str], *arguments: str) -> None:
        """Run `rps` with `arguments`; what it says goes to `log/NAME.log`."""
        logs = self._folder / "log"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self._from[name] = log.tell()
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "rps", *arguments, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environ),
                start_new_session=True,
            )

    def said(self, name: str) -> str:
        """What the process said since it was started last."""
        with (self._folder / "log" / f"{name}.log").open("rb") as log:
            log.seek(self._from[name])
            return log.read().decode(errors="replace")

    def require_running(self) -> None:
        """Raises Failure with the end of its log where one ended by itself; and what
        an interrupt raises that was lost."""
        self._interrupts.look()
        for name, process in self._running.items():
            status = process.poll()
            if status is not None:
                raise Failure(
                    f"{name} ended by itself with status {status}:\n"
                    f"{self.said(name)[-TAIL_CHARACTERS:].strip()}"
                )

    def kill(self, name: str) -> None:
        """Let it die as in a crash: SIGKILL, nothing is said or written any more."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        """End all of them and the databases, by force where they take too long."""
        for process in reversed(self._running.values()):
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in reversed(self._running.values()):
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))
            # A session's id is its first process's: this reaches what that one started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()
        # Their owners stopped them, unless somebody killed those.
        for server in self._servers:
            server.stop()


def free_port(wanted: int | None = None) -> int:
    """`wanted` if nobody listens there on loopback, else a port nobody has."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError:
            if wanted is None:
                raise
            return free_port()
        return int(probe.getsockname()[1])
