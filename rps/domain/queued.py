"""What people say about a correlation's queued entries: retry, skip, replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import events, plan
from rps.domain.aggregate import identity
from rps.domain.plan import Standing
from rps.domain.state import CorrelationState, Pending, waits_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition


class MessageUnknown(LookupError):
    """The correlation has no such message waiting."""


class QueuedEntries(CorrelationState):
    """Commands of operators; each is given a reason and a name."""

    def skip_message(
        self, message_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        self._of_message(events.MessageSkipped, message_id, reason, actor, now)

    def retry_message(
        self, message_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        waits = waits_for(self._waiting(message_id).attachments)
        more = {"waits": True} if waits else {}
        self._of_message(events.MessageRetried, message_id, reason, actor, now, **more)

    def release_message(self, message_id: str, now: datetime) -> None:
        """The files that it carries are here."""
        message = self.pending.get(message_id)
        if message is not None and message.waits:
            about = {"message_id": message_id, "member": message.member}
            self.happened(events.MessageReleased, now, **about)

    def park_message(self, message_id: str, detail: str, now: datetime) -> None:
        """The files that it carries do not come: a person has to look."""
        message = self.pending.get(message_id)
        if message is not None and message.waits:
            about = {"message_id": message_id, "member": message.member}
            self.happened(events.MessageParked, now, **about, detail=detail)

    def retry_change(
        self, sequence: int, change_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        about = {"sequence": sequence, "change_id": change_id}
        self.happened(events.ChangeRetried, now, **about, reason=reason, actor=actor)

    def skip_change(
        self, sequence: int, change_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        about = {"sequence": sequence, "change_id": change_id}
        self.happened(events.ChangeSkipped, now, **about, reason=reason, actor=actor)

    def _of_message(
        self,
        fact: type[Event],
        message_id: str,
        reason: str,
        actor: str,
        now: datetime,
        **more: Any,
    ) -> None:
        member = self._waiting(message_id).member
        about = {"message_id": message_id, "member": member}
        self.happened(fact, now, **about, reason=reason, actor=actor, **more)

    def _waiting(self, message_id: str) -> Pending:
        if message_id not in self.pending:
            raise MessageUnknown(message_id)
        return self.pending[message_id]

    def replay(
        self,
        replay_id: str,
        member_name: str,
        fields: list[str],
        entries: list[dict[str, Any]],
        definition: Definition,
        revision: int,
        reason: str,
        actor: str,
        now: datetime,
        attachments: Sequence[str] = (),
    ) -> bool:
        """Make a message that brings `fields` at the member to their shared values, and
        `attachments` (ids) to what they are.

        Said twice with the same `replay_id`, nothing happens. False: nothing to send.
        """
        message = self.replay_message(
            replay_id, member_name, fields, entries, definition, attachments
        )
        if message is None or message["message_id"] in self.replayed:
            return False
        message |= {"changed_by": actor, "changed_at": now.isoformat()}
        self.happened(
            events.MessageReplayed,
            now,
            definition=self.definition,
            process_event=self.process_event,
            revision=revision,
            replay_id=replay_id,
            message=message,
            reason=reason,
            actor=actor,
        )
        return True

    def replay_message(
        self,
        replay_id: str,
        member_name: str,
        fields: list[str],
        entries: list[dict[str, Any]],
        definition: Definition,
        attachments: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """What `replay` would send; None: the member is not to be told anything."""
        member = definition.members.get(member_name)
        if member is None or not self.active:
            return None
        standing = Standing.after(self, {}, 0)
        wanted = [name for name in fields if name in standing.values]
        files = [self.attached[i].shown for i in attachments if i in self.attached]
        message = plan.message_to(self, member, wanted, entries, standing, files=files)
        if message is None:
            return None
        message_id = str(identity("replay", replay_id, str(self.id), member_name))
        return {"message_id": message_id, **message, "origin": [], "hop": 0}
