"""SQL of the followed views."""

from __future__ import annotations

WORDS_MAX = 4_000
"""Characters of a correlation that can be searched."""

INSERT_HISTORY = """
INSERT INTO history ("position", domain, stream, version, at, topic, member, change_id,
                     message_id, actor, detail)
SELECT * FROM unnest(%b::bigint[], %b::text[], %b::uuid[], %b::bigint[],
    %b::timestamptz[], %b::text[], %b::text[], %b::text[], %b::uuid[] /* uuid_text */,
    %b::text[], %b::text[])
"""

SELECT_CORRELATIONS = """
SELECT correlation_id, domain, definition, process_event, state, version,
       fields::text, members::text, conflicts, opened_at, changed_at, "position"
FROM correlations WHERE correlation_id = ANY(%b)
"""
UPSERT_CORRELATIONS = """
INSERT INTO correlations AS c (correlation_id, domain, definition, process_event, state,
    version, fields, members, conflicts, opened_at, changed_at, "position", words)
SELECT r.correlation_id, r.domain, r.definition, r.process_event, r.state, r.version,
       r.fields::jsonb, r.members::jsonb, r.conflicts, r.opened_at, r.changed_at,
       r.pos, to_tsvector('simple', r.words)
FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::text[], %b::text[], %b::bigint[],
    %b::text[], %b::text[], %b::integer[], %b::timestamptz[], %b::timestamptz[],
    %b::bigint[], %b::text[])
     AS r(correlation_id, domain, definition, process_event, state, version, fields,
          members, conflicts, opened_at, changed_at, pos, words)
ON CONFLICT (correlation_id) DO UPDATE
SET state = EXCLUDED.state, version = EXCLUDED.version, fields = EXCLUDED.fields,
    members = EXCLUDED.members, conflicts = EXCLUDED.conflicts,
    changed_at = EXCLUDED.changed_at, "position" = EXCLUDED."position",
    words = EXCLUDED.words
"""

SELECT_SYSTEMS = """
SELECT system_id AS id, domain, name, connector, description, settings::text, state,
       fault, version, changed_at
FROM remote_systems WHERE system_id = ANY(%b)
"""
UPSERT_SYSTEMS = """
INSERT INTO remote_systems (system_id, domain, name, connector, description, settings,
                            state, fault, version, changed_at)
SELECT r.system_id, r.domain, r.name, r.connector, r.description, r.settings::jsonb,
       r.state, r.fault, r.version, r.changed_at
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
            %b::text[], %b::text[], %b::bigint[], %b::timestamptz[])
     AS r(system_id, domain, name, connector, description, settings, state, fault,
          version, changed_at)
ON CONFLICT (system_id) DO UPDATE
SET description = EXCLUDED.description, settings = EXCLUDED.settings,
    state = EXCLUDED.state, fault = EXCLUDED.fault, version = EXCLUDED.version,
    changed_at = EXCLUDED.changed_at
"""

SELECT_DEFINITIONS = """
SELECT definition_id AS id, domain, process_event, state = 'retired' AS retired,
       revision, document::text, published::text, version, changed_at
FROM definitions WHERE definition_id = ANY(%b)
"""
UPSERT_DEFINITIONS = """
INSERT INTO definitions (definition_id, domain, process_event, state, revision,
                         document, published, version, changed_at)
SELECT r.definition_id, r.domain, r.process_event, r.state, r.revision,
       r.document::jsonb, r.published::jsonb, r.version, r.changed_at
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::integer[], %b::text[],
            %b::text[], %b::bigint[], %b::timestamptz[])
     AS r(definition_id, domain, process_event, state, revision, document, published,
          version, changed_at)
ON CONFLICT (definition_id) DO UPDATE
SET state = EXCLUDED.state, revision = EXCLUDED.revision, document = EXCLUDED.document,
    published = EXCLUDED.published, version = EXCLUDED.version,
    changed_at = EXCLUDED.changed_at
"""

INSERT_ATTEMPTS = """
INSERT INTO attempts ("position", message_id, correlation_id, domain, member, attempt,
                      at, outcome, status, detail)
SELECT * FROM unnest(%b::bigint[], %b::uuid[] /* uuid_text */, %b::uuid[], %b::text[],
    %b::text[], %b::integer[], %b::timestamptz[], %b::text[], %b::integer[], %b::text[])
"""

COUNTED = (
    "captured",
    "accepted",
    "ignored",
    "failed_changes",
    "acknowledged",
    "failed_attempts",
    "parked",
    "conflicts",
)
ADD_STATISTICS = """
INSERT INTO statistics AS s (domain, member, minute, captured, accepted, ignored,
    failed_changes, acknowledged, failed_attempts, parked, conflicts)
SELECT * FROM unnest(%b::text[], %b::text[], %b::timestamptz[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[])
ON CONFLICT (domain, member, minute) DO UPDATE
SET captured = s.captured + EXCLUDED.captured,
    accepted = s.accepted + EXCLUDED.accepted,
    ignored = s.ignored + EXCLUDED.ignored,
    failed_changes = s.failed_changes + EXCLUDED.failed_changes,
    acknowledged = s.acknowledged + EXCLUDED.acknowledged,
    failed_attempts = s.failed_attempts + EXCLUDED.failed_attempts,
    parked = s.parked + EXCLUDED.parked,
    conflicts = s.conflicts + EXCLUDED.conflicts
"""
