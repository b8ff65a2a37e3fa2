"""SQL of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rps.log.columns import Kind

CONFIGURATION = (
    "topic LIKE 'definition.%%' OR topic LIKE 'system.%%'"
    " OR topic LIKE 'account.%%' OR topic LIKE 'domain.%%'"
)
"""Events every process follows; the partial index of the migration says the same."""

LOCK = "SELECT pg_advisory_xact_lock(%b::bigint)"
# A statement of its own after the lock: it has to see what the last holder committed.
GROUND = f"""
SELECT h.notification_id, h.hash,
       (SELECT coalesce(max(notification_id), 0) FROM rps_events WHERE {CONFIGURATION}),
       ARRAY(SELECT coalesce((SELECT max(e.originator_version) FROM rps_events e
                              WHERE e.originator_id = s.id), 0)
             FROM unnest(%b::uuid[]) WITH ORDINALITY AS s(id, place) ORDER BY s.place)
FROM rps_log_head h
"""  # noqa: S608 - constants of this module
INTAKE_KINDS: tuple[Kind, ...] = ("text", "text", "text", "uuid")
INTAKE = """
SELECT i.domain, i.system, i.change_id, i.definition, i.fingerprint, i.position,
       i.correlation_id
FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[])
       AS k(domain, system, change_id, definition)
JOIN intake i USING (domain, system, change_id, definition)
"""
KEY_KINDS: tuple[Kind, ...] = ("text", "text")
KEYS = """
SELECT DISTINCT i.domain, i.idempotency_key, i.request_fingerprint
FROM unnest(%b::text[], %b::text[]) AS k(domain, idempotency_key)
JOIN intake i USING (domain, idempotency_key)
"""
FENCE_KINDS: tuple[Kind, ...] = ("uuid", "text", "text", "bigint")
# Nothing is locked: the views move these lanes under the same fence, or give up.
FENCES = """
SELECT l.correlation_id, l.direction, l.member, l.epoch
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::bigint[])
       AS f(correlation_id, direction, member, epoch)
JOIN lanes l USING (correlation_id, direction, member, epoch)
WHERE num_nonnulls(l.holder) = 1  -- not by the index of those held
"""
HELD_KINDS: tuple[Kind, ...] = ("uuid", "text")
# Locks the lanes, so that nobody claims them before this transaction has ended.
HELD = """
WITH q AS MATERIALIZED (
    SELECT 'out' AS direction, u.*
    FROM unnest(%b::uuid[], %b::text[]) AS u(correlation_id, member)
)
SELECT l.correlation_id, l.member,
       l.holder IS NOT NULL OR l.head_status IS NOT DISTINCT FROM 'uncertain'
FROM lanes l JOIN q USING (correlation_id, direction, member)
FOR UPDATE OF l
"""
EVENT_KINDS: tuple[Kind, ...] = ("uuid", "bigint", "text", "bytea", "bigint", "bytea")
INSERT = """
WITH inserted AS (
    INSERT INTO rps_events
        (originator_id, originator_version, topic, state, notification_id, hash)
    SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[],
                         %b::bigint[], %b::bytea[])
), moved AS (
    UPDATE rps_log_head SET notification_id = %b, hash = %b
)
SELECT pg_notify(%b, '')
"""
IS_COMMITTED = "SELECT 1 FROM rps_events WHERE notification_id = %b AND hash = %b"
FOLLOW_CONFIGURATION = f"""
SELECT originator_id, originator_version, topic, state, notification_id
FROM rps_events WHERE ({CONFIGURATION}) AND notification_id > %b
ORDER BY notification_id
"""  # noqa: S608 - constants of this module
FOLLOW_STREAMS = """
SELECT e.originator_id, e.originator_version, e.topic, e.state, e.notification_id
FROM unnest(%b::uuid[], %b::bigint[]) AS s(id, version)
JOIN rps_events e ON e.originator_id = s.id AND e.originator_version > s.version
ORDER BY e.originator_id, e.originator_version
"""
READ = """
SELECT notification_id, originator_id, originator_version, topic, state, hash
FROM rps_events WHERE notification_id > %b ORDER BY notification_id LIMIT %b
"""
GENESIS = """
SELECT hash FROM rps_events WHERE notification_id > 0 ORDER BY notification_id LIMIT 1
"""
HEAD = "SELECT notification_id, hash FROM rps_log_head"
