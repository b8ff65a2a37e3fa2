"""Whom a notice concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.domain.notice import FOLDED, PARKED, TRIPPED

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.notice import Notice
    from rps.domain.subscription import Subscription


def concerned(
    subscription: Subscription, notice: Notice, parts: Callable[[str], set[str]]
) -> bool:
    """Whether a subscription wants to hear of a notice.

    `parts` names the systems that take part in a process event: an outage concerns
    whoever asked for a process event of its system.
    """
    if subscription.state != "active" or subscription.domain != notice.domain:
        return False
    if notice.state == FOLDED or notice.last_at < subscription.since:
        return False
    hears = notice.topic in subscription.about or (
        notice.topic == TRIPPED and notice.parked > 0 and PARKED in subscription.about
    )
    return hears and _is_about(subscription, notice, parts)


def _is_about(
    subscription: Subscription, notice: Notice, parts: Callable[[str], set[str]]
) -> bool:
    event, system = subscription.process_event, subscription.system
    concerns = True
    if event and notice.process_event != event:
        concerns = not notice.process_event and notice.system in parts(event)
    if system and notice.system != system:
        concerns &= not notice.system and system in parts(notice.process_event)
    return concerns
