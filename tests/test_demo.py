"""rps demo as its users meet it: a program that shows, keeps running, and cleans up."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rps.cli.demo.processes import free_port
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS_MAX = 180
STEPS = (
    "Acme: its node runs",
    "Zenith: its node runs",
    "acme$ rps system invite zenith",
    "zenith$ rps system accept rpsnode_",
    "linked: both share incident.shared",
    "3 of 3 changes acknowledged",
    "every change is on the other side, none came back",
    "is at Zenith's desk, 586 bytes, the same as at Acme's",
    "no attempt is used up meanwhile",
    "messages of the backlog delivered",
    "each once, in the order",
    "rps conflict resolve",
    'both sides now say "Payroll export: disk full"',
    "acme: ",
    "zenith: ",
    "events verified, none changed, removed or added",
    "messages, each in both logs by the same id",
)
COMPANIES = ("acme", "zenith")

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="processes are found in /proc"
)


class Demo:
    """The program, and every process that carries its folder in its environment."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.said: list[str] = []
        port = str(free_port())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rps", "demo", "--fast", "--port", port, *arguments],
            env={**os.environ, "RPS_DATA_DIR": str(folder.parent), "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read_until(self, text: str) -> None:
        """Read what it says up to the line with `text`."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.said.append(line)
            if text in line:
                return
        pytest.fail(f"it never said {text!r}:\n{''.join(self.said)}")

    def ended(self) -> int:
        """How it ended, after all it had to say."""
        rest, _ = self._process.communicate(timeout=SECONDS_MAX)
        self.said.append(rest)
        return self._process.returncode

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def children(self) -> list[int]:
        markers = [f"RPS_DATA_DIR={self.folder / c}\0".encode() for c in COMPANIES]
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdecimal()
            and any(marker in _environ(entry) for marker in markers)
        ]

    def left_nothing(self) -> bool:
        return not self.children() and not self.postgres

    @property
    def postgres(self) -> list[int]:
        pids = [server.pid for server in servers(self.folder)]
        return [pid for pid in pids if pid is not None]


def servers(folder: Path) -> list[EmbeddedServer]:
    return [EmbeddedServer(folder / company / "postgres") for company in COMPANIES]


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes() + b"\0"
    except OSError:  # it ended, or is somebody else's
        return b""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "demo"
    for server in servers(tmp_path / "demo"):
        server.destroy()


def test_the_demo_shows_every_step_and_leaves_no_process(folder: Path) -> None:
    demo = Demo(folder, "--fresh", "--exit")

    code = demo.ended()

    said = "".join(demo.said)
    assert (code, [step for step in STEPS if step not in said]) == (0, []), said
    assert max(map(len, said.splitlines())) <= 80
    assert demo.left_nothing()


def test_interrupted_in_the_middle_it_leaves_no_process_and_can_be_continued(
    folder: Path,
) -> None:
    first = Demo(folder, "--fresh")
    first.read_until("Both work on the same tickets")
    assert first.children()
    first.send(signal.SIGINT)
    assert first.ended() == 128 + signal.SIGINT
    assert first.left_nothing()

    again = Demo(folder, "--continue")
    again.read_until("rps doctor")
    said = "".join(again.said)
    commands = re.findall(r"^(?:export|curl) .*$", said, re.MULTILINE)
    curls = [line.replace("curl", "curl -sf") for line in commands]
    tried = subprocess.run(
        ["sh", "-ec", "\n".join(curls)], capture_output=True, text=True, check=False
    )
    again.send(signal.SIGINT)

    assert (again.ended(), tried.returncode) == (0, 0), tried.stderr
    assert '"correlations"' in tried.stdout
    assert again.left_nothing()


LOST = """
import os, signal, sys
from pathlib import Path
from rps.cli.demo.interrupts import Interrupts
from rps.cli.demo.processes import Processes
from rps.cli.demo.waiting import wait_until
processes = Processes(Path(sys.argv[1]), [], Interrupts())
class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        len("the handler runs here")
Dropped()
print("it went on", flush=True)
wait_until(lambda: False, "for ever", processes)
"""


def test_an_interrupt_that_strikes_in_a_destructor_is_not_lost(tmp_path: Path) -> None:
    """Python drops what is raised there: the demo went on and never ended."""
    command = [sys.executable, "-c", LOST, str(tmp_path)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )
    assert ended.stdout == "it went on\n"
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert ended.returncode != 0


def test_killed_it_takes_everything_with_it(folder: Path) -> None:
    demo = Demo(folder, "--fresh", "--exit")
    demo.read_until("Acme opens tickets")
    alive = [os.pidfd_open(pid) for pid in demo.children()]
    assert len(demo.postgres) == len(COMPANIES)
    alive += [os.pidfd_open(pid) for pid in demo.postgres]

    demo.send(signal.SIGKILL)
    demo.ended()

    for process in alive:
        assert select.select([process], [], [], 60)[0], "it is still there"
        os.close(process)
    assert demo.left_nothing()
