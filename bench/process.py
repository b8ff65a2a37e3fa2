"""The processes of a run: started apart, watched, and ended with all they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
ANSWER_SECONDS_MAX = 1_800.0
TAIL_CHARACTERS = 2_000

PARENT, SESSION, TIMES = 1, 3, slice(11, 15)
"""Fields of /proc/PID/stat behind the name; the times are own, then children's."""


def ours(*module: str) -> list[str]:
    return [sys.executable, "-m", *module]


class Process:
    """A process in a session of its own; what it says goes to files."""

    def __init__(
        self,
        command: list[str],
        said: Path,
        env: dict[str, str],
        folder: Path = ROOT,
    ) -> None:
        """`said` is where its words go; a file beside it takes its stdout."""
        self._name = said.stem
        self._words = said
        self._out = said.with_suffix(".out")
        own = {k: v for k, v in os.environ.items() if not k.startswith("RPS_")}
        with self._words.open("ab") as words, self._out.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**own, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=words,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_running(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._name} ended by itself:\n{self._tail()}")

    def cpu_seconds(self) -> float:
        """Processor time so far, of everything it started as well."""
        return _seconds(f for _, f in stats() if int(f[SESSION]) == self.pid)

    def members(self) -> list[int]:
        """Process ids of itself and of everything it started."""
        return [pid for pid, f in stats() if int(f[SESSION]) == self.pid]

    def answer(self, seconds: float = ANSWER_SECONDS_MAX) -> dict[str, Any]:
        """The JSON it prints last, once it has ended; raises RuntimeError if it fails.

        Whatever happens, it does not run any more then.
        """
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self._name} took more than {seconds:.0f} s") from None
        finally:  # Ctrl-C does not reach it in its session
            self.end()
        if self._process.returncode != 0:
            raise RuntimeError(f"{self._name} failed:\n{self._tail()}")
        lines = [x for x in self._out.read_bytes().splitlines() if x.startswith(b"{")]
        found: dict[str, Any] = orjson.loads(lines[-1]) if lines else {}
        return found

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """By force, with everything it started, where it takes too long."""
        if self._process.poll() is None:
            self.interrupt()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS_MAX)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _tail(self) -> str:
        return self._words.read_text(errors="replace")[-TAIL_CHARACTERS:]


def stats() -> Iterator[tuple[int, list[str]]]:
    """Of each process its id and the fields of its stat behind its name."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name may hold anything, brackets as well.
            yield int(file.parent.name), file.read_text().rpartition(")")[2].split()


def family_seconds(pid: int) -> float:
    """Processor time of a process and its children, dead ones included: a server's."""
    return _seconds(f for p, f in stats() if pid in (p, int(f[PARENT])))


def _seconds(found: Iterator[list[str]]) -> float:
    ticks = sum(int(field) for fields in found for field in fields[TIMES])
    return ticks / os.sysconf("SC_CLK_TCK")


def await_true(
    condition: Callable[[], bool],
    what: str,
    process: Process,
    seconds: float = START_SECONDS_MAX,
    pause: float = 0.02,
) -> None:
    """Look again and again; raises TimeoutError, or RuntimeError if `process` ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        process.require_running()
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(pause)
