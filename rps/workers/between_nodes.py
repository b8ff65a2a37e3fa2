"""What is recorded when another node has a message, or does not want it from us."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rps.domain import events
from rps.domain.delivery import Elsewhere
from rps.workers import noted

if TYPE_CHECKING:
    from rps.domain.aggregate import Event
    from rps.domain.delivery import Received, Write
    from rps.workers.scene import Scene

ASK_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Until another node is asked again how far it is with a message; it also tells."""


def recorded(scene: Scene, write: Write, outcome: Received | Elsewhere) -> list[Event]:
    if isinstance(outcome, Elsewhere):
        return _elsewhere(scene, write, outcome)
    return _received(scene, write, outcome)


def _received(scene: Scene, write: Write, received: Received) -> list[Event]:
    """It is asked again by and by: the other node tells by itself when it is done."""
    seconds = ASK_SECONDS[min(scene.attempt, len(ASK_SECONDS)) - 1]
    ask_at = scene.now + timedelta(seconds=seconds)
    told = [noted.transmitted(scene, write, received.exchange)]
    if received.judged and received.record_id is not None:
        told += noted.linked(scene, write, received.record_id)
    fact = scene.about(
        events.MessageReceived,
        attempt=scene.attempt,
        judged=received.judged,
        record_revision=received.revision,
        stored=noted.stored(scene, received.stored) if received.judged else {},
        agreed=dict(scene.message.versions) if received.judged else {},
        detail=received.detail,
        ask_at=ask_at.isoformat(),
    )
    return [*told, fact]


def _elsewhere(scene: Scene, write: Write, outcome: Elsewhere) -> list[Event]:
    """Nothing more of this record is sent there."""
    detail = outcome.detail
    skipped = scene.about(
        events.MessageSkipped, reason=detail, actor="rps", superseded=True
    )
    unlinked = scene.event(
        events.CorrelationUnlinked,
        definition=str(scene.message.definition_id),
        member=scene.message.member,
        record_id="",
        reason=detail,
        actor="rps",
    )
    return [noted.transmitted(scene, write, outcome.exchange), skipped, unlinked]
