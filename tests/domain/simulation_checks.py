"""What must hold once a simulation has come to rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from simulated_people import CUT

from rps.domain import events, flow
from rps.domain.entries import digest
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulated_remote import Edit, Remote
    from simulation import Result, Simulation

    from rps.domain.state import Link


def checked(simulation: Simulation) -> Result:
    """Run the schedule and add what is wrong in the end to its problems."""
    result = simulation.run()
    if not result.problems:
        look_over(simulation, result)
    return result


def look_over(simulation: Simulation, result: Result) -> None:
    """Add what is wrong with what came to rest."""
    result.problems += [
        *_queues(simulation),
        *_copies(simulation),
        *_entries(simulation),
        *_wordings(simulation),
        *_typed(simulation),
    ]
    _count_edits(simulation, result)


def _queues(simulation: Simulation) -> Iterator[str]:
    if simulation.node.inbound:
        yield f"{len(simulation.node.inbound)} changes are not judged"
    if simulation.node.correlation.held:
        yield f"conflicts are open: {simulation.node.correlation.held}"
    for name, lane in simulation.node.lanes.items():
        if lane.head is not None:
            yield f"{name} waits: {lane.head.status} {lane.head.message}"


def _copies(simulation: Simulation) -> Iterator[str]:
    state = simulation.node.correlation
    is_gone = DELETED in state.fields and state.fields[DELETED].value
    for name, remote in simulation.remotes.items():
        link = state.links.get(name)
        if link is None or link.record_id is None:
            if not is_gone:
                yield f"{name} has no copy"
        elif remote.is_deleted:
            yield from _deleted_copy(simulation, name, link, is_gone=is_gone)
        elif is_gone:
            yield f"{name} is not deleted"
        else:
            yield from _fields(simulation, name, remote)


def _deleted_copy(
    simulation: Simulation, name: str, link: Link, *, is_gone: bool
) -> Iterator[str]:
    told = any(
        isinstance(event, events.ConflictRecorded) and event.field == DELETED
        for event in simulation.node.log
    )
    if not link.deleted:
        yield f"nobody noticed that {name} is deleted"
    elif not is_gone and not told:
        yield f"{name} is deleted, the rest is not"


def _fields(simulation: Simulation, name: str, remote: Remote) -> Iterator[str]:
    state, definition = simulation.node.correlation, simulation.definition
    member = definition.members[name]
    shown = flow.inbound(member, definition, remote.record or {}).fields
    for each, shared in state.fields.items():
        if each == DELETED:
            continue
        wanted = flow.normalised(member, definition, each, shared.value)
        if shown.get(each) != wanted:
            yield f"{name}.{each} is {shown.get(each)!r}, shared is {shared.value!r}"


def _entries(simulation: Simulation) -> Iterator[str]:
    for name, remote in simulation.remotes.items():
        if remote.is_deleted or remote.record is None:
            continue
        own = [f"{name}:{e}" if ":" not in e else e for e in remote.entries]
        if any(times > 1 for times in Counter(own).values()):
            yield f"{name} shows an entry twice: {remote.entries}"
        said = simulation.node.correlation.said
        removed = {key for key, each in said.items() if not each.digest}
        if not simulation.definition.members[name].journals["comments"].edits:
            # What its own people removed, and others edited: it cannot be given back.
            removed |= {key for key in said if key.startswith(f"{name}:")}
        missing = set(simulation.entries) - set(own) - removed
        if missing and not simulation.deletes:
            yield f"{name} lacks the entries {missing}"


def _wordings(simulation: Simulation) -> Iterator[str]:
    """Where entries can be edited, all say the same; none was mixed with another, and
    what a change showed was shared, kept or late, or how a system shows our own."""
    if not simulation.edits:
        return
    said = simulation.node.correlation.said
    for name, remote in simulation.remotes.items():
        if remote.is_deleted or remote.record is None:
            continue
        for entry in remote.entries:
            key = entry if ":" in entry else f"{name}:{entry}"
            text = _plain(remote.texts.get(entry, entry))
            if text.partition("/")[0] != key.rpartition(":")[2]:
                yield f"{name} has {text!r} as {key}"
            if name != "c" and digest(text) != said[key].digest:
                yield f"{name} has {text!r} as {key}, shared is {said[key]}"
    yield from _dropped(simulation)
    yield from _worded(simulation)


def _dropped(simulation: Simulation) -> Iterator[str]:
    told = defaultdict(set)
    judgements = [
        event
        for event in simulation.node.log
        if isinstance(event, events.ChangeAccepted | events.ChangeIgnored)
    ]
    for event in judgements:
        for entry in getattr(event, "entries", ()):
            told[entry["id"]].add(digest(entry["text"]))
    for event in judgements:
        captured = simulation.node.judged[event.sequence]
        for entry in captured.entries:
            given, name = entry["id"], captured.member
            key = given if ":" in given else f"{name}:{given}"
            text = "" if entry.get("deleted") else _plain(entry["text"])
            is_late = f"comments {key}" in event.late
            if digest(text) not in told[key] and not is_late:
                yield f"{name} showed {text!r} as {key}: nothing came of it"


def _worded(simulation: Simulation) -> Iterator[str]:
    """What passes for an edit was typed there, and nothing newer was known from there.
    Where a write may take effect over another's, one may come back to life."""
    latest: defaultdict[tuple[str, str], int] = defaultdict(int)
    for event in simulation.node.log:
        for entry in getattr(event, "entries", ()):
            operation = entry.get("operation", "")
            if not isinstance(event, events.ChangeAccepted) or operation == "kept":
                continue
            key = (event.member, entry["id"])
            revision = int(event.record_revision or 0)
            if revision < latest[key]:
                yield f"{key} went back from {latest[key]} to {revision}: {entry}"
            latest[key] = revision
            text = _plain(entry["text"])
            is_typed = operation == "seen" or (event.member, text) in simulation.worded
            if text and not is_typed and simulation.grade in "AB":
                yield f"nobody typed {text!r} into {key}"


