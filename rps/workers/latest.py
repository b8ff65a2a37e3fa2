"""Catching up: what waits for a member that wants the latest only, put together.

The first message that was never tried is made anew with the newest values and all
entries; those behind it are skipped as superseded. One append, under the lane's lease,
before anything is sent: an attempt and its retries stay the same bytes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rps.domain import events
from rps.log.append import Append, Appended, Fence, LeaseLost
from rps.workers.lanes import LEASE_SECONDS
from rps.workers.outbound import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event
    from rps.workers.outbound import Lane
    from rps.workers.scene import Message

log = logging.getLogger("rps.deliverer")

READ_AHEAD = 500
"""Messages of a lane that are put together at a time."""


def combined(
    messages: Sequence[Message], now: datetime, *, first_is_free: bool
) -> list[Event]:
    """The events that put `messages`, a lane's oldest, together; none where there is
    nothing to put together. `first_is_free`: nobody can have sent the first one."""
    free = first_is_free and not messages[0].attempts
    waiting = messages if free else messages[1:]
    group: list[Message] = []
    for message in waiting:
        if message.status != "ready" or message.operation == "delete":
            break
        if message.due_at is None:
            break  # its files are not here yet
        group.append(message)
    if len(group) < 2:  # noqa: PLR2004 - nothing to put together
        return []
    first, last = group[0], group[-1]
    fields: dict[str, Any] = {}
    versions: dict[str, int] = {}
    entries: list[dict[str, Any]] = []
    attachments: dict[str, dict[str, Any]] = {}
    context: dict[str, Any] = {}
    origin: dict[str, None] = {}
    for message in group:
        fields |= message.fields
        versions |= message.versions
        entries += message.entries
        attachments |= {each["id"]: each for each in message.attachments}
        origin |= dict.fromkeys(message.origin)
        context |= message.context
    made = first.about(
        events.MessageRevised,
        now,
        generation=first.generation + 1,
        operation=first.operation,
        fields=fields,
        versions=versions,
        entries=entries,
        origin=list(origin),
        hop=max(message.hop for message in group),
        definition_revision=last.definition_revision,
        changed_by=last.changed_by,
        changed_at=last.changed_at,
        reason=f"put together with {len(group) - 1} later ones",
        attachments=list(attachments.values()),
        context={n: v for n, v in context.items() if n not in fields} or None,
    )
    skipped = [
        message.about(
            events.MessageSkipped,
            now,
            reason=f"put together with message {first.message_id}",
            actor="rps",
            superseded=True,
        )
        for message in group[1:]
    ]
    return [made, *skipped]


def caught_up(
    application: RemoteProcessSync, lanes: list[Lane], clock: Callable[[], datetime]
) -> list[Lane]:
    """The lanes with what is to be put together put together; without those that
    somebody else has by now."""
    found = (_caught_up(application, lane, clock) for lane in lanes)
    return [lane for lane in found if lane is not None]


def _caught_up(
    application: RemoteProcessSync, lane: Lane, clock: Callable[[], datetime]
) -> Lane | None:
    if not _wants_latest(application, lane):
        return lane
    now: Lane | None = lane
    while now is not None and (made := _combined(now, clock())):
        now = _recorded(application, now, made)
    return now


def _wants_latest(application: RemoteProcessSync, lane: Lane) -> bool:
    if not lane.has_more:
        return False
    message = lane.messages[-1]
    definition = application.configuration.current.definition_at(
        message.definition_id, message.definition_revision
    )
    return definition.members[message.member].delivery == "latest"


def _combined(lane: Lane, now: datetime) -> list[Event]:
    return combined(lane.messages, now, first_is_free=not lane.is_suspect)


def _recorded(
    application: RemoteProcessSync, lane: Lane, made: list[Event]
) -> Lane | None:
    """The lane as it is then; None where it is not ours any more."""
    claimed = lane.claimed
    fence = Fence(
        *(claimed.correlation_id, "out", claimed.member, claimed.epoch), LEASE_SECONDS
    )
    outcome = application.recorder.append([Append(made, fence)])[0]
    if isinstance(outcome, LeaseLost):
        log.warning("lease.lost %s", outcome)
        return None
    if not isinstance(outcome, Appended):
        raise outcome
    lanes = read(application.recorder.questions, [claimed], READ_AHEAD)
    return lanes[0] if lanes else None
