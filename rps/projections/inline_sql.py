"""SQL of the inline views. Set-based: one array a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.log.columns import Kind

    Columns = Mapping[str, Kind]
    Kinds = tuple[Kind, ...]

LINK_COLUMNS: Columns = {
    "domain": "text",
    "definition": "uuid",
    "member": "text",
    "system": "text",
    "record_table": "text",
    "record_id": "text",
    "correlation_id": "uuid",
    "revision": "text",
}
INSERT_LINKS = """
INSERT INTO links (domain, definition, member, system, record_table, record_id,
                   correlation_id, revision)
SELECT * FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::text[], %b::text[],
                     %b::text[], %b::uuid[], %b::text[])
"""
LINK_KEY_KINDS: Kinds = ("text", "uuid", "text")
# A link is found by its correlation. Written so that no index serves the domain: while
# the table is small the planner takes all links of a domain and member for as few.
DELETE_LINKS = """
DELETE FROM links l
USING unnest(%b::text[], %b::uuid[], %b::text[]) AS g(domain, correlation_id, member)
WHERE (l.correlation_id, l.member) = (g.correlation_id, g.member)
  AND l.domain || '' = g.domain
"""
# Whose a record was, so that it opens no correlation of its own.
UNLINKED_KINDS: Kinds = ("text", "uuid", "text", "text", "uuid")
INSERT_UNLINKED = """
INSERT INTO unlinked (domain, definition, member, record_id, correlation_id)
SELECT * FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::text[], %b::uuid[])
ON CONFLICT (domain, definition, member, record_id) DO UPDATE
SET correlation_id = EXCLUDED.correlation_id
"""
# The same rule as `newer` in the domain: numbers only forward, others as they come.
# `given`: one of the revisions folded into this one was no number, so what was there
# before does not matter.
MOVE_LINKS_KINDS: Kinds = ("text", "uuid", "text", "text", "bool")
MOVE_LINKS = """
UPDATE links l SET revision = r.revision
FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::text[], %b::bool[])
     AS r(domain, correlation_id, member, revision, given)
WHERE (l.correlation_id, l.member) = (r.correlation_id, r.member)
  AND l.domain || '' = r.domain
  AND CASE WHEN NOT r.given AND l.revision ~ '^[0-9]+$'
           THEN r.revision::numeric > l.revision::numeric
           ELSE l.revision IS DISTINCT FROM r.revision END
"""

INTAKE_COLUMNS: Columns = {
    "domain": "text",
    "system": "text",
    "change_id": "text",
    "definition": "uuid",
    "idempotency_key": "text",
    "request_fingerprint": "text",
    "fingerprint": "text",
    "correlation_id": "uuid",
    "position": "bigint",
}
INSERT_INTAKE = """
INSERT INTO intake (domain, system, change_id, definition, idempotency_key,
                    request_fingerprint, fingerprint, correlation_id, "position")
SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[], %b::text[],
                     %b::text[], %b::text[], %b::uuid[], %b::bigint[])
"""

INBOUND_COLUMNS: Columns = {
    "correlation_id": "uuid",
    "sequence": "bigint",
    "position": "bigint",
    "domain": "text",
    "definition": "uuid",
    "process_event": "text",
    "member": "text",
    "system": "text",
    "record_table": "text",
    "record_id": "text",
    "operation": "text",
    "change_id": "text",
    "status": "text",
    "detail": "text",
    "captured_at": "moment",
    "settled_at": "moment",
    "waits": "bool",
}
INSERT_INBOUND = """
INSERT INTO inbound_queue (correlation_id, sequence, "position", domain, definition,
    process_event, member, system, record_table, record_id, operation, change_id,
    status, detail, captured_at, settled_at, waits)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::bigint[], %b::text[], %b::uuid[],
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[]::entry_status[], %b::text[], %b::timestamptz[], %b::timestamptz[],
    %b::bool[])
"""
INBOUND_CHANGE_COLUMNS: Columns = {
    "correlation_id": "uuid",
    "sequence": "bigint",
    "status": "text",
    "detail": "text",
    "settled_at": "moment",
    "waits": "bool",
}
CHANGE_INBOUND = """
UPDATE inbound_queue q
SET status = c.status, detail = c.detail, settled_at = c.settled_at, waits = c.waits
FROM unnest(%b::uuid[], %b::bigint[], %b::text[]::entry_status[], %b::text[],
            %b::timestamptz[], %b::bool[])
     AS c(correlation_id, sequence, status, detail, settled_at, waits)
