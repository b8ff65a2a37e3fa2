"""The workers around one correlation, without processes, database or network.

The correlation, the merge and the outcomes are the real ones. Queues follow the rules
of the inline views, steps those of the receiver and the deliverer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.domain import between_nodes, events, flow, journal
from rps.domain.correlation import Correlation
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Found,
    Moved,
    NotApplied,
    Snapshot,
    Unavailable,
    Uncertain,
    Write,
)
from rps.workers import outcomes
from rps.workers.latest import combined
from rps.workers.scene import Message, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from simulated_remote import Remote

    from rps.domain.agreement import Definition
    from rps.domain.delivery import Outcome

DEFINITION_ID = UUID(int=7)
OPEN = ("ready", "error", "uncertain")
_STATUS_AFTER = {"uncertain": "uncertain", "permanent": "error"}


@dataclass(slots=True)
class Row:
    """A message in the outbound queue."""

    place: tuple[int, int]
    message: dict[str, Any]
    status: str = "ready"
    is_due: bool = True
    attempts: int = 0
    generation: int = 0


@dataclass(slots=True)
class Lane:
    """The way to one member. `sent` is a write under way, `answer` what came back."""

    rows: list[Row] = field(default_factory=list)
    scene: Scene | None = None
    write: Write | None = None
    answer: Outcome | None = None
    is_interrupted: bool = False
    deliveries: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    last_place: tuple[int, int] = (0, 0)

    @property
    def head(self) -> Row | None:
        while self.rows and self.rows[0].status not in OPEN:
            self.rows.pop(0)
        return self.rows[0] if self.rows else None

    @property
    def is_unsettled(self) -> bool:
        """What the receiver asks before it judges the member's changes."""
        head = self.head
        return (
            self.write is not None
            or self.is_interrupted
            or (head is not None and head.status == "uncertain")
        )


