"""Why a message looked as it did: recomputed from its correlation's events.

What was decided and sent is in the log; the steps in between are taken again, under
the revision of the definition that was in force. Values of steps are recomputed, times
of attempts and waits are those that were recorded.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rps.domain import events, journal
from rps.domain.judgements import judgements, same
from rps.domain.logged import made_in
from rps.domain.plan import Case
from rps.domain.trial import inbound, outbound, verdict_of
from rps.domain.trial_steps import fault, no_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.delivery import Write
    from rps.domain.judgements import Judgement
    from rps.domain.logged import Definitions, Found, LoggedMessage, Stream
    from rps.domain.question import Answers
    from rps.domain.trial_steps import LineOf

RESPONSE_SHOWN = 500
_SECRET = re.compile(
    r"""(whsec_|rps_|[Bb]earer\s+|["']?(?:token|secret|password|api_?key)["']?\s*[:=]\s*["']?)"""
    r"[^\s\"',}&]{4,}"
)


def judgement_at(
    stream: Stream, sequence: int, position: int | None = None
) -> Judgement | None:
    """The judgement with its verdict at `position`, else the last one, of the change at
    `sequence`. Its `before` stays as it is."""
    last = None
    for each in judgements(stream()):
        if each.sequence == sequence and position in (None, each.position):
            last = each.kept()
            if position is not None:
                break
    return last


# --- a change -----------------------------------------------------------------------


def judgement_shown(
    judgement: Judgement,
    definition: Definition,
    revision: int,
    clock: Callable[[], float] | None = None,
    line_of: LineOf = no_line,
) -> dict[str, Any]:
    """A judgement with its steps; `as_recorded`: taken again it says what it said."""
    again = judgement.again(definition, revision)
    case = Case(
        *(judgement.captured, judgement.sequence, definition, revision, judgement.at)
    )
    steps = inbound(judgement.before, case, judgement.events, clock)
    verdict = judgement.verdict
    return {
        "at": judgement.at,
        "revision": revision,
        "outcome": verdict.TOPIC.removeprefix("change."),
        "reason": getattr(verdict, "reason", getattr(verdict, "detail", "")),
        "as_recorded": same(again, judgement.events),
        "steps": [each.to_json() for each in steps.taken],
        "messages": [
            {"message_id": made["message_id"], "member": made["member"]}
            for made in made_in(verdict_of(judgement.events))
        ],
        "error": fault(steps.error, line_of),
    }


def change_shown(captured: events.ChangeCaptured, sequence: int) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "at": captured.timestamp,
        "change_id": captured.change_id,
        "member": captured.member,
        "system": captured.system,
        "table": captured.table,
        "record_id": captured.record_id,
        "operation": captured.operation,
        "revision": captured.record_revision,
        "changed_by": captured.changed_by,
        "changed_at": captured.changed_at,
        "source": captured.source,
        "fields": captured.fields,
        "entries": captured.entries,
    }


# --- a message ----------------------------------------------------------------------


def deliveries_shown(
    found: Found,
    stream: Stream,
    definitions: Definitions,
    clock: Callable[[], float] | None = None,
    lines: Callable[[int], LineOf] = lambda _revision: no_line,
) -> list[dict[str, Any]]:
    """The message as it was made and made anew, each with its outbound steps and its
    attempts."""
    shown: list[dict[str, Any]] = []
    for message, made_by, since in _spans(found):
        if journal.lacking(message.entries):
            message.entries = [dict(entry) for entry in message.entries]
            accepted = (e for _, e in stream() if isinstance(e, events.ChangeAccepted))
            journal.fill(message.entries, accepted)
        about = (definitions(message.revision), found.record_id, clock)
        line_of = lines(message.revision)
        shown.append(_delivery(message, made_by, since, *about, line_of))
    return shown


def _spans(found: Found) -> list[tuple[LoggedMessage, Event, list[Event]]]:
    """The message as it was each time, what made it so, and what became of it. One may
    be made anew while it is under way as it was before."""
    span: tuple[LoggedMessage, Event, list[Event]]
    message, span = found.message, (found.message, found.made_by, [])
    spans = {message.delivery_id: span}
    for event in found.about:
        if isinstance(event, events.MessageRevised):
            message = message.anew(event)
            told: list[Event] = [
                each for each in span[2] if isinstance(each, events.QuestionAnswered)
            ]
            span = spans[message.delivery_id] = (message, event, told)
        else:
            if isinstance(event, events.MessageTransmitted):
                span = spans.get(event.delivery_id, span)
            span[2].append(event)
    return list(spans.values())


def _delivery(
    message: LoggedMessage,
    made_by: Event,
    since: Sequence[Event],
    definition: Definition,
    known: str | None,
    clock: Callable[[], float] | None,
    line_of: LineOf,
) -> dict[str, Any]:
    """`known`: the member's record, for what was not sent yet."""
    member = definition.members[message.member]
    sent = [e for e in since if isinstance(e, events.MessageTransmitted)]
    last = sent[-1] if sent else None
    record_id = last.record_id if last else known
    if_match = last.if_match if last else None
    message = replace(message, answers=_answers(since))
    steps, write = outbound(message, member, definition, record_id, if_match, clock)
    return {
        "delivery_id": message.delivery_id,
        "generation": message.generation,
        "made_at": made_by.timestamp,
        "why": getattr(made_by, "reason", ""),
        "revision": message.revision,
        "operation": message.operation,
        "fields": message.fields,
        "versions": message.versions,
        "steps": [each.to_json() for each in steps.taken],
        "error": fault(steps.error, line_of),
        "write": None if write is None else write_shown(write),
        "attempts": [_attempt(each, message, definition, since) for each in sent],
    }


