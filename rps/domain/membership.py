"""Who takes part in a shared record, and whether it is shared at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import events, journal_news, plan
from rps.domain.aggregate import identity_text
from rps.domain.conflicts import Conflicts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rps.domain.agreement import Definition, Member


class MemberUnknown(LookupError):
    """The definition in force has no such member."""


class Membership(Conflicts):
    """Commands of people, with a reason and a name; said twice is said once."""

    def unlink(self, member: str, reason: str, actor: str, now: datetime) -> None:
        """Let `member` take no part any more; its record there stays as it is.

        What waits for it is skipped. From now on nothing is made or written there, and
        nothing that its record does is shared.
        """
        if member in self.unlinked:
            return
        for pending in self.waiting(member):
            why = f"{member} is unlinked: {reason}"
            self.skip_message(pending.message_id, why, actor, now)
        for _, field in [key for key in self.held if key[0] == member]:
            self.happened(
                events.ConflictResolved,
                now,
                member=member,
                field=field,
                value=self.fields[field].value,
                actor=actor,
                reason=f"{member} is unlinked: {reason}",
            )
        link = self.links.get(member)
        self.happened(
            events.CorrelationUnlinked,
            now,
            definition=self.definition,
            member=member,
            record_id=(link and link.record_id) or "",
            reason=reason,
            actor=actor,
        )

    def relink(
        self,
        member: str,
        definition: Definition,
        revision: int,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Let `member` take part again, with the record it had; it is sent what it
        lacks, or a record where it has none. Raises MemberUnknown."""
        if member not in self.unlinked:
            return
        each = definition.members.get(member)
        if each is None:
            raise MemberUnknown(f"{definition.process_event} has no member {member}")
        if record_id := self.unlinked[member].record_id:
            self.happened(
                events.CorrelationLinked,
                now,
                definition=self.definition,
                member=member,
                system=each.system,
                table=each.table,
                record_id=record_id,
                record_revision=None,
            )
        self.happened(
            events.CorrelationRelinked,
            now,
            definition=self.definition,
            process_event=self.process_event,
            revision=revision,
            member=member,
            reason=reason,
            actor=actor,
            messages=self._owed("relinked", [each], now) if self.active else [],
        )

    def deactivate(self, reason: str, actor: str, now: datetime) -> None:
        """Share nothing of it any more; what waits is still sent."""
        if self.active:
            self.happened(
                events.CorrelationDeactivated, now, reason=reason, actor=actor
            )

    def reactivate(
        self,
        definition: Definition,
        revision: int,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Share it again; who lacks what was decided meanwhile is sent it."""
        if self.active:
            return
        members = [
            each
            for name, each in definition.members.items()
            if name not in self.unlinked
        ]
        self.happened(
            events.CorrelationReactivated,
            now,
            reason=reason,
            actor=actor,
            definition=self.definition,
            process_event=self.process_event,
            revision=revision,
            messages=self._owed("reactivated", members, now),
        )

    def _owed(
        self, why: str, members: Iterable[Member], now: datetime
    ) -> list[dict[str, Any]]:
        """A message for each member that lacks something. Ids follow from the moment:
        after a restore, nothing else would tell one relinking from another."""
        told: list[dict[str, Any]] = []
        for member in members:
            message = plan.owed_message(self, member)
            if message is not None:
                about = {
                    "message_id": identity_text(
                        why, str(self.id), member.name, now.isoformat()
                    ),
                    **message,
                    "origin": [],
                    "hop": 0,
                }
                told += journal_news.in_parts(about, member)
        return told
