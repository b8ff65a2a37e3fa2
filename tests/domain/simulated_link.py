"""Nodes that are linked, each with one correlation, and the wire between them.

Connectors, receipts, correlations and outcomes are the real ones; queues are those of
`simulated_node`. What crosses the wire is the connector's own requests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from simulated_node import DEFINITION_ID, OPEN, Node

from rps.application.arrivals import Arrivals
from rps.connectors.node import NodeConnector
from rps.connectors.transport import Answer, NotSent
from rps.domain import between_nodes, events
from rps.domain.correlation import Correlation
from rps.projections.node_questions import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from simulated_remote import Remote

    from rps.connectors.transport import Request, Said
    from rps.domain.agreement import Definition
    from rps.domain.delivery import Outcome, Reading, Settlement, Write

SHARED_ID = UUID(int=77)
SECRET = "whsec_" + "A" * 32 + "="
_KEPT = ("id", "operation", "fields", "entries", "hop", "if_match", "changed_by")


class Peer:
    """Another node, as one of ours has it: a member like any."""

    dedupes = True
    record_id = str(SHARED_ID)

    def __init__(self, own: str, name: str, web: Web, *, decides: bool) -> None:
        self.own, self.name, self.web = own, name, web
        self.is_paused = False
        self.link(decides=decides)

    def link(self, *, decides: bool) -> None:
        """`decides`: the own node has the say."""
        own, name = self.own, self.name
        self.is_conditional = decides
        self._connector = NodeConnector(
            SimpleNamespace(send=self.web.send),  # type: ignore[arg-type]
            url=f"http://{name}/{own}",
            secrets=[SECRET],
            decides=decides,
            random_bytes=bytes,
        )

    def write(self, write: Write) -> Outcome:
        return self._connector.write(write)

    def read(self) -> Reading:
        return self._connector.read("simulated", self.record_id)

    def settle(self, write: Write) -> Settlement:
        return self._connector.settle(write)


class LinkedNode(Node):
    """`desks` are its own systems, `peers` other nodes."""

    def __init__(
        self,
        name: str,
        definition: Definition,
        desks: dict[str, Remote],
        peers: dict[str, Peer],
        clock: Callable[[], datetime],
    ) -> None:
        self.name, self.desks, self.peers = name, desks, peers
        remotes: dict[str, Any] = {**desks, **peers}
        super().__init__(definition, remotes, clock)
        self.correlation = Correlation.blank(SHARED_ID, clock())
        self.inbox: dict[tuple[str, str], Arrival] = {}
        self.written: Counter[tuple[str, str]] = Counter()
        """How often a message changed the record of one of the own systems."""
        self._receipts = Arrivals(self._application())
        self._receipts._questions = self  # type: ignore[assignment]

    # --- messages of others -------------------------------------------------------

    def take(self, sender: str, message: Mapping[str, Any]) -> None:
        """What the route does with a message, bar its checks of shape."""
        key = (sender, message["id"])
        if key in self.inbox:
            return
        change = {each: message[each] for each in _KEPT if each != "id"}
        change["entries"] = [
            {name: value for name, value in entry.items() if name != "operation"}
            | ({"deleted": True} if entry.get("operation") == "delete" else {})
            for entry in message["entries"]
        ]
        change |= {
            "change_id": message["id"],
            "member": sender,
            "record_revision": str(message["version"]) if message["version"] else None,
            "changed_at": message["changed_at"] or "",
            "external_id": message["record_id"] or message["correlation_id"],
            "origin": [
                each if "/" in each else f"{sender}/{each}"
                for each in message["origin"]
            ],
        }
        if self.peers[sender].is_conditional:
            change["if_match"] = None
        self.append([self._captured(change, between_nodes.NODE)])

    def receipt(self, sender: str, message: Mapping[str, Any]) -> dict[str, Any]:
        system: Any = SimpleNamespace(domain="top", name=sender)
        asked = {message["id"]: message["if_match"]}
        return self._receipts.receipts(system, asked)[message["id"]]

    def has_judged(self, sender: str, message: Mapping[str, Any]) -> bool:
        return self.inbox[(sender, message["id"])].status == "processed"

    def shown(self) -> dict[str, Any] | None:
        record = self._receipts.record(DEFINITION_ID, next(iter(self.peers)), SHARED_ID)
        return record.to_json() if record else None

    # --- as the views have it -----------------------------------------------------

    def arrived(
        self, _domain: str, system: str, message_ids: list[str]
    ) -> dict[str, Arrival]:
        found = [self.inbox.get((system, each)) for each in message_ids]
        return {each.message_id: each for each in found if each}

    def still_open(self, message_ids: list[UUID]) -> dict[UUID, str]:
        rows = [(each, self.rows.get(str(each))) for each in message_ids]
        return {each: row.status for each, row in rows if row and row.status in OPEN}

    def _application(self) -> Any:
        configuration = SimpleNamespace(
            revisions={DEFINITION_ID: {1: self.definition}},
            system=lambda _domain, name: SimpleNamespace(
                connector="node" if name in self.peers else "push"
            ),
            newest=lambda _definition, _least: (1, self.definition),
        )
        return SimpleNamespace(
            recorder=SimpleNamespace(questions=None),
            configuration=SimpleNamespace(current=configuration),
            find=lambda _class, _key: self.correlation,
        )

    def _captured(self, change: dict[str, Any], source: str) -> Any:
        told = dict(change)
        more = {
            name: told.pop(name)
            for name in ("origin", "hop", "if_match", "changed_by", "external_id")
            if name in told
        }
        event = super()._captured(told, source)
        vars(event).update(more)
        return event

    def _view(self, event: Any) -> None:
        super()._view(event)
        handle = _VIEWS.get(type(event))
        if handle is not None:
            handle(self, event)

    def receipted(
        self, event: Any, status: str, detail: str, version: int | None = None
    ) -> None:
        key = (event.member, event.change_id)
        if event.member in self.peers and key in self.inbox:
            self.inbox[key] = self.inbox[key]._replace(
                status=status, detail=detail, version=version
            )

    # --- steps that are different -------------------------------------------------

    def arrive(self, name: str, fate: str) -> None:
        desk, scene = self.desks.get(name), self.lanes[name].scene
        before = desk.revision if desk else 0
        super().arrive(name, fate)
        if desk and scene and desk.revision > before:
            self.written[(name, str(scene.message.message_id))] += 1

    def claim(self, name: str) -> bool:
        peer = self.peers.get(name)
        return not (peer and peer.is_paused) and super().claim(name)

    def _write(self, scene: Any, name: str) -> Write:
        told = self.rows[str(scene.message.message_id)].message
        return replace(
            super()._write(scene, name),
            origin=tuple(scene.message.origin),
            hop=scene.message.hop,
            changed_by=told.get("changed_by", ""),
            changed_at=told.get("changed_at", ""),
            version=max(scene.message.versions.values(), default=0),
        )


class Web:
    """From node to node. `lingers` may let the receiving node work before it answers;
    requests that come twice are kept to be sent again."""

    def __init__(self) -> None:
        self.nodes: dict[str, LinkedNode] = {}
        self.lingers: Callable[[LinkedNode], None] = lambda _node: None
        self.is_doubled: Callable[[], bool] = lambda: False
        self.closed: set[tuple[str, str]] = set()
        self.copies: list[Request] = []
        self.messages = 0

    def send(self, request: Request) -> Said:
        parts = urlsplit(request.url)
        node = self.nodes[parts.hostname or ""]
        sender = parts.path.split("/")[1]
        if (node.name, sender) in self.closed:
            return NotSent("paused over there")
        if request.method == "GET":
            shown = node.shown()
            return _answer(404, {}) if shown is None else _answer(200, shown)
        if self.is_doubled():
            self.copies.append(request)
        return _answer(200, self._posted(node, sender, request.body))

    def again(self, request: Request) -> None:
        """A copy of a request arrives; nobody waits for its answer."""
        parts = urlsplit(request.url)
        node = self.nodes[parts.hostname or ""]
        self._posted(node, parts.path.split("/")[1], request.body)

    def _posted(self, node: LinkedNode, sender: str, body: bytes) -> dict[str, Any]:
        messages = orjson.loads(body)["messages"]
        self.messages += len(messages)
        for message in messages:
            node.take(sender, message)
        self.lingers(node)
        return {"receipts": [node.receipt(sender, message) for message in messages]}


def _answer(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, {}, orjson.dumps(body), 0.0)


# --- the views follow the log -------------------------------------------------------


def _on_captured(node: LinkedNode, event: Any) -> None:
    if event.source == between_nodes.NODE:
        node.inbox[(event.member, event.change_id)] = Arrival(
            event.change_id,
            SHARED_ID,
            len(node.log),
            DEFINITION_ID,
            event.member,
            "ready",
            "",
            None,
        )


def _on_accepted(node: LinkedNode, event: Any) -> None:
    node.receipted(event, "processed", "accepted", event.version)


def _on_ignored(node: LinkedNode, event: Any) -> None:
    node.receipted(event, "processed", f"ignored: {event.reason}")


def _on_failed(node: LinkedNode, event: Any) -> None:
    node.receipted(event, "error", event.detail)


def _on_received(node: LinkedNode, event: Any) -> None:
    row = node.rows[event.message_id]
    row.status = "ready" if event.judged else "uncertain"
    row.attempts, row.is_due = event.attempt, True


_VIEWS: dict[type, Callable[[LinkedNode, Any], None]] = {
    events.ChangeCaptured: _on_captured,
    events.ChangeAccepted: _on_accepted,
    events.ChangeIgnored: _on_ignored,
    events.ChangeFailed: _on_failed,
    events.MessageReceived: _on_received,
}
