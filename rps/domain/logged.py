"""Messages as a correlation's log has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rps.domain import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.question import Answers

    Stream = Callable[[], Iterable[tuple[int, Event]]]
    """Reads the (position, event) of a correlation from their start."""

    Definitions = Callable[[int], Definition]
    """The definition by its revision."""


@dataclass(slots=True)
class LoggedMessage:
    """A message as the log made it, or made it anew (`generation`)."""

    message_id: str
    correlation_id: UUID
    process_event: str
    revision: int
    member: str
    system: str
    table: str
    operation: str
    fields: Mapping[str, Any]
    versions: Mapping[str, int]
    entries: list[dict[str, Any]]
    origin: list[str]
    hop: int
    changed_by: str = ""
    changed_at: str = ""
    attachments: Sequence[dict[str, Any]] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 0
    answers: Answers = field(default_factory=dict)

    @property
    def delivery_id(self) -> str:
        """Stable over retries; a message made anew is another delivery."""
        if not self.generation:
            return self.message_id
        return f"{self.message_id}-{self.generation}"

    @classmethod
    def of(
        cls, made: Mapping[str, Any], correlation_id: UUID, event: str, revision: int
    ) -> LoggedMessage:
        """A message as it stands in the event that made it."""
        given = {name: made[name] for name in cls.__slots__ if name in made}
        return cls(
            **given,
            correlation_id=correlation_id,
            process_event=event,
            revision=revision,
        )

    def anew(self, revised: events.MessageRevised) -> LoggedMessage:
        return replace(
            self,
            revision=revised.definition_revision,
            operation=revised.operation,
            fields=revised.fields,
            versions=revised.versions,
            entries=revised.entries,
            origin=revised.origin,
            hop=revised.hop,
            changed_by=revised.changed_by,
            changed_at=revised.changed_at,
            attachments=revised.attachments,
            context=revised.context or {},
            generation=revised.generation,
        )


@dataclass(slots=True)
class Found:
    """What the log has about one message: the event that made it, and those since.
    `record_id` is the record that its member has, as far as is known."""

    made_at: int
    made_by: Event
    message: LoggedMessage
    about: list[Event] = field(default_factory=list)
    record_id: str | None = None


def made_in(event: Event) -> Sequence[Mapping[str, Any]]:
    """The messages that an event makes."""
    if isinstance(event, events.MessageReplayed):
        return [event.message]
    found: Sequence[Mapping[str, Any]] = getattr(event, "messages", ())
    return found


def find(stream: Stream, message_id: str) -> Found | None:
    """What the log has about the message; None where it is of another correlation."""
    found: Found | None = None
    records: dict[str, str] = {}
    for position, event in stream():
        if isinstance(event, events.CorrelationLinked):
            records[event.member] = event.record_id
        if found is not None and getattr(event, "message_id", "") == message_id:
            found.about.append(event)
        for made in made_in(event):
            if made["message_id"] == message_id:
                name, revision = vars(event)["process_event"], vars(event)["revision"]
                message = LoggedMessage.of(made, event.originator_id, name, revision)
                found = Found(position, event, message)
    if found is not None:
        found.record_id = records.get(found.message.member)
    return found
