"""What is recorded when another node has a message, cannot take it yet, or has its
record from somebody else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from rps.domain import events
from rps.domain.delivery import Elsewhere, Postponed, Received
from rps.workers import noted

if TYPE_CHECKING:
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.delivery import Write
    from rps.workers.scene import Scene

ASK_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Until another node is asked again how far it is with a message; it also tells."""


def recorded(
    scene: Scene, write: Write, outcome: Received | Postponed | Elsewhere
) -> list[Event]:
    sent = noted.transmitted(scene, write, outcome.exchange)
    match outcome:
        case Received():
            return [sent, *_received(scene, write, outcome)]
        case Postponed():
            return [sent, _postponed(scene, outcome)]
        case Elsewhere():
            return [sent, *_elsewhere(scene, outcome)]
        case _:
            assert_never(outcome)


def _received(scene: Scene, write: Write, received: Received) -> list[Event]:
    """It is asked again by and by: the other node tells by itself when it is done."""
    told: list[Event] = []
    if received.judged and received.record_id is not None:
        told += noted.linked(scene, write, received.record_id)
    fact = scene.about(
        events.MessageReceived,
        attempt=_asked(scene),
        judged=received.judged,
        record_revision=received.revision,
        stored=noted.stored(scene, write, received.stored) if received.judged else {},
        agreed=dict(scene.message.versions) if received.judged else {},
        detail=received.detail,
        ask_at=_later(scene).isoformat(),
    )
    return [*told, fact]


def _postponed(scene: Scene, postponed: Postponed) -> Event:
    return scene.about(
        events.MessageFailed,
        attempt=_asked(scene),
        kind="postponed",
        status=postponed.exchange.status,
        detail=postponed.detail,
        retry_at=_later(scene).isoformat(),
    )


def _elsewhere(scene: Scene, outcome: Elsewhere) -> list[Event]:
    """Nothing more of this record is sent there."""
    skipped = scene.about(
        events.MessageSkipped, reason=outcome.detail, actor="rps", superseded=True
    )
    unlinked = scene.event(
        events.CorrelationUnlinked,
        definition=str(scene.message.definition_id),
        member=scene.message.member,
        record_id="",
        reason=outcome.detail,
        actor="rps",
    )
    return [skipped, unlinked]


def _later(scene: Scene) -> datetime:
    return scene.now + timedelta(seconds=ASK_SECONDS[_asked(scene) - 1])


def _asked(scene: Scene) -> int:
    """Asking once more is no attempt that failed: after any number of them, those that
    a message has are still there."""
    return min(scene.attempt, len(ASK_SECONDS))
