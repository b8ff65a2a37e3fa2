"""The herald: tells linked nodes how this one stands, and what has become of theirs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from rps.application.arrivals import TAKEN, Arrivals, state_of
from rps.application.neighbours import Neighbours
from rps.application.operations import Operations
from rps.application.secret_store import SecretStore
from rps.connectors.batch import MESSAGES_MAX
from rps.connectors.signature import SecretUnusable
from rps.domain.between_nodes import NODE
from rps.keys.envelope import KeyTrouble
from rps.projections.node_questions import NodeQuestions
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.application.configuration import Configuration
    from rps.application.neighbours import Wire
    from rps.connectors.node import NodeConnector
    from rps.domain.remote_system import RemoteSystem

HEARTBEAT_SECONDS = 30.0
AGAIN_SECONDS = 10.0
"""After no answer."""

LOOK_SECONDS, LOOK_SECONDS_MAX = 0.5, 10.0
ABREAST = 8


class Herald:
    idle_seconds = 0.5

    def __init__(
        self,
        application: RemoteProcessSync,
        transport: Wire,
        clock: Callable[[], datetime],
    ) -> None:
        self._application = application
        self._transport = transport
        self._clock = clock
        secrets = SecretStore(application, os.urandom)
        self._neighbours = Neighbours(application, secrets)
        self._arrivals = Arrivals(application)
        self._questions = NodeQuestions(application.recorder.questions)
        self._operations = Operations(application, Lanes(application, "herald"))
        self._threads = ThreadPoolExecutor(ABREAST, "herald")
        self._told: dict[UUID, tuple[dict[str, Any], float]] = {}
        self._looks: dict[UUID, tuple[float, float]] = {}

    def work(self) -> int:
        """Say what there is to say, once: it may rest after each round. Side by side,
        so that a node that does not answer keeps no other waiting."""
        configuration = self._application.configuration.refresh()
        linked = [
            system
            for system in configuration.systems()
            if system.connector == NODE and system.settings["url"]
        ]
        tend = partial(self._tend, configuration)
        for _ in self._threads.map(tend, linked):  # raises what one of them raised
            pass
        return 0

    def _tend(self, configuration: Configuration, system: RemoteSystem) -> None:
        try:
            connector = self._neighbours.connector(system, self._transport)
        except (SecretUnusable, KeyTrouble):
            return  # the doctor says so
        standing = self._neighbours.standing(system, configuration)
        heard = self._beat(system, connector, standing)
        if heard and system.state == "active":
            self._pay(system, connector)

    def _beat(
        self, system: RemoteSystem, connector: NodeConnector, standing: dict[str, Any]
    ) -> bool:
        """Say how we stand, in time and where that has changed. Whether it answered
        last time."""
        now = self._clock()
        told, due = self._told.get(system.id, ({}, 0.0))
        if now.timestamp() < due and told in (standing, {}):
            return bool(told)
        said, _ = connector.ask("heartbeat", standing)
        if said is None:
            self._told[system.id] = {}, now.timestamp() + AGAIN_SECONDS
            return False
        if self._neighbours.heard(system, said):
            self._neighbours.wake(system, self._operations, now)
        self._told[system.id] = standing, now.timestamp() + HEARTBEAT_SECONDS
        return True

    def _pay(self, system: RemoteSystem, connector: NodeConnector) -> None:
        """Tell of messages that have come further than their receipts said. Where
        there is nothing new, look less often."""
        now = self._clock().timestamp()
        pause, due = self._looks.get(system.id, (LOOK_SECONDS, 0.0))
        if now < due:
            return
        pause = LOOK_SECONDS if self._told_news(system, connector) else 2 * pause
        pause = min(pause, LOOK_SECONDS_MAX)
        self._looks[system.id] = pause, now + pause

    def _told_news(self, system: RemoteSystem, connector: NodeConnector) -> bool:
        domain, name = system.domain, system.name
        owed = self._questions.owed(domain, name, MESSAGES_MAX)
        if not owed:
            return True
        receipts = self._arrivals.receipts(system, dict.fromkeys(owed))
        news = {
            key: state_of(receipt)
            for key, receipt in receipts.items()
            if state_of(receipt) != owed[key]
        }
        if not news:
            return False
        said, _ = connector.ask("settled", {"ids": list(news)})
        if said is None:
            return False
        settled = [key for key in news if receipts[key]["status"] != TAKEN]
        self._questions.paid(domain, name, settled)
        going_on = [(key, state) for key, state in news.items() if key not in settled]
        self._questions.owe(domain, name, going_on)
        return True
