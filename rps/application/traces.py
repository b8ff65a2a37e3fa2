"""Executions of messages and changes: read from the log, recomputed, never kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.application.lane_commands import NotFound
from rps.application.tried import lines_of
from rps.application.what_if import InForce, stored_events
from rps.domain import events
from rps.domain.judgements import MOVED_TO, is_move
from rps.domain.logged import find
from rps.domain.problem import pointer
from rps.domain.trace import (
    change_shown,
    deliveries_shown,
    judgement_at,
    judgement_shown,
    outcome_shown,
    waits_shown,
)
from rps.domain.trial_steps import fault_at
from rps.projections.trial_questions import TrialQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.judgements import Judgement
    from rps.domain.logged import Found
    from rps.domain.trial_steps import LineOf

MOVES_MAX = 8
STOPPED = ("parked", "permanent")

Shown = dict[str, Any]


class Traces:
    """Of one domain at a time; anything else raises NotFound. `clock` gives seconds, by
    which steps are measured as they are taken again."""

    def __init__(
        self, application: RemoteProcessSync, clock: Callable[[], float]
    ) -> None:
        self._application = application
        self._questions = TrialQuestions(application.datastore)
        self._clock = clock

    def message(self, domain: str, message_id: UUID) -> Shown:
        queued = self._application.lookup.message(domain, message_id)
        if queued is None:
            raise NotFound(f"no message {message_id}")
        stream = partial(self._events, queued.correlation_id)
        found = find(stream, str(message_id))
        if found is None or found.made_by.domain != domain:
            raise NotFound(f"no message {message_id}")
        definition_id = vars(found.made_by)["definition"]
        definitions, lines = (
            self._definitions(definition_id),
            self._lines(definition_id),
        )
        judgement = None
        if isinstance(found.made_by, events.ChangeAccepted):
            judgement = judgement_at(stream, found.made_by.sequence, found.made_at)
        deliveries = deliveries_shown(found, stream, definitions, self._clock, lines)
        outcome = outcome_shown(found)
        captured_at = judgement.captured.timestamp if judgement else None
        return {
            **_about(found),
            **self._judged(judgement),
            "deliveries": deliveries,
            "outcome": outcome,
            "error": deliveries[-1]["error"] or _stopped(found, outcome, lines),
            "seconds": waits_shown(found, captured_at),
        }

    def change(self, domain: str, correlation_id: UUID, sequence: int) -> Shown:
        """The change at `sequence`, followed to the correlation it was moved to."""
        for _ in range(MOVES_MAX):
            if (
                self._application.lookup.change(domain, correlation_id, sequence)
                is None
            ):
                raise NotFound(f"no change {sequence} of {correlation_id}")
            captured, owner = self._captured(correlation_id, sequence)
            if owner is None:
                break
            correlation_id = owner
        if captured is None or captured.domain != domain:
            raise NotFound(f"no change {sequence} of {correlation_id}")
        judgement = judgement_at(partial(self._events, correlation_id), sequence)
        shown = self._judged(judgement)
        shown["change"] = change_shown(captured, sequence)
        judged = shown["judgement"]
        return {
            "correlation_id": correlation_id,
            "process_event": captured.process_event,
            **shown,
            "error": judged and judged["error"],
        }

    def _judged(self, judgement: Judgement | None) -> Shown:
        """`change` and `judgement` of an execution."""
        if judgement is None:
            return {"change": None, "judgement": None}
        captured = judgement.captured
        definition_id = UUID(captured.definition)
        revision = InForce(self._application, definition_id).at(judgement)
        definition = self._definitions(captured.definition)(revision)
        line_of = self._lines(captured.definition)(revision)
        shown = judgement_shown(judgement, definition, revision, self._clock, line_of)
        if shown["outcome"] == "failed" and shown["error"] is None:
            place = pointer("members", captured.member)
            shown["error"] = fault_at("verdict", place, shown["reason"], line_of)
        return {
            "change": change_shown(captured, judgement.sequence),
            "judgement": shown,
        }

    def _captured(
        self, correlation_id: UUID, sequence: int
    ) -> tuple[events.ChangeCaptured | None, UUID | None]:
        """The change, and the correlation that it was moved to."""
        captured, owner = None, None
        for position, event in self._events(correlation_id):
            match event:
                case events.ChangeCaptured():
                    if sequence in (event.sequence, position):
                        captured = event
                case events.ChangeIgnored() if event.sequence == sequence:
                    if is_move(event):
                        owner = UUID(event.reason.removeprefix(MOVED_TO))
        return captured, owner

    def _events(self, stream: UUID) -> Iterator[tuple[int, Event]]:
        read = self._application.event_mapper.to_domain_event
        return stored_events(read, stream, self._questions.stream(stream))

    def _definitions(self, definition_id: str) -> Callable[[int], Definition]:
        revisions = self._application.configuration.current.revisions
        return revisions[UUID(definition_id)].__getitem__

    def _lines(self, definition_id: str) -> Callable[[int], LineOf]:
        """By the definition's revision, where its text was kept."""
        story = self._application.definition_story(UUID(definition_id))
        return lambda revision: lines_of(story.source(revision))


def _about(found: Found) -> Shown:
    message, made_by = found.message, vars(found.made_by)
    return {
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "process_event": message.process_event,
        "member": message.member,
        "system": message.system,
        "table": message.table,
        "made_by": {
            "topic": found.made_by.TOPIC,
            "position": found.made_at,
            "at": found.made_by.timestamp,
            "actor": made_by.get("actor", ""),
            "reason": made_by.get("reason", ""),
        },
    }


def _stopped(
    found: Found, outcome: Shown, lines: Callable[[int], LineOf]
) -> Shown | None:
    """What a person has to look at where no step was refused."""
    if outcome["state"] not in STOPPED:
        return None
    place = pointer("members", found.message.member)
    line_of = lines(found.message.revision)
    return fault_at("write", place, outcome["detail"], line_of)
