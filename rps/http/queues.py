"""The inbound and the outbound queue: what waits and why; retry and skip."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from rps.application.operations import LaneBusy, NotFound, NotOpen
from rps.domain.attachments import said_size
from rps.domain.correlation import MessageUnknown
from rps.domain.problem import shown as shown_text
from rps.http.access import principal
from rps.http.answers import answer, page
from rps.http.inputs import REASON_MAX, STATUSES, Page, Reason, Shape, Text, body, paged
from rps.http.routes import OPERATORS, READERS, allowed, looks_at, route
from rps.log.append import LeaseLost, VersionTaken
from rps.projections.attachment_questions import AttachmentQuestions
from rps.projections.inquiry_questions import InquiryQuestions
from rps.projections.queue_questions import QueueQuestions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from flask import Response

    from rps.application.configuration import Configuration
    from rps.http.parts import Parts
    from rps.projections.questions import Row

MANY_MAX = 1000
SEQUENCE = "<int(max=9223372036854775807):sequence>"
OPEN = ("ready", "error", "uncertain")
_OF_THE_HEAD = (
    "head_message",
    "head_status",
    "head_detail",
    "head_attempts",
    "head_due_at",
    "head_files",
    "head_asks",
    "held",
    "open_until",
    "breaker_reason",
)


class Entries(Page):
    status = fields.String(validate=validate.OneOf(STATUSES))
    system = Text(120)
    process_event = Text(80)
    correlation_id = fields.UUID()


class Which(Shape):
    status = fields.String(validate=validate.OneOf(OPEN), load_default="error")
    system = Text(120)
    process_event = Text(80)


class Many(Shape):
    filter = fields.Nested(Which, required=True)
    reason = Text(REASON_MAX, required=True)
    limit = fields.Integer(
        strict=True, load_default=100, validate=validate.Range(1, MANY_MAX)
    )


class Queues:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._operations = parts.operations
        self._clock = parts.clock
        self._questions = QueueQuestions(parts.application.datastore)
        self._files = AttachmentQuestions(parts.application.datastore)
        self._inquiries = InquiryQuestions(parts.application.datastore)

    @route(
        "GET",
        "/inbound",
        "Captured changes, in the order they came",
        query=Entries(),
        answer="InboundEntries",
    )
    @allowed(*READERS)
    @looks_at("inbound queue")
    def list_inbound(self) -> Response:
        asked, limit, after = paged(Entries(), (int,))
        rows = self._questions.inbound(
            principal().domain, asked, after[0] if after else 0, limit + 1
        )
        for row in rows:
            if row.pop("waits"):
                key = row["correlation_id"], row["sequence"]
                row["asks"] = self._inquiries.of_change(*key)
        now = self._clock()
        shown = [_inbound(row, now) for row in rows]
        return page("entries", shown, limit, ["position"])

    @route(
        "GET",
        "/outbound",
        "Messages, in the order they were made; each says what it waits for",
        query=Entries(),
        answer="OutboundEntries",
    )
    @allowed(*READERS)
    @looks_at("outbound queue")
    def list_outbound(self) -> Response:
        asked, limit, after = paged(Entries(), (int, int))
        domain = principal().domain
        rows = self._questions.outbound(
            domain, asked, (after[0], after[1]) if after else (0, -1), limit + 1
        )
        now, configuration = self._clock(), self._application.configuration.current
        for row in rows:
            if row["head_status"] == "ready" and row["head_due_at"] is None:
                row["head_files"] = self._files.standing(row["head_message"])
                row["head_asks"] = self._inquiries.of_message(row["head_message"])
        shown = [_outbound(row, domain, configuration, now) for row in rows]
        return page("entries", shown, limit, ["sequence", "place"])

    @route(
        "POST",
        "/outbound/<uuid:message_id>/retry",
        "Send it again now",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def retry_message(self, message_id: UUID) -> Response:
        return self._message(self._operations.retry_message, message_id, "retried")

    @route(
        "POST",
        "/outbound/<uuid:message_id>/skip",
        "Never send it; its lane goes on with the next",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def skip_message(self, message_id: UUID) -> Response:
        return self._message(self._operations.skip_message, message_id, "skipped")

    @route(
        "POST",
        f"/inbound/<uuid:correlation_id>/{SEQUENCE}/retry",
        "Judge it again",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def retry_change(self, correlation_id: UUID, sequence: int) -> Response:
        reason, who = body(Reason())["reason"], principal()
        self._operations.retry_change(
            who.domain, correlation_id, sequence, reason, who.account, self._clock()
        )
        return answer({"result": "retried"})

    @route(
        "POST",
        f"/inbound/<uuid:correlation_id>/{SEQUENCE}/skip",
        "Leave it out for good",
        body=Reason(),
        answer="Done",
    )
    @allowed(*OPERATORS)
    def skip_change(self, correlation_id: UUID, sequence: int) -> Response:
        reason, who = body(Reason())["reason"], principal()
        self._operations.skip_change(
            who.domain, correlation_id, sequence, reason, who.account, self._clock()
        )
        return answer({"result": "skipped"})

    @route(
        "POST",
        "/outbound/retry",
        "Send again what the filter chooses",
        body=Many(),
        answer="Results",
    )
    @allowed(*OPERATORS)
    def retry_messages(self) -> Response:
        return self._messages(self._operations.retry_message, "retried")

    @route(
        "POST",
        "/outbound/skip",
        "Skip what the filter chooses",
        body=Many(),
        answer="Results",
    )
    @allowed(*OPERATORS)
    def skip_messages(self) -> Response:
        return self._messages(self._operations.skip_message, "skipped")

    def _message(self, say: Any, message_id: UUID, done: str) -> Response:
        reason, who = body(Reason())["reason"], principal()
        say(who.domain, message_id, reason, who.account, self._clock())
        return answer({"message_id": message_id, "result": done})

    def _messages(self, say: Any, done: str) -> Response:
        asked, who = body(Many()), principal()
        chosen = self._questions.outbound_ids(
            who.domain, asked["filter"], asked["limit"]
        )

        def result(message_id: UUID) -> str:
            told = (who.domain, message_id, asked["reason"], who.account)
            return _told(lambda: say(*told, self._clock()), done)

        results = [{"message_id": each, "result": result(each)} for each in chosen]
        return answer({"results": results})


def _told(say: Callable[[], None], done: str) -> str:
    """One of many entries: what stopped it is its result, the others go on."""
    try:
        say()
    except (LaneBusy, LeaseLost, VersionTaken):
        return "busy"
    except (NotOpen, NotFound, MessageUnknown):
        return "settled before"
    return done


def _inbound(row: Row, now: datetime) -> Row:
    head, head_status = row.pop("head"), row.pop("head_status")
    asks = row.pop("asks", None)
    if row["status"] == "error":
        row["waits_for"] = {"why": f"a person: {row['detail']}"}
    elif row["status"] == "ready" and head is not None and head < row["sequence"]:
        why = f"the change before it is {head_status}"
        row["waits_for"] = {"sequence": head, "why": why}
    elif row["status"] == "ready":
        why = _asking(asks, now) or "a receiver to take it"
        row["waits_for"] = {"why": why}
    return row


def _asking(asks: Row | None, now: datetime) -> str:
    """What a flow waits to be answered, "" where it asks nothing."""
    if asks is None:
        return ""
    question = asks["question"]
    of = f" of {asks['system']}" if asks["system"] else ""
    why = f"the answer to step {shown_text(question['step'])}{of}"
    if not asks["attempts"]:
        return why
    why += f": {asks['detail']}, {asks['attempts']} times asked"
    if asks["due_at"] > now:
        why += f", the next time at {_at(asks['due_at'])}"
    return why


def _outbound(
    row: Row, domain: str, configuration: Configuration, now: datetime
) -> Row:
    shown = {name: value for name, value in row.items() if name not in _OF_THE_HEAD}
    if row["status"] in OPEN and row["head_message"] is not None:
        missing = [_missing(each) for each in row.get("head_files", ())]
        why = f"its files: {'; '.join(missing)}" if missing else ""
        why = why or _asking(row.get("head_asks"), now)
        why = why or _why(row, domain, configuration, now)
        if row["head_message"] == row["message_id"]:
            shown["waits_for"] = {"why": why}
        else:
            shown["waits_for"] = {"message_id": row["head_message"], "why": why}
    return shown


def _why(row: Row, domain: str, configuration: Configuration, now: datetime) -> str:
    """What the head of the lane waits for."""
    if row["head_status"] == "error":
        return f"a person: {row['head_detail']}"
    if row["held"]:
        return "it is being sent"
    system = configuration.system(domain, row["system"])
    if system is None or system.state != "active":
        return f"the system is {system.state if system else 'not registered'}"
    if row["open_until"] is not None:
        return f"the system's breaker, until {_at(row['open_until'])}: " + str(
            row["breaker_reason"]
        )
    if row["head_status"] == "uncertain":
        return "its answer was lost: it is settled before anything is sent again"
    due_at = row["head_due_at"]
    if due_at is None:
        return f"its member: {row['head_detail']}"
    if due_at > now:
        attempts = row["head_attempts"]
        return f"the next attempt at {_at(due_at)}, {attempts} made: " + str(
            row["head_detail"]
        )
    return "a deliverer to take it"


def _missing(file: Row) -> str:
    """How far a file is."""
    what = f"{shown_text(file['name'])} ({said_size(file['size'])}) of {file['system']}"
    if file["complete"]:
        return f"{what} is here"
    said = f"{what}, {said_size(file['stored'])} here"
    if file["detail"]:
        said += f"; {file['detail']}, the next attempt at {_at(file['due_at'])}"
    return said


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
