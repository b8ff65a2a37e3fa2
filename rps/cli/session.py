"""A node as one command uses it: configuration, database, application, who asks."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.rows import dict_row

from rps.application import SERVING_ROLE, RemoteProcessSync
from rps.application.operations import NotFound, Operations
from rps.application.reads import Reads
from rps.cli.terminal import Failure
from rps.config import Config
from rps.domain.account import Account
from rps.keys.key_source import source_of
from rps.migrate import pending
from rps.postgres import open_server
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rps.application.configuration import Configuration
    from rps.domain.remote_system import RemoteSystem

CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Session:
    """`actor` is written into every event this command causes."""

    config: Config
    database_url: str
    application: RemoteProcessSync
    actor: str

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def operations(self) -> Operations:
        """Commands on queues and replays, with leases of this command's own."""
        lanes = Lanes(self.application, "command")
        return Operations(self.application, lanes)

    def configuration(self) -> Configuration:
        return self.application.configuration.refresh()

    def system(self, domain: str, name: str) -> RemoteSystem:
        """Raises NotFound."""
        found = self.configuration().system(domain, name)
        if found is None:
            raise NotFound(f"no remote system {name} in {domain}")
        return found

    def account(self, domain: str, name: str) -> Account:
        """Raises NotFound."""
        found = self.application.find(Account, Account.id_of(domain, name))
        if found is None:
            raise NotFound(f"no account {name} in {domain}")
        return found

    def note_read(self, what: str, about: str, domain: str = "top") -> None:
        """Record that whoever runs this looks at business content."""
        place = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
        reads = Reads(self.application.datastore)
        place = place or socket.gethostname()
        reads.note(domain, self.actor, "command", place, what, about)

    def ask(
        self, sql: str, params: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a query or statement, by column name."""
        with self.application.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=dict_row)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def open_session(
    config: Config | None = None, *, role: str = SERVING_ROLE
) -> Iterator[Session]:
    """Attach to the database, or start the embedded one for as long as this lasts."""
    config = config or Config.from_environ()
    with open_server(config) as database_url:
        require_migrated(database_url)
        with application_of(config, database_url, role=role) as application:
            yield Session(config, database_url, application, actor())


@contextmanager
def application_of(
    config: Config, database_url: str, *, role: str = SERVING_ROLE
) -> Iterator[RemoteProcessSync]:
    application = RemoteProcessSync(
        database_url, connections=CONNECTIONS, role=role, keys=source_of(config)
    )
    try:
        yield application
    finally:
        application.close()


def require_migrated(database_url: str) -> None:
    """Raises Failure where the database is not at this code's schema."""
    if missing := pending(database_url):
        raise Failure(
            f"the database lacks {len(missing)} migration(s), {missing[0]} first: "
            "run rps migrate (or rps init, where nothing was set up yet)"
        )


def actor() -> str:
    """The operating system's name for whoever runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry
        return f"uid {os.getuid()}"


def identifier(text: str) -> UUID:
    """The UUID written as `text`; raises Failure with the exit code of usage."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"{text!r} is not an id: give a UUID") from None
