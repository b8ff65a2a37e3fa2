"""The view of notices: what people may want to be told of, in groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from rps.domain.fingerprint import Place, fault_of
from rps.domain.notice import (
    CONFLICT,
    DEFINITION,
    DETAIL_MAX,
    FLOW,
    GATHER,
    OSCILLATION,
    TRIPPED,
    Grouping,
    Happening,
    Notice,
    is_owed,
)
from rps.log.columns import columns
from rps.projections import notices_sql as sql
from rps.projections.followed import write
from rps.projections.problems import entry_of_change, places_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from psycopg import Connection

    from rps.log.columns import Kind
    from rps.projections.followed import Stored

FAULTS = {"message.parked", "change.failed"}
SYSTEMS = {"system.tripped", "system.recovered", "system.activated"}
DEFINITIONS = {"definition.published", "definition.retired"}
NAMED = SYSTEMS | DEFINITIONS | {"conflict.opened"}
"""Whose first event says what they are about."""

TOPICS = NAMED | FAULTS | {FLOW}
MAKING = {
    "change.accepted",
    "conflict.resolved",
    "correlation.relinked",
    "correlation.reactivated",
    "message.replayed",
}
"""Events that make messages."""


class Notices:
    """A row for each story; its newest row takes what goes on with it."""

    name = "notices"
    tables = ("notices",)

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        mine = [each for each in stored if each.event.TOPIC in TOPICS]
        making = [each for each in stored if each.event.TOPIC in MAKING]
        if not mine and not making:
            return
        known = list(_notices(conn, sql.OUTAGES))
        if not mine and not known:
            return
        said = dict(_said(conn, mine))
        happenings = [seen for seen in said.values() if seen is not None]
        known += _recalled(conn, happenings, known)
        grouping = Grouping(known)
        for each in stored:
            if each.event.TOPIC in MAKING:
                _count_made(grouping, each)
            elif each.event.TOPIC == "system.activated":
                name = said[each.position]
                if name is not None:
                    grouping.activated(name.domain, name.system, each.position)
            elif (seen := said.get(each.position)) is not None:
                grouping.take(seen)
        write(conn, sql.PUT, [_row(notice) for notice in grouping.changed])


def _count_made(grouping: Grouping, stored: Stored) -> None:
    if not grouping.has_outages:
        return
    event = stored.event
    messages = [event.message] if event.TOPIC == "message.replayed" else event.messages
    for system, count in Counter(each["system"] for each in messages).items():
        grouping.made(event.domain, system, count, stored.position)


# --- what events say ----------------------------------------------------------------


def _said(
    conn: Connection[Any], mine: Sequence[Stored]
) -> Iterator[tuple[int, Happening | None]]:
    """What each of these tells people, by position."""
    faults = [each.event for each in mine if each.event.TOPIC in FAULTS]
    places = places_of(conn, faults)
    named = {e.event.originator_id for e in mine if e.event.TOPIC in NAMED}
    firsts = _firsts(conn, named)
    waiting = _waiting(conn, mine, firsts)
    for each in mine:
        if each.event.TOPIC in FAULTS:
            yield each.position, _of_fault(each, places)
        elif each.event.TOPIC == FLOW:
            yield each.position, _of_flow(each)
        else:
            first = firsts.get(each.event.originator_id, {})
            seen = _of_named(each, first)
            if each.position in waiting:
                seen = replace(seen, waiting=waiting[each.position])
            yield each.position, seen


def _of_fault(stored: Stored, places: Mapping[str, Place]) -> Happening | None:
    event = stored.event
    if event.TOPIC == "change.failed":
        entry = entry_of_change(event.originator_id, event.sequence)
        subject: dict[str, Any] = {"sequence": event.sequence}
    else:
        entry = str(event.message_id)
        subject = {"message_id": entry}
    fault = fault_of(event, places.get(entry, Place()))
    if fault is None:
        return None
    return Happening(
        topic=event.TOPIC,
        domain=event.domain,
        position=stored.position,
        at=event.timestamp,
        process_event=fault.process_event,
        system=fault.system,
        member=fault.member,
        field=fault.field,
        fingerprint=fault.fingerprint,
        detail=event.detail,
        subject={
            "correlation_id": str(event.originator_id),
            **subject,
            "detail": event.detail[:DETAIL_MAX],
        },
        owed=event.TOPIC == "message.parked" and is_owed(fault, event.detail),
    )


def _of_flow(stored: Stored) -> Happening:
    event = stored.event
    return Happening(
        topic=FLOW,
        domain=event.domain,
        position=stored.position,
        at=event.timestamp,
        process_event=event.process_event,
        member=event.member,
        field=event.step,
        detail=event.text,
        subject={
            "correlation_id": str(event.originator_id),
            "step": event.step,
            "text": event.text[:DETAIL_MAX],
        },
    )


def _of_named(stored: Stored, first: Mapping[str, Any]) -> Happening:
    event = stored.event
    topic, more = event.TOPIC, _about_system(event, first)
    if topic == "conflict.opened":
        topic = OSCILLATION if event.policy == OSCILLATION else CONFLICT
        more = _about_conflict(event, first)
    elif topic in DEFINITIONS:
        topic, more = DEFINITION, _about_definition(event, first)
    return Happening(topic, event.domain, stored.position, event.timestamp, **more)


def _about_system(event: Any, first: Mapping[str, Any]) -> dict[str, Any]:
    return {"system": first.get("name", ""), "detail": getattr(event, "reason", "")}


def _about_conflict(event: Any, first: Mapping[str, Any]) -> dict[str, Any]:
    # Its values stay here: who is told may not be who may read them.
    return {
        "process_event": first.get("process_event", ""),
        "member": event.member,
        "field": event.field,
        "detail": f"{event.field} at {event.member}, policy {event.policy}",
        "subject": {
            "correlation_id": str(event.originator_id),
            "member": event.member,
            "field": event.field,
        },
    }


def _about_definition(event: Any, first: Mapping[str, Any]) -> dict[str, Any]:
    name = first.get("process_event", "")
    if event.TOPIC == "definition.retired":
        did = f"retired by {event.actor}: {event.reason}"
    elif event.rolled_back_to is not None:
        did = (
            f"rolled back to revision {event.rolled_back_to}, as revision"
            f" {event.revision}, by {event.actor}: {event.reason}"
        )
    else:
        did = f"revision {event.revision} published by {event.actor}"
    return {
        "process_event": name,
        "detail": did,
        "subject": {"process_event": name, "detail": did[:DETAIL_MAX]},
    }


def _waiting(
    conn: Connection[Any],
    mine: Sequence[Stored],
    firsts: Mapping[UUID, Mapping[str, Any]],
) -> dict[int, int]:
    """What had not been delivered to systems when they tripped, by position."""
    tripped = []
    for position, _, event in mine:
        if event.TOPIC == TRIPPED:
            name = firsts.get(event.originator_id, {}).get("name", "")
            tripped.append((event.domain, name, position, event.timestamp))
    if not tripped:
        return {}
    asked = columns(("text", "text", "bigint", "moment"), tripped)
    rows = conn.execute(sql.UNDELIVERED, asked, prepare=True)
    return {row["position"]: row["waiting"] for row in rows}


def _firsts(conn: Connection[Any], streams: set[UUID]) -> dict[UUID, dict[str, Any]]:
    if not streams:
        return {}
    rows = conn.execute(sql.FIRST_EVENTS, (sorted(streams),), prepare=True)
    return {row["originator_id"]: orjson.loads(row["state"]) for row in rows}


# --- rows ---------------------------------------------------------------------------


def _recalled(
    conn: Connection[Any], seen: Sequence[Happening], known: Sequence[Notice]
) -> list[Notice]:
    """The newest notices of these keys, and what was owed to systems that trip."""
    have = {notice.notice_id for notice in known}
    found: dict[UUID, Notice] = {}

    def recall(statement: str, kinds: Sequence[Kind], asked: set[Any]) -> None:
        if asked:
            params = columns(kinds, sorted(asked))
            for notice in _notices(conn, statement, params):
                found[notice.notice_id] = notice

    tripped = {(e.domain, e.system, e.at - GATHER) for e in seen if e.topic == TRIPPED}
    recall(sql.OWED, ("text", "text", "moment"), tripped)
    recall(sql.NEWEST, ("text", "text"), {(each.domain, each.key) for each in seen})
    return [each for key, each in found.items() if key not in have]


def _notices(
    conn: Connection[Any], statement: str, params: Sequence[Any] = ()
) -> Iterator[Notice]:
    for row in conn.execute(statement, params, prepare=True):
        yield notice_of(row)


def notice_of(row: Mapping[str, Any]) -> Notice:
    """From a row whose samples are still text."""
    told = {name: row[name] for name in sql.COLUMNS}
    return Notice(**{**told, "samples": orjson.loads(row["samples"])})


def _row(notice: Notice) -> tuple[Any, ...]:
    told = {name: getattr(notice, name) for name in sql.COLUMNS}
    told["samples"] = orjson.dumps(notice.samples).decode()
    return tuple(told.values())
