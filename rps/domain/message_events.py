"""What can happen to a message of a correlation; see `events.py` for the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Event
from rps.domain.pending import Pending
from rps.domain.state import RECEIVED, CorrelationState, Link

if TYPE_CHECKING:
    from collections.abc import Sequence


class MessageTransmitted(Event):
    """The message went over the wire: what was sent, and what came back."""

    TOPIC = "message.transmitted"

    message_id: str
    member: str
    attempt: int
    delivery_id: str
    operation: str
    record_id: str | None
    if_match: str | None
    fields: dict[str, Any]
    entry_ids: list[str]
    request_sha256: str
    status: int | None
    response: str
    seconds: float

    def apply(self, aggregate: CorrelationState) -> None:
        if message := aggregate.pending.get(self.message_id):
            message.attempt = self.attempt


class MessageReceived(Event):
    """The other node has it, and has yet to write its own side.

    `judged`: it is shared over there, as `stored`, `agreed` and `record_revision` tell
    (as in MessageAcknowledged); else that is not known yet. It is asked again at
    `ask_at`.
    """

    TOPIC = "message.received"

    message_id: str
    member: str
    attempt: int
    judged: bool
    record_revision: str | None
    stored: dict[str, Any]
    agreed: dict[str, int]
    detail: str
    ask_at: str
    complete: bool = True

    def apply(self, aggregate: CorrelationState) -> None:
        if self.judged:
            aggregate.learn(
                self.member,
                self.stored,
                self.agreed,
                self.record_revision,
                complete=self.complete,
            )
        if message := aggregate.pending.get(self.message_id):
            message.attempt = self.attempt
            message.failed = RECEIVED if self.judged else "uncertain"


class MessageAcknowledged(Event):
    """The member holds it. `stored` is what it made of the values (shared form).

    `complete`: nothing else of the record had changed up to `record_revision`; false
    where the record was read some time after the write.
    """

    TOPIC = "message.acknowledged"

    message_id: str
    member: str
    record_id: str
    record_revision: str | None
    stored: dict[str, Any]
    agreed: dict[str, int]
    settled_by: str
    complete: bool = True

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.learn(
            self.member,
            self.stored,
            self.agreed,
            self.record_revision,
            complete=self.complete,
        )
        aggregate.ask_no_more(self.message_id)
        message = aggregate.pending.pop(self.message_id, None)
        if message is not None and message.entries:
            aggregate.hold(self.member, self.record_revision, message.entries)
        if message is not None and message.attachments:
            aggregate.has_files(self.member, message)


class MessageFailed(Event):
    """An attempt that did not succeed. `retry_at` None: not by itself.

    Kinds: `retryable`, `permanent`, `uncertain`, `moved`, `credentials`, `gone`,
    `postponed` (another node has to know a process event or field first).
    """

    TOPIC = "message.failed"

    message_id: str
    member: str
    attempt: int
    kind: str
    status: int | None
    detail: str
    retry_at: str | None

    def apply(self, aggregate: CorrelationState) -> None:
        if message := aggregate.pending.get(self.message_id):
            message.attempt, message.failed = self.attempt, self.kind


class MessageParked(Event):
    """It waits for a person; its lane waits with it, nothing else does. `step`: of the
    member's flow, that could not be done."""

    TOPIC = "message.parked"

    message_id: str
    member: str
    detail: str
    step: str = ""


class MessageRetried(Event):
    """`waits`: it carries files, which are looked for anew before it is sent. What its
    flow asks is asked again, too."""

    TOPIC = "message.retried"

    message_id: str
    member: str
    reason: str
    actor: str
    waits: bool = False

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.ask_no_more(self.message_id)
        if message := aggregate.pending.get(self.message_id):
            message.attempt, message.waits = 0, self.waits


class MessageSkipped(Event):
    """It will not be sent. `superseded`: the node itself found nothing left to send;
    else a named person said so, and its values are not owed to the member any more.
    """

    TOPIC = "message.skipped"

    message_id: str
    member: str
    reason: str
    actor: str
    superseded: bool = False

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.ask_no_more(self.message_id)
        message = aggregate.pending.pop(self.message_id, None)
        if message is not None and message.entries:
            aggregate.withdraw(message, ())
        if message is not None and not self.superseded:
            link = aggregate.links.setdefault(self.member, Link())
            for name, version in message.versions.items():
                link.waived[name] = max(version, link.waived.get(name, 0))


class MessageRevised(Event):
    """A message not yet delivered, made anew: its member's record moved, or later ones
    were put together with it. `waits`: for the files in `attachments`."""

    TOPIC = "message.revised"

    message_id: str
    member: str
    generation: int
    operation: str
    fields: dict[str, Any]
    versions: dict[str, int]
    entries: list[dict[str, Any]]
    origin: list[str]
    hop: int
    definition_revision: int
    reason: str
    changed_by: str = ""
    changed_at: str = ""
    attachments: Sequence[dict[str, Any]] = ()
    waits: bool = False
    context: dict[str, Any] | None = None

    def apply(self, aggregate: CorrelationState) -> None:
        if message := aggregate.pending.get(self.message_id):
            if message.entries:
                aggregate.withdraw(message, self.entries)
            message.generation, message.failed = self.generation, ""
            message.attachments, message.waits = self.attachments, self.waits
            message.operation, message.entries = self.operation, self.entries
            message.origin, message.hop = self.origin, self.hop
            message.changed_by, message.changed_at = self.changed_by, self.changed_at
            message.fields, message.versions = dict(self.fields), dict(self.versions)


class MessageReplayed(Event):
    """A new message that brings a member back to the shared values; history stays."""

    TOPIC = "message.replayed"

    definition: str
    process_event: str
    revision: int
    replay_id: str
    message: dict[str, Any]
    reason: str
    actor: str

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.replayed.add(self.message["message_id"])
        aggregate.expect(Pending.of(self.message))
