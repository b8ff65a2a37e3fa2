"""The three-way merge of a member's record with the shared one (`convergence.md`).

Pure: what is shared, what the member was last known to hold and what it shows now go
in, decisions come out. Versions tell what to send, values tell what a person changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain.state import DELETED, Link, Shared, Stamp, newer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.agreement import SharedField

DRIFT_MAX_MILLISECONDS = 300_000
"""How far a remote clock may run ahead of ours and still be believed."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sides moved a field away from what both knew. `winner`: hub, remote, merged."""

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
    hold; `behind` are fields whose shared value the member still has to be sent.
    """

    values: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    bases: dict[str, Any] = field(default_factory=dict)
    agreed: dict[str, int] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A member's record as it showed itself, in shared names and values."""

    member: str
    revision: str | None
    fields: Mapping[str, Any]
    stamp: Stamp


def stamp(changed_at_ms: int | None, captured_at_ms: int) -> Stamp:
    """When a change happened, trusting a remote clock five minutes ahead at most."""
    if changed_at_ms is None:
        return (captured_at_ms, 0)
    return (min(changed_at_ms, captured_at_ms + DRIFT_MAX_MILLISECONDS), 0)


def merge(
    shared: Mapping[str, Shared],
    link: Link,
    seen: Sighting,
    rules: Mapping[str, SharedField],
    normalised: Callable[[str, Any], Any],
) -> Merge:
    """Judge each field `seen` shows. The next version is the caller's to count: where
    `agreed` is 0 the member holds the value being accepted now."""
    result = Merge()
    for name, theirs in seen.fields.items():
        if name == DELETED:
            continue
        base = link.base.get(name)
        if base is not None and not _later(seen.revision, base.revision):
            result.late.append(name)
            continue
        if base is not None and theirs == base.value:
            result.bases[name] = theirs
            continue
        current = shared.get(name)
        if current is None:
            _accept(result, name, theirs, None, seen)
        elif theirs in (current.value, normalised(name, current.value)):
            result.bases[name] = theirs
            result.agreed[name] = current.version
        elif current.version > link.agreed.get(name, 0):
            old = None if base is None else base.value
            _concurrent(result, name, old, current, theirs, seen, rules[name])
        else:
            _accept(result, name, theirs, current, seen)
    _deletion(result, shared, link, seen)
    return result


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
    else:
        result.behind.append(name)
    stamped = seen.stamp
    if current is not None and stamped <= current.stamp:
        # Who changed this had seen the value before it: keep cause before effect.
        stamped = (current.stamp[0], current.stamp[1] + 1)
    result.stamps[name] = stamped


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

    if rule.policy == "merge":
        merged = _three_way(base, current.value, theirs)
        recorded("merged")
        if merged == current.value:
            result.bases[name] = theirs
            result.behind.append(name)
        else:
            _accept(result, name, merged, current, seen)
    elif rule.policy == "manual":
        recorded("open")
        result.bases[name] = theirs
    elif _remote_wins(rule, current, theirs, seen):
        recorded("remote")
        _accept(result, name, theirs, current, seen)
    else:
        recorded("hub")
        result.bases[name] = theirs
        result.behind.append(name)


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


def _three_way(base: Any, mine: Any, theirs: Any) -> list[Any] | None:
    """Sets: what either side added is in, what either side removed is out."""
    old, left, right = set(base or ()), set(mine or ()), set(theirs or ())
    return sorted((left | right) - (old - left) - (old - right)) or None


def _deletion(
    result: Merge, shared: Mapping[str, Shared], link: Link, seen: Sighting
) -> None:
    """A record edited here while it was deleted there, or the reverse, is kept."""
    gone = shared.get(DELETED)
    is_gone = gone is not None and bool(gone.value)
    if seen.fields.get(DELETED):
        if is_gone and gone is not None:
            result.bases[DELETED] = True
            result.agreed[DELETED] = gone.version
            return
        unseen = [n for n, f in shared.items() if f.version > link.agreed.get(n, 0)]
        if unseen:
            result.bases[DELETED] = True
            result.conflicts.append(
                Conflict(DELETED, False, False, True, "keep", "hub")
            )
            return
        _accept(result, DELETED, True, gone, seen)
    elif is_gone and gone is not None and (result.values or result.behind):
        result.conflicts.append(Conflict(DELETED, False, True, False, "keep", "remote"))
        result.values[DELETED] = False
        result.stamps[DELETED] = max(seen.stamp, (gone.stamp[0], gone.stamp[1] + 1))
        result.agreed[DELETED] = 0
        result.bases[DELETED] = False