WHERE (q.correlation_id, q.sequence) = (c.correlation_id, c.sequence)
"""

OUTBOUND_COLUMNS: Columns = {
    "message_id": "uuid",
    "correlation_id": "uuid",
    "sequence": "bigint",
    "place": "smallint",
    "domain": "text",
    "definition": "uuid",
    "process_event": "text",
    "definition_revision": "integer",
    "member": "text",
    "system": "text",
    "record_table": "text",
    "operation": "text",
    "change_id": "text",
    "replay_id": "uuid",
    "payload": "bytea",
    "generation": "integer",
    "status": "text",
    "attempts": "integer",
    "due_at": "moment",
    "detail": "text",
    "made_at": "moment",
    "settled_at": "moment",
    "answers": "bytea",
}
INSERT_OUTBOUND = """
INSERT INTO outbound_queue (message_id, correlation_id, sequence, place, domain,
    definition, process_event, definition_revision, member, system, record_table,
    operation, change_id, replay_id, payload, generation, status, attempts, due_at,
    detail, made_at, settled_at, answers)
SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::bigint[], %b::smallint[], %b::text[],
    %b::uuid[], %b::text[], %b::integer[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::uuid[], %b::bytea[], %b::integer[],
    %b::text[]::entry_status[], %b::integer[], %b::timestamptz[], %b::text[],
    %b::timestamptz[], %b::timestamptz[], %b::bytea[])
"""
OUTBOUND_CHANGE_COLUMNS: Columns = {
    "message_id": "uuid",
    "status": "text",
    "attempts": "integer",
    "sets_due": "bool",
    "due_at": "moment",
    "detail": "text",
    "settled_at": "moment",
    "generation": "integer",
    "operation": "text",
    "definition_revision": "integer",
    "payload": "bytea",
    "answers": "bytea",
}
# A NULL keeps what is there, save for due_at, which says for itself whether it is set.
CHANGE_OUTBOUND = """
UPDATE outbound_queue q
SET status = coalesce(c.status, q.status),
    attempts = coalesce(c.attempts, q.attempts),
    due_at = CASE WHEN c.sets_due THEN c.due_at ELSE q.due_at END,
    detail = coalesce(c.detail, q.detail),
    settled_at = coalesce(c.settled_at, q.settled_at),
    generation = coalesce(c.generation, q.generation),
    operation = coalesce(c.operation, q.operation),
    definition_revision = coalesce(c.definition_revision, q.definition_revision),
    payload = coalesce(c.payload, q.payload),
    answers = coalesce(c.answers, q.answers)
FROM unnest(%b::uuid[], %b::text[]::entry_status[], %b::integer[], %b::bool[],
            %b::timestamptz[], %b::text[], %b::timestamptz[], %b::integer[], %b::text[],
            %b::integer[], %b::bytea[], %b::bytea[])
     AS c(message_id, status, attempts, sets_due, due_at, detail, settled_at,
          generation, operation, definition_revision, payload, answers)
WHERE q.message_id = c.message_id
"""

FILE_COLUMNS: Columns = {
    "message_id": "uuid",
    "sha256": "text",
    "domain": "text",
    "correlation_id": "uuid",
    "member": "text",
    "system": "text",
    "name": "text",
    "size": "bigint",
    "waits": "bool",
}
PUT_FILES = """
INSERT INTO message_attachments (message_id, sha256, domain, correlation_id, member,
                                 system, name, size, waits)
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::uuid[], %b::text[],
                     %b::text[], %b::text[], %b::bigint[], %b::bool[])
ON CONFLICT (message_id, sha256) DO UPDATE SET waits = EXCLUDED.waits
"""
MARK_FILES_KINDS: Kinds = ("uuid", "bool")
MARK_FILES = """
UPDATE message_attachments f SET waits = m.waits
FROM unnest(%b::uuid[], %b::bool[]) AS m(message_id, waits)
WHERE f.message_id = m.message_id
"""

QUESTION_COLUMNS: Columns = {
    "question_id": "uuid",
    "domain": "text",
    "correlation_id": "uuid",
    "member": "text",
    "sequence": "bigint",
    "change_id": "text",
    "message_id": "uuid",
    "system": "text",
    "question": "bytea",
    "inquiry": "text",
    "asked_at": "moment",
}
PUT_QUESTIONS = """
INSERT INTO questions (question_id, domain, correlation_id, member, sequence,
                       change_id, message_id, system, question, inquiry, asked_at)
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::text[], %b::bigint[],
                     %b::text[], %b::uuid[], %b::text[], %b::bytea[], %b::text[],
                     %b::timestamptz[])
ON CONFLICT (question_id) DO UPDATE SET asked_at = EXCLUDED.asked_at
"""
DROP_QUESTIONS_KINDS: Kinds = ("uuid",)
DROP_QUESTIONS = """
DELETE FROM questions WHERE question_id = ANY(%b::uuid[])
"""

_HEAD_IN = """
LEFT JOIN LATERAL (
    SELECT q.sequence, q.status, CASE WHEN NOT q.waits THEN q.captured_at END
           AS captured_at
    FROM inbound_queue q
    WHERE q.correlation_id = t.correlation_id AND q.status IN ('ready', 'error')
    ORDER BY q.sequence LIMIT 1
) h ON true
"""
_HEAD_OUT = """
LEFT JOIN LATERAL (
    SELECT q.sequence, q.message_id, q.system, q.status,
           CASE WHEN q.status <> 'error' THEN q.due_at END AS due_at
    FROM outbound_queue q
    WHERE q.correlation_id = t.correlation_id AND q.member = t.member
      AND q.status IN ('ready', 'error', 'uncertain')
    ORDER BY q.sequence, q.place LIMIT 1
) h ON true
"""
# A lane that waits already keeps its row untouched: a backlog costs no lane writes.
LANES_IN_KINDS: Kinds = ("uuid", "text")
LANES_IN = f"""
INSERT INTO lanes AS l (correlation_id, direction, member, domain, system, head,
                        head_message, head_status, due_at)
