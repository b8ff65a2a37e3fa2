"""What is asked and written in every turn finds its rows by key, also while tables are
empty: its plans are made once, maybe then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from rps.log import statements
from rps.log.connection import connect
from rps.projections import inline_sql, lookup, notices_sql, problems_sql
from rps.workers import inbound, lanes, outbound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

    from rps.log.recorder import LogRecorder

MODULES = (
    *(statements, inline_sql, notices_sql, problems_sql),
    *(inbound, lanes, outbound),
)
STATEMENTS = {"lookup.LINKED": lookup.LINKED} | {
    f"{module.__name__}.{name}": sql
    for module in MODULES
    for name, sql in vars(module).items()
    if isinstance(sql, str) and re.match(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)", sql)
}
WHOLE = {
    "rps_log_head",
    "rps_events_configuration_idx",
    # What is due, or held: few.
    "lanes_in_due_idx",
    "lanes_out_due_idx",
    "lanes_holder_idx",
    # Outages that go on.
    "notices_outages_idx",
}
COMPARING = {"rps.workers.inbound.LOOK", "rps.workers.inbound.OWNERS"}
"""These compare what they found by key."""

KEYS = {
    "links": ("correlation_id", "record_id"),
    "lanes": ("correlation_id", "holder"),
    "intake": ("change_id", "idempotency_key"),
}
"""Without one of these in its condition, an index finds all rows of a domain."""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


SETTLED = """
INSERT INTO inbound_queue (correlation_id, sequence, "position", domain, definition,
    process_event, member, system, record_table, record_id, operation, change_id,
    status, captured_at)
SELECT md5((n % 2000)::text)::uuid, n, n, 'top', md5('d')::uuid, 'p', 'acme', 'acme',
       't', n % 2000, 'update', n, 'processed', now()
FROM generate_series(1, 20000) n;
INSERT INTO outbound_queue (message_id, correlation_id, sequence, place, domain,
    definition, process_event, definition_revision, member, system, record_table,
    operation, change_id, payload, status, made_at)
SELECT md5('m' || n)::uuid, md5((n % 2000)::text)::uuid, n, 0, 'top', md5('d')::uuid,
       'p', 1, 'zenith', 'zenith', 't', 'update', n, '{}', 'processed', now()
FROM generate_series(1, 20000) n;
INSERT INTO lanes (correlation_id, direction, member, domain, system)
SELECT md5(n::text)::uuid, d, CASE d WHEN 'in' THEN '' ELSE 'zenith' END, 'top',
       'zenith'
FROM generate_series(0, 1999) n, (VALUES ('in'), ('out')) v(d);
INSERT INTO links (domain, definition, member, system, record_table, record_id,
                   correlation_id)
SELECT 'top', md5('d')::uuid, m, m, 't', n, md5(n::text)::uuid
FROM generate_series(0, 1999) n, (VALUES ('acme'), ('zenith')) v(m);
INSERT INTO intake (domain, system, change_id, definition, fingerprint, correlation_id,
                    "position", request_fingerprint)
SELECT 'top', 'acme', n, md5('d')::uuid, '', md5((n % 2000)::text)::uuid, n, ''
FROM generate_series(1, 20000) n;
INSERT INTO rps_events (originator_id, originator_version, topic, state,
                        notification_id, hash)
SELECT md5((n % 2000)::text)::uuid, n / 2000 + 1, 'change.captured', '{}', n,
       sha256(n::text::bytea)
FROM generate_series(1, 20000) n;
INSERT INTO message_attachments (message_id, sha256, domain, correlation_id, member,
                                 system, name, size, waits)
SELECT md5('m' || n)::uuid, sha256(n::text::bytea)::text, 'top',
       md5((n % 2000)::text)::uuid, 'zenith', 'acme', 'x.png', 1, false
FROM generate_series(1, 20000) n;
ANALYZE
"""


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_row_is_found_by_its_key(recorder: LogRecorder, name: str) -> None:
    with connect(recorder.datastore) as conn:
        _check(name, conn)


def test_so_it_is_where_all_was_settled_when_the_tables_were_analyzed(
    recorder: LogRecorder,
) -> None:
    # A backlog that comes then must not be gone through for each lane.
    with connect(recorder.datastore) as conn:
        for statement in SETTLED.split(";"):
            conn.execute(statement.encode())
        for name in STATEMENTS:
            _check(name, conn)


def _check(name: str, conn: Connection[Any]) -> None:
    parts = STATEMENTS[name].replace("%%", "%").split("%b")
    numbered = "".join(
        part if n == len(parts) else f"{part}${n}" for n, part in enumerate(parts, 1)
    )
    # Not by psycopg, which takes $1 for a parameter of its own.
    result = conn.pgconn.exec_(
        f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered}".encode()
    )
    assert result.ntuples, result.error_message
    text = result.get_value(0, 0)
    assert text
    plan = orjson.loads(text)[0]["Plan"]
    for node in nodes(plan):
        if not {node.get("Relation Name"), node.get("Index Name")} & WHOLE:
            assert "Join Filter" not in node or name in COMPARING, (name, node)
            if "Scan" in node["Node Type"] and "Relation Name" in node:
                found_by: str = node.get("Index Cond") or node.get("Recheck Cond")
                assert found_by, (name, str(node))
                keys = KEYS.get(node["Relation Name"], ("",))
                assert any(key in found_by for key in keys), (name, str(node))
