"""Random histories of a node: every kind of event, in orders that can happen."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from examples import ENTRY, OUTGOING, example, kinds
from logs import stream

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 6
MEMBERS = ("zenith", "umbra")
REVISIONS = (None, "1", "7", "10", "9", "W/abc", "W/def", "٣", "007")
VALUES = (
    None,
    "Grüße 世界",
    1e22,
    1.5e300,
    -0.0,
    1e-7,
    2**53,
    True,
    ["b", "a"],
)
FAILURES = ("retryable", "permanent", "uncertain", "moved", "credentials", "gone")
SYSTEM = ("registered", "changed", "activated", "disabled", "paused", "resumed")
STEPS_OF = {
    "system": (*(f"system.{s}" for s in SYSTEM), "system.tripped", "system.recovered"),
    "definition": ("definition.drafted", "definition.published", "definition.retired"),
    "account": tuple(t for t in kinds() if t.startswith("account.")),
    "replay": (
        "replay.planned",
        "replay.started",
        "replay.completed",
        "replay.cancelled",
    ),
    "treatment": (
        "treatment.planned",
        "treatment.started",
        "treatment.completed",
        "treatment.cancelled",
    ),
    "domain": ("domain.created",),
    "subscription": (
        "subscription.created",
        "subscription.changed",
        "subscription.paused",
        "subscription.resumed",
        "subscription.removed",
    ),
}


class _Lane:
    """Messages on their way to one member: ids in order, and where each stands."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.linked = False


