"""SQL of the view of problems."""

from __future__ import annotations

# All entries of these correlations that have a problem: few, or none.
KNOWN = """
SELECT entry, correlation_id, fingerprint, "position", since, at, attempts, detail
FROM problems WHERE correlation_id = ANY(%b::uuid[])
"""
GROUPS = "SELECT * FROM problem_groups WHERE fingerprint = ANY(%b::text[])"
# What of the queues never changes.
PLACES_OF_MESSAGES = """
SELECT message_id, process_event, system FROM outbound_queue
WHERE message_id = ANY(%b::uuid[])
"""
PLACES_OF_CHANGES = """
SELECT c.correlation_id, c.sequence, c.process_event, c.system
FROM unnest(%b::uuid[], %b::bigint[]) AS k(correlation_id, sequence)
CROSS JOIN LATERAL (
    SELECT * FROM inbound_queue x
    WHERE (x.correlation_id, x.sequence) = (k.correlation_id, k.sequence) LIMIT 1
) c
"""

DROP = "DELETE FROM problems WHERE entry = ANY(%b::text[])"
PUT = """
INSERT INTO problems (entry, correlation_id, fingerprint, "position", since, at,
                      attempts, detail)
SELECT * FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::bigint[],
    %b::timestamptz[], %b::timestamptz[], %b::integer[], %b::text[])
ON CONFLICT (entry) DO UPDATE
SET fingerprint = EXCLUDED.fingerprint, "position" = EXCLUDED."position",
    since = EXCLUDED.since, at = EXCLUDED.at, attempts = EXCLUDED.attempts,
    detail = EXCLUDED.detail
"""
DROP_GROUPS = "DELETE FROM problem_groups WHERE fingerprint = ANY(%b::text[])"
PUT_GROUPS = """
INSERT INTO problem_groups (fingerprint, domain, queue, state, kind, process_event,
    system, member, step, field, status, pattern, entries, first_at, last_at,
    "position")
SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::integer[],
    %b::text[], %b::bigint[], %b::timestamptz[], %b::timestamptz[], %b::bigint[])
ON CONFLICT (fingerprint) DO UPDATE
SET entries = EXCLUDED.entries, first_at = EXCLUDED.first_at,
    last_at = EXCLUDED.last_at, "position" = EXCLUDED."position"
"""
