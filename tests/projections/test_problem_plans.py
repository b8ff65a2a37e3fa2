"""What is asked about problems finds its rows by key, at a million entries too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from rps.log.connection import connect
from rps.projections import problem_questions as asked
from rps.projections.questions import narrowed

if TYPE_CHECKING:
    from rps.log.recorder import LogRecorder

FILL = """
INSERT INTO problem_groups (fingerprint, domain, queue, state, kind, process_event,
    system, member, step, field, status, pattern, entries, first_at, last_at,
    "position")
SELECT 'f' || n, 'top', 'outbound', 'error', 'parked', 'p', 's', 'm', '', '', 422, '',
       200, now(), now(), n
FROM generate_series(1, 100) n;
INSERT INTO problems (entry, correlation_id, fingerprint, "position", since, at,
                      attempts, detail)
SELECT md5(n::text)::uuid, md5(n::text)::uuid, 'f' || (n % 100 + 1), n, now(), now(), 1,
       'x'
FROM generate_series(1, 20000) n;
ANALYZE
"""
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "groups": (
        asked.GROUPS + narrowed(asked.FILTERS, {"before": 50}) + asked.GROUPS_ORDER,
        {"domain": "top", "before": 50, "limit": 20},
    ),
    "group": (asked.GROUP, {"domain": "top", "fingerprint": "f7"}),
    "examples": (asked.EXAMPLES, {"fingerprints": ["f7", "f8"], "most": 3}),
    "entries": (
        asked.ENTRIES,
        {"fingerprint": "f7", "after": 5, "until": 9000, "most": 20},
    ),
    "left": (asked.LEFT, {"fingerprint": "f7", "until": 9000, "most": 100}),
    "standing outbound": (
        asked.STANDING_OUTBOUND,
        {"entries": ["0b7c7e6a-9f0e-5a52-8a52-3a1f6f7c6d99"], "details": ["x"]},
    ),
    "standing inbound": (
        asked.STANDING_INBOUND,
        {"entries": ["0b7c7e6a-9f0e-5a52-8a52-3a1f6f7c6d99:7"], "details": ["x"]},
    ),
    "started": (asked.STARTED, {}),
}


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    found = [plan] if "Relation Name" in plan else []
    for part in plan.get("Plans", ()):
        found += scans(part)
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_reads_only_what_it_answers(
    recorder: LogRecorder, name: str
) -> None:
    sql, params = QUESTIONS[name]
    with connect(recorder.datastore) as conn:
        for statement in FILL.split(";"):
            conn.execute(statement.encode())
        explained: Any = conn.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".encode(), params
        ).fetchone()
    plan = next(iter(explained.values()))
    plan = orjson.loads(plan) if isinstance(plan, str) else plan
    for scan in scans(plan[0]["Plan"]):
        known = scan.get("Index Name") == "rps_events_treatment_idx"  # few
        assert scan.get("Index Cond") or scan.get("Recheck Cond") or known, scan
        assert scan["Actual Rows"] * scan["Actual Loops"] <= 200, scan
        assert not scan.get("Rows Removed by Filter"), scan
