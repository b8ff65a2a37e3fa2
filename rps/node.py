"""The HTTP API of a node, served by gunicorn used as a library."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from rps.application import RemoteProcessSync
from rps.application.channels import Channels
from rps.application.connections import Connections
from rps.application.node_channel import NodeChannels
from rps.application.operations import Operations
from rps.application.secret_store import SecretStore
from rps.application.vouching import Vouching
from rps.connectors.transport import Transport
from rps.http import create_app
from rps.http.parts import Parts
from rps.http.worker import StayingWorker
from rps.keys.key_source import source_of
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from rps.config import Config

KEEPALIVE_SECONDS = 75
"""Longer than the idle time of usual load balancers, so that they hang up first."""

REQUEST_SECONDS_MAX = 120
STOP_SECONDS = 30
DATABASE_CONNECTIONS_MAX = 18
"""Of a process: most threads wait for a request or a commit, and need none."""


class Node(BaseApplication):  # type: ignore[misc]  # no types
    """`config.api_processes` processes of `config.api_threads` threads each.

    `run` serves until SIGTERM or SIGINT, lets requests come to their end and raises
    SystemExit. `ready` is called in the serving process once the port is open.
    """

    def __init__(
        self,
        config: Config,
        database_url: str,
        *,
        access_log: bool = False,
        log_level: str = "warning",
        ready: Callable[[str], None] = lambda _url: None,
    ) -> None:
        self._config = config
        self._database_url = database_url
        self._access_log = access_log
        self._log_level = log_level
        self._ready = ready
        super().__init__()

    def run(self) -> None:
        """Serve; also where each forked worker comes to its end, and stays."""
        server = os.getpid()
        try:
            super().run()
        except SystemExit as end:
            if os.getpid() == server:
                raise
            # A worker must not unwind what the server's callers hold open: it would
            # stop their processes and their database.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)

    def load_config(self) -> None:
        """Override the library's: settings come from us, from no file."""
        config = self._config
        settings: dict[str, Any] = {
            "bind": [_address(config.host, config.port)],
            "workers": config.api_processes,
            "worker_class": StayingWorker,
            "threads": config.api_threads,
            "keepalive": KEEPALIVE_SECONDS,
            "timeout": REQUEST_SECONDS_MAX,
            "graceful_timeout": STOP_SECONDS,
            "accesslog": "-" if self._access_log else None,
            "loglevel": self._log_level,
            "proc_name": "rps serve",
            "control_socket_disable": True,  # nothing but our signals steers it
            "when_ready": self._tell_ready,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Put the parts together; called in each worker, after it was forked."""
        return application_parts(self._config, self._database_url)

    def _tell_ready(self, _arbiter: object) -> None:
        self._ready(f"http://{_address(self._config.host, self._config.port)}")


def application_parts(config: Config, database_url: str) -> Flask:
    """The Flask application on connections and threads of this process's own."""
    application = RemoteProcessSync(
        database_url,
        connections=min(config.api_threads + 2, DATABASE_CONNECTIONS_MAX),
        keys=source_of(config),
    )
    transport = Transport.of(config)
    connections = Connections(application, transport, application.configuration)
    secrets = SecretStore(application, os.urandom)
    nodes = NodeChannels(application, transport, secrets, lambda: datetime.now(UTC))
    lanes = Lanes(application, "api")
    return create_app(
        Parts(
            application=application,
            operations=Operations(application, lanes),
            connectors=connections.connect,
            channels=Channels(config, transport, secrets, nodes.channel),
            vouching=Vouching(secrets, transport),
            public_url=config.public_url,
            proxies=config.proxies,
        )
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