SELECT t.correlation_id, 'in', '', t.domain, '', h.sequence, NULL, h.status,
       CASE WHEN h.status = 'ready' THEN h.captured_at END
FROM unnest(%b::uuid[], %b::text[]) AS t(correlation_id, domain)
{_HEAD_IN}
ON CONFLICT (correlation_id, direction, member) DO UPDATE
SET head = EXCLUDED.head, head_status = EXCLUDED.head_status, due_at = EXCLUDED.due_at
WHERE (l.head, l.head_status, l.due_at)
    IS DISTINCT FROM (EXCLUDED.head, EXCLUDED.head_status, EXCLUDED.due_at)
"""  # noqa: S608 - constants of this module
# A lane is its head's system's to claim: a definition may give a member another system.
LANES_OUT_KINDS: Kinds = ("uuid", "text", "text")
LANES_OUT = f"""
INSERT INTO lanes AS l (correlation_id, direction, member, domain, system, head,
                        head_message, head_status, due_at)
SELECT t.correlation_id, 'out', t.member, t.domain, coalesce(h.system, ''), h.sequence,
       h.message_id, h.status, h.due_at
FROM unnest(%b::uuid[], %b::text[], %b::text[]) AS t(correlation_id, member, domain)
{_HEAD_OUT}
ON CONFLICT (correlation_id, direction, member) DO UPDATE
SET system = EXCLUDED.system, head = EXCLUDED.head,
    head_message = EXCLUDED.head_message, head_status = EXCLUDED.head_status,
    due_at = EXCLUDED.due_at
WHERE (l.system, l.head, l.head_message, l.head_status, l.due_at)
    IS DISTINCT FROM
      (EXCLUDED.system, EXCLUDED.head, EXCLUDED.head_message, EXCLUDED.head_status,
       EXCLUDED.due_at)
"""  # noqa: S608 - constants of this module
# Lanes that are held are moved in one go with being kept or given back. One that was
# claimed since the fences were looked at undoes all: the append looks again. The key
# is joined as a whole, and `holder` is no index's: while the table is small the planner
# would read all lanes of a direction, or all that are held, for each of these.
HELD_IN_KINDS: Kinds = ("uuid", "bigint", "float8")
HELD_IN = f"""
WITH t AS (
    SELECT 'in' AS direction, '' AS member, u.*
    FROM unnest(%b::uuid[], %b::bigint[], %b::float8[])
         AS u(correlation_id, epoch, keep)
), moved AS (
    UPDATE lanes l
    SET holder = CASE WHEN t.keep IS NULL THEN NULL ELSE l.holder END,
        leased_until = clock_timestamp() + t.keep * interval '1 second',
        head = h.sequence, head_status = h.status,
        due_at = CASE WHEN h.status = 'ready' THEN h.captured_at END
    FROM t {_HEAD_IN}
    WHERE (l.correlation_id, l.direction, l.member)
        = (t.correlation_id, t.direction, t.member)
      AND l.epoch = t.epoch AND num_nonnulls(l.holder) = 1
    RETURNING 1
)
SELECT rps_lane_lost()
WHERE (SELECT count(*) FROM moved) < (SELECT count(*) FROM t)
"""  # noqa: S608 - constants of this module
HELD_OUT_KINDS: Kinds = ("uuid", "text", "bigint", "float8")
HELD_OUT = f"""
WITH t AS (
    SELECT 'out' AS direction, u.*
    FROM unnest(%b::uuid[], %b::text[], %b::bigint[], %b::float8[])
         AS u(correlation_id, member, epoch, keep)
), moved AS (
    UPDATE lanes l
    SET holder = CASE WHEN t.keep IS NULL THEN NULL ELSE l.holder END,
        leased_until = clock_timestamp() + t.keep * interval '1 second',
        system = coalesce(h.system, ''), head = h.sequence,
        head_message = h.message_id, head_status = h.status, due_at = h.due_at
    FROM t {_HEAD_OUT}
    WHERE (l.correlation_id, l.direction, l.member)
        = (t.correlation_id, t.direction, t.member)
      AND l.epoch = t.epoch AND num_nonnulls(l.holder) = 1
    RETURNING 1
)
SELECT rps_lane_lost()
WHERE (SELECT count(*) FROM moved) < (SELECT count(*) FROM t)
"""  # noqa: S608 - constants of this module
WAKE = "SELECT pg_notify(%b::text, '')"
