"""What can happen to a field that two sides changed; see `events.py` for the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Event
from rps.domain.pending import Pending
from rps.domain.state import CorrelationState, Held

if TYPE_CHECKING:
    from collections.abc import Sequence


class ConflictRecorded(Event):
    """Two sides changed `field` without knowing of each other; `winner` was kept."""

    TOPIC = "conflict.recorded"

    change_id: str
    member: str
    field: str
    base: Any
    mine: Any
    theirs: Any
    policy: str
    winner: str

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.conflicts += 1


class ConflictOpened(Event):
    """As above, and a person has to decide; the field is held back towards `member`."""

    TOPIC = "conflict.opened"

    change_id: str
    member: str
    field: str
    base: Any
    mine: Any
    theirs: Any
    policy: str

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.conflicts += 1
        aggregate.held[(self.member, self.field)] = Held(
            self.base, self.mine, self.theirs
        )


class ConflictResolved(Event):
    """An open conflict is over: `field` is `value` from now on, for all.

    `version` is the one that the value has; `stamp` is empty where it is the one that
    was shared already. `given_by` is the member whose value it is, empty where a person
    wrote another one. `holds`: `member` has it already. `messages` as in
    ChangeAccepted; `definition`, `process_event` and `revision` are for them.
    """

    TOPIC = "conflict.resolved"

    member: str
    field: str
    value: Any
    actor: str
    reason: str
    definition: str = ""
    process_event: str = ""
    revision: int = 0
    version: int = 0
    stamp: Sequence[int] = ()
    given_by: str = ""
    holds: bool = False
    messages: Sequence[dict[str, Any]] = ()

    def apply(self, aggregate: CorrelationState) -> None:
        aggregate.held.pop((self.member, self.field), None)
        if (shared := aggregate.fields.get(self.field)) is not None:
            shared.past = ()  # decided: what was before says nothing of a loop
        if self.stamp:
            at = self.timestamp.timestamp()
            aggregate.share(
                *(self.field, self.value, self.version, tuple(self.stamp)),
                *(self.given_by, at),
            )
            aggregate.shared_version = max(aggregate.shared_version, self.version)
        if self.holds:
            agreed = {self.field: self.version}
            aggregate.learn(self.member, {}, agreed, None, complete=False)
        for message in self.messages:
            aggregate.expect(Pending.of(message))
