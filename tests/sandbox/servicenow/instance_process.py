"""An instance as a process, and published clients in environments of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import venv
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENTS = Path(__file__).parent / "clients"
PASSWORD = "a password"
CLIENT = ("0b5d9f4c", "a client secret")
CONTROL = "a control token"


class InstanceProcess:
    """`rps sandbox servicenow`; `pem` is its certificate."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.database = folder / "snow.sqlite"
        self.pem = folder / "snow.pem"
        given = ("--database", str(self.database), "--password", PASSWORD)
        secrets = ("--oauth-client", ":".join(CLIENT), "--control-token", CONTROL)
        command = ("sandbox", "servicenow", "snow", *given, *secrets, *arguments)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rps", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        assert self.url, self._process.communicate()[1]
        trust = {"ca_certs": str(self.pem)} if self.url.startswith("https") else {}
        self.pool = urllib3.PoolManager(retries=False, timeout=30, **trust)

    def ask(
        self, method: str, path: str, user: str = "admin", **more: Any
    ) -> urllib3.BaseHTTPResponse:
        headers = {
            "Authorization": basic(user),
            "Accept": "application/json",
            **more.pop("headers", {}),
        }
        return self.pool.request(method, f"{self.url}{path}", headers=headers, **more)

    def control(self, method: str, path: str, document: Any) -> Any:
        headers = {"Authorization": f"Bearer {CONTROL}"}
        answer = self.pool.request(
            method, f"{self.url}/_sandbox{path}", headers=headers, json=document
        )
        assert answer.status == 200, answer.data
        return answer.json()

    def memory_peak(self) -> int:
        """Bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        self.pool.clear()

    def terminate(self) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        self.pool.clear()
        self._process.send_signal(signal.SIGTERM)
        said = self._process.communicate(timeout=20)[1]
        return self._process.returncode, said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def basic(user: str, password: str = PASSWORD) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass(frozen=True)
class Client:
    """A published client in a virtual environment of its own."""

    name: str
    python: Path

    @classmethod
    def install(cls, name: str, folder: Path) -> Client:
        """As `clients/NAME.txt` pins it; made once in `folder`."""
        home = folder / name
        python = home / "bin" / "python"
        if not (home / "made").exists():
            venv.create(home, with_pip=False, clear=True)
            wanted = ("-r", str(CLIENTS / f"{name}.txt"), "--require-hashes")
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "--python", str(python)),
                    *("--disable-pip-version-check", "install", "--quiet", *wanted),
                ],
                check=True,
            )
            (home / "made").touch()
        return cls(name, python)

    def call(self, case: str, instance: InstanceProcess, **more: str) -> None:
        """Run one function of `clients/NAME_calls.py`; what it asserts has to hold."""
        ours = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # they outdo verify=
        environ = {k: v for k, v in os.environ.items() if k not in ours}
        told: Mapping[str, str] = {
            "INSTANCE": instance.url,
            "PEM": str(instance.pem),
            "PASSWORD": PASSWORD,
            "CLIENT_ID": CLIENT[0],
            "CLIENT_SECRET": CLIENT[1],
            "CONTROL": CONTROL,
            **more,
        }
        script = str(CLIENTS / f"{self.name}_calls.py")
        done = subprocess.run(
            [str(self.python), script, case],
            env={**environ, **told},
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