class History:
    """`appends` are lists of events to be recorded together, with their versions and
    with the positions they get when nothing else is recorded."""

    def __init__(self, seed: int, steps: int) -> None:
        self._chance = random.Random(seed)
        self._now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self._versions: dict[UUID, int] = defaultdict(int)
        self._position = self._serial = 0
        self._changes: dict[str, dict[int, str]] = defaultdict(dict)
        self._opened: set[str] = set()
        self._linked: set[str] = set()
        self._lanes: dict[tuple[str, str], _Lane] = defaultdict(_Lane)
        self.appends: list[list[Any]] = []
        acts: list[Callable[[str], list[Any]]] = [
            *[self._capture] * 5,
            *[self._judge] * 5,
            *[self._deliver] * 9,
            *[self._ask] * 2,
            self._replay,
            self._about_correlation,
            self._configure,
        ]
        for _ in range(steps):
            record = f"R{self._chance.randrange(RECORDS)}"
            if events := self._chance.choice(acts)(record):
                self.appends.append(events)

    @property
    def events(self) -> list[Any]:
        return [event for events in self.appends for event in events]

    # --- what happens ---------------------------------------------------------------

    def _capture(self, record: str) -> list[Any]:
        events = []
        for _ in range(self._chance.randrange(1, 4)):
            self._serial += 1
            events.append(
                self._event(
                    "change.captured",
                    record,
                    member="acme",
                    system="acme",
                    record_id=record,
                    change_id=f"c{self._serial}",
                    fingerprint=f"c{self._serial}",
                    idempotency_key=self._chance.choice([None, f"k{self._serial}"]),
                    operation=self._chance.choice(["create", "update", "delete"]),
                    sequence=0,
                )
            )
            self._changes[record][self._position] = "ready"
        return events

    def _judge(self, record: str) -> list[Any]:
        waiting = self._changes[record]
        if not waiting:
            return []
        sequence = min(waiting)
        about = {"member": "acme", "sequence": sequence, "change_id": f"of {sequence}"}
        revision = self._chance.choice(REVISIONS)
        if waiting[sequence] == "error":
            kind = self._chance.choice(["change.retried", "change.skipped"])
            waiting[sequence] = "ready"
            if kind == "change.skipped":
                del waiting[sequence]
            return [self._event(kind, record, **about)]
        match self._chance.randrange(6):
            case 0:
                waiting[sequence] = "error"
                value = self._chance.choice(VALUES)
                return [self._event("change.failed", record, **about, value=value)]
            case 1:
                del waiting[sequence]
                about |= {"record_revision": revision, "reason": "echo"}
                return [self._event("change.ignored", record, **about)]
            case 2:
                return self._move(record, sequence, about)
            case _:
                del waiting[sequence]
                return self._accept(record, {**about, "record_revision": revision})

    def _move(self, record: str, sequence: int, about: dict[str, Any]) -> list[Any]:
        owner = f"R{self._chance.randrange(RECORDS)}"
        if owner <= record:  # never back: a change has one place in a correlation
            return []
        del self._changes[record][sequence]
        self._changes[owner][sequence] = "ready"
        return [
            self._event("change.ignored", record, **about, reason=f"moved to {owner}"),
            self._event(
                "change.captured",
                owner,
                **about,
                system="acme",
                record_id=record,
                source="moved",
            ),
        ]

    def _accept(self, record: str, about: dict[str, Any]) -> list[Any]:
        events = []
        if record not in self._opened:
            self._opened.add(record)
            events.append(self._event("correlation.opened", record))
        if record not in self._linked:
            self._linked.add(record)
            events.append(self._link(record, "acme", record))
        messages = [
            self._message(record, member)
            for member in MEMBERS
            if self._chance.random() < 0.6
        ]
        values = {
            name: self._chance.choice(VALUES)
            for name in self._chance.sample(["title", "state", "weight", "tags"], 2)
        }
        events.append(
            self._event(
                "change.accepted",
                record,
                **about,
                messages=messages,
                values=values,
                stamps={name: [1, 2] for name in values},
                version=self._chance.randrange(1, 9),
                entries=self._chance.choice([[], [ENTRY]]),
            )
        )
        return events

    def _ask(self, record: str) -> list[Any]:
        """A flow asks for the change or the message that is next; now and then nobody
        answers."""
        waiting = self._changes[record]
        lane = self._lanes[(record, "zenith")]
        about: dict[str, Any] = {"member": "acme", "sequence": 0, "message_id": ""}
        if lane.open and self._chance.random() < 0.5:
            about |= {"member": "zenith", "message_id": min(lane.open)}
        elif waiting and waiting[min(waiting)] == "ready":
            about |= {"sequence": min(waiting)}
        else:
            return []
        self._serial += 1
        about["question_id"] = str(UUID(int=self._serial))
        events = [self._event("question.asked", record, **about)]
        answer = self._chance.choice([{"value": "x"}, {"withdrawn": "late"}, None])
        if answer is not None:
            more = {"answer": answer, "answers": {"k": answer}}
            events.append(self._event("question.answered", record, **about, **more))
        return events

    def _deliver(self, record: str) -> list[Any]:
        member = self._chance.choice(MEMBERS)
        lane = self._lanes[(record, member)]
        if not lane.open:
            return []
        message_id = self._chance.choice([*[min(lane.open)] * 4, *lane.open])
        about = {"member": member, "message_id": message_id}
        revision = self._chance.choice(REVISIONS)
        attempt = self._chance.randrange(1, 5)
        sent = self._event("message.transmitted", record, **about, attempt=attempt)
        match self._chance.randrange(8):
            case 0 | 1 | 2:
                return [sent, *self._acknowledge(record, about, revision)]
            case 3 | 4:
                retry_at = self._chance.choice([None, self._soon().isoformat()])
                failed = {"kind": self._chance.choice(FAILURES), "retry_at": retry_at}
                about |= {"attempt": attempt, **failed}
                return [sent, self._event("message.failed", record, **about)]
            case 5:
                if attempt % 2:
                    about["detail"] = f"tried {attempt} times: connection refused"
                topics = ["message.parked", "message.retried"]
                kept = topics[: self._chance.randrange(1, 3)]
                return [sent, *(self._event(t, record, **about) for t in kept)]
            case 6:
                generation = self._chance.randrange(1, 5)
                about |= {"generation": generation, "fields": {"title": generation}}
                return [sent, self._event("message.revised", record, **about)]
            case _:
                del lane.open[message_id]
                return [sent, self._event("message.skipped", record, **about)]

    def _acknowledge(
        self, record: str, about: dict[str, Any], revision: str | None
    ) -> list[Any]:
        lane = self._lanes[(record, about["member"])]
        del lane.open[about["message_id"]]
        events = []
        if not lane.linked:
            lane.linked = True
            events.append(self._link(record, about["member"], f"{record}'s twin"))
        about = {**about, "record_revision": revision}
        return [*events, self._event("message.acknowledged", record, **about)]

    def _replay(self, record: str) -> list[Any]:
        if record not in self._opened:
            return []
        message = self._message(record, self._chance.choice(MEMBERS))
        return [self._event("message.replayed", record, message=message)]

    def _about_correlation(self, record: str) -> list[Any]:
        if record not in self._opened:
            return []
        lane = self._lanes[(record, "zenith")]
        if lane.linked and self._chance.random() < 0.5:
            unlinked = self._event(
                "correlation.unlinked", record, record_id=f"{record}'s twin"
            )
            lane.linked = self._chance.random() < 0.5
            if not lane.linked:
                return [unlinked]
            return [unlinked, self._link(record, "zenith", f"{record}'s twin")]
        topic = self._chance.choice(
            [
                "correlation.deactivated",
                "correlation.reactivated",
                "correlation.relinked",
                "conflict.recorded",
                "conflict.opened",
                "conflict.resolved",
            ]
        )
        about = {"base": 1e22, "mine": None, "theirs": ["x"], "member": "zenith"}
        telling = {
            "conflict.resolved",
            "correlation.reactivated",
            "correlation.relinked",
        }
        if topic in telling and self._chance.random() < 0.5:
            return [
                self._event(
                    topic, record, messages=[self._message(record, "zenith")], **about
                )
            ]
        return [self._event(topic, record, messages=[], **about)]

    def _configure(self, _record: str) -> list[Any]:
        kind = self._chance.choice(list(STEPS_OF))
        name = f"{kind}{self._chance.randrange(2)}"
        steps = STEPS_OF[kind]
        first = not self._versions[stream(name)]
        topic = steps[0] if first else self._chance.choice(steps[1:] or steps)
        if first or steps[1:]:
            settings = {"url": name, "weight": self._chance.choice(VALUES)}
            known = {"system0": "zenith", "system1": "elsewhere"}.get(name, name)
            named = {"name": known, "process_event": name, "settings": settings}
            return [self._event(topic, name, **named)]
        return []

    # --- events ---------------------------------------------------------------------

    def _link(self, record: str, member: str, record_id: str) -> Any:
        return self._event(
            "correlation.linked",
            record,
            member=member,
            system=member,
            record_id=record_id,
            record_revision=self._chance.choice(REVISIONS),
        )

    def _message(self, record: str, member: str) -> dict[str, Any]:
        self._serial += 1
        message_id = str(UUID(int=self._serial))
        self._lanes[(record, member)].open[message_id] = "ready"
        return {
            **OUTGOING,
            "message_id": message_id,
            "member": member,
            # a definition may have given the member another system meanwhile
            "system": self._chance.choice([member, "elsewhere"]),
        }

    def _soon(self) -> datetime:
        return self._now + timedelta(seconds=self._chance.randrange(90))

    def _event(self, topic: str, name: str, /, **changes: Any) -> Any:
        self._now += timedelta(milliseconds=self._chance.randrange(30_000))
        self._position += 1
        self._versions[stream(name)] += 1
        known = kinds()[topic].__dataclass_fields__  # type: ignore[attr-defined]
        return example(
            topic,
            originator_id=stream(name),
            originator_version=self._versions[stream(name)],
            timestamp=self._now,
            domain="top/acme" if name in ("R0", "R1", "R2") else "top",
            **{key: value for key, value in changes.items() if key in known},
        )
