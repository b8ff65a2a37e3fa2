"""What people are told of, in groups: an outage is one notice, not a thousand.

A happening is one fact that somebody may want to hear of. Those of one key that follow
each other within WINDOW are one notice. An outage is open until its system answers
again, and takes in what was parked because of it.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from rps.domain.fingerprint import Fault

GATHER = timedelta(seconds=10)
"""How long a new notice waits for what belongs to it."""

WINDOW = timedelta(minutes=15)
"""How long a group is quiet until the next happening is news; and the least time
between two deliveries about one notice."""

SAMPLES_MAX = 5
DETAIL_MAX = 300

TRIPPED, RECOVERED, PARKED = "system.tripped", "system.recovered", "message.parked"
FAILED, DEFINITION = "change.failed", "definition.changed"
CONFLICT, OSCILLATION = "conflict.opened", "oscillation"
FLOW = "flow.notified"
"""Of a flow's step that tells people; the step is the `field`."""

OPEN, OVER, FOLDED = "open", "over", "folded"

_EXHAUSTED = re.compile(r"tried [0-9]+ times: ")
_PASSING = {401, 403, 408, 410, 425, 429}
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Happening:
    """`owed`: parked for no fault of the message's own, so that an outage explains it.
    `subject` names what it is about, for people to look it up. `waiting`: messages that
    had not been delivered to the system when it tripped."""

    topic: str
    domain: str
    position: int
    at: datetime
    process_event: str = ""
    system: str = ""
    member: str = ""
    field: str = ""
    fingerprint: str = ""
    detail: str = ""
    subject: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    owed: bool = False
    waiting: int = 0

    @property
    def key(self) -> str:
        """What belongs together, within a domain."""
        match self.topic:
            case "system.tripped" | "system.recovered":
                return f"{self.topic}\t{self.system}"
            case "message.parked" | "change.failed":
                return f"{self.topic}\t{self.fingerprint}"
            case _:
                return f"{self.topic}\t{self.process_event}\t{self.field}"


@dataclass(frozen=True, slots=True)
class Notice:
    """Of outages `began_at`, `parked` and `waited` (messages for the system, made just
    before or while nothing went there) are the present or last one's; of recoveries
    `seconds`, `parked` and `waited` are those of all outages that it tells of."""

    notice_id: UUID
    domain: str
    key: str
    topic: str
    process_event: str
    system: str
    member: str
    field: str
    fingerprint: str
    state: str
    detail: str
    first_at: datetime
    last_at: datetime
    count: int
    began_at: datetime | None
    seconds: float
    parked: int
    waited: int
    owed: bool
    samples: Sequence[Mapping[str, Any]]
    opened: int
    position: int

    @classmethod
    def of(cls, seen: Happening) -> Notice:
        is_outage = seen.topic == TRIPPED
        return cls(
            notice_id=identity("notice", seen.domain, seen.key, str(seen.position)),
            domain=seen.domain,
            key=seen.key,
            topic=seen.topic,
            process_event=seen.process_event,
            system=seen.system,
            member=seen.member,
            field=seen.field,
            fingerprint=seen.fingerprint,
            state=OPEN if is_outage else OVER,
            detail=seen.detail[:DETAIL_MAX],
            first_at=seen.at,
            last_at=seen.at,
            count=1,
            began_at=seen.at if is_outage else None,
            seconds=0.0,
            parked=0,
            waited=seen.waiting,
            owed=seen.owed,
            samples=_with([], seen.subject),
            opened=seen.position,
            position=seen.position,
        )

    def takes(self, seen: Happening) -> bool:
        """Whether it is the same story, or a new one."""
        return self.state != FOLDED and seen.at - self.last_at <= WINDOW

    def with_one_more(self, seen: Happening) -> Notice:
        more = replace(
            self,
            count=self.count + 1,
            last_at=seen.at,
            position=seen.position,
            detail=seen.detail[:DETAIL_MAX],
            samples=_with(self.samples, seen.subject),
        )
        if self.topic != TRIPPED:
            return more
        waited = seen.waiting
        return replace(more, state=OPEN, began_at=seen.at, parked=0, waited=waited)

    def with_parked(self, seen: Happening) -> Notice:
        samples = _with(self.samples, seen.subject)
        parked = self.parked + 1
        return replace(self, parked=parked, samples=samples, position=seen.position)


