"""One worker process: makes its parts, then does what is due until it is told to stop.

What it does not foresee ends it; the supervisor starts a clean one.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from rps.application import RemoteProcessSync
from rps.application.actions import call
from rps.application.channels import Channels
from rps.application.connections import Connections
from rps.application.node_channel import NodeChannels
from rps.application.secret_store import SecretStore
from rps.connectors.transport import Transport
from rps.garbage import seldom_collected
from rps.keys.key_source import source_of
from rps.projections.followed import Follower
from rps.projections.inline import FILES, INBOUND, OUTBOUND, QUESTIONS
from rps.projections.views import followed_views
from rps.workers.deliverer import Deliverer
from rps.workers.fetcher import Fetcher
from rps.workers.herald import Herald
from rps.workers.hints import Asking, Hints
from rps.workers.inquirer import Inquirer
from rps.workers.lanes import Heartbeat
from rps.workers.notifier import Notifier
from rps.workers.poller import Poller
from rps.workers.receiver import Receiver
from rps.workers.sweeper import Sweeper
from rps.workers.wake import Wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.config import Config
    from rps.domain.delivery import Connector
    from rps.domain.remote_system import RemoteSystem

log = logging.getLogger("rps.worker")

IDLE_SECONDS = 1.0
CONNECTIONS = 12
"""A worker's threads hardly ever ask the database at the same time."""

CHANNELS = {
    "projector": "rps_events",
    "receiver": INBOUND,
    "deliverer": OUTBOUND,
    "inquirer": QUESTIONS,
    "fetcher": FILES,
}
"""Who is not named looks once in a while; nobody calls."""


IN_ORDER = ("-c enable_bitmapscan=off",)
"""Claims take what is due first off its index. With a long backlog the planner would
rather collect all that is due and sort it, each time."""


class Works(Protocol):
    @property
    def idle_seconds(self) -> float:
        """How soon to look again where nobody calls."""
        ...

    # And where a batch is cheaper: `gather_seconds`, how long work may gather.

    def work(self) -> int:
        """Do what is due now; answers how much that was."""
        ...


def clock() -> datetime:
    return datetime.now(UTC)


def run(kind: str, config: Config, database_url: str) -> None:
    """Work as `kind` until SIGTERM or SIGINT, or until the parent process is gone."""
    stop = threading.Event()
    parent = os.getppid()
    with ExitStack() as stack:
        application = RemoteProcessSync(
            database_url,
            connections=CONNECTIONS,
            options=IN_ORDER,
            keys=source_of(config),
        )
        stack.callback(application.close)
        wake = Wake(database_url, CHANNELS.get(kind))
        stack.callback(wake.close)
        _stop_at_signals(stop, wake)
        worker, heartbeat = MAKERS[kind](_Means(application, config, wake, stack))
        seldom_collected()
        log.info("worker.started kind=%s pid=%d", kind, os.getpid())
        while not stop.is_set() and os.getppid() == parent:
            if heartbeat is not None and heartbeat.failed is not None:
                raise heartbeat.failed
            looked = time.monotonic()
            if not worker.work():
                wake.wait(worker.idle_seconds)
            gather = looked + getattr(worker, "gather_seconds", 0.0) - time.monotonic()
            if gather > 0:
                stop.wait(gather)
    log.info("worker.stopped kind=%s pid=%d", kind, os.getpid())


def _stop_at_signals(stop: threading.Event, wake: Wake) -> None:
    def end(*_: object) -> None:
        stop.set()
        wake.nudge()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


@dataclass(frozen=True, slots=True)
class _Means:
    """What a worker is made from; what it leaves open is closed with `stack`."""

    application: RemoteProcessSync
    config: Config
    wake: Wake
    stack: ExitStack

    @property
    def transport(self) -> Transport:
        return Transport.of(self.config)

    @property
    def connect(self) -> Callable[[RemoteSystem], Connector]:
        application = self.application
        return Connections(
            application, self.transport, application.configuration
        ).connect


