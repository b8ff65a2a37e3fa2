"""SQL of the view of notices."""

from __future__ import annotations

COLUMNS = (
    *("notice_id", "domain", "key", "topic", "process_event", "system", "member"),
    *("field", "fingerprint", "state", "detail", "first_at", "last_at", "count"),
    *("began_at", "seconds", "parked", "waited", "owed", "samples", "opened"),
    "position",
)

OUTAGES = """
SELECT notice_id, domain, key, topic, process_event, system, member, field, fingerprint,
       state, detail, first_at, last_at, count, began_at, seconds, parked, waited, owed,
       samples::text, opened, "position"
FROM notices WHERE state = 'open'
"""
NEWEST = """
SELECT n.notice_id, n.domain, n.key, n.topic, n.process_event, n.system, n.member,
       n.field, n.fingerprint, n.state, n.detail, n.first_at, n.last_at, n.count,
       n.began_at, n.seconds, n.parked, n.waited, n.owed, n.samples::text, n.opened,
       n."position"
FROM unnest(%b::text[], %b::text[]) AS k(domain, key)
CROSS JOIN LATERAL (
    SELECT * FROM notices x WHERE (x.domain, x.key) = (k.domain, k.key)
    ORDER BY x.opened DESC LIMIT 1
) n
"""
OWED = """
SELECT n.notice_id, n.domain, n.key, n.topic, n.process_event, n.system, n.member,
       n.field, n.fingerprint, n.state, n.detail, n.first_at, n.last_at, n.count,
       n.began_at, n.seconds, n.parked, n.waited, n.owed, n.samples::text, n.opened,
       n."position"
FROM unnest(%b::text[], %b::text[], %b::timestamptz[]) AS k(domain, system, since)
CROSS JOIN LATERAL (
    SELECT * FROM notices x
    WHERE (x.domain, x.system) = (k.domain, k.system) AND x.owed
      AND x.first_at >= k.since
    ORDER BY x.first_at LIMIT 1000
) n
"""
PUT = """
INSERT INTO notices (notice_id, domain, key, topic, process_event, system, member,
    field, fingerprint, state, detail, first_at, last_at, count, began_at, seconds,
    parked, waited, owed, samples, opened, "position")
SELECT r.notice_id, r.domain, r.key, r.topic, r.process_event, r.system, r.member,
       r.field, r.fingerprint, r.state, r.detail, r.first_at, r.last_at, r.count,
       r.began_at, r.seconds, r.parked, r.waited, r.owed, r.samples::jsonb, r.opened,
       r.pos
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::timestamptz[],
    %b::timestamptz[], %b::bigint[], %b::timestamptz[], %b::float8[], %b::bigint[],
    %b::bigint[], %b::bool[], %b::text[], %b::bigint[], %b::bigint[])
     AS r(notice_id, domain, key, topic, process_event, system, member, field,
          fingerprint, state, detail, first_at, last_at, count, began_at, seconds,
          parked, waited, owed, samples, opened, pos)
ON CONFLICT (notice_id) DO UPDATE
SET state = EXCLUDED.state, detail = EXCLUDED.detail, last_at = EXCLUDED.last_at,
    count = EXCLUDED.count, began_at = EXCLUDED.began_at, seconds = EXCLUDED.seconds,
    parked = EXCLUDED.parked, waited = EXCLUDED.waited, samples = EXCLUDED.samples,
    "position" = EXCLUDED."position"
"""
# What had been made not long before, and was not delivered by then. Looked for among
# the last events only: a rebuild shall not read the whole queue for each outage.
UNDELIVERED = """
SELECT k.pos AS "position", count(*) AS waiting
FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::timestamptz[])
     AS k(domain, system, pos, at)
JOIN outbound_queue q ON q.domain = k.domain AND q.system = k.system
  AND q.sequence < k.pos AND q.sequence > k.pos - 10000
  AND (q.settled_at IS NULL OR q.settled_at > k.at)
GROUP BY k.pos
"""
# What was said first on these streams: a system's name, a definition's, a record's.
FIRST_EVENTS = """
SELECT originator_id, state FROM rps_events
WHERE originator_id = ANY(%b::uuid[]) AND originator_version = 1
"""
