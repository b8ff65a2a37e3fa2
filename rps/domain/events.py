"""Everything that can happen to a correlation, as it is stored for ever.

A published format: names and meanings never change, fields are only added (with an
upcast). Values are plain JSON. `member` is a member of the definition; field names are
the member's own in `ChangeCaptured` and `MessageTransmitted`, shared names elsewhere.

Terms: a *version* counts the accepted changes of a correlation, a *base* is a value
last known at a member, *agreed* says which version of a field a member is known to
hold (`convergence.md`: ver, base, dver). A stamp is `[milliseconds, counter]`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from rps.domain.aggregate import Event
from rps.domain.attachment_events import (
    AttachmentRefused,
    AttachmentsShared,
    MessageReleased,
)
from rps.domain.between_nodes import NODE
from rps.domain.conflict_events import (
    ConflictOpened,
    ConflictRecorded,
    ConflictResolved,
)
from rps.domain.correlation_events import (
    CorrelationDeactivated,
    CorrelationLinked,
    CorrelationOpened,
    CorrelationReactivated,
    CorrelationRelinked,
    CorrelationUnlinked,
)
from rps.domain.message_events import (
    MessageAcknowledged,
    MessageFailed,
    MessageParked,
    MessageReceived,
    MessageReplayed,
    MessageRetried,
    MessageRevised,
    MessageSkipped,
    MessageTransmitted,
)
from rps.domain.pending import Pending
from rps.domain.question import subject_of
from rps.domain.question_events import (
    FlowNotified,
    QuestionAnswered,
    QuestionAsked,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from rps.domain.state import CorrelationState

__all__ = [
    "EVENTS",
    "AttachmentRefused",
    "AttachmentsShared",
    "ChangeAccepted",
    "ChangeCaptured",
    "ChangeFailed",
    "ChangeIgnored",
    "ChangeRetried",
    "ChangeSkipped",
    "ConflictOpened",
    "ConflictRecorded",
    "ConflictResolved",
    "CorrelationDeactivated",
    "CorrelationLinked",
    "CorrelationOpened",
    "CorrelationReactivated",
    "CorrelationRelinked",
    "CorrelationUnlinked",
    "FlowNotified",
    "MessageAcknowledged",
    "MessageFailed",
    "MessageParked",
    "MessageReceived",
    "MessageReleased",
    "MessageReplayed",
    "MessageRetried",
    "MessageRevised",
    "MessageSkipped",
    "MessageTransmitted",
    "QuestionAnswered",
    "QuestionAsked",
]

_again = cast("Any", replace)  # the library's metaclass hides the fields from mypy


class ChangeCaptured(Event):
    """A member's record did something. A fact; nothing is decided yet.

    `attachments` are `{id, name, size, type, sha256}` of files that are there, or
    `{id, deleted: true}` of one that is not any more.
    `sequence` is 0 for a first capture (its place is its own position) and the
    first position where a change was moved here from another correlation. `if_match`:
    the node that decides wrote this for the shared record at that version.
    """

    TOPIC = "change.captured"

    definition: str
    process_event: str
    revision: int
    member: str
    system: str
    table: str
    record_id: str
    operation: str
    change_id: str
    record_revision: str | None
    fields: dict[str, Any]
    before: dict[str, Any]
    entries: list[dict[str, Any]]
    changed_by: str
    changed_at: str
    external_id: str | None
    origin: list[str]
    hop: int
    source: str
    account: str
    idempotency_key: str | None
    fingerprint: str
    request_fingerprint: str
    trace_id: str
    sequence: int
    if_match: str | None = None
    attachments: Sequence[dict[str, Any]] = ()

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.domain = self.domain

    def moved_to(self, owner: UUID, version: int, sequence: int) -> ChangeCaptured:
        """The same change, captured on the stream of the correlation it belongs to."""
        moved: ChangeCaptured = _again(
            self,
            originator_id=owner,
            originator_version=version,
            sequence=sequence,
            # A node's change is judged as one wherever it stands.
            source=self.source if self.source == NODE else "moved",
        )
        return moved


class ChangeAccepted(Event):
    """A captured change, judged: what of it is now shared, and who is to be told.

    `messages` are `{message_id, member, system, table, operation, fields, versions,
    entries, origin, hop, changed_by, changed_at}`, and `attachments` where they carry
    some; `context` are shared values that the member's constants name and that are not
    written themselves. `late` are captured fields that had been replaced at the member
    by what was known already:
    kept here as evidence, never shared. An entry with `as` is one that we wrote there,
    and what the member calls it. `complete` says that the member's record is
    known as a whole at `record_revision`, so that a conditional write may be computed
    against it.
    """

    TOPIC = "change.accepted"

    definition: str
    process_event: str
    revision: int
    sequence: int
    change_id: str
    member: str
    record_id: str
    record_revision: str | None
    version: int
    values: dict[str, Any]
    stamps: dict[str, list[int]]
    bases: dict[str, Any]
    agreed: dict[str, int]
    entries: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    late: Sequence[str] = ()
    complete: bool = True

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.ask_no_more(subject_of(self.sequence))
        at = self.timestamp.timestamp()
        for name, value in self.values.items():
            stamp = tuple(self.stamps[name])
            aggregate.share(name, value, self.version, stamp, self.member, at)
        aggregate.shared_version = max(aggregate.shared_version, self.version)
        aggregate.learn(
            self.member,
            self.bases,
            self.agreed,
            self.record_revision,
            complete=self.complete,
        )
        if self.entries:
            aggregate.hear(
                self.member,
                self.record_revision,
                self.entries,
                self.originator_version,
            )
        for message in self.messages:
            aggregate.expect(Pending.of(message))


class ChangeIgnored(Event):
    """A captured change that changes nothing here, and why.

    Reasons: `echo`, `late`, `kept`, `conflict`, `not captured`, `hop limit`,
    `not linked`, `moved to …`, `elsewhere`, `moved on`. `late` and `complete` as in
    ChangeAccepted. `missed`: what it showed, by shared name in the member's values,
    where the member's condition did not hold.
    """

    TOPIC = "change.ignored"

    definition: str
    sequence: int
    change_id: str
    member: str
    record_id: str
    record_revision: str | None
    reason: str
    bases: dict[str, Any]
    agreed: dict[str, int]
    late: Sequence[str] = ()
    complete: bool = True
    missed: dict[str, Any] | None = None

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.ask_no_more(subject_of(self.sequence))
        if self.missed:
            aggregate.miss(self.member, self.missed, self.record_revision)
            return
        if not aggregate.opened:
            return
        aggregate.learn(
            self.member,
            self.bases,
            self.agreed,
            self.record_revision,
            complete=self.complete,
        )


class ChangeFailed(Event):
    """A captured change that the definition cannot read, or a `step` of its flow not
    do; it waits for a person."""

    TOPIC = "change.failed"

    sequence: int
    change_id: str
    member: str
    field: str
    value: Any
    detail: str
    step: str = ""


class ChangeRetried(Event):
    """What its flow asks is asked again."""

    TOPIC = "change.retried"

    sequence: int
    change_id: str
    reason: str
    actor: str

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.ask_no_more(subject_of(self.sequence))


class ChangeSkipped(Event):
    TOPIC = "change.skipped"

    sequence: int
    change_id: str
    reason: str
    actor: str

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.ask_no_more(subject_of(self.sequence))


EVENTS: tuple[type[Event], ...] = (
    ChangeCaptured,
    CorrelationOpened,
    CorrelationLinked,
    CorrelationUnlinked,
    CorrelationRelinked,
    CorrelationDeactivated,
    CorrelationReactivated,
    ChangeAccepted,
    ChangeIgnored,
    ChangeFailed,
    ChangeRetried,
    ChangeSkipped,
    ConflictRecorded,
    ConflictOpened,
    ConflictResolved,
    AttachmentsShared,
    AttachmentRefused,
    MessageReleased,
    MessageTransmitted,
    MessageReceived,
    MessageAcknowledged,
    MessageFailed,
    MessageParked,
    MessageRetried,
    MessageSkipped,
    MessageRevised,
    MessageReplayed,
    QuestionAsked,
    QuestionAnswered,
    FlowNotified,
)
"""Every class there is; `correlation.py` binds them to the aggregate."""