def _projector(means: _Means) -> tuple[Works, Heartbeat | None]:
    return Projector(means.application), None


def _receiver(means: _Means) -> tuple[Works, Heartbeat | None]:
    receiver = Receiver(means.application, clock)
    return Claiming(receiver), means.stack.enter_context(receiver.heartbeat())


def _deliverer(means: _Means) -> tuple[Works, Heartbeat | None]:
    deliverer = Deliverer(
        means.application,
        means.connect,
        clock,
        random.random,
        threads=means.config.deliverer_threads,
        breaker_seconds=means.config.breaker_seconds,
        due=means.wake.nudge,
    )
    heartbeat = means.stack.enter_context(deliverer.heartbeat())
    means.stack.callback(deliverer.close)
    return Claiming(deliverer), heartbeat


def _inquirer(means: _Means) -> tuple[Works, Heartbeat | None]:
    inquirer = Inquirer(
        *(means.application, means.connect, call, clock, random.random),
        means.wake.nudge,
    )
    means.stack.callback(inquirer.close)
    return inquirer, means.stack.enter_context(Heartbeat(inquirer))


def _fetcher(means: _Means) -> tuple[Works, Heartbeat | None]:
    fetcher = Fetcher(
        means.application, means.connect, clock, random.random, means.wake.nudge
    )
    means.stack.callback(fetcher.close)
    return fetcher, None


def _poller(means: _Means) -> tuple[Works, Heartbeat | None]:
    connect = means.connect
    poller = Poller(
        means.application,
        connect,
        clock,
        breaker_seconds=means.config.breaker_seconds,
        due=means.wake.nudge,
    )
    hints = Hints(means.application, connect, clock, means.wake.nudge)
    asking = Asking(poller, hints)
    means.stack.callback(asking.close)
    return asking, means.stack.enter_context(Heartbeat(asking))


def _sweeper(means: _Means) -> tuple[Works, Heartbeat | None]:
    kept = timedelta(days=means.config.reads_kept_days)
    return Sweeper(means.application, clock, kept), None


def _herald(means: _Means) -> tuple[Works, Heartbeat | None]:
    return Herald(means.application, means.transport, clock), None


def _notifier(means: _Means) -> tuple[Works, Heartbeat | None]:
    secrets = SecretStore(means.application, os.urandom)
    nodes = NodeChannels(means.application, means.transport, secrets, clock)
    channels = Channels(means.config, means.transport, secrets, nodes.channel)
    notifier = Notifier(
        *(means.application, channels.channel, clock, random.random),
        means.config.public_url,
    )
    means.stack.callback(notifier.close)
    return notifier, None


MAKERS: dict[str, Callable[[_Means], tuple[Works, Heartbeat | None]]] = {
    "projector": _projector,
    "receiver": _receiver,
    "deliverer": _deliverer,
    "inquirer": _inquirer,
    "fetcher": _fetcher,
    "poller": _poller,
    "sweeper": _sweeper,
    "herald": _herald,
    "notifier": _notifier,
}
KINDS = tuple(MAKERS)


class Claiming:
    """Looks again at once only where its worker could not take all that was due; else
    a claim that finds nothing would follow every one that found something."""

    def __init__(self, worker: Receiver | Deliverer) -> None:
        self._worker = worker

    @property
    def idle_seconds(self) -> float:
        return self._worker.idle_seconds

    @property
    def gather_seconds(self) -> float:
        return self._worker.gather_seconds

    def work(self) -> int:
        taken = self._worker.work()
        return taken if self._worker.has_more else 0


class Projector:
    """Moves every followed view along the log."""

    idle_seconds = IDLE_SECONDS
    gather_seconds = 0.1
    """A batch costs little more than one event, and views may lag a little."""

    def __init__(self, application: RemoteProcessSync) -> None:
        self._follower = Follower(
            followed_views(), application.recorder, application.event_mapper
        )

    def work(self) -> int:
        return self._follower.advance()
