"""The three-way merge of a member's record with the shared one (`convergence.md`).

Pure: what is shared, what the member was last known to hold and what it shows now go
in, decisions come out. Versions tell what to send, values tell what a person changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain.oscillation import oscillates
from rps.domain.state import DELETED, Link, Shared, Stamp, newer
from rps.domain.text_merge import merged_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from rps.domain.agreement import SharedField
    from rps.domain.pending import Pending

TEXT_LENGTH_MAX = 100_000
"""Characters of a text put together of two."""

DRIFT_MAX_MILLISECONDS = 300_000
"""How far a remote clock may run ahead of ours and still be believed."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sides moved a field away from what both knew.

    `winner`: hub, remote, merged, or open where a person has to decide. `policy`: that
    of the field; `oscillation` where the two answer each other without end.
    """

    field: str
    base: Any
    mine: Any
    theirs: Any
    policy: str
    winner: str


@dataclass(slots=True)
class Merge:
    """What a member's record changes here.

    `values` become shared; `bases` and `agreed` are what the member is now known to
    hold, where `agreed` 0 is the version being accepted now; `late` are fields that
    showed a value which had been replaced at the member by what is known already.
    """

    values: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    bases: dict[str, Any] = field(default_factory=dict)
    agreed: dict[str, int] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A member's record as it showed itself, in shared names and values; `at` is when
    it is judged, in seconds."""

    member: str
    revision: str | None
    fields: Mapping[str, Any]
    stamp: Stamp
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a member is judged by: the fields' rules, what becomes of a value written
    to it, the shared fields it is sent, its messages not yet settled (oldest first).
    """

    rules: Mapping[str, SharedField]
    normalised: Callable[[str, Any], Any]
    sent: Collection[str] = ()
    waiting: Sequence[Pending] = ()


def stamp(changed_at_ms: int | None, captured_at_ms: int) -> Stamp:
    """When a change happened, trusting a remote clock five minutes ahead at most."""
    if changed_at_ms is None:
        return (captured_at_ms, 0)
    return (min(changed_at_ms, captured_at_ms + DRIFT_MAX_MILLISECONDS), 0)


def merge(
    shared: Mapping[str, Shared], link: Link, seen: Sighting, terms: Terms
) -> Merge:
    """Judge each field `seen` shows. The next version is the caller's to count."""
    result = Merge()
    if seen.fields.get(DELETED):
        _deleted(result, shared, link, seen, terms)
        return result
    if link.deleted and not _restored(result, shared, link, seen):
        return result
    for name, theirs in seen.fields.items():
        _field(result, name, theirs, shared, link, seen, terms)
    _keep(result, shared, seen)
    return result


def obey(shared: Mapping[str, Shared], seen: Sighting) -> Merge:
    """Take what the side that decides wrote for just this version of the record: it
    knew all that is shared here, so there is nothing to decide again."""
    result = Merge()
    result.agreed = {name: current.version for name, current in shared.items()}
    for name, theirs in seen.fields.items():
        current = shared.get(name)
        result.bases[name] = theirs
        if current is None or current.value != theirs:
            _accept(result, name, theirs, current, seen)
    return result


def _field(
    result: Merge,
    name: str,
    theirs: Any,
    shared: Mapping[str, Shared],
    link: Link,
    seen: Sighting,
    terms: Terms,
) -> None:
    base = link.base.get(name)
    if base is not None:
        is_later = _later(seen.revision, base.revision)
        if theirs == base.value:
            if is_later:
                result.bases[name] = theirs
            return
        if not is_later:
            result.late.append(name)
            return
    current = shared.get(name)
    if current is None:
        _accept(result, name, theirs, None, seen)
    else:
        _new_value(result, name, theirs, current, link, seen, terms)


def _new_value(
    result: Merge,
    name: str,
    theirs: Any,
    current: Shared,
    link: Link,
    seen: Sighting,
    terms: Terms,
) -> None:
    """The member shows what it was not known to hold."""
    base = link.base.get(name)
    old = None if base is None else base.value
    held = version_of(name, theirs, current, terms)
    if held is not None:
        result.bases[name] = theirs
        result.agreed[name] = held
    elif oscillates(current, theirs, seen.member, seen.at):
        result.bases[name] = theirs
        opened = Conflict(name, old, current.value, theirs, "oscillation", "open")
        result.conflicts.append(opened)
    elif current.version > link.agreed.get(name, 0):
        _concurrent(result, name, old, current, theirs, seen, terms.rules[name])
    else:
        _accept(result, name, theirs, current, seen)


def version_of(name: str, theirs: Any, current: Shared, terms: Terms) -> int | None:
    """The version that `theirs` is: the shared one, or one that a message under way
    brought without our hearing of it. None: a person made it."""
    if theirs == current.value or theirs == terms.normalised(name, current.value):
        return current.version
    for message in reversed(terms.waiting):
        if name in message.fields:
            value = message.fields[name]
            if theirs == value or theirs == terms.normalised(name, value):
                return message.versions[name]
    return None


