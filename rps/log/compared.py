"""Two nodes' logs laid side by side: what one sent, and what the other took in.

A message has the same id in both. Its content is compared by its hash; what went over
the wire last and what was captured must say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rps.log.chain import Row

NODE = "node"
TAKEN = (200, 202, 208)
"""Answers by which the other node says that it has the message."""

LATER = timedelta(minutes=5)
"""So much younger than a message another log has to be before it must have it, where
the order of messages does not say so. Clocks differ."""


class NothingInCommon(ValueError):
    """No message is in both logs."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says."""

    operation: str
    fields: Mapping[str, Any]

    @property
    def hash(self) -> str:
        said = {"operation": self.operation, "fields": self.fields}
        return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def other_fields(self, other: Content) -> list[str]:
        """Names of the fields that the two do not say alike."""
        names = sorted({*self.fields, *other.fields})
        missing = object()
        return [
            name
            for name in names
            if self.fields.get(name, missing) != other.fields.get(name, missing)
        ]


@dataclass(frozen=True, slots=True)
class Told:
    """A message in one log: sent (`status` is the answer's) or taken in."""

    id: str
    position: int
    at: datetime
    system: str
    content: Content
    status: int | None = None


@dataclass(slots=True)
class Side:
    """What one log says of messages between nodes."""

    name: str
    made: dict[str, str] = field(default_factory=dict)
    """Systems that messages were made for, by message id."""
    sent: dict[str, Told] = field(default_factory=dict)
    taken: dict[str, Told] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    acknowledged: dict[str, Told] = field(default_factory=dict)
    last_at: datetime | None = None

    def add(self, row: Row) -> None:
        said = orjson.loads(row.state)
        self.last_at = datetime.fromisoformat(said["timestamp"]["_data_"])
        for made in (*said.get("messages", ()), said.get("message") or {}):
            if "message_id" in made and "system" in made:
                self.made[made["message_id"]] = made["system"]
        match row.topic:
            case "message.transmitted":
                self._sent(row, said)
            case "message.acknowledged":
                self._acknowledged(said)
            case "change.captured" if said["source"] == NODE:
                told = self._told(row, said, said["change_id"], said["system"])
                self.taken.setdefault(told.id, told)
            case "change.accepted" | "change.ignored":
                self.judged.add(said["change_id"])

    def _sent(self, row: Row, said: Mapping[str, Any]) -> None:
        system = self.made.get(said["message_id"], said["member"])
        told = self._told(row, said, said["delivery_id"], system, said["status"])
        self.sent[told.id] = told

    def _acknowledged(self, said: Mapping[str, Any]) -> None:
        key = said["message_id"]
        latest = [t for t in self.sent.values() if message_of(t.id) == key]
        if latest:
            told = max(latest, key=lambda each: each.position)
            self.acknowledged[told.id] = told

    def _told(
        self,
        row: Row,
        said: Mapping[str, Any],
        key: str,
        system: str,
        status: int | None = None,
    ) -> Told:
        assert self.last_at is not None  # noqa: S101
        content = Content(said["operation"], said["fields"])
        return Told(key, row.position, self.last_at, system, content, status)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two do not say the same of a message."""

    at: datetime
    message_id: str
    detail: str
    fields: tuple[str, ...] = ()
    sender: str = ""
    position: int = 0
    receiver: str = ""
    received_position: int = 0


@dataclass(slots=True)
class Compared:
    """`same`: messages that both have, with the same content; `later`: messages that
    one export is too old to have."""

    same: int = 0
    later: int = 0
    differences: list[Difference] = field(default_factory=list)


def compare(one: Side, other: Side) -> Compared:
    """The differences, the first first. Raises NothingInCommon."""
    if not (one.sent.keys() & other.taken or other.sent.keys() & one.taken):
        raise NothingInCommon
    found = Compared()
    for sender, receiver in ((one, other), (other, one)):
        _compare(sender, receiver, found)
    found.differences.sort(key=lambda each: (each.at, each.message_id))
    return found


def message_of(delivery_id: str) -> str:
    """The message that a delivery is of: one made anew has a number behind its id."""
    return delivery_id[:36]


def _compare(sender: Side, receiver: Side, found: Compared) -> None:
    common = sender.sent.keys() & receiver.taken
    called = {sender.sent[key].system for key in common}
    calling = {receiver.taken[key].system for key in common}
    last_sent = max((sender.sent[key].position for key in common), default=0)
    last_taken = max((receiver.taken[key].position for key in common), default=0)
    for sent in sender.sent.values():
        taken = receiver.taken.get(sent.id)
        if taken is not None:
            _compare_both(sender, receiver, sent, taken, found)
        elif sent.system in called and sent.status in TAKEN:
            is_due = sent.position < last_sent or _is_older(sent, receiver)
            found.later += not is_due
            if is_due:
                why = (
                    f"{sender.name} sent it and was answered {sent.status};"
                    f" {receiver.name} never received it"
                )
                found.differences.append(_sent_only(sender, receiver, sent, why))
    for taken in receiver.taken.values():
        known = message_of(taken.id) in sender.made or taken.id in sender.sent
        if known or taken.system not in calling:
            continue
        is_due = taken.position < last_taken or _is_older(taken, sender)
        found.later += not is_due
        if is_due:
            why = f"{receiver.name} received it; {sender.name} never sent it"
            found.differences.append(
                Difference(
                    *(taken.at, taken.id, why, ()),
                    *(sender.name, 0, receiver.name, taken.position),
                )
            )


def _compare_both(
    sender: Side, receiver: Side, sent: Told, taken: Told, found: Compared
) -> None:
    places = (sender.name, sent.position, receiver.name, taken.position)
    if sent.content.hash != taken.content.hash:
        names = sent.content.other_fields(taken.content)
        what = f"in {', '.join(names)}" if names else "in the operation"
        why = f"what {sender.name} sent is not what {receiver.name} received: {what}"
        found.differences.append(
            Difference(sent.at, sent.id, why, tuple(names), *places)
        )
    elif sent.id in sender.acknowledged and sent.id not in receiver.judged:
        why = f"{sender.name} has it acknowledged; {receiver.name} never judged it"
        if _is_older(sent, receiver):
            found.differences.append(Difference(sent.at, sent.id, why, (), *places))
        else:
            found.later += 1
    else:
        found.same += 1


def _sent_only(sender: Side, receiver: Side, sent: Told, why: str) -> Difference:
    places = (sender.name, sent.position, receiver.name, 0)
    return Difference(sent.at, sent.id, why, (), *places)


def _is_older(told: Told, log: Side) -> bool:
    """Whether the log goes on long after that moment."""
    return log.last_at is not None and told.at < log.last_at - LATER


def sides_shown(
    difference: Difference, one: Side, other: Side
) -> Iterator[dict[str, Any]]:
    """What each log has of the message."""
    for side in (one, other):
        for how, told in (("sent", side.sent), ("received", side.taken)):
            if found := told.get(difference.message_id):
                yield {
                    "log": side.name,
                    "what": how,
                    "position": found.position,
                    "at": found.at.isoformat(),
                    "operation": found.content.operation,
                    "hash": found.content.hash[:16],
                    "fields": {
                        name: found.content.fields.get(name)
                        for name in difference.fields or found.content.fields
                    },
                }
