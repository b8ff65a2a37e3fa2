"""One try at committing a group of appends: what to ask, what follows from the answer.

No I/O: the recorder asks under the append lock and writes what is left to write.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast
from uuid import UUID

from rps.log import chain
from rps.log.append import (
    NEXT,
    Append,
    Appended,
    AppendRefused,
    ChangeIdReused,
    ConfigurationMoved,
    Duplicate,
    IntakeKey,
    LaneHeld,
    LeaseLost,
    Recorded,
    VersionTaken,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventsourcing.persistence import StoredEvent

    from rps.domain.aggregate import Event
    from rps.domain.events import ChangeCaptured
    from rps.log.append import Fence

Outcome = Appended | AppendRefused | Exception
Outcomes = list[Outcome]


class Prepared:
    """An append with its events encoded, before any lock is held."""

    __slots__ = ("append", "keys", "stored")

    def __init__(self, append: Append, stored: list[StoredEvent]) -> None:
        self.append = append
        self.stored = stored
        self.keys = [_intake_key(e) for e in append.events] if append.capture else []


_uuid = lru_cache(maxsize=4096)(UUID)
"""Definitions come again and again."""


def _intake_key(event: Event) -> IntakeKey:
    captured = cast("ChangeCaptured", event)
    return IntakeKey(
        captured.domain,
        captured.system,
        captured.change_id,
        _uuid(captured.definition),
    )


class Ground:
    """What the log said under the lock, and what the group adds to it."""

    def __init__(
        self,
        position: int,
        digest: bytes,
        configuration: int,
        versions: dict[UUID, int],
        intake: dict[IntakeKey, tuple[str, Duplicate]],
        idempotency: dict[tuple[str, str], str],
        fences: set[tuple[UUID, str, str, int]],
        held: set[tuple[UUID, str]],
    ) -> None:
        self.position, self.digest = position, digest
        self.configuration = configuration
        self.versions = versions
        self.intake = intake
        self.idempotency = idempotency
        self.fences = fences
        self.held = held


class Attempt:
    """`outcomes` are in the order of the group once it has been judged; `rows` and
    `recorded` are what is to be written, `held` the lanes to move."""

    def __init__(self, group: Sequence[Prepared]) -> None:
        self.group = group
        self.outcomes: Outcomes = []
        self.rows: list[tuple[UUID, int, str, bytes, int, bytes]] = []
        self.recorded: list[Recorded] = []
        self.held: dict[tuple[UUID, str, str], Fence] = {}
        """Lanes under whose fence something was asked: they are kept or given back,
        also by what is refused for another reason."""
        self.sent = False
        self.streams = list(
            {cast("UUID", e.originator_id): None for p in group for e in p.stored}
        )
        self.fences: list[Fence] = [p.append.fence for p in group if p.append.fence]
        self.quiet = list({lane: None for p in group for lane in p.append.quiet})
        self.intake_keys = [key for p in group for key in p.keys]
        self.idempotency_keys = list(
            {pair: None for p in group if p.append.capture for pair in _pairs(p)}
        )

    def judge(self, ground: Ground) -> None:
        """Decide about each append in turn; what is refused leaves no trace."""
        for prepared in self.group:
            try:
                self.outcomes.append(self._one(prepared, ground))
            except AppendRefused as refused:
                self.outcomes.append(refused)

    def _one(self, prepared: Prepared, ground: Ground) -> Appended:
        append = prepared.append
        if append.fence:
            if append.fence[:4] not in ground.fences:
                lane = f"{append.fence.correlation_id} {append.fence.member}"
                raise LeaseLost(f"lane {lane}")
            self.held[append.fence[:3]] = append.fence
        if not ground.held.isdisjoint(append.quiet):
            raise LaneHeld(f"{append.quiet}")
        if append.configuration is not None and (
            append.configuration < ground.configuration
        ):
            raise ConfigurationMoved(f"now at {ground.configuration}")
        again = _again(prepared, ground) if append.capture else {}
        versions = _versions(prepared, ground, again)
        if append.fence and append.fence.keep_seconds is None:
            ground.fences.discard(append.fence[:4])  # given back
        return self._placed(prepared, ground, again, versions)

    def _placed(
        self,
        prepared: Prepared,
        ground: Ground,
        again: dict[int, Duplicate | int],
        versions: list[int],
    ) -> Appended:
        events = prepared.append.events
        positions: list[int | Duplicate] = []
        for index, stored in enumerate(prepared.stored):
            known = again.get(index)
            if known is None:
                self._place(stored, events[index], versions[index], ground)
                positions.append(ground.position)
            elif isinstance(known, Duplicate):
                positions.append(known)
            else:
                first = cast("int", positions[known])
                positions.append(Duplicate(first, events[known].originator_id))
        if prepared.append.capture:
            _remember(prepared, positions, ground)
        return Appended(tuple(positions), tuple(versions))

    def _place(
        self, stored: StoredEvent, event: Event, version: int, ground: Ground
    ) -> None:
        stream = cast("UUID", stored.originator_id)
        ground.versions[stream] = version
        ground.position += 1
        ground.digest = chain.hash_of(
            ground.digest, ground.position, stream, version, stored.topic, stored.state
        )
        self.rows.append(
            (
                stream,
                version,
                stored.topic,
                stored.state,
                ground.position,
                ground.digest,
            )
        )
        self.recorded.append(Recorded(ground.position, event))


def _versions(
    prepared: Prepared, ground: Ground, again: dict[int, Duplicate | int]
) -> list[int]:
    """The version of each event, checked before any is placed."""
    upcoming: dict[UUID, int] = {}
    versions = []
    at_next = prepared.append.capture or prepared.append.fence is not None
    for index, stored in enumerate(prepared.stored):
        stream = cast("UUID", stored.originator_id)
        current = upcoming.get(stream, ground.versions[stream])
        if index not in again:
            wanted = NEXT if at_next else stored.originator_version
            if wanted not in (NEXT, current + 1):
                raise VersionTaken(f"{stream} is at {current}, not at {wanted - 1}")
            current += 1
        upcoming[stream] = current
        versions.append(current)
    return versions


def _again(prepared: Prepared, ground: Ground) -> dict[int, Duplicate | int]:
    """The changes among these that were captured before: where, or as which of these.

    Raises ChangeIdReused.
    """
    for pair, fingerprint in _pairs(prepared).items():
        if ground.idempotency.get(pair, fingerprint) != fingerprint:
            raise ChangeIdReused(
                "this Idempotency-Key was used before with another body"
            )
    found: dict[int, Duplicate | int] = {}
    here: dict[IntakeKey, int] = {}
    for index, key in enumerate(prepared.keys):
        fingerprint = cast("ChangeCaptured", prepared.append.events[index]).fingerprint
        if known := ground.intake.get(key):
            before, duplicate = known
            found[index] = duplicate
        elif (first := here.setdefault(key, index)) != index:
            before = cast("ChangeCaptured", prepared.append.events[first]).fingerprint
            found[index] = first
        else:
            continue
        if before != fingerprint:
            raise ChangeIdReused(
                f"change id {key.change_id!r} was used before for another change", index
            )
    return found


def _pairs(prepared: Prepared) -> dict[tuple[str, str], str]:
    """Idempotency keys of captures, and the fingerprint of the request they are for."""
    return {
        (captured.domain, captured.idempotency_key): captured.request_fingerprint
        for captured in cast("Sequence[ChangeCaptured]", prepared.append.events)
        if captured.idempotency_key
    }


def _remember(
    prepared: Prepared, positions: Sequence[int | Duplicate], ground: Ground
) -> None:
    """Let the rest of the group see what was just taken."""
    for key, event, position in zip(
        prepared.keys, prepared.append.events, positions, strict=True
    ):
        if not isinstance(position, Duplicate):
            ground.intake[key] = (
                cast("ChangeCaptured", event).fingerprint,
                Duplicate(position, event.originator_id),
            )
    if any(not isinstance(position, Duplicate) for position in positions):
        ground.idempotency.update(_pairs(prepared))
