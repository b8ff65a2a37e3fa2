"""A node as it runs: real processes, each of which can be killed and comes back."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
import urllib3

from rps.application import RemoteProcessSync
from rps.application.tokens import mint
from rps.domain.account import Account
from rps.migrate import migrate
from rps.workers.worker import KINDS, clock

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HTTP = urllib3.PoolManager(
    maxsize=8, block=True, retries=False, timeout=urllib3.Timeout(10)
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One process of the node; what it says goes to a file in `folder`."""

    def __init__(
        self, name: str, arguments: list[str], environ: dict[str, str], folder: Path
    ) -> None:
        self.name = name
        self.kills = 0
        self._arguments = arguments
        self._environ = environ
        self._words = (folder / f"{name}.log").open("ab")
        self.revive()

    def revive(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rps", *self._arguments],
            env={**os.environ, **self._environ},
            stdout=subprocess.DEVNULL,
            stderr=self._words,
            start_new_session=True,
        )

    def require_running(self) -> None:
        assert self._process.poll() is None, f"{self.name} ended by itself"

    def kill(self) -> None:
        """SIGKILL, children included: nobody gets to say goodbye."""
        self.kills += 1
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def end(self) -> None:
        self.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._words.close()


class Running:
    """A node's API and workers on `database`.

    The workers are processes of their own, or `supervised` by `rps work`.
    """

    def __init__(self, database: str, folder: Path) -> None:
        self.database = database
        migrate(database)
        self.application = RemoteProcessSync(database, role="")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "RPS_DATABASE_URL": database,
            "RPS_PORT": str(self.port),
            "RPS_ALLOW_NETWORKS": "127.0.0.0/8",
            "RPS_BREAKER_SECONDS": "1",
        }
        self.processes: dict[str, Process] = {}
        self.sandboxes: list[Process] = []
        self.folder = folder

    def start(self, *, supervised: bool = False) -> None:
        commands = {"api": ["serve"]}
        if supervised:
            commands["work"] = ["work"]
        else:
            commands |= {kind: ["worker", kind] for kind in KINDS}
        self.processes = {
            name: Process(name, command, self.environ, self.folder)
            for name, command in commands.items()
        }

    def start_sandbox(
        self, name: str, port: int, *arguments: str, secret: str
    ) -> Process:
        where = ("--port", str(port), "--database", str(self.folder / f"{name}.db"))
        command = ["sandbox", name, *where, "--secret", secret, *arguments]
        made = Process(name, command, self.environ, self.folder)
        self.sandboxes.append(made)
        return made

    def account(self, name: str, role: str) -> str:
        """Its token."""
        now = clock()
        account = self.application.ensure_account("top", name, [role], "test", now)
        token, token_id, digest = mint(os.urandom(38))
        self.application.change(
            Account,
            account.id,
            lambda each: each.issue_token(token_id, digest, 1, "test", now),
        )
        return token

    def serve(self) -> None:
        """Its API alone, and wait until it answers."""
        self.processes["api"] = Process("api", ["serve"], self.environ, self.folder)
        deadline = time.monotonic() + 120
        while not self.answers():
            assert time.monotonic() < deadline, "the API never answered"
            a_moment()

    def rps(self, *arguments: str, stdin: str = "") -> str:
        """Run a command as its operator would; what it prints."""
        return subprocess.run(
            [sys.executable, "-m", "rps", *arguments],
            env={**os.environ, **self.environ},
            input=stdin,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def answers(self) -> bool:
        """Whether its API does."""
        try:
            url = f"{self.url}/readyz"
            return bool(HTTP.request("GET", url, timeout=5.0).status == 200)
        except urllib3.exceptions.HTTPError:
            return False

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(sql).fetchall()

    def wait_until(self, sql: str, seconds: float = 90) -> None:
        """Until this query answers true, looked at whenever the log grew."""
        deadline = time.monotonic() + seconds
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("LISTEN rps_events")
            while connection.execute(sql).fetchone() != (True,):
                assert time.monotonic() < deadline, f"never came true: {sql}"
                list(connection.notifies(timeout=0.2, stop_after=1))

    def close(self) -> None:
        everything = (*self.processes.values(), *self.sandboxes)
        for process in everything:
            process.terminate()
        for process in everything:
            process.end()
        self.application.close()


class Node(Running):
    """A node linked to a sandbox named zenith; acme posts."""

    def __init__(
        self,
        database: str,
        folder: Path,
        definition: dict[str, Any],
        *,
        supervised: bool = False,
    ) -> None:
        super().__init__(database, folder)
        self.zenith_port = free_port()
        self.token = self._configure(definition)
        self.start(supervised=supervised)
        self.zenith = self.start_sandbox("zenith", self.zenith_port, secret=SECRET)

    def _configure(self, definition: dict[str, Any]) -> str:
        application, now = self.application, clock()
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "INSERT INTO secrets (domain, name, value) VALUES ('top', 'z', %s)",
                (SECRET,),
            )
        application.ensure_domain("top", "", "test", now)
        for name in ("acme", "zenith"):
            settings = {
                "url": f"http://127.0.0.1:{self.zenith_port}/rps",
                "secrets": ["z"],
            }
            system, _ = application.register_system(
                "top", name, "push", "", settings, "test", now
            )
            system.activate("test", now)
            application.save(system)
        application.apply_definition(definition, "test", now)
        return self.account("poster", "admin")

    # --- what a client does ---------------------------------------------------------

    def post(self, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Post until it is taken, as a client with an outbox does."""
        while True:
            try:
                answer = HTTP.request(
                    "POST",
                    f"http://127.0.0.1:{self.port}/v1/changes",
                    json=changes,
                    headers={"Authorization": f"Bearer {self.token}"},
                )
            except urllib3.exceptions.HTTPError:
                a_moment()
                continue
            if answer.status == 202:
                receipts: list[dict[str, Any]] = answer.json()["receipts"]
                return receipts
            assert answer.status in (502, 503), answer.data
            a_moment()

    def arrived(self) -> list[dict[str, Any]]:
        """What zenith applied, in its order."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["n"] if found else 0
            url = f"http://127.0.0.1:{self.zenith_port}/log?after={after}"
            page = HTTP.request("GET", url).json()
            if not page:
                return found
            found += page


class Killer:
    """Kills each of `processes` again and again, at random, and brings it back."""

    def __init__(
        self, processes: list[Process], *, times: int, seed: int, pause: float = 1.5
    ) -> None:
        self._threads = [
            threading.Thread(
                target=self._run, args=(process, times, random.Random(seed + n), pause)
            )
            for n, process in enumerate(processes)
        ]
        for thread in self._threads:
            thread.start()

    def _run(
        self, process: Process, times: int, chance: random.Random, pause: float
    ) -> None:
        for _ in range(times):
            threading.Event().wait(pause * (0.5 + chance.random()))
            process.kill()
            process.revive()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def a_moment() -> None:
    """What a client waits before it tries again."""
    threading.Event().wait(0.1)
