"""The commands of docs/sandbox-servicenow.md, as they are written there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from instance_process import free_port

PAGE = Path(__file__).parents[3] / "docs" / "sandbox-servicenow.md"
PORT = "8443"


def test_the_pages_commands_work(tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    script = "\n".join(("set -e -o pipefail", *blocks)).replace(PORT, str(free_port()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    for words in ("INC0010061", "Called the fire brigade", "smoke\n", "Ann Agent"):
        assert words in said
