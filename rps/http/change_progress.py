"""How far a change has come: one look, or as many as it takes."""

from __future__ import annotations

import re
from contextlib import ExitStack
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from rps.application.operations import NotFound
from rps.domain.plan import message_id
from rps.projections.change_questions import ChangeQuestions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.application.configuration import Configuration
    from rps.http.parts import Parts
    from rps.projections.questions import Row

PAUSE_SECONDS = 0.05
WAITERS_MAX = 8
"""Each holds a thread: more of them and nobody could hand in changes."""

MOVES_MAX = 8
_MOVED = re.compile(r"moved to ([0-9a-f-]{36})$")
_OPEN = ("ready", "uncertain")


class ChangeProgress:
    """`account` None sees the changes of all accounts of the domain."""

    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._pause = parts.pause
        self._waiters = BoundedSemaphore(WAITERS_MAX)
        self._questions = ChangeQuestions(parts.application.datastore)

    def settled(
        self,
        domain: str,
        change_id: str,
        system: str | None,
        account: str | None,
        seconds: float,
    ) -> dict[str, Any]:
        """How far it is once nothing of it is on its way, or after `seconds`; at once
        where too many wait already.

        Holds no connection while it waits. Raises NotFound.
        """
        seen = self.seen(domain, change_id, system, account)
        if not seconds or not self._waiters.acquire(blocking=False):
            return seen
        with ExitStack() as waiting:
            waiting.callback(self._waiters.release)
            for _ in range(round(seconds / PAUSE_SECONDS)):
                if seen["state"] != "waiting":
                    break
                self._pause(PAUSE_SECONDS)
                seen = self.seen(domain, change_id, system, account)
        return seen

    def seen(
        self, domain: str, change_id: str, system: str | None, account: str | None
    ) -> dict[str, Any]:
        """How far it is now: each definition's copy, with the messages made for it."""
        configuration = self._application.configuration.current
        systems = (
            [system]
            if system is not None
            else [s.name for s in configuration.systems() if s.domain == domain]
        )
        taken = self._questions.taken(domain, systems, change_id)
        keys = [
            (row["correlation_id"], row["position"])
            for row in taken
            if account is None or self._is_of(account, row["position"])
        ]
        if not keys:
            raise NotFound(f"no change {change_id!r}")
        entries = self._entries(domain, keys)
        ids = [
            each
            for entry in entries
            for each in _message_ids(configuration, entry, change_id)
        ]
        messages = self._questions.messages(domain, ids)
        return {
            "change_id": change_id,
            "state": _state(entries, messages),
            "changes": [_shown(entry, messages) for entry in entries],
        }

    def _is_of(self, account: str, position: int) -> bool:
        row = self._application.recorder.read(position - 1, 1)[0]
        event = self._application.event_mapper.to_domain_event(
            StoredEvent(row.originator_id, row.version, row.topic, row.state)
        )
        return bool(event.account == account)

    def _entries(self, domain: str, keys: list[tuple[UUID, int]]) -> list[Row]:
        """The entries at `keys`, each followed to the correlation it was moved to."""
        settled: list[Row] = []
        for _ in range(MOVES_MAX):
            moved = []
            for entry in self._questions.entries(domain, keys):
                if owner := _MOVED.search(entry["detail"]):
                    moved.append((UUID(owner[1]), entry["sequence"]))
                else:
                    settled.append(entry)
            if not moved:
                break
            keys = moved
        return settled


def _message_ids(
    configuration: Configuration, entry: Row, change_id: str
) -> Iterable[UUID]:
    """The ids of all messages the change can have made, one a member."""
    revisions = configuration.revisions.get(entry["definition"], {})
    members = {name for each in revisions.values() for name in each.members}
    for name in sorted(members):
        yield message_id(entry["correlation_id"], entry["member"], change_id, name)


def _shown(entry: Row, messages: Iterable[Row]) -> Row:
    key = entry["correlation_id"]
    own = [message for message in messages if message["correlation_id"] == key]
    hidden = ("correlation_id", "change_id")
    return {
        **{name: value for name, value in entry.items() if name != "definition"},
        "messages": [
            {name: value for name, value in message.items() if name not in hidden}
            for message in own
        ],
    }


def _state(entries: Iterable[Row], messages: Iterable[Row]) -> str:
    """In one word; what needs a person comes first, then what is still on its way."""
    statuses = {row["status"] for row in (*entries, *messages)}
    if "error" in statuses:
        return "error"
    if statuses.intersection(_OPEN):
        return "waiting"
    told = {message["status"] for message in messages}
    if told:
        return "delivered" if "processed" in told else "skipped"
    if any(entry["detail"] == "accepted" for entry in entries):
        return "accepted"
    return "skipped" if statuses == {"skipped"} else "ignored"
