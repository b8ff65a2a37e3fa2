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
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rps.application import RemoteProcessSync
from rps.application.actions import call
from rps.application.connections import Connections
from rps.connectors.transport import Transport
from rps.garbage import seldom_collected
from rps.projections.followed import Follower
from rps.projections.inline import FILES, INBOUND, OUTBOUND, QUESTIONS
from rps.projections.views import followed_views
from rps.workers.deliverer import Deliverer
from rps.workers.fetcher import Fetcher
from rps.workers.herald import Herald
from rps.workers.hints import Asking, Hints
from rps.workers.inquirer import Inquirer
from rps.workers.lanes import Heartbeat
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

KINDS = (
    *("projector", "receiver", "deliverer", "inquirer", "fetcher", "poller"),
    *("sweeper", "herald"),
)

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
            database_url, connections=CONNECTIONS, options=IN_ORDER
        )
        stack.callback(application.close)
        wake = Wake(database_url, CHANNELS.get(kind))
        stack.callback(wake.close)
        _stop_at_signals(stop, wake)
        worker, heartbeat = _made(kind, application, config, wake, stack)
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


def _made(  # noqa: C901 - a table of kinds
    kind: str,
    application: RemoteProcessSync,
    config: Config,
    wake: Wake,
    stack: ExitStack,
) -> tuple[Works, Heartbeat | None]:
    match kind:
        case "projector":
            return Projector(application), None
        case "receiver":
            receiver = Receiver(application, clock)
            return Claiming(receiver), stack.enter_context(receiver.heartbeat())
        case "sweeper":
            return Sweeper(application, clock), None
        case "herald":
            transport = Transport(config.allow_networks)
            return Herald(application, transport, clock), None
        case "inquirer":
            connect = _connect(application, config)
            inquirer = Inquirer(
                application, connect, call, clock, random.random, wake.nudge
            )
            stack.callback(inquirer.close)
            return inquirer, stack.enter_context(Heartbeat(inquirer))
        case "fetcher":
            connect = _connect(application, config)
            fetcher = Fetcher(application, connect, clock, random.random, wake.nudge)
            stack.callback(fetcher.close)
            return fetcher, None
        case "poller":
            asking = _asking(application, config, wake)
            stack.callback(asking.close)
            return asking, stack.enter_context(Heartbeat(asking))
        case "deliverer":
            deliverer = Deliverer(
                application,
                _connect(application, config),
                clock,
                random.random,
                threads=config.deliverer_threads,
                breaker_seconds=config.breaker_seconds,
                due=wake.nudge,
            )
            heartbeat = stack.enter_context(deliverer.heartbeat())
            stack.callback(deliverer.close)
            return Claiming(deliverer), heartbeat
        case _:
            raise ValueError(f"{kind!r} is not one of {', '.join(KINDS)}")


def _asking(application: RemoteProcessSync, config: Config, wake: Wake) -> Asking:
    connect = _connect(application, config)
    poller = Poller(
        application,
        connect,
        clock,
        breaker_seconds=config.breaker_seconds,
        due=wake.nudge,
    )
    return Asking(poller, Hints(application, connect, clock, wake.nudge))


def _connect(
    application: RemoteProcessSync, config: Config
) -> Callable[[RemoteSystem], Connector]:
    transport = Transport(config.allow_networks)
    return Connections(
        application.datastore, transport, application.configuration
    ).connect


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
