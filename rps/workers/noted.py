"""The events that tell one thing each about an attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rps.domain import courses, events
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.aggregate import Event
    from rps.domain.delivery import Exchange, Snapshot, Write
    from rps.workers.scene import Scene

RESPONSE_KEPT = 2_000


def linked(scene: Scene, write: Write, record_id: str) -> list[Event]:
    """The first that is heard of the record there."""
    if write.record_id is not None:
        return []
    message = scene.message
    linked = scene.event(
        events.CorrelationLinked,
        definition=str(message.definition_id),
        member=message.member,
        system=message.system,
        table=message.table,
        record_id=record_id,
        record_revision=None,
    )
    return [linked]


def stored(
    scene: Scene, write: Write, shown_there: Mapping[str, Any]
) -> dict[str, Any]:
    """What the member now holds of what was written, in shared form."""
    message, member, definition = scene.message, scene.member, scene.definition
    if DELETED in message.fields:
        return {DELETED: True}
    shown = {name: v for name, v in shown_there.items() if name in write.fields}
    there = {**write.fields, **shown} if member.flows else shown
    return courses.held(member, definition, message.fields, there)


def notified(scene: Scene) -> list[Event]:
    """What the flow has to tell of a message that was delivered."""
    message = scene.message
    return [
        scene.about(
            events.FlowNotified,
            process_event=message.process_event,
            change_id="",
            **notice,
        )
        for notice in scene.notices
    ]


def transmitted(scene: Scene, write: Write, exchange: Exchange) -> Event:
    return scene.about(
        events.MessageTransmitted,
        attempt=scene.attempt,
        delivery_id=write.delivery_id,
        operation=write.operation,
        record_id=write.record_id,
        if_match=write.if_match,
        fields=dict(write.fields),
        entry_ids=[entry.id for entry in write.entries],
        request_sha256=exchange.request_sha256,
        status=exchange.status,
        response=exchange.response[:RESPONSE_KEPT],
        seconds=round(exchange.seconds, 6),
    )


def captured(scene: Scene, snapshot: Snapshot, source: str) -> Event:
    message = scene.message
    return scene.event(
        events.ChangeCaptured,
        definition=str(message.definition_id),
        process_event=message.process_event,
        revision=message.definition_revision,
        member=message.member,
        system=message.system,
        table=message.table,
        record_id=snapshot.record_id,
        operation="delete" if snapshot.deleted else "update",
        change_id=f"{source}-{uuid4()}",
        record_revision=snapshot.revision,
        fields=dict(snapshot.fields),
        before={},
        entries=[],
        changed_by="",
        changed_at=snapshot.updated_at or "",
        external_id=str(message.correlation_id),
        origin=[],
        hop=0,
        source=source,
        account="",
        idempotency_key=None,
        fingerprint="",
        request_fingerprint="",
        trace_id="",
        sequence=0,
    )
