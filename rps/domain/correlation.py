"""The shared record: judging what came in, planning what goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import events, flow
from rps.domain.aggregate import identity, records
from rps.domain.merge import Merge, Sighting, merge, stamp
from rps.domain.state import DELETED, CorrelationState, Link, Pending

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rps.domain.agreement import Definition, Member
    from rps.domain.events import ChangeCaptured

HOPS_MAX = 8
"""How many systems one change may have passed before it is taken for a loop."""


class MessageUnknown(LookupError):
    """The correlation has no such message waiting."""


class Correlation(CorrelationState):
    """One shared record. All commands are handed `now` and decide without I/O."""

    @staticmethod
    def id_of(definition: str, member: str, table: str, record_id: str) -> Any:
        """The id of the correlation that this record opens."""
        return identity("correlation", definition, member, table, record_id)

    # --- what came in ---------------------------------------------------------------

    def judge(
        self,
        captured: ChangeCaptured,
        sequence: int,
        definition: Definition,
        revision: int,
        now: datetime,
    ) -> None:
        """Decide about one captured change: accepted, ignored or failed."""
        member = definition.members.get(captured.member)
        reason = self._objection(captured, member)
        if reason or member is None:
            self._ignore(captured, sequence, reason or "not captured", Merge(), now)
            return
        try:
            fields = flow.inbound(member, definition, captured.fields).fields
            entries = self._new_entries(captured, definition, member)
        except flow.MappingRefused as refused:
            self._fail(captured, sequence, refused, now)
            return
        if captured.operation == "delete":
            fields = {DELETED: True}
        self._merge(captured, sequence, definition, revision, fields, entries, now)

    def move(
        self, captured: ChangeCaptured, sequence: int, owner: UUID, now: datetime
    ) -> None:
        """Note that a captured change belongs to the correlation `owner`."""
        self._ignore(captured, sequence, f"moved to {owner}", Merge(), now)

    def _objection(self, captured: ChangeCaptured, member: Member | None) -> str:
        if member is None:
            return "not captured: the definition has no such member any more"
        if captured.hop > HOPS_MAX:
            return f"hop limit: passed {captured.hop} systems"
        if not self.opened and captured.operation == "delete":
            return "not linked: a record nobody shares was deleted"
        if self.opened and not self.active:
            return "not captured: the correlation is inactive"
        return ""

    def _new_entries(
        self, captured: ChangeCaptured, definition: Definition, member: Member
    ) -> list[dict[str, Any]]:
        known = self.entry_ids
        arrived = [
            {**entry, "id": f"{captured.member}:{entry['id']}"}
            for entry in captured.entries
        ]
        return [
            entry
            for entry in flow.inbound_entries(member, definition, arrived)
            if entry["id"] not in known
        ]

    def _merge(
        self,
        captured: ChangeCaptured,
        sequence: int,
        definition: Definition,
        revision: int,
        fields: dict[str, Any],
        entries: list[dict[str, Any]],
        now: datetime,
    ) -> None:
        member = definition.members[captured.member]
        link = self.links.get(captured.member) or Link()
        seen = Sighting(
            captured.member,
            captured.record_revision,
            fields,
            stamp(
                _milliseconds(captured.changed_at),
                int(captured.timestamp.timestamp() * 1000),
            ),
        )

        def normalised(name: str, value: Any) -> Any:
            return flow.normalised(member, definition, name, value)

        result = merge(self.fields, link, seen, definition.fields, normalised)
        self._open(captured, definition, revision, now)
        self._record_conflicts(captured, result, now)
        version = self.shared_version + 1 if result.values else self.shared_version
        agreed = {n: v or version for n, v in result.agreed.items()}
        messages = self._plan(
            captured, definition, result, entries, version, agreed, sequence
        )
        if not (result.values or entries or messages):
            reason = "late: superseded at the member" if result.late else "echo"
            self._ignore(captured, sequence, reason, result, now, agreed)
        else:
            self.happened(
                events.ChangeAccepted,
                now,
                definition=captured.definition,
                process_event=captured.process_event,
                revision=revision,
                sequence=sequence,
                change_id=captured.change_id,
                member=captured.member,
                record_id=captured.record_id,
                record_revision=captured.record_revision,
                version=version,
                values=result.values,
                stamps={n: list(s) for n, s in result.stamps.items()},
                bases=result.bases,
                agreed=agreed,
                entries=entries,
                messages=messages,
            )
        self._revise(captured, definition, revision, now)

    def _open(
        self,
        captured: ChangeCaptured,
        definition: Definition,
        revision: int,
        now: datetime,
    ) -> None:
        if not self.opened:
            self.happened(
                events.CorrelationOpened,
                now,
                definition=captured.definition,
                process_event=definition.process_event,
                revision=revision,
            )
        link = self.links.get(captured.member)
        if link is None or link.record_id is None:
            self.happened(
                events.CorrelationLinked,
                now,
                definition=captured.definition,
                member=captured.member,
                system=captured.system,
                table=captured.table,
                record_id=captured.record_id,
                record_revision=None,
            )

    def _record_conflicts(
        self, captured: ChangeCaptured, result: Merge, now: datetime
    ) -> None:
        for conflict in result.conflicts:
            common = {
                "change_id": captured.change_id,
                "member": captured.member,
                "field": conflict.field,
                "base": conflict.base,
                "mine": conflict.mine,
                "theirs": conflict.theirs,
                "policy": conflict.policy,
            }
            if conflict.winner == "open":
                self.happened(events.ConflictOpened, now, **common)
            else:
                self.happened(
                    events.ConflictRecorded, now, winner=conflict.winner, **common
                )

    def _ignore(
        self,
        captured: ChangeCaptured,
        sequence: int,
        reason: str,
        result: Merge,
        now: datetime,
        agreed: dict[str, int] | None = None,
    ) -> None:
        self.domain = self.domain or captured.domain
        self.happened(
            events.ChangeIgnored,
            now,
            definition=captured.definition,
            sequence=sequence,
            change_id=captured.change_id,
            member=captured.member,
            record_id=captured.record_id,
            record_revision=captured.record_revision,
            reason=reason,
            bases=result.bases,
            agreed=agreed or {},
        )

    def _fail(
        self,
        captured: ChangeCaptured,
        sequence: int,
        refused: flow.MappingRefused,
        now: datetime,
    ) -> None:
        self.happened(
            events.ChangeFailed,
            now,
            sequence=sequence,
            change_id=captured.change_id,
            member=captured.member,
            field=refused.field,
            value=refused.value,
            detail=str(refused),
        )

    # --- what goes out --------------------------------------------------------------

    def _plan(
        self,
        captured: ChangeCaptured,
        definition: Definition,
        result: Merge,
        entries: list[dict[str, Any]],
        version: int,
        agreed: dict[str, int],
        sequence: int,
    ) -> list[dict[str, Any]]:
        """The messages this change makes, one a member that has to be told."""
        after = {n: f.value for n, f in self.fields.items()} | result.values
        versions = {n: f.version for n, f in self.fields.items()}
        versions |= dict.fromkeys(result.values, version)
        planned = []
        for name, member in definition.members.items():
            if name == captured.member:
                changed = self._still_behind(name, result, agreed, versions)
                told: list[dict[str, Any]] = []
            else:
                changed, told = list(result.values), entries
            message = self._message(
                name, member, definition, changed, told, after, versions
            )
            if message is not None:
                message["message_id"] = str(
                    identity("message", str(self.id), str(sequence), name)
                )
                message["origin"] = [*captured.origin, captured.member]
                message["hop"] = captured.hop + 1
                if name not in captured.origin:
                    planned.append(message)
        return planned

    def _still_behind(
        self,
        name: str,
        result: Merge,
        agreed: dict[str, int],
        versions: dict[str, int],
    ) -> list[str]:
        """Fields the sender itself has to be told again and no message tells it yet."""
        waiting = {
            (field, pending.versions[field])
            for pending in self.pending.values()
            if pending.member == name
            for field in pending.fields
        }
        return [
            field
            for field in result.behind
            if (field, versions[field]) not in waiting and field not in agreed
        ]

    def _message(
        self,
        name: str,
        member: Member,
        definition: Definition,
        changed: list[str],
        entries: list[dict[str, Any]],
        after: dict[str, Any],
        versions: dict[str, int],
    ) -> dict[str, Any] | None:
        link = self.links.get(name) or Link()
        if (gone := link.base.get(DELETED)) is not None and gone.value:
            return None
        gone_here = bool(after.get(DELETED))
        known = link.record_id is not None or any(
            p.member == name and p.operation == "create" for p in self.pending.values()
        )
        if gone_here:
            operation = "delete"
        else:
            operation = "update" if known else "create"
        if operation not in member.deliver or (gone_here and not known):
            return None
        mapped = member.fields
        wanted = [n for n in (changed if known else after) if n in mapped]
        if gone_here:
            wanted = [DELETED] if DELETED in changed else []
        told = flow.shared_entries_for(member, entries)
        if not wanted and not told:
            return None
        return {
            "member": name,
            "system": member.system,
            "table": member.table,
            "operation": operation,
            "fields": {n: after[n] for n in wanted},
            "versions": {n: versions[n] for n in wanted},
            "entries": told,
        }

    def _revise(
        self,
        captured: ChangeCaptured,
        definition: Definition,
        revision: int,
        now: datetime,
    ) -> None:
        """Make waiting messages to the sender fit what it was just seen to hold."""
        link = self.links[captured.member]
        for pending in list(self.pending.values()):
            if pending.member != captured.member or pending.operation == "create":
                continue
            kept = [
                n
                for n in pending.fields
                if pending.versions[n] > link.agreed.get(n, 0)
                or self.fields[n].version < pending.versions[n]
            ]
            if len(kept) == len(pending.fields) and pending.failed != "moved":
                continue
            if not kept and not pending.entries:
                self.skip_message(
                    pending.message_id,
                    f"superseded by change {captured.change_id}",
                    "rps",
                    now,
                )
            else:
                self._revised(pending, kept, revision, now)

    def _revised(
        self, pending: Pending, kept: list[str], revision: int, now: datetime
    ) -> None:
        self.happened(
            events.MessageRevised,
            now,
            message_id=pending.message_id,
            member=pending.member,
            generation=pending.generation + 1,
            operation=pending.operation,
            fields={n: pending.fields[n] for n in kept},
            versions={n: pending.versions[n] for n in kept},
            entries=pending.entries,
            origin=pending.origin,
            hop=pending.hop,
            definition_revision=revision,
            reason="the member's record moved",
        )

    # --- what a person or a worker says ---------------------------------------------

    def skip_message(
        self, message_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        pending = self._waiting(message_id)
        self.happened(
            events.MessageSkipped,
            now,
            message_id=message_id,
            member=pending.member,
            reason=reason,
            actor=actor,
        )

    def retry_message(
        self, message_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        pending = self._waiting(message_id)
        self.happened(
            events.MessageRetried,
            now,
            message_id=message_id,
            member=pending.member,
            reason=reason,
            actor=actor,
        )

    def retry_change(
        self, sequence: int, change_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        self.happened(
            events.ChangeRetried,
            now,
            sequence=sequence,
            change_id=change_id,
            reason=reason,
            actor=actor,
        )

    def skip_change(
        self, sequence: int, change_id: str, reason: str, actor: str, now: datetime
    ) -> None:
        self.happened(
            events.ChangeSkipped,
            now,
            sequence=sequence,
            change_id=change_id,
            reason=reason,
            actor=actor,
        )

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
    ) -> bool:
        """Make a message that brings `fields` at the member to their shared values.

        Said twice with the same `replay_id`, nothing happens. False: nothing to send.
        """
        message = self.replay_message(
            replay_id, member_name, fields, entries, definition
        )
        if message is None:
            return False
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
    ) -> dict[str, Any] | None:
        """What `replay` would send; None where the member is not to be told anything."""
        member = definition.members.get(member_name)
        if member is None:
            return None
        after = {n: f.value for n, f in self.fields.items()}
        versions = {n: f.version for n, f in self.fields.items()}
        wanted = [n for n in fields if n in after]
        message = self._message(
            member_name, member, definition, wanted, entries, after, versions
        )
        if message is not None:
            message["message_id"] = str(
                identity("replay", replay_id, str(self.id), member_name)
            )
            message["origin"], message["hop"] = [], 0
        return message


def _milliseconds(text: str) -> int | None:
    return flow.epoch_milliseconds(text) if text else None


for _event in events.EVENTS:
    records(Correlation)(_event)
