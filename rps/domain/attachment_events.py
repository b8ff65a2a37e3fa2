"""What can happen to the files of a shared record; see `events.py` for the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Event
from rps.domain.state import Attached, CorrelationState

if TYPE_CHECKING:
    from collections.abc import Sequence


class AttachmentsShared(Event):
    """Files that a captured change made part of the shared record.

    `attachments` are `{id, name, size, type, sha256, version, system}`, `system` being
    where the bytes are, and `deleted: true` where a file is no part of it any more.
    `seen` are `{id, as, sha256}`: under which id of its own ("": ours), and with which
    content, `member` turned out to hold a file that is shared; null: not any more.
    """

    TOPIC = "attachments.shared"

    sequence: int
    change_id: str
    member: str
    attachments: Sequence[dict[str, Any]]
    seen: Sequence[dict[str, Any]] = ()

    def apply(self, aggregate: CorrelationState) -> None:
        for each in self.attachments:
            aggregate.attached.setdefault(each["id"], Attached()).shown = each
        for each in self.seen:
            file = aggregate.attached[each["id"]]
            file.held[self.member] = each["sha256"]
            if each["as"]:
                file.known_as[self.member] = each["as"]
                aggregate.attached_as[(self.member, each["as"])] = each["id"]


class AttachmentRefused(Event):
    """A file that is not passed on, and why; `entry_id` is the journal entry in which
    people read of it."""

    TOPIC = "attachment.refused"

    sequence: int
    change_id: str
    member: str
    attachment: dict[str, Any]
    entry_id: str
    reason: str


class MessageReleased(Event):
    """The files that the message carries are here, whole and with the content that was
    offered: it may be sent."""

    TOPIC = "message.released"

    message_id: str
    member: str

    def apply(self, aggregate: CorrelationState) -> None:
        if message := aggregate.pending.get(self.message_id):
            message.waits = False
