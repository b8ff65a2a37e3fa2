"""Texts of journal entries that messages refer to: entries of before, looked up in the
log when they are sent, so that nobody has to keep them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import StoredEvent

from rps.domain import journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.workers.outbound import Lane

READ_AHEAD = 200
ACCEPTED = """
SELECT e.originator_version, e.state FROM rps_events e
WHERE e.originator_id = %b::text::uuid AND e.originator_version >= %b::bigint
  AND e.topic = 'change.accepted'
ORDER BY e.originator_version LIMIT %b::bigint
"""


def filled(application: RemoteProcessSync, lanes: list[Lane]) -> list[Lane]:
    """The lanes, with the texts that their messages lack."""
    for lane in lanes:
        entries = [each for message in lane.messages for each in message.entries]
        if wanted := journal.lacking(entries):
            since = min(each["at"] for each in wanted)
            stream = lane.claimed.correlation_id
            journal.fill(wanted, _accepted(application, stream, since))
    return lanes


def _accepted(
    application: RemoteProcessSync, stream: UUID, version: int
) -> Iterator[Any]:
    """The accepted changes of a correlation, from that version on."""
    rows: Sequence[Any] = [None]
    while rows:
        rows = application.recorder.questions.ask(
            ACCEPTED, str(stream), version, READ_AHEAD
        )
        for version, state in rows:  # noqa: PLR1704 - it goes on behind the last one
            stored = StoredEvent(stream, version, "change.accepted", state)
            yield application.event_mapper.to_domain_event(stored)
        version += 1
