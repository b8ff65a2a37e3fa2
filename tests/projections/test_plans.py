"""What is asked and written in every turn finds its rows by key, also while tables are
empty: its plans are made once, maybe then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from rps.log import statements
from rps.log.connection import connect
from rps.projections import inline_sql, lookup
from rps.workers import inbound, lanes, outbound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.recorder import LogRecorder

MODULES = (statements, inline_sql, inbound, lanes, outbound)
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


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_row_is_found_by_its_key(recorder: LogRecorder, name: str) -> None:
    parts = STATEMENTS[name].replace("%%", "%").split("%b")
    numbered = "".join(
        part if n == len(parts) else f"{part}${n}" for n, part in enumerate(parts, 1)
    )
    with connect(recorder.datastore) as conn:
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
            assert "Join Filter" not in node or name in COMPARING, node
            if "Scan" in node["Node Type"] and "Relation Name" in node:
                found_by: str = node.get("Index Cond") or node.get("Recheck Cond")
                assert found_by, str(node)
                keys = KEYS.get(node["Relation Name"], ("",))
                assert any(key in found_by for key in keys), str(node)
