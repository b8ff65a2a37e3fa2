"""Who is told of journal entries, what a newcomer gets of them, in how many parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow
from rps.domain.aggregate import identity_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.domain.agreement import Member
    from rps.domain.entries import Said
    from rps.domain.state import CorrelationState

Entry = dict[str, Any]

PART_ENTRIES = 100
PART_CHARACTERS = 256 * 1024
"""How much of what was said before goes in one message."""


def told(
    state: CorrelationState, member: Member, entries: Iterable[Entry]
) -> list[Entry]:
    """What `member` is sent of `entries`: new ones in journals it maps, and changes of
    those it has, where it can carry them."""
    sent: list[Entry] = []
    for entry in flow.shared_entries_for(member, entries):
        each = member.journals[entry["journal"]]
        entry.pop("stamp", None)
        match entry.get("operation"):
            case None:
                if each.is_followed:
                    entry.setdefault("version", 1)
                sent.append(entry)
            case "update" | "delete" if each.edits:
                if _has(state, member.name, entry["id"]):
                    sent.append(entry)
    return sent


def earlier(state: CorrelationState, member: Member) -> list[Entry]:
    """Entries shared before that a member which takes part from now on is to get; of
    those that it has, what changed since. Texts are looked up when they are sent."""
    if not any(each.is_followed for each in member.journals.values()):
        return []
    link = state.links.get(member.name)
    since = link.since if link else 0
    found = []
    for key, said in state.said.items():
        each = member.journals.get(said.journal)
        if each is None or said.member == member.name:
            continue
        shown = link.entries.get(key) if link else None
        if shown is not None:
            if each.edits and shown.version < said.version:
                found.append(again(key, said))
        elif (
            each.earlier_entries
            and said.digest
            and said.first > since
            and not _has(state, member.name, key)
        ):
            found.append(_referred(key, said))
    return found


def again(key: str, said: Said) -> Entry:
    """A later version for who has an earlier one, its text to be looked up."""
    if not said.digest:
        return {**_referred(key, said), "text": "", "operation": "delete"}
    return {**_referred(key, said), "operation": "update"}


def _referred(key: str, said: Said) -> Entry:
    return {
        "id": key,
        "journal": said.journal,
        "author": said.author,
        "written_at": said.written_at,
        "version": said.version,
        "digest": said.digest,
        "size": said.size,
        "at": said.at,
    }


def _has(state: CorrelationState, member: str, key: str) -> bool:
    """Whether the entry is at the member, or on its way there."""
    if key.startswith(f"{member}:"):
        return True
    said = state.said.get(key)
    if said is not None and said.member == member:
        return True  # it told so itself, of a message that was never answered
    link = state.links.get(member)
    if link is not None and key in link.entries:
        return True
    return any(e["id"] == key for p in state.pending.to(member) for e in p.entries)


def in_parts(message: dict[str, Any], member: Member) -> list[dict[str, Any]]:
    """The message, and further ones where what it refers to is too much for one."""
    entries = message["entries"]
    if "update" not in member.deliver or not any("at" in each for each in entries):
        return [message]
    first, *others = _parts(entries)
    once = ("attachments", "context")
    rest = {name: value for name, value in message.items() if name not in once}
    return [
        {**message, "entries": first},
        *(
            {
                **rest,
                "message_id": identity_text("part", message["message_id"], str(number)),
                "operation": "update",
                "fields": {},
                "versions": {},
                "entries": part,
            }
            for number, part in enumerate(others, start=1)
        ),
    ]


def _parts(entries: Iterable[Entry]) -> list[list[Entry]]:
    parts: list[list[Entry]] = []
    room = 0
    for entry in entries:
        size = entry.get("size", 0)
        if not parts or len(parts[-1]) >= PART_ENTRIES or size > room:
            parts.append([])
            room = PART_CHARACTERS
        room -= size
        parts[-1].append(entry)
    return parts