def _plain(text: str) -> str:
    return text.rpartition("] ")[2].strip()


def _typed(simulation: Simulation) -> Iterator[str]:
    """What passes for a member's change was typed by its own users, not written by us;
    tags are put together from several."""
    typed = {
        (edit.member, edit.field, str(edit.value))
        for remote in simulation.remotes.values()
        for edit in remote.edits
    }
    for event in simulation.node.log:
        shown: dict[str, Any] = {}
        if isinstance(event, events.ChangeAccepted):
            shown = event.values
        elif isinstance(event, events.ConflictRecorded | events.ConflictOpened):
            shown = {event.field: event.theirs} if " " not in event.field else {}
        for name, value in shown.items():
            is_typed = (event.member, name, str(value)) in typed
            if not is_typed and name not in ("tags", DELETED):
                yield f"nobody typed {value!r} into {event.member}.{name}"


def _count_edits(simulation: Simulation, result: Result) -> None:
    """Each user's edit was shared, is told in a conflict or as late, was replaced by
    the same remote's users, or is lost."""
    told = _told(simulation)
    late = _late(simulation)
    for remote in simulation.remotes.values():
        result.edits += len(remote.edits)
        for edit in remote.edits:
            if edit.overwritten != "us" or _is_told(edit, told[edit.field]):
                continue
            if edit.value in late[(edit.member, edit.field)]:
                result.late += 1
            else:
                result.lost += 1


def _told(simulation: Simulation) -> defaultdict[str, list[Any]]:
    told: defaultdict[str, list[Any]] = defaultdict(list)
    for event in simulation.node.log:
        if isinstance(event, events.ChangeAccepted):
            for name, value in event.values.items():
                told[name].append(value)
        elif isinstance(event, events.ConflictRecorded | events.ConflictOpened):
            told[event.field].extend((event.theirs, event.mine))
    return told


def _late(simulation: Simulation) -> defaultdict[tuple[str, str], list[Any]]:
    late: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in simulation.node.log:
        if isinstance(event, events.ChangeAccepted | events.ChangeIgnored):
            captured = simulation.node.judged[event.sequence]
            for name in captured.fields.keys() & event.late:
                late[(event.member, name)].append(captured.fields[name])
    return late


def _is_told(edit: Edit, told: list[Any]) -> bool:
    value = edit.value or None
    cut = CUT.get(edit.field) if edit.member == "c" else None
    return any(value in (each, each[:cut] if cut and each else each) for each in told)
