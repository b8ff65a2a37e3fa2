"""What an append asks and writes finds its rows by key, also while tables are empty:
its plans are made once, maybe then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from rps.log import statements
from rps.log.connection import connect
from rps.projections import inline_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.recorder import LogRecorder

STATEMENTS = {
    f"{module.__name__}.{name}": sql
    for module in (statements, inline_sql)
    for name, sql in vars(module).items()
    if isinstance(sql, str) and re.match(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)", sql)
}
WHOLE = {"rps_log_head", "rps_events_configuration_idx"}


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
            assert "Join Filter" not in node, node
            if "Scan" in node["Node Type"] and "Relation Name" in node:
                assert node.get("Index Cond") or node.get("Recheck Cond"), node