class Grouping:
    """Notices as they stand after each happening.

    `newest` are those that may be meant: of each key the newest, the open outages, and
    where a system trips what was `owed` to that just before.
    """

    def __init__(self, newest: Iterable[Notice]) -> None:
        self._of_key: dict[tuple[str, str], Notice] = {}
        self._changed: dict[UUID, Notice] = {}
        for notice in sorted(newest, key=lambda each: each.opened):
            self._of_key[(notice.domain, notice.key)] = notice

    @property
    def changed(self) -> list[Notice]:
        return sorted(self._changed.values(), key=lambda each: each.position)

    @property
    def has_outages(self) -> bool:
        return any(each.state == OPEN for each in self._of_key.values())

    def outage(self, domain: str, system: str) -> Notice | None:
        """The one that goes on."""
        found = self._of_key.get((domain, f"{TRIPPED}\t{system}"))
        return found if found is not None and found.state == OPEN else None

    def take(self, seen: Happening) -> None:
        match seen.topic:
            case "system.tripped":
                self._tripped(seen)
            case "system.recovered":
                self._recovered(seen)
            case "message.parked" if seen.owed and (
                outage := self.outage(seen.domain, seen.system)
            ):
                self._put(outage.with_parked(seen))
            case _:
                self._add(seen)

    def made(self, domain: str, system: str, messages: int, position: int) -> None:
        """Messages for a system, which wait where its outage goes on."""
        if outage := self.outage(domain, system):
            waited = outage.waited + messages
            self._put(replace(outage, waited=waited, position=position))

    def activated(self, domain: str, system: str, position: int) -> None:
        """A person let the system take part again, so its outage is over; whether it
        answers is another matter."""
        if outage := self.outage(domain, system):
            self._put(replace(outage, state=OVER, position=position))

    def _tripped(self, seen: Happening) -> None:
        if outage := self.outage(seen.domain, seen.system):
            # It is down already, and says something else about it.
            detail = seen.detail[:DETAIL_MAX]
            self._put(replace(outage, detail=detail, position=seen.position))
            return
        outage = self._add(seen)
        for early in list(self._of_key.values()):
            if _is_owed(early, outage):
                self._put(replace(early, state=FOLDED, position=seen.position))
                outage = replace(
                    outage,
                    parked=outage.parked + early.count,
                    samples=_joined(outage.samples, early.samples),
                )
        self._put(outage)

    def _recovered(self, seen: Happening) -> None:
        outage = self.outage(seen.domain, seen.system)
        told = self._add(seen)
        if outage is None or outage.began_at is None:
            return
        lasted = (seen.at - outage.began_at).total_seconds()
        self._put(replace(outage, state=OVER, last_at=seen.at, position=seen.position))
        self._put(
            replace(
                told,
                began_at=outage.began_at,
                seconds=told.seconds + max(lasted, 0.0),
                parked=told.parked + outage.parked,
                waited=told.waited + outage.waited,
                detail=outage.detail,
            )
        )

    def _add(self, seen: Happening) -> Notice:
        known = self._of_key.get((seen.domain, seen.key))
        if known is not None and known.takes(seen):
            return self._put(known.with_one_more(seen))
        return self._put(Notice.of(seen))

    def _put(self, notice: Notice) -> Notice:
        self._of_key[(notice.domain, notice.key)] = notice
        self._changed[notice.notice_id] = notice
        return notice


def is_owed(fault: Fault, detail: str) -> bool:
    """Whether a message was parked because its system did not take anything, and not
    for what it says."""
    if fault.field or fault.step:
        return False
    return (
        fault.status >= _SERVER_ERROR
        or fault.status in _PASSING
        # Of the files of a message it is said otherwise: their system is another one.
        or (_EXHAUSTED.match(detail) is not None and fault.status == 0)
    )


def _is_owed(early: Notice, outage: Notice) -> bool:
    return (
        early.owed
        and early.state != FOLDED
        and (early.domain, early.system) == (outage.domain, outage.system)
        and outage.last_at - early.first_at <= GATHER
    )


def _with(
    samples: Sequence[Mapping[str, Any]], subject: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    if not subject or len(samples) >= SAMPLES_MAX:
        return samples
    return [*samples, subject]


def _joined(
    one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    return [*one, *other][:SAMPLES_MAX]


@dataclass(frozen=True, slots=True)
class Part:
    """How far a subscription was told of a notice: `told` happenings, once `fixed`."""

    number: int
    due_at: datetime
    told: int
    fixed: bool


def next_part(
    notice: Notice, last: Part | None, now: datetime
) -> tuple[int, datetime] | None:
    """Number and time of the next delivery about a notice; None where there is nothing
    to add, or one waits that will tell it."""
    if last is None:
        return 1, max(notice.first_at + GATHER, now)
    if not last.fixed or last.told >= notice.count:
        return None
    return last.number + 1, max(last.due_at + WINDOW, now)
