"""Finds definitions that, taken together, would chase or double a change.

A definition's own members never loop: its correlation knows every copy and filters the
echo. Two definitions know nothing of each other: what one writes into a field, the
other captures as somebody's edit.

The graph has the remote fields as nodes (system, table, field), and one ring for each
shared field of each definition: a change enters a ring at a field it captures and
leaves at a field it delivers; a journal is such a field too. New records are a field of
their own, since two definitions that create each other's records would never stop; and
so are attachments.
Tables are compared by the system's name alone, whatever the domain.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.domain.problem import Problem, in_order, pointer, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rps.domain.agreement import Definition, Member

NEW_RECORDS = "(new records)"
ATTACHMENTS = "(attachments)"
Node = tuple[str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Ring:
    """One shared field of one definition: where it is read, where it is written."""

    definition: Definition
    place: str
    captured: tuple[Node, ...]
    delivered: tuple[Node, ...]


class _Graph:
    def __init__(self, rings: Iterable[_Ring]) -> None:
        self._entered: defaultdict[Node, list[_Ring]] = defaultdict(list)
        self._left: defaultdict[Node, list[_Ring]] = defaultdict(list)
        for ring in rings:
            for node in ring.captured:
                self._entered[node].append(ring)
            for node in ring.delivered:
                self._left[node].append(ring)
        self._downstream: dict[Node, dict[Node, Node | None]] = {}

    def downstream(self, start: Node) -> dict[Node, Node | None]:
        """Every field a change at `start` reaches, each with the one before it."""
        if start in self._downstream:
            return self._downstream[start]
        before: dict[Node, Node | None] = {start: None}
        self._downstream[start] = before
        waiting = deque([start])
        while waiting:
            node = waiting.popleft()
            for ring in self._entered.get(node, ()):
                for target in ring.delivered:
                    if target not in before:
                        before[target] = node
                        waiting.append(target)
        return before

    def upstream(self, end: Node) -> list[Node]:
        """Every field whose changes reach `end`, the nearest first."""
        found = {end: None}
        waiting = deque([end])
        while waiting:
            for ring in self._left.get(waiting.popleft(), ()):
                for source in ring.captured:
                    if source not in found:
                        found[source] = None
                        waiting.append(source)
        return list(found)


def loops(
    candidate: Definition, published: Iterable[Definition]
) -> tuple[Problem, ...]:
    """Why `candidate` cannot be published next to `published`; empty if it can.

    An earlier revision of `candidate` among `published` is what it replaces.
    """
    name = (candidate.domain, candidate.process_event)
    others = [each for each in published if (each.domain, each.process_event) != name]
    graph = _Graph(ring for each in others for ring in _rings(each))
    problems = []
    for ring in _rings(candidate):
        problem = _loop(ring, graph) or _double(ring, graph)
        if problem is not None:
            problems.append(problem)
    return in_order(problems)


def _rings(definition: Definition) -> Iterator[_Ring]:
    members = definition.members.values()
    for shared in definition.fields:
        mapping = [member for member in members if shared in member.fields]
        yield _Ring(
            definition,
            pointer("fields", shared),
            tuple(_node(m, shared) for m in mapping if m.captures_values),
            tuple(_written(members, shared)),
        )
    for shared in definition.journals:
        having = [member for member in members if shared in member.journals]
        yield _Ring(
            definition,
            pointer("journals", shared),
            tuple(_entries(m, shared) for m in having if m.captures_values),
            tuple(_entries(m, shared) for m in having if m.takes_values),
        )
    yield _Ring(
        definition,
        "/members",
        tuple((m.system, m.table, NEW_RECORDS) for m in members if _made_by(m)),
        tuple((m.system, m.table, NEW_RECORDS) for m in members if _made_in(m)),
    )
    if definition.attachments is not None:
        having = [member for member in members if member.attachments]
        yield _Ring(
            definition,
            "/attachments",
            tuple(
                (m.system, m.table, ATTACHMENTS) for m in having if m.captures_values
            ),
            tuple((m.system, m.table, ATTACHMENTS) for m in having if m.takes_values),
        )


def _written(members: Iterable[Member], shared: str) -> Iterator[Node]:
    """Each remote field that gets the shared one, alone or in a text with others."""
    for member in members:
        if member.takes_values:
            if shared in member.fields:
                yield _node(member, shared)
            for remote, each in member.constants.items():
                if shared in each.fields:
                    yield (member.system, member.table, remote)


def _node(member: Member, shared: str) -> Node:
    return (member.system, member.table, member.fields[shared].field)


def _entries(member: Member, shared: str) -> Node:
    return (member.system, member.table, member.journals[shared].journal)


def _made_by(member: Member) -> bool:
    return "create" in member.capture


def _made_in(member: Member) -> bool:
    return "create" in member.deliver


def _loop(ring: _Ring, graph: _Graph) -> Problem | None:
    """A way back, outside this definition, from a field it writes to one it reads."""
    for target in ring.delivered:
        reached = graph.downstream(target)
        for source in ring.captured:
            if source != target and source in reached:
                path = _said([source, *_path(reached, source)])
                return Problem(
                    "loop",
                    ring.place,
                    f"with the definitions already published, a change would come "
                    f"back to where it began: {path}",
                    "share the field in one of the definitions only, or capture or "
                    "deliver less in one of them",
                )
    return None


def _double(ring: _Ring, graph: _Graph) -> Problem | None:
    """A field that would get the same change by this definition and by another way."""
    for source in ring.captured:
        origins = graph.upstream(source)
        for target in ring.delivered:
            if source == target:
                continue
            ends = graph.downstream(target)
            for origin in origins:
                both = (n for n in graph.downstream(origin) if n in ends)
                end = next((n for n in both if n != origin), None)
                if end is not None:
                    return _doubled(ring, graph, (origin, source, target, end))
    return None


def _doubled(
    ring: _Ring, graph: _Graph, corners: tuple[Node, Node, Node, Node]
) -> Problem:
    origin, source, target, end = corners
    there = _path(graph.downstream(origin), end)
    here = [
        *_path(graph.downstream(origin), source),
        *_path(graph.downstream(target), end),
    ]
    return Problem(
        "double",
        ring.place,
        f"a change would arrive twice: {_said(here)}, and by definitions already "
        f"published {_said(there)}",
        "leave one of the two ways out",
    )


def _path(before: dict[Node, Node | None], end: Node) -> list[Node]:
    path: list[Node] = []
    node: Node | None = end
    while node is not None:
        path.append(node)
        node = before[node]
    return path[::-1]


def _said(path: list[Node]) -> str:
    return " → ".join(".".join(printable(part) for part in node) for node in path)
