"""Which messages a judgement makes, and what of the waiting ones is still to be sent.

Pure: reads a correlation's state, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.domain import attachments, journal_news
from rps.domain.aggregate import identity_text
from rps.domain.attachments import Taken
from rps.domain.constants import context_of
from rps.domain.state import DELETED, CorrelationState, Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from rps.domain.agreement import Definition, Member
    from rps.domain.events import ChangeCaptured
    from rps.domain.merge import Merge
    from rps.domain.pending import Pending


@dataclass(frozen=True)
class Case:
    """A captured change under judgement: where it stands and what it is judged by."""

    captured: ChangeCaptured
    sequence: int
    definition: Definition
    revision: int
    now: datetime

    @cached_property
    def member(self) -> Member:
        return self.definition.members[self.captured.member]

    @cached_property
    def changed_at(self) -> str:
        """As its system told; else when it was captured."""
        captured = self.captured
        return captured.changed_at or captured.timestamp.isoformat()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judgement found: the merge, new journal entries, the version it makes,
    and for the sender which version of each field it turned out to hold. `taken`: its
    files, and entries about them, which the sender is told as well; `back`: other
    entries that it is told."""

    merge: Merge
    entries: list[dict[str, Any]]
    version: int
    agreed: dict[str, int]
    taken: Taken = field(default_factory=Taken)
    back: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Standing:
    """The shared values and versions as they are once a judgement is in force."""

    values: Mapping[str, Any]
    versions: Mapping[str, int]

    @classmethod
    def after(
        cls, state: CorrelationState, values: Mapping[str, Any], version: int
    ) -> Standing:
        fields = state.fields
        return cls(
            {name: each.value for name, each in fields.items()} | dict(values),
            {name: each.version for name, each in fields.items()}
            | dict.fromkeys(values, version),
        )


def messages(
    state: CorrelationState, case: Case, verdict: Verdict
) -> list[dict[str, Any]]:
    """The messages this judgement makes: one a member that has to be told."""
    captured = case.captured
    standing = Standing.after(state, verdict.merge.values, verdict.version)
    planned = []
    for name, member in case.definition.members.items():
        if name == captured.member:
            changed = owed(state, member, standing, verdict.agreed)
            notes = [*verdict.taken.notes, *verdict.back]
            back = verdict.taken.back
            if not (changed or notes or back):
                continue
            message = message_to(state, member, changed, notes, standing, files=back)
        elif name in captured.origin:
            continue  # the change came from there
        else:
            message = message_to(
                *(state, member, verdict.merge.values, verdict.entries, standing),
                files=verdict.taken.files,
            )
        if message is not None:
            about = {
                "message_id": _message_id(
                    state.id, captured.member, captured.change_id, name
                ),
                **message,
                "origin": [*captured.origin, captured.member],
                "hop": captured.hop + 1,
                "changed_by": captured.changed_by,
                "changed_at": case.changed_at,
            }
            planned += (
                journal_news.in_parts(about, member) if about["entries"] else [about]
            )
    return planned


def message_id(correlation_id: UUID, source: str, change_id: str, member: str) -> UUID:
    """As the message itself has it, for those who ask what became of a change."""
    return UUID(_message_id(correlation_id, source, change_id, member))


def _message_id(correlation_id: UUID, source: str, change_id: str, member: str) -> str:
    """The id of the message that a change of the member `source` makes to `member`.

    Always the same, and never made from a position: after a restore positions are
    used again for other events, and a receiver would take the new message for one
    that it has had.
    """
    return identity_text("message", str(correlation_id), source, change_id, member)


def owed(
    state: CorrelationState,
    member: Member,
    standing: Standing,
    agreed: Mapping[str, int],
) -> list[str]:
    """The fields whose shared value `member` lacks and no waiting message brings."""
    link = state.links.get(member.name) or Link()
    lacking = [
        name
        for name, version in standing.versions.items()
        if version > agreed.get(name, 0)
        and version > link.told(name)
        and (name in member.sent or name == DELETED)
    ]
    if not lacking:
        return lacking
    coming = {
        (name, version)
        for pending in state.pending.to(member.name)
        for name, version in pending.versions.items()
    }
    return [name for name in lacking if (name, standing.versions[name]) not in coming]