def _later(revision: str | None, known: str | None) -> bool:
    """Whether a sighting tells more than what is known. Without revisions: yes."""
    if revision is None or known is None:
        return True
    return newer(revision, known)


def _accept(
    result: Merge, name: str, value: Any, current: Shared | None, seen: Sighting
) -> None:
    result.values[name] = value
    result.bases[name] = seen.fields[name]
    if value == seen.fields[name]:
        result.agreed[name] = 0
    result.stamps[name] = after(current, seen.stamp)


def after(current: Shared | None, wanted: Stamp) -> Stamp:
    """The stamp of what replaces `current`: cause before effect, whatever the clocks
    say."""
    if current is None or wanted > current.stamp:
        return wanted
    return (current.stamp[0], current.stamp[1] + 1)


def _concurrent(
    result: Merge,
    name: str,
    base: Any,
    current: Shared,
    theirs: Any,
    seen: Sighting,
    rule: SharedField,
) -> None:
    def recorded(winner: str) -> None:
        result.conflicts.append(
            Conflict(name, base, current.value, theirs, rule.policy, winner)
        )

    result.bases[name] = theirs
    merges, merged = _three_way(rule, base, current.value, theirs)
    if merges:
        recorded("merged")
        if merged != current.value:
            _accept(result, name, merged, current, seen)
    elif rule.policy == "manual":
        recorded("open")
    elif _remote_wins(rule, current, theirs, seen):
        recorded("remote")
        _accept(result, name, theirs, current, seen)
    else:
        recorded("hub")


def _remote_wins(
    rule: SharedField, current: Shared, theirs: Any, seen: Sighting
) -> bool:
    if rule.policy == "remote_wins":
        return True
    if rule.policy == "local_wins":
        return False
    if rule.policy == "owner" and seen.member != current.origin:
        if seen.member == rule.owner:
            return True
        if current.origin == rule.owner:
            return False
    mine = (current.stamp, current.origin, _text(current.value))
    return (seen.stamp, seen.member, _text(theirs)) > mine


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _three_way(
    rule: SharedField, base: Any, mine: Any, theirs: Any
) -> tuple[bool, Any]:
    """Whether both edits can be kept, and what that comes to. Sets: what either side
    added is in, what either side removed is out. Texts: line by line."""
    if rule.policy != "merge":
        return False, None
    kind = list if rule.type == "tags" else str
    if not all(isinstance(each, kind | None) for each in (base, mine, theirs)):
        return False, None  # shared while the field was of another type
    if rule.type == "tags":
        old, left, right = set(base or ()), set(mine or ()), set(theirs or ())
        return True, sorted((left | right) - (old - left) - (old - right)) or None
    merged = merged_text(base or "", mine or "", theirs or "")
    fits = merged is not None and len(merged) <= (rule.max_length or TEXT_LENGTH_MAX)
    return fits, merged or None


# --- deletion -----------------------------------------------------------------------


def _deleted(
    result: Merge,
    shared: Mapping[str, Shared],
    link: Link,
    seen: Sighting,
    terms: Terms,
) -> None:
    """The record is gone at the member; one that others changed meanwhile is kept."""
    if link.deleted:
        return
    gone = shared.get(DELETED)
    result.bases[DELETED] = True
    if gone is not None and gone.value:
        result.agreed[DELETED] = gone.version
    elif any(
        name in terms.sent and each.version > link.told(name)
        for name, each in shared.items()
    ):
        result.conflicts.append(Conflict(DELETED, False, False, True, "keep", "hub"))
    else:
        _accept(result, DELETED, True, gone, seen)


def _restored(
    result: Merge, shared: Mapping[str, Shared], link: Link, seen: Sighting
) -> bool:
    """Whether a record known to be gone is there again; else what shows is older."""
    known = link.base[DELETED].revision
    if seen.revision is None or known is None or not newer(seen.revision, known):
        result.late.extend(
            name
            for name, theirs in seen.fields.items()
            if name not in link.base or link.base[name].value != theirs
        )
        return False
    gone = shared.get(DELETED)
    result.bases[DELETED] = False
    if gone is not None and gone.value:
        result.values[DELETED] = False
        result.stamps[DELETED] = after(gone, seen.stamp)
        result.agreed[DELETED] = 0
    elif gone is not None:
        result.agreed[DELETED] = gone.version
    return True


def _keep(result: Merge, shared: Mapping[str, Shared], seen: Sighting) -> None:
    """A record deleted elsewhere while it was changed here is kept."""
    gone = shared.get(DELETED)
    if gone is None or not gone.value or DELETED in result.values:
        return
    if result.values or result.conflicts:
        result.conflicts.append(Conflict(DELETED, False, True, False, "keep", "remote"))
        result.values[DELETED] = False
        result.stamps[DELETED] = after(gone, seen.stamp)
        result.agreed[DELETED] = 0
        result.bases[DELETED] = False
