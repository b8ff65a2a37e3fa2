"""The shared record: judging what came in, planning what goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import (
    attachments,
    between_nodes,
    capturing,
    events,
    flow,
    plan,
)
from rps.domain.aggregate import identity, records
from rps.domain.delivery import POLL
from rps.domain.flowing import Flowing
from rps.domain.merge import Merge, Sighting, Terms, merge, obey
from rps.domain.pending import Pending, waits_for
from rps.domain.plan import Case, Verdict
from rps.domain.question import subject_of
from rps.domain.queued import MessageUnknown
from rps.domain.sightings import sighting
from rps.domain.state import DELETED, RECEIVED, Link

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.events import ChangeCaptured
    from rps.domain.journal import Heard

__all__ = ["HOPS_MAX", "READ_SOURCES", "Correlation", "MessageUnknown"]

HOPS_MAX = 8
"""How many systems one change may have passed before it is taken for a loop."""


READ_SOURCES = (capturing.READ_BACK, POLL)
"""Changes that are the whole record as it was read, not what was reported of it."""


class Correlation(Flowing):
    """One shared record. All commands are handed `now` and decide without I/O.

    A member's changes are judged only while none of its messages is under way or
    uncertain: settle before you judge.
    """

    @staticmethod
    def id_of(
        definition: str, member: str, table: str, record_id: str, node: str = ""
    ) -> UUID:
        """The id of the correlation that this record opens at the node."""
        at = (node,) if node else ()
        return identity("correlation", definition, member, table, record_id, *at)

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
        case = Case(captured, sequence, definition, revision, now)
        if reason := self._objection(case):
            self._ignore(case, reason)
            self._park_moved(case, reason)
            return
        try:
            if reason := capturing.objection(self, case):
                self._ignore(case, reason)
                return
            fields = capturing.with_missed(self, case)
            answers = self.answers.get(subject_of(sequence), {})
            seen, course = sighting(self, case, fields, answers)
            if course.skipped:
                self._ignore(case, capturing.SKIPPED + course.skipped)
                return
            if course.asks is not None:
                self._ask(case, course.asks)
                return
            heard = self._heard(case, seen.stamp)
        except flow.MappingRefused as refused:
            self._fail(case, refused)
            self._park_moved(case, str(refused))
            return
        if self._decide(case, seen, heard):
            self._notify(case, course.notices)

    def move(
        self, captured: ChangeCaptured, sequence: int, owner: UUID, now: datetime
    ) -> None:
        """Note that a captured change belongs to the correlation `owner`."""
        self._ignored(captured, sequence, f"moved to {owner}", now)

    def _objection(self, case: Case) -> str:
        captured = case.captured
        if captured.member not in case.definition.members:
            return "not captured: the definition has no such member any more"
        if captured.hop > HOPS_MAX:
            return f"hop limit: passed {captured.hop} systems"
        if not self.opened and captured.operation == "delete":
            return "not linked: a record nobody shares was deleted"
        if self.opened and not self.active:
            return "not captured: the correlation is inactive"
        if objection := between_nodes.objection(self, captured):
            return objection
        if captured.member in self.unlinked:
            return f"not linked: {captured.member} takes no part since it was unlinked"
        link = self.links.get(captured.member)
        if link and link.record_id not in (None, captured.record_id):
            return f"not linked: the member's record here is {link.record_id}"
        return ""

    def _decide(self, case: Case, seen: Sighting, heard: Heard) -> bool:
        """Whether anything of it is shared."""
        member, definition = case.member, case.definition
        link = self.links.get(member.name) or Link()
        if case.captured.if_match is not None:
            result = obey(self.fields, seen)
        else:
            terms = Terms(
                definition.fields,
                self._normaliser(case),
                member.sent if "update" in member.deliver else (),
                self.waiting(member.name),
            )
            result = merge(self.fields, link, seen, terms)
        result.conflicts += heard.conflicts
        result.late += heard.late
        complete = _is_complete(case, link)
        self._open(case)
        self._tell_conflicts(case, result)
        taken = attachments.taken(self, case)
        entries = [*heard.entries, *taken.notes]
        version = self.shared_version + bool(
            result.values or (heard.entries and heard.has_edits)
        )
        agreed = {name: v or version for name, v in result.agreed.items()}
        verdict = Verdict(result, entries, version, agreed, taken, heard.back)
        messages = plan.messages(self, case, verdict)
        is_accepted = bool(result.values or entries or messages or taken.files)
        if is_accepted:
            self._accept(case, verdict, messages, complete=complete)
        else:
            reason = _nothing_new(result)
            self._ignored(
                case.captured, case.sequence, reason, case.now, verdict, complete
            )
        self._settle_held(case, verdict)
        if result.values.get(DELETED) is False:
            self._withdraw_deletes(case)
        if case.captured.if_match is None:
            # Else they may be on their way: who decides takes them for what they are.
            self._revise(case, verdict)
        return is_accepted

    def _open(self, case: Case) -> None:
        captured = case.captured
        if not self.opened:
            self.happened(
                events.CorrelationOpened,
                case.now,
                definition=captured.definition,
                process_event=case.definition.process_event,
                revision=case.revision,
            )
        link = self.links.get(captured.member)
        if link is None or link.record_id is None:
            self.happened(
                events.CorrelationLinked,
                case.now,
                definition=captured.definition,
                member=captured.member,
                system=captured.system,
                table=captured.table,
                record_id=captured.record_id,
                record_revision=None,
            )

    def _tell_conflicts(self, case: Case, result: Merge) -> None:
        for conflict in result.conflicts:
            shown: dict[str, Any] = {
                "change_id": case.captured.change_id,
                "member": case.captured.member,
                "field": conflict.field,
                "base": conflict.base,
                "mine": conflict.mine,
                "theirs": conflict.theirs,
                "policy": conflict.policy,
            }
            fact: type[Event] = events.ConflictOpened
            if conflict.winner != "open":
                fact, shown["winner"] = events.ConflictRecorded, conflict.winner
            self.happened(fact, case.now, **shown)

    def _settle_held(self, case: Case, verdict: Verdict) -> None:
        """An open conflict is over when the member comes to hold the shared value."""
        for name in verdict.agreed:
            if (case.member.name, name) in self.held:
                self.happened(
                    events.ConflictResolved,
                    case.now,
                    member=case.member.name,
                    field=name,
                    value=self.fields[name].value,
                    actor="rps",
                    reason=f"both sides agree since change {case.captured.change_id}",
                )

    def _accept(
        self,
        case: Case,
        verdict: Verdict,
        messages: list[dict[str, Any]],
        *,
        complete: bool,
    ) -> None:
        captured, result = case.captured, verdict.merge
        self.happened(
            events.ChangeAccepted,
            case.now,
            definition=captured.definition,
            process_event=captured.process_event,
            revision=case.revision,
            sequence=case.sequence,
            change_id=captured.change_id,
            member=captured.member,
            record_id=captured.record_id,
            record_revision=captured.record_revision,
            version=verdict.version,
            values=result.values,
            stamps={name: list(each) for name, each in result.stamps.items()},
            bases=result.bases,
            agreed=verdict.agreed,
            entries=verdict.entries,
            messages=messages,
            late=result.late,
            complete=complete,
        )

    def _ignore(self, case: Case, reason: str) -> None:
        missed = capturing.missed(case, reason)
        self._ignored(case.captured, case.sequence, reason, case.now, missed=missed)

    def _ignored(
        self,
        captured: ChangeCaptured,
        sequence: int,
        reason: str,
        now: datetime,
        verdict: Verdict | None = None,
        complete: bool = False,
        missed: dict[str, Any] | None = None,
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
            bases=verdict.merge.bases if verdict else {},
            agreed=verdict.agreed if verdict else {},
            late=verdict.merge.late if verdict else [],
            complete=complete,
            missed=missed or None,
        )

    def _fail(self, case: Case, refused: flow.MappingRefused) -> None:
        self.happened(
            events.ChangeFailed,
            case.now,
            sequence=case.sequence,
            change_id=case.captured.change_id,
            member=case.captured.member,
            field=refused.field,
            value=refused.value,
            detail=str(refused),
            step=refused.step,
        )

    # --- what goes out --------------------------------------------------------------

    def _revise(self, case: Case, verdict: Verdict) -> None:
        """Make waiting messages to the sender fit what it was just seen to hold."""
        for pending in self.waiting(case.member.name):
            if pending.failed == RECEIVED:
                continue
            kept = plan.still_to_send(self, pending, verdict)
            entries = plan.entries_to_send(self, pending)
            is_gone = self.links[pending.member].deleted
            carries = entries or pending.attachments
            if is_gone or not (kept or carries):
                self.happened(
                    events.MessageSkipped,
                    case.now,
                    message_id=pending.message_id,
                    member=pending.member,
                    reason=f"superseded by change {case.captured.change_id}",
                    actor="rps",
                    superseded=True,
                )
            elif (
                len(kept) < len(pending.fields)
                or len(entries) < len(pending.entries)
                or pending.failed == "moved"
                or pending.operation == "create"
            ):
                operation = "delete" if DELETED in kept else "update"
                reason = "the member's record moved"
                self._revised(case, pending, operation, kept, reason)

    def _withdraw_deletes(self, case: Case) -> None:
        """The record is kept after all: nobody else is to delete it any more."""
        for pending in list(self.pending.values()):
            if pending.operation == "delete" and pending.member != case.member.name:
                self._revised(case, pending, "update", [], "the record is kept")

    def _revised(
        self, case: Case, pending: Pending, operation: str, kept: list[str], reason: str
    ) -> None:
        self.happened(
            events.MessageRevised,
            case.now,
            message_id=pending.message_id,
            member=pending.member,
            generation=pending.generation + 1,
            operation=operation,
            fields={name: pending.fields[name] for name in kept},
            versions={name: pending.versions[name] for name in kept},
            entries=plan.entries_to_send(self, pending),
            origin=pending.origin,
            hop=pending.hop,
            definition_revision=case.revision,
            reason=reason,
            changed_by=pending.changed_by,
            changed_at=pending.changed_at,
            attachments=pending.attachments,
            waits=waits_for(pending.attachments),
            context=plan.context_to(self, case, pending.member, kept),
        )

    def _park_moved(self, case: Case, detail: str) -> None:
        """A message that waits for a judgement which does not come waits for a person
        instead."""
        for pending in self.waiting(case.captured.member):
            if pending.failed == "moved":
                self.happened(
                    events.MessageParked,
                    case.now,
                    message_id=pending.message_id,
                    member=pending.member,
                    detail=detail,
                )


def _is_complete(case: Case, link: Link) -> bool:
    """Whether the whole record is known at the revision of this change.

    A change that shows only some fields tells nothing of those which another change,
    still on its way, may have set before it, unless it follows right on what is known.
    """
    captured = case.captured
    if captured.operation != "update" or captured.source in READ_SOURCES:
        return True
    if captured.fields.keys() >= case.member.by_field.keys():
        return True
    before, shown = link.revision or "", captured.record_revision or ""
    if not (before.isdecimal() and shown.isdecimal()):
        return False
    return int(shown) == int(before) + 1


def _nothing_new(result: Merge) -> str:
    if result.conflicts:
        conflict = result.conflicts[0]
        if conflict.winner == "open":
            return f"conflict: {conflict.field} is left to a person"
        return f"kept: {conflict.field} stays as others made it"
    return "late: superseded at the member" if result.late else "echo"


for _event in events.EVENTS:
    records(Correlation)(_event)
