"""What a person decides about a field that two sides changed at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rps.domain import courses, events, flow, plan
from rps.domain.aggregate import identity_text
from rps.domain.merge import after
from rps.domain.plan import Standing
from rps.domain.queued import QueuedEntries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rps.domain.agreement import Definition, Member

Keep = Literal["mine", "theirs", "other"]
"""The shared value, the member's, or one that neither side has."""


class ConflictUnknown(LookupError):
    """There is no open conflict about this field with this member."""


class Conflicts(QueuedEntries):
    """A field in an open conflict is held back towards one member; the rest flows."""

    def resolve(
        self,
        member: str,
        field: str,
        keep: Keep,
        other: Any,
        definition: Definition,
        revision: int,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Let the shared record say what a person decided, and tell who lacks it.

        `mine` is what is shared now, `theirs` what the member was last seen to hold.
        Raises ConflictUnknown; MappingRefused where `other` is no value of the field,
        or a value does not fit a member.
        """
        if (member, field) not in self.held:
            raise ConflictUnknown(f"no open conflict about {field} with {member}")
        shared, link = self.fields[field], self.links[member]
        theirs = link.base[field].value
        if keep == "other":
            value = flow.shared_value(definition, field, other)
        else:
            value = theirs if keep == "theirs" else shared.value
        moves = value != shared.value
        version = self.shared_version + 1 if moves else shared.version
        stamp = after(shared, (int(now.timestamp() * 1000), 0)) if moves else ()
        each = definition.members.get(member)
        held = (
            courses.normalised(self, each, definition, field, value) if each else value
        )
        holds = theirs in (value, held)
        told = {
            name: each
            for name, each in definition.members.items()
            if (not holds if name == member else moves)
        }
        standing = Standing.after(self, {field: value} if moves else {}, version)
        self.happened(
            events.ConflictResolved,
            now,
            member=member,
            field=field,
            value=value,
            actor=actor,
            reason=reason,
            definition=self.definition,
            process_event=self.process_event,
            revision=revision,
            version=version,
            stamp=list(stamp),
            given_by=member if keep == "theirs" else "",
            holds=holds,
            messages=list(self._telling(told, (member, field), standing, actor, now)),
        )

    def _telling(
        self,
        told: dict[str, Member],
        released: tuple[str, str],
        standing: Standing,
        actor: str,
        now: datetime,
    ) -> Iterator[dict[str, Any]]:
        """The messages of this resolution; their ids follow from how many conflicts
        there have been, as each of them is resolved once."""
        member, field = released
        for name, each in told.items():
            message = plan.message_to(
                self, each, [field], [], standing, released=released
            )
            if message is not None and self.active:
                number = str(self.conflicts)
                message_id = identity_text(
                    "resolution", str(self.id), member, field, number, name
                )
                yield {
                    "message_id": message_id,
                    **message,
                    "origin": [],
                    "hop": 0,
                    "changed_by": actor,
                    "changed_at": now.isoformat(),
                }
