"""Between our events and stored rows: the library's mapping, without its detours."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import resolve_topic


class EventMapper(Mapper[UUID]):
    """Same bytes and same meaning as the library's Mapper; versioned classes take the
    library's way, with its upcasts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plain: dict[str, Any] = {}
        """Classes by topic whose events are read without detours."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        if (
            self.compressor
            or self.cipher
            or getattr(domain_event, "class_version", 1) > 1
        ):
            return super().to_stored_event(domain_event)
        state = dict(vars(domain_event))
        originator_id = state.pop("originator_id")
        version = state.pop("originator_version")
        return StoredEvent(
            originator_id,
            version,
            type(domain_event).TOPIC,
            self.transcoder.encode(state),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return self.event(
            stored_event.originator_id,
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )

    def event(self, originator_id: Any, version: int, topic: str, stored: bytes) -> Any:
        """The event of a stored row."""
        cls = self._plain.get(topic)
        if cls is None:
            cls = cast("Any", resolve_topic(topic))
            if self.compressor or self.cipher or getattr(cls, "class_version", 1) > 1:
                return super().to_domain_event(
                    StoredEvent(originator_id, version, topic, stored)
                )
            self._plain[topic] = cls
        state = self.transcoder.decode(stored)
        state["originator_id"] = originator_id
        state["originator_version"] = version
        event = object.__new__(cls)
        object.__setattr__(event, "__dict__", state)
        return event