def _attempt(
    sent: events.MessageTransmitted,
    message: LoggedMessage,
    definition: Definition,
    since: Sequence[Event],
) -> dict[str, Any]:
    member = definition.members[message.member]
    known = (sent.record_id, sent.if_match)
    message = replace(message, answers=_answers(since[: since.index(sent)]))
    _, write = outbound(message, member, definition, *known)
    return {
        "attempt": sent.attempt,
        "at": sent.timestamp,
        "delivery_id": sent.delivery_id,
        "operation": sent.operation,
        "record_id": sent.record_id,
        "if_match": sent.if_match,
        "fields": sent.fields,
        "entry_ids": list(sent.entry_ids),
        "request_sha256": sent.request_sha256,
        "status": sent.status,
        "seconds": sent.seconds,
        "response": redacted(sent.response),
        "as_sent": write is not None and _is_sent(write, sent),
        "outcome": _outcome(sent, since),
    }


def _answers(since: Sequence[Event]) -> Answers:
    """What the message's flow had been answered by then; a retry asks again."""
    answers: Answers = {}
    for event in since:
        if isinstance(event, events.QuestionAnswered):
            answers = event.answers
        elif isinstance(event, events.MessageRetried):
            answers = {}
    return answers


def _is_sent(write: Write, sent: events.MessageTransmitted) -> bool:
    """Whether what was recomputed is what went over the wire."""
    return (
        (write.delivery_id, write.operation) == (sent.delivery_id, sent.operation)
        and dict(write.fields) == sent.fields
        and [entry.id for entry in write.entries] == list(sent.entry_ids)
    )


def _outcome(
    sent: events.MessageTransmitted, since: Sequence[Event]
) -> dict[str, Any] | None:
    """What came of an attempt: it stands behind it, before the next one."""
    behind = since[since.index(sent) + 1 :]
    for event in behind:
        match event:
            case events.MessageTransmitted():
                return None
            case events.MessageAcknowledged():
                return {
                    "kind": "acknowledged",
                    "detail": f"{event.record_id} at revision {event.record_revision}",
                    "retry_at": None,
                }
            case events.MessageReceived():
                return {
                    "kind": "received",
                    "detail": event.detail,
                    "retry_at": event.ask_at,
                }
            case events.MessageFailed():
                return {
                    "kind": event.kind,
                    "detail": event.detail,
                    "retry_at": event.retry_at,
                }
    return None


def write_shown(write: Write) -> dict[str, Any]:
    return asdict(write)


def redacted(response: str) -> str:
    """What was answered, cut, without what looks like somebody's secret."""
    cut = response[:RESPONSE_SHOWN]
    more = "…" if len(response) > RESPONSE_SHOWN else ""
    return _SECRET.sub(lambda found: f"{found[1]}…", cut) + more


def outcome_shown(found: Found) -> dict[str, Any]:
    """How the message stands, by the last event that tells."""
    state, at, detail = "waiting", found.made_by.timestamp, ""
    for event in found.about:
        match event:
            case events.MessageAcknowledged():
                state, at = "delivered", event.timestamp
                detail = f"{event.record_id}, by {event.settled_by}"
            case events.MessageSkipped():
                state, at, detail = "skipped", event.timestamp, event.reason
            case events.MessageParked():
                state, at, detail = "parked", event.timestamp, event.detail
            case events.MessageFailed():
                state, at, detail = event.kind, event.timestamp, event.detail
            case events.MessageReceived():
                state, at, detail = "received", event.timestamp, event.detail
            case events.MessageRetried() | events.MessageRevised():
                state, at, detail = "waiting", event.timestamp, event.reason
    return {"state": state, "at": at, "detail": detail}


def waits_shown(found: Found, captured_at: datetime | None) -> dict[str, float | None]:
    """Seconds between captured, judged, first sent and acknowledged, as recorded."""
    sent = _first(found.about, events.MessageTransmitted)
    done = _first(found.about, events.MessageAcknowledged)
    judged = found.made_by.timestamp
    return {
        "captured_to_judged": _between(captured_at, judged),
        "judged_to_sent": _between(judged, sent),
        "sent_to_acknowledged": _between(sent, done),
        "in_all": _between(captured_at or judged, done),
    }


def _first(about: Iterable[Event], kind: type[Event]) -> datetime | None:
    return next((e.timestamp for e in about if isinstance(e, kind)), None)


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return round((end - start).total_seconds(), 6)
