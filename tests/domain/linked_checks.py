"""What must hold once linked nodes have come to rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from linked_simulation import WRITES_MAX, LinkedSimulation, Result
from simulated_people import CUT

from rps.domain import events, flow
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulated_link import LinkedNode
    from simulated_remote import Edit, Remote

Told = defaultdict[str, list[Any]]


def checked(simulation: LinkedSimulation) -> Result:
    """Run the schedule and add what is wrong in the end to its problems."""
    result = simulation.run()
    if result.problems:
        return result
    for node in simulation.nodes.values():
        named = [
            *_queues(simulation, node),
            *_desks(node),
            *_entries(simulation, node),
            *_writes(simulation, node),
            *_obeyed(simulation, node),
        ]
        result.problems += [f"{node.name}: {each}" for each in named]
        _count_edits(node, result)
    result.problems += _agreement(simulation)
    return result


def _queues(simulation: LinkedSimulation, node: LinkedNode) -> Iterator[str]:
    if node.inbound:
        yield f"{len(node.inbound)} changes are not judged"
    if node.correlation.held and simulation.decides:
        yield f"conflicts are open: {node.correlation.held}"
    for name, lane in node.lanes.items():
        if lane.head is not None:
            yield f"{name} waits: {lane.head.status} {lane.head.message}"


# --- copies agree -------------------------------------------------------------------


def _agreement(simulation: LinkedSimulation) -> Iterator[str]:
    """Nodes that share the record share the same values, but for what is left to a
    person. One that kept it when another deleted it says so, and goes on alone."""
    held = {name for n in simulation.nodes.values() for _, name in n.correlation.held}
    for one in simulation.nodes.values():
        for name in one.peers:
            other = simulation.nodes[name]
            if _parted(one, name) or _parted(other, one.name):
                continue
            mine, theirs = _shared(one), _shared(other)
            if mine[DELETED] and theirs[DELETED]:
                continue
            for each in sorted(mine.keys() | theirs.keys()):
                values = mine.get(each), theirs.get(each)
                if each not in held and values[0] != values[1]:
                    yield f"{one.name} and {name} differ about {each}: {values}"
    yield from _ways(simulation)


def _shared(node: LinkedNode) -> dict[str, Any]:
    shared = {name: each.value for name, each in node.correlation.fields.items()}
    return shared | {DELETED: bool(shared.get(DELETED))}


def _parted(node: LinkedNode, peer: str) -> bool:
    """Whether a node does not share the record with that peer (any more)."""
    link = node.correlation.links.get(peer)
    if link is None or link.record_id is None:
        return True
    is_gone = _shared(node)[DELETED]
    return link.deleted and not is_gone and _was_told(node)


def _was_told(node: LinkedNode) -> bool:
    return any(
        isinstance(event, events.ConflictRecorded) and event.field == DELETED
        for event in node.log
    )


def _ways(simulation: LinkedSimulation) -> Iterator[str]:
    """The record reaches each node, one way only: its links make a tree."""
    ways = {
        frozenset((node.name, name))
        for node in simulation.nodes.values()
        for name in node.peers
        if (link := node.correlation.links.get(name)) and link.record_id is not None
    }
    if simulation.deletes:
        return
    reached, nodes = {"acme"}, set(simulation.nodes)
    for _ in nodes:
        reached |= {name for way in ways if way & reached for name in way}
    if reached != nodes or len(ways) != len(nodes) - 1:
        yield f"the record goes these ways: {sorted(map(sorted, ways))}"


def _desks(node: LinkedNode) -> Iterator[str]:
    state = node.correlation
    is_gone = DELETED in state.fields and state.fields[DELETED].value
    for name, desk in node.desks.items():
        link = state.links.get(name)
        if link is None or link.record_id is None:
            if not is_gone:
                yield f"{name} has no copy"
        elif desk.is_deleted:
            if not link.deleted:
                yield f"nobody noticed that {name} is deleted"
        elif is_gone:
            yield f"{name} is not deleted"
        else:
            yield from _fields(node, name, desk)


def _fields(node: LinkedNode, name: str, desk: Remote) -> Iterator[str]:
    state, member = node.correlation, node.definition.members[name]
    shown = flow.inbound(member, node.definition, desk.record or {}).fields
    for each, shared in state.fields.items():
        if each == DELETED or (name, each) in state.held:
            continue
        wanted = flow.normalised(member, node.definition, each, shared.value)
        if shown.get(each) != wanted:
            yield f"{name}.{each} is {shown.get(each)!r}, shared is {shared.value!r}"


def _entries(simulation: LinkedSimulation, node: LinkedNode) -> Iterator[str]:
    """Each comment is at each desk exactly once."""
    for name, desk in node.desks.items():
        if desk.is_deleted or desk.record is None:
            continue
        shown = Counter(desk.texts[each].strip() for each in desk.entries)
        if twice := [each for each, times in shown.items() if times > 1]:
            yield f"{name} shows {twice} twice: {desk.entries}"
        missing = simulation.entries - shown.keys()
        if missing and not simulation.deletes:
            yield f"{name} lacks the comments {missing}"


def _writes(simulation: LinkedSimulation, node: LinkedNode) -> Iterator[str]:
    """A message changes a record once (of class D, where it cannot be told whether it
    did: twice); nothing goes round; what was under way is all there is to write."""
    times = max(node.written.values(), default=0)
    if times > 1 and simulation.grade != "D":
        yield f"messages are carried out again: {node.written}"
    for name in node.desks:
        writes = node.lanes[name].deliveries - simulation.begun[(node.name, name)]
        if writes > simulation.under_way + WRITES_MAX:
            yield f"{name} is written to {writes} times"
    for event in node.log:
        if isinstance(event, events.ChangeAccepted):
            hops = node.judged[event.sequence].hop
            if hops >= 2 * len(simulation.nodes):
                yield f"a change passed {hops} systems"


# --- nothing is lost ----------------------------------------------------------------


def _obeyed(simulation: LinkedSimulation, node: LinkedNode) -> Iterator[str]:
    """Where a deciding node replaced a value, it had been told of it."""
    shared: dict[str, tuple[Any, str]] = {}
    for event in node.log:
        if isinstance(event, events.ConflictResolved) and event.field:
            shared[event.field] = (event.value, "")
        if not isinstance(event, events.ChangeAccepted):
            continue
        peer = node.peers.get(event.member)
        is_obeyed = peer is not None and not peer.is_conditional
        for name, value in event.values.items():
            before, origin = shared.get(name, (value, event.member))
            if is_obeyed and origin != event.member and name != DELETED:
                told = _told(simulation.nodes[event.member])[name]
                if before not in told:
                    yield f"{event.member} replaced {name} {before!r} unknowingly"
            shared[name] = (value, event.member)


def _count_edits(node: LinkedNode, result: Result) -> None:
    """Each user's edit was shared, is told in a conflict or as late, was replaced by
    the same desk's users, or is lost."""
    told, late = _told(node), _late(node)
    for event in node.log:
        result.conflicts += isinstance(
            event, events.ConflictRecorded | events.ConflictOpened
        )
    for desk in node.desks.values():
        result.edits += len(desk.edits)
        for edit in desk.edits:
            if edit.overwritten != "us" or _is_told(edit, told[edit.field]):
                continue
            if edit.value in late[(edit.member, edit.field)]:
                result.late += 1
            else:
                result.lost += 1


def _told(node: LinkedNode) -> Told:
    told: Told = defaultdict(list)
    for event in node.log:
        if isinstance(event, events.ChangeAccepted):
            for name, value in event.values.items():
                told[name].append(value)
        elif isinstance(event, events.ConflictRecorded | events.ConflictOpened):
            told[event.field].extend((event.theirs, event.mine))
        elif isinstance(event, events.ConflictResolved):
            told[event.field].append(event.value)
    return told


def _late(node: LinkedNode) -> defaultdict[tuple[str, str], list[Any]]:
    late: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in node.log:
        if isinstance(event, events.ChangeAccepted | events.ChangeIgnored):
            captured = node.judged[event.sequence]
            for name in captured.fields.keys() & event.late:
                late[(event.member, name)].append(captured.fields[name])
    return late


def _is_told(edit: Edit, told: list[Any]) -> bool:
    value = edit.value or None
    cut = CUT.get(edit.field) if edit.member == "desk2" else None
    return any(value in (each, each[:cut] if cut and each else each) for each in told)
