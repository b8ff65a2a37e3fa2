"""The notifier: tells subscribers what happened, in groups.

Any number of them may run: what is due is claimed under a lease, and who comes after
one that died sends the same under the same id.
"""

from __future__ import annotations

import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, assert_never
from uuid import uuid4

from rps.application.notice_deliveries import NOTICES, NoticeDeliveries
from rps.application.subscriptions import SubscriptionReader
from rps.connectors.announcing import (
    Again,
    Announcement,
    ChannelUnusable,
    Never,
    Told,
)
from rps.domain.audience import concerned
from rps.domain.retry import next_attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.notice_deliveries import Claimed
    from rps.connectors.announcing import Announced, Channel
    from rps.domain.notice import Notice
    from rps.domain.subscription import Subscription

log = logging.getLogger("rps.notifier")

ABREAST = 8
"""Deliveries claimed, and sent, at a time: all are begun at once, under one lease."""


class Notifier:
    idle_seconds = 1.0

    def __init__(
        self,
        application: RemoteProcessSync,
        channels: Callable[[Subscription], Channel],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        public_url: str = "",
    ) -> None:
        self._application = application
        self._channels = channels
        self._clock = clock
        self._chance = chance
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._subscriptions = SubscriptionReader(application)
        self._deliveries = NoticeDeliveries(application.datastore, public_url)
        self._threads = ThreadPoolExecutor(ABREAST, "notifier")

    def work(self) -> int:
        """Note what is to be told, tell what is due; answers how much that was, 0 where
        nothing is left for now."""
        subscriptions = self._subscriptions.read()
        planned = self._deliveries.plan(subscriptions, self._concerned, self._clock())
        claimed = self._deliveries.claim(
            subscriptions, self._holder, ABREAST, self._clock()
        )
        for _ in self._threads.map(self._tell, claimed):  # raises what one raised
            pass
        return len(claimed) + (planned if planned >= NOTICES else 0)

    def close(self) -> None:
        self._threads.shutdown()

    def _concerned(self, subscription: Subscription, notice: Notice) -> bool:
        return concerned(subscription, notice, lambda e: self._parts(notice.domain, e))

    def _parts(self, domain: str, process_event: str) -> set[str]:
        """The systems that take part in a process event."""
        configuration = self._application.configuration.refresh()
        return {
            member.system
            for definition in configuration.in_force(domain)
            if definition.process_event == process_event
            for member in definition.members.values()
        }

    def _tell(self, claimed: Claimed) -> None:
        outcome = self._announced(claimed)
        now, attempt = self._clock(), claimed.attempts + 1
        again_at = None
        match outcome:
            case Told(detail):
                self._deliveries.sent(claimed, detail, now)
            case Again(detail, retry_after):
                again_at = next_attempt(attempt, now, self._chance(), retry_after)
                self._deliveries.failed(claimed, detail, again_at, now)
            case Never(detail):
                self._deliveries.failed(claimed, detail, None, now)
            case _:
                assert_never(outcome)
        log.info(
            "notice.attempted delivery=%s subscription=%s domain=%s attempt=%d "
            "outcome=%s again_at=%s: %s",
            *(claimed.delivery_id, claimed.subscription.name),
            *(claimed.subscription.domain, attempt, type(outcome).__name__.lower()),
            *(again_at, detail),
        )

    def _announced(self, claimed: Claimed) -> Announced:
        content = claimed.content
        said = Announcement(
            key=str(claimed.delivery_id),
            topic=content.topic,
            subject=content.subject,
            text=content.text,
            about=content.about,
            at=content.at,
            data=content.data,
        )
        try:
            return self._channels(claimed.subscription).announce(said)
        except ChannelUnusable as error:
            return Again(str(error))  # somebody may mend that
