"""A message in its member's words: what a connector is asked to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from rps.domain import courses, flow
from rps.domain.delivery import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from rps.domain.agreement import Definition, Member
    from rps.domain.execution import Course
    from rps.domain.question import Answers


class Outgoing(Protocol):
    """A message as a write is made of it; fields and values are the shared ones."""

    correlation_id: UUID
    process_event: str
    table: str
    operation: Any
    fields: Mapping[str, Any]
    versions: Mapping[str, int]
    entries: list[dict[str, Any]]
    origin: list[str]
    hop: int
    changed_by: str
    changed_at: str
    attachments: Sequence[dict[str, Any]]
    context: Mapping[str, Any]
    answers: Answers

    @property
    def delivery_id(self) -> str: ...


def written(
    message: Outgoing,
    member: Member,
    definition: Definition,
    record_id: str | None,
    revision: str | None,
    clock: Callable[[], float] | None = None,
) -> tuple[Write, Course]:
    """The outbound flow: the write, and how it came to that; nothing is to be written
    where it asks or skips. `record_id` and `revision` are those of the member's record
    as it is known when the message is sent. Raises MappingRefused."""
    operation = operation_of(message, record_id)
    course = courses.outbound(
        *(member, definition, message.fields, message.context, message.answers),
        is_new=operation == "create",
        clock=clock,
    )
    write = Write(
        delivery_id=message.delivery_id,
        correlation_id=str(message.correlation_id),
        process_event=message.process_event,
        operation=operation,
        table=message.table,
        record_id=record_id,
        if_match=revision if record_id is not None else None,
        fields=course.told,
        entries=flow.outbound_entries(member, definition, message.entries),
        origin=tuple(message.origin),
        hop=message.hop,
        changed_by=message.changed_by,
        changed_at=message.changed_at,
        version=max(message.versions.values(), default=0),
        attachments=flow.outbound_attachments(message.attachments),
    )
    return write, course


def operation_of(message: Outgoing, record_id: str | None) -> Any:
    """A record that is there by now is not made again, nor one that is not changed."""
    if message.operation == "create" and record_id is not None:
        return "update"
    if message.operation == "update" and record_id is None:
        return "create"
    return message.operation