class Node:
    """One correlation and its queues. `parks` False judges while a write is under way,
    as no receiver may."""

    parks = True

    def __init__(
        self,
        definition: Definition,
        remotes: dict[str, Remote],
        clock: Callable[[], datetime],
    ) -> None:
        self.definition, self.remotes, self.clock = definition, remotes, clock
        opener = next(iter(remotes.values()))
        key = Correlation.id_of(
            str(DEFINITION_ID), opener.name, "record", opener.record_id
        )
        self.correlation = Correlation.blank(key, clock())
        self.lanes = {name: Lane() for name in remotes}
        self.inbound: list[tuple[int, Any]] = []
        self.intake: set[str] = set()
        self.log: list[Any] = []
        self.rows: dict[str, Row] = {}
        self.judged: dict[int, Any] = {}

    # --- the log ------------------------------------------------------------------

    def append(self, appended: Sequence[Any]) -> None:
        """Record events at the stream's next versions, as outcomes are."""
        for event in appended:
            vars(event)["originator_version"] = self.correlation.version + 1
            event.mutate(self.correlation)
            self._view(event)

    def _view(self, event: Any) -> None:
        self.log.append(event)
        handle = _VIEWS.get(type(event))
        if handle is not None:
            handle(self, event)

    # --- capture and judgement ----------------------------------------------------

    def capture(self, change: dict[str, Any], source: str = "api") -> None:
        if change["change_id"] in self.intake:
            return
        self.intake.add(change["change_id"])
        self.append([self._captured(change, source)])

    def _captured(self, change: dict[str, Any], source: str) -> Any:
        remote = self.remotes[change["member"]]
        return events.ChangeCaptured(  # type: ignore[call-arg]
            originator_id=self.correlation.id,
            originator_version=0,
            timestamp=self.clock(),
            domain="top",
            definition=str(DEFINITION_ID),
            process_event="simulated",
            revision=1,
            system=remote.name,
            table="record",
            record_id=remote.record_id,
            before={},
            changed_by="",
            external_id=None,
            origin=[],
            hop=0,
            source=source,
            account="",
            idempotency_key=None,
            fingerprint="",
            request_fingerprint="",
            trace_id="",
            sequence=0,
            **change,
        )

    def judge_next(self) -> bool:
        """Judge the oldest change whose member is settled; False: there is none."""
        for index, (sequence, captured) in enumerate(self.inbound):
            if self.parks and self.waits(captured):
                continue
            del self.inbound[index]
            self.judged[sequence] = captured
            self.correlation.judge(captured, sequence, self.definition, 1, self.clock())
            for event in self.correlation.collect_events():
                self._view(event)
            return True
        return False

    def waits(self, captured: Any) -> bool:
        is_unsettled = self.lanes[captured.member].is_unsettled
        return is_unsettled and not between_nodes.is_judged_at_once(captured)

    def resolve(self, member: str, field: str, keep: Any, other: Any) -> None:
        """A person decides an open conflict."""
        self.correlation.resolve(
            member,
            field,
            keep,
            other,
            self.definition,
            1,
            "so it is",
            "anna",
            self.clock(),
        )
        for event in self.correlation.collect_events():
            self._view(event)

    # --- delivery -----------------------------------------------------------------

    def claim(self, name: str) -> bool:
        """Take a lane and begin with its head; False: nothing is due."""
        lane, head = self.lanes[name], self.lanes[name].head
        if lane.write is not None or head is None:
            return False
        if head.status == "error" or not head.is_due:
            return False
        suspect, lane.is_interrupted = lane.is_interrupted, False
        self._put_together(name, is_suspect=suspect)
        remote = self.remotes[name]
        scene = self._scene(head, name)
        write = self._write(scene, name)
        if (head.status == "uncertain" or (suspect and not remote.dedupes)) and (
            self._settle(name, scene, write)
        ):
            return True
        if (
            remote.is_conditional
            and write.record_id is not None
            and write.if_match is None
        ):
            # Never write blind where it can be helped: read first.
            moved = Moved("its revision is not known")
            self.append(outcomes.recorded(scene, write, moved, remote.read())[1:])
            return True
        lane.scene, lane.write, lane.answer = scene, write, None
        self._check_order(lane, head)
        return True

    def arrive(self, name: str, fate: str) -> None:
        """What becomes of a request: `done`, `lost`, `refused` for now."""
        lane = self.lanes[name]
        assert lane.write is not None
        lane.deliveries += 1
        if fate == "lost":
            lane.answer = Uncertain("no answer")
        elif fate == "refused":
            lane.answer = Unavailable("busy", None, Exchange("", 503, "", 0.0))
        else:
            lane.answer = self.remotes[name].write(lane.write)

    def answered(self, name: str, fate: str) -> None:
        """What becomes of the answer: `done`, `lost`, or the deliverer's `crash`."""
        lane = self.lanes[name]
        scene, write, answer = lane.scene, lane.write, lane.answer
        assert scene is not None
        assert write is not None
        assert answer is not None
        lane.scene = lane.write = lane.answer = None
        if fate == "crash":
            lane.is_interrupted = True
            return
        if fate == "lost" and not isinstance(answer, Unavailable):
            answer = Uncertain("no answer")
        remote = self.remotes[name]
        reading = None
        if isinstance(answer, Moved):
            reading = answer.record or remote.read()
        recorded = outcomes.recorded(scene, write, answer, reading)
        if isinstance(answer, Delivered) and not remote.is_conditional:
            recorded += outcomes.seen_beside(scene, write, answer)
        self.append(recorded)

    def _put_together(self, name: str, *, is_suspect: bool) -> None:
        if self.definition.members[name].delivery == "latest":
            rows = [row for row in self.lanes[name].rows if row.status in OPEN]
            messages = [self._scene(row, name).message for row in rows]
            self.append(combined(messages, self.clock(), first_is_free=not is_suspect))

    def _settle(self, name: str, scene: Scene, write: Write) -> bool:
        settlement = self.remotes[name].settle(write)
        if isinstance(settlement, NotApplied):
            return False
        assert isinstance(settlement, Delivered)
        if self.remotes[name].dedupes:
            self.append(outcomes.acknowledged(scene, write, settlement, "stored"))
        else:
            record = Snapshot(
                settlement.record_id, settlement.revision, settlement.stored
            )
            self.append(outcomes.found(scene, write, Found(record)))
        return True

    def _scene(self, row: Row, name: str) -> Scene:
        told = row.message
        message = Message(
            UUID(told["message_id"]),
            self.correlation.id,
            "top",
            DEFINITION_ID,
            "simulated",
            1,
            name,
            told["system"],
            told["table"],
            told["operation"],
            row.status,
            row.attempts,
            row.generation,
            None,
            told["fields"],
            told["versions"],
            self._entries(told["entries"]),
            told["origin"],
            told["hop"],
        )
        member = self.definition.members[name]
        return Scene(message, self.definition, member, self.clock(), 0.5, probe=False)

    def _entries(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the texts that are looked up when they are sent."""
        copies = [dict(each) for each in entries]
        journal.fill(
            copies, (e for e in self.log if isinstance(e, events.ChangeAccepted))
        )
        return copies

    def _write(self, scene: Scene, name: str) -> Write:
        link = self.correlation.links.get(name)
        record_id = link.record_id if link else None
        message, operation = scene.message, scene.message.operation
        if operation == "create" and record_id is not None:
            operation = "update"
        elif operation == "update" and record_id is None:
            operation = "create"
        return Write(
            delivery_id=message.delivery_id,
            correlation_id=str(self.correlation.id),
            process_event="simulated",
            operation=operation,
            table="record",
            record_id=record_id,
            if_match=link.revision if link and record_id else None,
            fields=flow.outbound(scene.member, self.definition, message.fields),
            entries=flow.outbound_entries(
                scene.member, self.definition, message.entries
            ),
        )

    def _check_order(self, lane: Lane, head: Row) -> None:
        assert head.place >= lane.last_place, "a message left after a later one"
        lane.last_place = head.place
        for name, version in head.message["versions"].items():
            assert version >= lane.acknowledged.get(name, 0), (
                f"{name} {version} is sent after {lane.acknowledged[name]} was there"
            )


# --- the queues follow the log ----------------------------------------------------


def _on_captured(node: Node, event: Any) -> None:
    node.inbound.append((len(node.log), event))


def _on_accepted(node: Node, event: Any) -> None:
    for place, message in enumerate(event.messages):
        _queue(node, (len(node.log), place), message)


def _on_replayed(node: Node, event: Any) -> None:
    _queue(node, (len(node.log), 0), event.message)


def _queue(node: Node, place: tuple[int, int], message: dict[str, Any]) -> None:
    row = Row(place, dict(message))
    assert message["message_id"] not in node.rows, "a message id is used twice"
    node.rows[message["message_id"]] = row
    node.lanes[message["member"]].rows.append(row)


def _on_transmitted(node: Node, event: Any) -> None:
    node.rows[event.message_id].attempts = event.attempt


def _on_acknowledged(node: Node, event: Any) -> None:
    row = node.rows[event.message_id]
    row.status = "processed"
    node.lanes[event.member].acknowledged.update(event.agreed)


def _on_failed(node: Node, event: Any) -> None:
    row = node.rows[event.message_id]
    row.status = _STATUS_AFTER.get(event.kind, "ready")
    row.attempts, row.is_due = event.attempt, event.retry_at is not None


def _on_parked(node: Node, event: Any) -> None:
    node.rows[event.message_id].status = "error"


def _on_retried(node: Node, event: Any) -> None:
    row = node.rows[event.message_id]
    row.status, row.attempts, row.is_due = "ready", 0, True


def _on_skipped(node: Node, event: Any) -> None:
    node.rows[event.message_id].status = "skipped"


def _on_revised(node: Node, event: Any) -> None:
    row = node.rows[event.message_id]
    row.status, row.is_due, row.generation = "ready", True, event.generation
    row.message.update(
        operation=event.operation,
        fields=event.fields,
        versions=event.versions,
        entries=event.entries,
    )


_VIEWS: dict[type, Callable[[Node, Any], None]] = {
    events.ChangeCaptured: _on_captured,
    events.ChangeAccepted: _on_accepted,
    events.ConflictResolved: _on_accepted,
    events.MessageReplayed: _on_replayed,
    events.MessageTransmitted: _on_transmitted,
    events.MessageAcknowledged: _on_acknowledged,
    events.MessageFailed: _on_failed,
    events.MessageParked: _on_parked,
    events.MessageRetried: _on_retried,
    events.MessageSkipped: _on_skipped,
    events.MessageRevised: _on_revised,
}
