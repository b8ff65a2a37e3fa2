"""Messages that were made and are not settled yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(slots=True)
class Pending:
    """A message made and not yet settled. `waits`: for the files that it carries."""

    message_id: str
    member: str
    operation: str
    fields: dict[str, Any]
    versions: dict[str, int]
    entries: list[dict[str, Any]]
    origin: list[str]
    hop: int
    generation: int = 0
    attempt: int = 0
    failed: str = ""
    changed_by: str = ""
    changed_at: str = ""
    attachments: Sequence[dict[str, Any]] = ()
    waits: bool = False

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Pending:
        made = cls(
            message["message_id"],
            message["member"],
            message["operation"],
            dict(message["fields"]),
            dict(message["versions"]),
            message["entries"],
            message["origin"],
            message["hop"],
            changed_by=message.get("changed_by", ""),
            changed_at=message.get("changed_at", ""),
        )
        if attachments := message.get("attachments"):
            made.attachments, made.waits = attachments, waits_for(attachments)
        return made


def waits_for(attachments: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a message that carries these has bytes to wait for."""
    return any(not each.get("deleted") for each in attachments)


class Unsettled(dict[str, Pending]):
    """Messages by id, oldest first, and those to each member: a lane may be long."""

    def __init__(self) -> None:
        super().__init__()
        self._to: dict[str, dict[str, Pending]] = {}

    def __setitem__(self, message_id: str, message: Pending) -> None:
        super().__setitem__(message_id, message)
        self._to.setdefault(message.member, {})[message_id] = message

    def pop(self, message_id: str, _default: Any = None) -> Any:
        message = super().pop(message_id, None)
        if message is not None:
            del self._to[message.member][message_id]
        return message

    def to(self, member: str) -> Collection[Pending]:
        return self._to.get(member, _NONE).values()


_NONE: dict[str, Pending] = {}
