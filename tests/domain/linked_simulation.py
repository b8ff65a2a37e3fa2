"""Random schedules of linked nodes: edits at all desks, a network that misbehaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from simulated_link import LinkedNode, Peer, Web
from simulated_node import OPEN
from simulated_people import CUT, FIELDS, POLICIES, START
from simulated_remote import Remote

from rps.domain import events
from rps.domain.document import parse

if TYPE_CHECKING:
    from rps.domain.agreement import Definition

STEPS = 80
ROUNDS_MAX = 60
WRITES_MAX = 4
"""To one system in the end, beyond all that was under way then anywhere."""
SHAPES: dict[str, list[tuple[str, str]]] = {
    "pair": [("acme", "globex")],
    "chain": [("acme", "globex"), ("globex", "initech")],
    "triangle": [("acme", "globex"), ("globex", "initech"), ("acme", "initech")],
}
"""Who is linked with whom; who decides is drawn."""


@cache
def definition_of(
    policies: str, desks: int, peers: tuple[str, ...], latest: frozenset[str]
) -> Definition:
    kinds = {"tags": "tags"}
    rules = {name: dict(rule) for name, rule in POLICIES[policies].items()}
    if "owner" in rules["title"]:
        rules["title"]["owner"] = peers[0]
    operations = ["create", "update", "delete"]

    def member(name: str) -> dict[str, Any]:
        return {
            "table": "simulated" if name in peers else "record",
            "capture": operations,
            "deliver": operations,
            "delivery": "latest" if name in latest else "each",
            "fields": {
                each: {"field": each, "truncate": CUT[each]}
                if name == "desk2" and each in CUT
                else each
                for each in FIELDS
            },
            "journals": {"comments": "comments"},
        }

    names = [*(f"desk{number + 1}" for number in range(desks)), *peers]
    return parse(
        {
            "process_event": "simulated",
            "fields": {
                name: {"type": kinds.get(name, "text"), **rules[name]}
                for name in FIELDS
            },
            "journals": {"comments": {"visibility": "public"}},
            "members": {name: member(name) for name in names},
        }
    )


@dataclass(slots=True)
class Result:
    """What a schedule came to; `problems` is empty where all is well."""

    problems: list[str] = field(default_factory=list)
    edits: int = 0
    late: int = 0
    lost: int = 0
    conflicts: int = 0
    messages: int = 0


class LinkedSimulation:
    """One schedule. The seed decides everything. `decides`: people resolve what is left
    to them before the end."""

    def __init__(
        self,
        grade: str,
        seed: int,
        shape: str = "pair",
        *,
        deletes: bool = False,
        manual: bool = False,
        decides: bool = True,
    ) -> None:
        self.random = Random(f"{grade}{seed}{shape}{deletes}{manual}{decides}")
        self.grade, self.seconds, self.number = grade, 0, 0
        self.deletes, self.manual, self.decides = deletes, manual, decides
        self.entries: set[str] = set()
        self.begun: dict[tuple[str, str], int] = {}
        self.under_way = 0
        self.web = Web()
        self.web.lingers = self._linger
        self.web.is_doubled = lambda: self.random.random() < 0.06
        self.nodes = self.web.nodes
        links = SHAPES[shape]
        for name in sorted({name for link in links for name in link}):
            self.nodes[name] = self._node(name, links)
        self._orient(links)
        opener = self.random.choice(list(self.nodes.values())).desks["desk1"]
        for name in ("title", "state", "tags"):
            opener.edit(name, self._value(opener, name))

    def _node(self, name: str, links: list[tuple[str, str]]) -> LinkedNode:
        chance = self.random
        count = 1 if chance.random() < 0.6 else 2
        peers = tuple((set(link) - {name}).pop() for link in links if name in link)
        policies = "manual" if self.manual else chance.choice(("newer", "mixed"))
        latest = [each for each in peers if chance.random() < 0.25]
        definition = definition_of(policies, count, peers, frozenset(latest))
        desks = {
            f"desk{number + 1}": self._desk(f"desk{number + 1}")
            for number in range(count)
        }
        linked = {each: Peer(name, each, self.web, decides=False) for each in peers}
        return LinkedNode(name, definition, desks, linked, self._now)

    def _orient(self, links: list[tuple[str, str]]) -> None:
        for link in links:
            decider = self.random.choice(link)
            other = (set(link) - {decider}).pop()
            self.nodes[decider].peers[other].link(decides=True)

    def _desk(self, name: str) -> Remote:
        chance = self.random
        skew = chance.choice((0, 0, -3600, 3600))

        def clock() -> str:
            return (self._now() + timedelta(seconds=skew)).isoformat()

        cut = CUT if name == "desk2" else {}
        flags = [chance.random() < 0.5 for _ in range(3)]
        return Remote(name, self.grade, *flags, skew, cut, clock)

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    # --- what happens -------------------------------------------------------------

    def run(self) -> Result:
        for _ in range(STEPS):
            self._step()
        result = Result()
        try:
            self._come_to_rest()
        except LookupError as endless:
            result.problems.append(str(endless))
        result.messages = self.web.messages
        return result

    def _step(self) -> None:
        chance = self.random
        self.seconds += chance.choice((0, 1, 1, 7))
        node = chance.choice(list(self.nodes.values()))
        desk = chance.choice(list(node.desks.values()))
        draw = chance.random()
        if draw < 0.2:
            self._user(desk)
        elif draw < 0.38:
            self._hook(node, desk)
        elif draw < 0.58:
            node.judge_next()
        elif draw < 0.92:
            self._deliver(node, chance.choice(list(node.lanes)))
        else:
            self._seldom(node, desk, draw)

    def _seldom(self, node: LinkedNode, desk: Remote, draw: float) -> None:
        copies = self.web.copies
        if draw < 0.94:
            self._resolve(node)
        elif draw < 0.96 and desk.record is not None:
            node.capture(desk.shown(), "poll")
        elif draw < 0.98:
            self._pause(node)
        elif copies:
            self.web.again(copies.pop(self.random.randrange(len(copies))))

    def _user(self, desk: Remote) -> None:
        if desk.record is None or desk.is_deleted:
            return
        draw = self.random.random()
        if draw < 0.12:
            self.number += 1
            self.entries.add(f"said {self.number}")
            key = f"e{len(desk.entries)}"  # as at any other desk
            desk.texts[key] = f"said {self.number}"
            desk.comment(key)
        elif self.deletes and draw < 0.15:
            desk.delete()
        else:
            name = self.random.choice(FIELDS)
            desk.edit(name, self._value(desk, name))

    def _value(self, desk: Remote, name: str) -> Any:
        if name == "tags":
            held = set((desk.record or {}).get(name) or ())
            return sorted(held ^ {self.random.choice("uvwxyz")})
        if self.random.random() < 0.15:
            return self.random.choice("pq")
        self.number += 1
        short = f"{self.number:03d}"
        return short if desk.cut else f"{short}-long"

    def _hook(self, node: LinkedNode, desk: Remote) -> None:
        if not desk.hooks:
            return
        index = self.random.randrange(len(desk.hooks))
        fate = self.random.random()
        hook = desk.hooks[index]
        opens = not node.log
        if fate < 0.9:
            del desk.hooks[index]
        if fate > 0.08 or opens:  # else it is lost
            node.capture(hook)
        if opens:
            desk.hooks[:] = [each for each in desk.hooks if each is not hook]

    def _deliver(self, node: LinkedNode, name: str) -> None:
        lane = node.lanes[name]
        if lane.write is None:
            node.claim(name)
        elif lane.answer is None:
            node.arrive(name, self._fate(lost=0.12, refused=0.06))
        else:
            node.answered(name, self._fate(lost=0.12, crash=0.08))

    def _linger(self, node: LinkedNode) -> None:
        """The other node may be done with it before it answers."""
        draw = self.random.random()
        if draw < 0.5:
            return
        while node.judge_next():
            pass
        if draw < 0.75:
            return
        for name in node.desks:
            lane = node.lanes[name]
            if lane.write is None and node.claim(name) and lane.write is not None:
                node.arrive(name, "done")
                node.answered(name, "done")

    def _pause(self, node: LinkedNode) -> None:
        peer = self.random.choice(list(node.peers.values()))
        peer.is_paused = not peer.is_paused
        key = (node.name, peer.name)
        (self.web.closed.add if peer.is_paused else self.web.closed.discard)(key)

    def _resolve(self, node: LinkedNode) -> bool:
        """Somebody decides one open conflict; False: there is none."""
        held = node.correlation.held
        if not held:
            return False
        member, name = self.random.choice(list(held))
        keep = self.random.choice(("mine", "theirs", "other"))
        node.resolve(member, name, keep, ["w"] if name == "tags" else "r")
        return True

    def _fate(self, **chances: float) -> str:
        draw = self.random.random()
        for fate, share in chances.items():
            if draw < share:
                return fate
            draw -= share
        return "done"

    # --- coming to rest -----------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Let all under way arrive, people decide, and every desk be read once."""
        self.web.closed.clear()
        for node in self.nodes.values():
            for peer in node.peers.values():
                peer.is_paused = False
        while self.web.copies:
            self.web.again(self.web.copies.pop())
        self._count()
        self._until_quiet()
        while self.decides and any(map(self._resolve, self.nodes.values())):
            self._until_quiet()
        for node in self.nodes.values():
            for desk in node.desks.values():
                if desk.record is not None:
                    node.capture(desk.shown(), "poll")
        self._until_quiet()

    def _count(self) -> None:
        """What is under way before the end: hooks, changes, messages, open conflicts,
        and edits that no hook told of, which the last reading finds."""
        for node in self.nodes.values():
            self.under_way += len(node.inbound) + len(node.correlation.held)
            for name, lane in node.lanes.items():
                self.under_way += sum(row.status in OPEN for row in lane.rows)
                if name in node.desks:
                    self.begun[(node.name, name)] = lane.deliveries
            self.under_way += sum(len(desk.hooks) for desk in node.desks.values())

    def _until_quiet(self) -> None:
        """A round that only asks after messages is none; but the next may have news."""
        still = 0
        for _ in range(ROUNDS_MAX):
            moved = [self._round(node) for node in self.nodes.values()]
            still = 0 if any(moved) else still + 1
            if still > 1:
                return
        raise LookupError("there is always more to send")

    def _round(self, node: LinkedNode) -> bool:
        """Let a node do all it can; whether it did anything."""
        moved = False
        for desk in node.desks.values():
            moved |= bool(desk.hooks)
            while desk.hooks:
                node.capture(desk.hooks.pop(0))
        while node.judge_next():
            self.seconds += 1
            moved = True
        for name, lane in node.lanes.items():
            if lane.write is None and not node.claim(name):
                continue
            if lane.write is not None:
                if lane.answer is None:
                    node.arrive(name, "done")
                node.answered(name, "done")
            moved |= not isinstance(node.log[-1], events.MessageReceived)
        return moved
