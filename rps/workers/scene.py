"""Where an outcome happens: a queued message, and the circumstances of an attempt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from rps.log.append import NEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition, Member
    from rps.domain.question import Answers


@dataclass(slots=True)  # frozen, it takes three times as long to make
class Message:
    """A queued message and its lane, as the deliverer read them."""

    message_id: UUID
    correlation_id: UUID
    domain: str
    definition_id: UUID
    process_event: str
    definition_revision: int
    member: str
    system: str
    table: str
    operation: Any
    status: str
    attempts: int
    generation: int
    due_at: datetime | None
    fields: Mapping[str, Any]
    versions: Mapping[str, int]
    entries: list[dict[str, Any]]
    origin: list[str]
    hop: int
    changed_by: str = ""
    changed_at: str = ""
    attachments: Sequence[dict[str, Any]] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    answers: Answers = field(default_factory=dict)

    @property
    def delivery_id(self) -> str:
        """Stable over retries; a message made anew is another delivery."""
        if not self.generation:
            return str(self.message_id)
        return f"{self.message_id}-{self.generation}"

    def event(self, fact: type[Event], at: datetime, **fields: Any) -> Event:
        """What happened to its correlation, at the stream's next version."""
        event: Event = cast("Any", fact)(
            originator_id=self.correlation_id,
            originator_version=NEXT,
            timestamp=at,
            **{"domain": self.domain, **fields},
        )
        return event

    def about(self, fact: type[Event], at: datetime, **fields: Any) -> Event:
        """What happened to the message itself."""
        about = {"message_id": str(self.message_id), "member": self.member}
        return self.event(fact, at, **about, **fields)


@dataclass(slots=True)
class Scene:
    """Where an outcome happened: message, what was written, under which definition.

    `now` is when it was sent, and then when the answer came. `settle_seconds` is how
    long to wait before an unanswered write is settled. `in_doubt`: an earlier attempt
    may have taken effect, whatever came of this one. `notices` are told to people once
    it is delivered.
    """

    message: Message
    definition: Definition
    member: Member
    now: datetime
    chance: float
    probe: bool
    settle_seconds: float = 0.0
    in_doubt: bool = False
    notices: Sequence[Mapping[str, str]] = ()

    @property
    def attempt(self) -> int:
        """A probe of an open breaker uses up no attempt."""
        return self.message.attempts + (0 if self.probe else 1)

    def event(self, fact: type[Event], **fields: Any) -> Event:
        return self.message.event(fact, self.now, **fields)

    def about(self, fact: type[Event], **fields: Any) -> Event:
        return self.message.about(fact, self.now, **fields)
