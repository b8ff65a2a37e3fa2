"""Given what happened to a shared record, when something is said, then this follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from rps.domain import events
from rps.domain.correlation import Correlation
from rps.domain.document import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.aggregate import Event

START = datetime(2026, 1, 1, tzinfo=UTC)
DEFINITION_ID = str(UUID(int=7))
FACTS = (
    *("operation", "entries", "attachments", "origin", "hop", "source", "record_id"),
    *("changed_at", "if_match", "before", "changed_by"),
)


def definition(policy: str = "newer_wins", **members: dict[str, Any]) -> Any:
    """`a` and `b` share title (cut to 4 characters at `b`), state, tags, comments."""
    everything = ["create", "update", "delete"]
    return parse(
        {
            "process_event": "shared",
            "fields": {
                "title": {"type": "text", "policy": policy},
                "state": {"type": "text", "policy": policy},
                "tags": {"type": "tags", "policy": "merge"},
            },
            "journals": {"comments": {"visibility": "public"}},
            "members": {
                name: {
                    "table": "record",
                    "capture": everything,
                    "deliver": everything,
                    "fields": {
                        "title": {"field": "title", "truncate": 4}
                        if name == "b"
                        else "title",
                        "state": "state",
                        "tags": "tags",
                    },
                    "journals": {"comments": "comments"},
                    **members.get(name, {}),
                }
                for name in ("a", "b", "c")
            },
        }
    )


class SharedRecord:
    """`given` events or a `capture`, `when` something is said, `then` what followed."""

    def __init__(self, definition_: Any = None) -> None:
        self.definition = definition_ or definition()
        self.record = Correlation.blank(UUID(int=1), START)
        self.sequence = 0
        self.followed: list[Any] = []
        self.captured: Any = None

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.sequence)

    def given(self, fact: type[Event], **fields: Any) -> Self:
        event: Any = fact(  # type: ignore[call-arg]
            originator_id=self.record.id,
            originator_version=self.record.version + 1,
            timestamp=self.now,
            domain="top",
            **fields,
        )
        event.mutate(self.record)
        return self

    def when(self, say: Callable[[Correlation], object]) -> Self:
        say(self.record)
        self.followed = list(self.record.collect_events())
        return self

    def then(self, *facts: type[Event]) -> list[Any]:
        """The events that followed, when they are of these kinds."""
        assert [type(each) for each in self.followed] == list(facts)
        return self.followed

    # --- what happens often ---------------------------------------------------------

    def shows(self, member: str, revision: int | None, **more: Any) -> Self:
        """A member's change is captured and judged. `more`: fields, or facts of it."""
        self.sequence += 1
        facts = {name: more.pop(name) for name in FACTS if name in more}
        captured: dict[str, Any] = {
            "definition": DEFINITION_ID,
            "process_event": "shared",
            "revision": 1,
            "member": member,
            "system": member,
            "table": "record",
            "record_id": f"{member}-1",
            "operation": "update",
            "change_id": f"change {self.sequence}",
            "record_revision": None if revision is None else str(revision),
            "fields": more,
            "before": {},
            "entries": [],
            "changed_by": "",
            "changed_at": "",
            "external_id": None,
            "origin": [],
            "hop": 0,
            "source": "api",
            "account": "",
            "idempotency_key": None,
            "fingerprint": "",
            "request_fingerprint": "",
            "trace_id": "",
            "sequence": 0,
            **facts,
        }
        event = events.ChangeCaptured(  # type: ignore[call-arg]
            originator_id=self.record.id,
            originator_version=self.record.version + 1,
            timestamp=self.now,
            domain="top",
            **captured,
        )
        event.mutate(self.record)
        self.captured = event
        return self.when(
            lambda record: record.judge(
                event, self.sequence, self.definition, 1, self.now
            )
        )

    def acknowledges(self, member: str, revision: int, **stored: Any) -> Self:
        """The member took the oldest message that waits for it."""
        message = self.record.waiting(member)[0]
        if message.operation == "create":
            self.given(
                events.CorrelationLinked,
                definition=DEFINITION_ID,
                member=member,
                system=member,
                table="record",
                record_id=f"{member}-1",
                record_revision=None,
            )
        return self.given(
            events.MessageAcknowledged,
            message_id=message.message_id,
            member=member,
            record_id=f"{member}-1",
            record_revision=str(revision),
            stored={**message.fields, **stored},
            agreed=dict(message.versions),
            settled_by="answer",
        )

    def fails(self, member: str, kind: str) -> Self:
        return self.given(
            events.MessageFailed,
            message_id=self.record.waiting(member)[0].message_id,
            member=member,
            attempt=1,
            kind=kind,
            status=None,
            detail="",
            retry_at=None,
        )


def shared(definition_: Any = None) -> SharedRecord:
    """A record that `a` opened and that `b` and `c` hold, all in step at revision 1."""
    record = SharedRecord(definition_)
    record.shows("a", 1, operation="create", title="first", state="new", tags=["x"])
    record.acknowledges("b", 1, title="firs")
    return record.acknowledges("c", 1)


def messages(accepted: Any) -> dict[str, dict[str, Any]]:
    """What each member is told by an accepted change."""
    return {each["member"]: each["fields"] for each in accepted.messages}
