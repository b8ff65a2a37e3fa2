"""The one receiver of all sides (`sink.c`): how it is made, started and asked."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson

SOURCE = Path(__file__).with_name("sink.c")


class NoCompiler(RuntimeError):
    """The sink is written in C: install a compiler (Debian: apt install gcc)."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


def compiled(folder: Path) -> Path:
    """Raises NoCompiler, or RuntimeError with what the compiler says."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise NoCompiler
    program = folder / "sink"
    done = subprocess.run(
        [compiler, "-O2", "-o", str(program), str(SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"sink.c does not compile:\n{done.stderr}")
    return program


class SinkClient:
    """How this process asks the sink; deliveries go there without us."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}"

    def reset(self, delay_ms: int = 0, refuse_one_in: int = 0) -> None:
        self._ask("POST", f"/reset/{delay_ms}/{refuse_one_in}")

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self._ask("GET", "/stats"))
        return found

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