def message_to(
    state: CorrelationState,
    member: Member,
    changed: Iterable[str],
    entries: list[dict[str, Any]],
    standing: Standing,
    released: tuple[str, str] | None = None,
    files: Sequence[dict[str, Any]] = (),
) -> dict[str, Any] | None:
    """What tells `member` about the `changed` fields, `entries` and `files`; None:
    nothing to tell. A record that is not there yet is told everything. `released`
    (member, field) is not held back any more. Who was unlinked is told nothing."""
    if member.name in state.unlinked:
        return None
    return _told(state, member, changed, entries, standing, released, files)


def owed_message(state: CorrelationState, member: Member) -> dict[str, Any] | None:
    """What brings `member` up to what is shared now, even if it is unlinked yet."""
    standing = Standing.after(state, {}, 0)
    changed = owed(state, member, standing, {})
    files = attachments.owed(state, member)
    link = state.links.get(member.name)
    is_known = link is not None and link.record_id is not None
    entries = journal_news.earlier(state, member) if is_known else []
    if not (changed or entries or files):
        return None
    return _told(state, member, changed, entries, standing, files=files)


def _told(
    state: CorrelationState,
    member: Member,
    changed: Iterable[str],
    entries: list[dict[str, Any]],
    standing: Standing,
    released: tuple[str, str] | None = None,
    files: Sequence[dict[str, Any]] = (),
) -> dict[str, Any] | None:
    link = state.links.get(member.name) or Link()
    if link.deleted:
        return None
    is_gone = bool(standing.values.get(DELETED))
    is_known = link.record_id is not None or any(
        pending.operation == "create" for pending in state.pending.to(member.name)
    )
    if is_gone:
        operation = "delete"
        wanted = [DELETED] if DELETED in changed and is_known else []
        told: list[dict[str, Any]] = []
        files = ()
    else:
        operation = "update" if is_known else "create"
        names = changed if is_known else standing.values
        wanted = [
            name
            for name in names
            if name in member.sent
            and (
                (member.name, name) == released or (member.name, name) not in state.held
            )
        ]
        told = journal_news.told(state, member, entries) if entries else []
        if not is_known and state.said:
            given = {entry["id"] for entry in told}
            before = journal_news.earlier(state, member)
            told = [*(e for e in before if e["id"] not in given), *told]
        if state.attached:
            files = attachments.to_tell(state, member, files, is_new=not is_known)
    if operation not in member.deliver or not (wanted or told or files):
        return None
    message = {
        "member": member.name,
        "system": member.system,
        "table": member.table,
        "operation": operation,
        "fields": {name: standing.values[name] for name in wanted},
        "versions": {name: standing.versions[name] for name in wanted},
        "entries": told,
    }
    is_new = operation == "create"
    if context := context_of(member, wanted, standing.values, is_new=is_new):
        message["context"] = context
    return {**message, "attachments": list(files)} if files else message


def still_to_send(
    state: CorrelationState, pending: Pending, verdict: Verdict
) -> list[str]:
    """What of a waiting message to the sender has to be sent, now that it is judged.

    Not what the sender turned out to hold already, nor what it changed since, nor what
    a person has to decide. Nothing, when its record is gone.
    """
    if state.links[pending.member].deleted:
        return []
    return [
        name
        for name, version in pending.versions.items()
        if verdict.agreed.get(name, -1) < version
        and (name not in verdict.merge.values or version == verdict.version)
        and (pending.member, name) not in state.held
    ]


def context_to(
    state: CorrelationState, case: Case, name: str, written: Iterable[str]
) -> dict[str, Any] | None:
    """What a message made anew for the member `name` has as its context."""
    member = case.definition.members.get(name)
    if member is None:
        return None
    values = {name: each.value for name, each in state.fields.items()}
    return context_of(member, list(written), values, is_new=False) or None


def entries_to_send(state: CorrelationState, pending: Pending) -> list[dict[str, Any]]:
    """What of a waiting message's entries its member has not made out of date."""
    if not pending.entries:
        return pending.entries
    return [
        entry
        for entry in pending.entries
        if (said := state.said.get(entry["id"])) is None
        or said.member != pending.member
        or entry.get("version", 1) >= said.version
    ]
