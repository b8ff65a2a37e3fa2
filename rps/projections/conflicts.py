"""The view of conflicts: decided by policy, or for a person to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from rps.projections.followed import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from psycopg import Connection

    from rps.projections.followed import Stored

INSERT = """
INSERT INTO conflicts ("position", domain, correlation_id, member, field, change_id,
    base, mine, theirs, policy, state, winner, value, actor, reason, opened_at,
    resolved_at)
SELECT r.pos, r.domain, r.correlation_id, r.member, r.field, r.change_id,
       r.base::jsonb, r.mine::jsonb, r.theirs::jsonb, r.policy, r.state, r.winner,
       r.value::jsonb, r.actor, r.reason, r.opened_at, r.resolved_at
FROM unnest(%b::bigint[], %b::text[], %b::uuid[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::timestamptz[], %b::timestamptz[])
     AS r(pos, domain, correlation_id, member, field, change_id, base, mine, theirs,
          policy, state, winner, value, actor, reason, opened_at, resolved_at)
"""
# One open conflict a field and member: the index over open ones finds it.
CLOSE = """
UPDATE conflicts c
SET state = r.state, value = r.value::jsonb, actor = r.actor, reason = r.reason,
    resolved_at = r.resolved_at
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
            %b::text[], %b::timestamptz[])
     AS r(correlation_id, member, field, state, value, actor, reason, resolved_at)
WHERE c.correlation_id = r.correlation_id AND c.member = r.member
  AND c.field = r.field AND c.state = 'open'
"""

Key = tuple["UUID", str, str]
Row = dict[str, Any]


class Conflicts:
    """A row each; one that is opened again before it was resolved is superseded."""

    name = "conflicts"
    tables = ("conflicts",)

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        made: list[Row] = []
        opened: dict[Key, Row] = {}
        closed: dict[Key, Row] = {}
        for each in stored:
            event = each.event
            match event.TOPIC:
                case "conflict.recorded":
                    made.append(_row(each, "decided"))
                case "conflict.opened":
                    ending = _ending("superseded", None, "", "", event.timestamp)
                    _close(event, ending, opened, closed)
                    made.append(_row(each, "open"))
                    opened[_key(event)] = made[-1]
                case "conflict.resolved":
                    ending = _ending(
                        "resolved",
                        _json(event.value),
                        event.actor,
                        event.reason,
                        event.timestamp,
                    )
                    _close(event, ending, opened, closed)
        write(conn, CLOSE, [(*key, *row.values()) for key, row in closed.items()])
        write(conn, INSERT, [tuple(row.values()) for row in made])


def _close(
    event: Any, ending: Row, opened: dict[Key, Row], closed: dict[Key, Row]
) -> None:
    """End the conflict that is open: one of this batch, or one that is in the table."""
    key = _key(event)
    if (row := opened.pop(key, None)) is not None:
        row.update(ending)
    else:
        closed.setdefault(key, ending)


def _key(event: Any) -> Key:
    return (event.originator_id, event.member, event.field)


def _ending(state: str, value: Any, actor: str, reason: str, at: Any) -> Row:
    return {
        "state": state,
        "value": value,
        "actor": actor,
        "reason": reason,
        "resolved_at": at,
    }


def _row(stored: Stored, state: str) -> Row:
    event = stored.event
    return {
        "position": stored.position,
        "domain": event.domain,
        "correlation_id": event.originator_id,
        "member": event.member,
        "field": event.field,
        "change_id": event.change_id,
        "base": _json(event.base),
        "mine": _json(event.mine),
        "theirs": _json(event.theirs),
        "policy": event.policy,
        "state": state,
        "winner": getattr(event, "winner", ""),
        "value": None,
        "actor": "",
        "reason": "",
        "opened_at": event.timestamp,
        "resolved_at": None,
    }


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
