"""One of the demo's two companies: its node, its ticket desk, and who works there."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import urllib3

from rps.application.neighbours import Neighbours
from rps.application.secret_store import SecretStore
from rps.application.tokens import NotAuthenticated, authenticate
from rps.cli.demo.waiting import wait_until
from rps.cli.session import Session, application_of
from rps.cli.setup import issue_token
from rps.cli.status import lags
from rps.cli.terminal import Failure
from rps.config import Config
from rps.domain.account import LIFETIME_DAYS
from rps.domain.tenancy import TOP
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rps.cli.demo.desk import Desk
    from rps.cli.demo.processes import Processes
    from rps.domain.remote_system import RemoteSystem

NETWORKS = "127.0.0.0/8"
BREAKER_SECONDS = 2
CALLER = "you"
ACTOR = "demo"
DESK = "desk"
"""What each company calls its own ticket system."""
COPY = """
SELECT record_id FROM links
WHERE correlation_id = %(correlation_id)s AND member = 'desk'
"""


@dataclass
class Company:
    """`folder` is its node's. Ports, password and token are kept for when the demo is
    continued; the session lasts as long as `attached`."""

    name: str
    other: str
    folder: Path
    api_port: int
    desk: Desk
    token: str = ""
    _session: Session | None = None
    _numbers: dict[str, str] = field(default_factory=dict)

    @property
    def node(self) -> str:
        """Its node's process."""
        return f"{self.name}-node"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def server(self) -> EmbeddedServer:
        return EmbeddedServer(self.folder / "postgres")

    @property
    def session(self) -> Session:
        if self._session is None:
            raise Failure(f"the node of {self.name} does not run yet")
        return self._session

    def settings(self) -> dict[str, str]:
        """What its operator's environment says."""
        where = {"RPS_DATA_DIR": str(self.folder), "RPS_ALLOW_NETWORKS": NETWORKS}
        return where | self.desk.trust()

    def environ(self) -> dict[str, str]:
        """Of all its processes; `RPS_*` set by the user is left out."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("RPS_")}
        more = {
            "RPS_PORT": str(self.api_port),
            "RPS_BREAKER_SECONDS": str(BREAKER_SECONDS),
        }
        return own | self.settings() | more

    # --- what runs ------------------------------------------------------------------

    def start_node(self, processes: Processes) -> None:
        """PostgreSQL, the schema, the API and the workers: one command does it."""
        processes.start(self.node, self.environ(), "-v", "serve", "--workers")
        pool = urllib3.PoolManager(timeout=5.0, retries=False)

        def serves() -> bool:
            # Said once the port is its own: another node may answer there till then.
            if f"serving {self.api}" not in processes.said(self.node):
                return False
            try:
                return pool.request("GET", f"{self.api}/readyz").status == 200  # noqa: PLR2004 - OK
            except urllib3.exceptions.HTTPError:
                return False

        wait_until(serves, f"the node of {self.name} serves", processes)

    def start_desk(self, processes: Processes) -> None:
        """Before the node, which has to believe its certificate."""
        processes.start(
            self.desk.name,
            # Its process is told apart by the folder, as all of the company's are.
            self.environ() | {"RPS_CA_FILE": ""} | self.desk.environ(),
            *self.desk.command(),
        )
        wait_until(self.desk.answers, f"the desk of {self.name} answers", processes)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Its node's database, while that runs."""
        database_url = self.server.dsn()
        config = Config.from_environ(self.environ())
        with application_of(config, database_url) as application:
            self._session = Session(config, database_url, application, ACTOR)
            yield
        self._session = None

    def run(self, *arguments: str) -> str:
        """An rps command, as its operator types it; what it says."""
        ended = subprocess.run(
            [sys.executable, "-m", "rps", *arguments],
            env=self.environ() | {"COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise Failure(f"rps {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended.stdout.strip()

    # --- how it is set up -----------------------------------------------------------

    def configure(self) -> None:
        """Domain, an account with a token, its desk. Again: no change."""
        session = self.session
        application, now = session.application, session.now
        application.ensure_domain(TOP, "", ACTOR, now)
        application.ensure_account(TOP, CALLER, ["admin"], ACTOR, now)
        self._ensure_token()
        self._secrets().keep(TOP, DESK, self.desk.secret)
        settings = {**self.desk.settings(), "secrets": [DESK]}
        about = (TOP, DESK, self.desk.connector, self.desk.kind)
        system, _ = application.register_system(*about, settings, ACTOR, now)
        application.activate_system(system.id, ACTOR, now)

    def _ensure_token(self) -> None:
        session = self.session
        try:
            authenticate(self.token, session.configuration(), session.now)
        except NotAuthenticated:
            account = session.account(TOP, CALLER)
            for token_id in list(account.tokens):
                account.revoke_token(token_id, ACTOR, session.now)
            made = issue_token(session.application, account, LIFETIME_DAYS)
            self.token = made["token"]

    def _secrets(self) -> SecretStore:
        return SecretStore(self.session.application, os.urandom)

    def definition(self) -> str:
        """The file with its definition, as a path."""
        return str(files("rps.cli.demo").joinpath(f"{self.name}.yaml"))

    # --- the other one --------------------------------------------------------------

    def linked(self) -> RemoteSystem | None:
        """The other company's node, if a run before has linked the two."""
        found = self.session.configuration().system(TOP, self.other)
        return found if found is not None and found.state == "active" else None

    def find_again(self, other: Company) -> None:
        """The other node has other ports than in the run before."""
        linked, session = self.linked(), self.session
        if linked is not None:
            path = linked.settings["url"].partition("/v1/")[2]
            Neighbours(session.application, self._secrets()).reached_at(
                linked, f"{other.api}/v1/{path}", session.now
            )

    # --- what there is --------------------------------------------------------------

    def ticket_of(self, correlation_id: Any) -> str:
        """Its own number of a shared ticket; empty where it has none yet."""
        found = self.session.ask(COPY, {"correlation_id": correlation_id})
        return str(found[0]["record_id"]) if found else ""

    def shown(self, record_id: str) -> str:
        """What its people call the ticket."""
        if record_id not in self._numbers:
            self._numbers[record_id] = self.desk.shown(record_id)
        return self._numbers[record_id]

    def is_at_work(self) -> bool:
        """Whether the workers have come up: the views are where the log is."""
        head, _ = self.session.application.recorder.head()
        return not any(view["behind"] for view in lags(self.session, head))
