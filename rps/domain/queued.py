"""What people say about a correlation's queued entries: retry, skip, replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import events, plan
from rps.domain.aggregate import identity
from rps.domain.constants import context_of
from rps.domain.pending import Pending, waits_for
from rps.domain.plan import Standing
from rps.domain.state import CorrelationState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.question import Answer


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

    def pass_over_message(
        self,
        message_id: str,
        reason: str,
        definition: Definition,
        revision: int,
        now: datetime,
    ) -> None:
        """The member's flow does not want the message: it is owed its values no more.
        If it would have made the record, the next message that waits does."""
        passed = self._waiting(message_id)
        why = f"not sent: {reason}"
        self.skip_message(message_id, why, "rps", now)
        member = definition.members.get(passed.member)
        link = self.links.get(passed.member)
        is_known = link is not None and link.record_id is not None
        waiting = [each for each in self.waiting(passed.member) if not each.failed]
        if is_known or member is None or not waiting or passed.operation != "create":
            return
        first = waiting[0]
        standing = Standing.after(self, {}, 0)
        names = [n for n in standing.values if n in member.sent]
        self.happened(
            events.MessageRevised,
            now,
            message_id=first.message_id,
            member=first.member,
            generation=first.generation + 1,
            operation="create",
            fields={name: standing.values[name] for name in names},
            versions={name: standing.versions[name] for name in names},
            entries=[*passed.entries, *first.entries],
            origin=first.origin,
            hop=first.hop,
            definition_revision=revision,
            reason="it makes the record, as the one before it was not sent",
            changed_by=first.changed_by,
            changed_at=first.changed_at,
            attachments=[*passed.attachments, *first.attachments],
            waits=waits_for([*passed.attachments, *first.attachments]),
            context=context_of(member, names, standing.values, is_new=True) or None,
        )

    def answer_question(
        self,
        question_id: str,
        about: Mapping[str, Any],
        answer: Answer,
        seconds: float,
        now: datetime,
    ) -> None:
        """Note what a flow was answered. `about`: member, sequence, change_id and
        message_id, as it was asked."""
        subject, key = self.questions.get(question_id, ("", ""))
        answer = {**answer, "seconds": round(seconds, 6)}
        if not subject:
            answer = {"withdrawn": "nobody waits for it any more"}
        self.happened(
            events.QuestionAnswered,
            now,
            question_id=question_id,
            answer=answer,
            answers={**self.answers.get(subject, {}), key: answer} if subject else {},
            seconds=round(seconds, 6),
            **about,
        )

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
