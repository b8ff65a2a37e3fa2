"""What the demo plays in: a node and two ticket systems, set up and linked."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson
import urllib3

from rps.application.secret_store import SecretStore
from rps.application.tokens import NotAuthenticated, authenticate
from rps.cli.demo.desk import Desk
from rps.cli.demo.processes import free_port
from rps.cli.sandbox import new_secret
from rps.cli.setup import issue_token
from rps.cli.status import lags
from rps.cli.terminal import Failure
from rps.cli.yaml_document import read_document
from rps.domain.account import LIFETIME_DAYS
from rps.domain.remote_system import RemoteSystem
from rps.domain.tenancy import TOP
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path

    from rps.cli.demo.processes import Processes
    from rps.cli.session import Session

TABLES = {"acme": "incident", "zenith": "case"}
API_PORT = 8080
"""The ticket systems take the next ones; others where somebody has those already."""

NETWORKS = "127.0.0.0/8"
BREAKER_SECONDS = 2
START_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.05
CALLER = "you"
ACTOR = "demo"
ROLES = {
    "acme": "ih_process_sync_api",
    "zenith": "ih_process_sync_api",
    CALLER: "admin",
}
STATE_FILE = "demo.json"


def was_used(folder: Path) -> bool:
    """Whether a former run left something, however far it came."""
    return any((folder / name).exists() for name in (STATE_FILE, "postgres"))


def forget(folder: Path) -> None:
    """Remove what a former run left in `folder`, and nothing else."""
    EmbeddedServer(folder / "postgres").destroy()
    shutil.rmtree(folder / "log", ignore_errors=True)
    for name in TABLES:
        for file in folder.glob(f"{name}.sqlite*"):
            file.unlink()
    (folder / STATE_FILE).unlink(missing_ok=True)


@dataclass
class Scene:
    """Ports, secrets and tokens are kept for when the demo is continued."""

    folder: Path
    api_port: int
    ports: dict[str, int]
    secrets: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, port: int | None = None) -> Scene:
        """As a former run left it, or new; the API at `port` if that is free."""
        file = folder / STATE_FILE
        kept: dict[str, Any] = orjson.loads(file.read_bytes()) if file.exists() else {}
        first = port or kept.get("api_port", API_PORT)
        wanted = dict(zip(TABLES, (first + 1, first + 2), strict=True))
        if port is None:
            wanted |= kept.get("ports", {})
        ports = {name: free_port(each) for name, each in wanted.items()}
        secrets = {
            name: kept.get("secrets", {}).get(name) or new_secret() for name in TABLES
        }
        return cls(folder, free_port(first), ports, secrets, kept.get("tokens", {}))

    def keep(self) -> None:
        kept = {
            "api_port": self.api_port,
            "ports": self.ports,
            "secrets": self.secrets,
            "tokens": self.tokens,
        }
        file = self.folder / STATE_FILE
        file.touch(0o600)
        file.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def desk(self, name: str) -> Desk:
        return Desk(name, self.url(name), TABLES[name])

    def environ(self) -> dict[str, str]:
        """Of all the demo's processes; `RPS_*` set by the user is left out."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("RPS_")}
        return own | {
            "RPS_DATA_DIR": str(self.folder),
            "RPS_PORT": str(self.api_port),
            "RPS_ALLOW_NETWORKS": NETWORKS,
            "RPS_BREAKER_SECONDS": str(BREAKER_SECONDS),
        }

    # --- on stage -------------------------------------------------------------------

    def start_node(self, processes: Processes) -> None:
        """PostgreSQL, the schema, the API and the workers: one command does it."""
        processes.start("node", "-v", "serve", "--workers")
        pool = urllib3.PoolManager(timeout=5.0, retries=False)

        def serves() -> bool:
            # Said once the port is its own: another node may answer there till then.
            if f"serving {self.api}" not in processes.said("node"):
                return False
            try:
                return pool.request("GET", f"{self.api}/readyz").status == 200  # noqa: PLR2004 - OK
            except urllib3.exceptions.HTTPError:
                return False

        wait_until(serves, "the node serves", processes)

    def start_sandbox(self, name: str, processes: Processes) -> None:
        processes.start(
            name,
            *("sandbox", name, "--database", str(self.folder / f"{name}.sqlite")),
            *("--port", str(self.ports[name]), "--report-url", self.api),
            RPS_SANDBOX_SECRETS=self.secrets[name],
            RPS_SANDBOX_REPORT_TOKEN=self.tokens[name],
        )
        wait_until(self.desk(name).answers, f"{name} answers", processes)

    def configure(self, session: Session) -> None:
        """Domain, accounts with tokens, systems with secrets. Again: no change."""
        application, now = session.application, session.now
        store = SecretStore(application.datastore, os.urandom)
        application.ensure_domain(TOP, "", ACTOR, now)
        for name, role in ROLES.items():
            application.ensure_account(TOP, name, [role], ACTOR, now)
            self._ensure_token(session, name)
        for name in TABLES:
            store.keep(TOP, name, self.secrets[name])
            settings = {"url": f"{self.url(name)}/rps", "secrets": [name]}
            application.register_system(
                *(TOP, name, "push", "a sandbox", settings), ACTOR, now
            )
        self.keep()

    def _ensure_token(self, session: Session, name: str) -> None:
        try:
            authenticate(
                self.tokens.get(name, ""), session.configuration(), session.now
            )
        except NotAuthenticated:
            account = session.account(TOP, name)
            for token_id in list(account.tokens):
                account.revoke_token(token_id, ACTOR, session.now)
            made = issue_token(session.application, account, LIFETIME_DAYS)
            self.tokens[name] = made["token"]

    def activate(self, session: Session) -> None:
        for name in TABLES:
            tell(session, name, lambda system: system.activate(ACTOR, session.now))

    def publish(self, session: Session) -> int:
        """Publish the definition that links the two; its revision."""
        text = files("rps.cli.demo").joinpath("incident.yaml").read_bytes()
        definition, _ = session.application.apply_definition(
            read_document(text), ACTOR, session.now
        )
        return definition.revision

    def await_workers(self, session: Session, processes: Processes) -> None:
        """Until they have come up: the views are where the log is."""

        def at_work() -> bool:
            head, _ = session.application.recorder.head()
            return not any(view["behind"] for view in lags(session, head))

        wait_until(at_work, "the workers work", processes)


def tell(session: Session, name: str, command: Any) -> None:
    """Say something to the remote system `name`."""
    session.application.change(RemoteSystem, RemoteSystem.id_of(TOP, name), command)


def wait_until(
    condition: Any,
    what: str,
    processes: Processes,
    draw: Any = lambda: None,
    seconds: float = START_SECONDS_MAX,
) -> None:
    """Look again and again; raises Failure when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        processes.require_running()
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:.0f} s in vain until {what}")
        draw()
        time.sleep(LOOK_SECONDS)
    draw()
