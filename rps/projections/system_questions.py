"""How the node and its remote systems are doing."""

from __future__ import annotations

from rps.projections.questions import Questions, Row

BREAKERS = """
SELECT system, trips, open_until, reason,
       open_until > clock_timestamp() AS is_open
FROM breakers WHERE domain = %(domain)s
"""
QUEUED = """
SELECT system, 'inbound' AS queue, status::text AS status, count(*) AS entries
FROM inbound_queue
WHERE domain = %(domain)s AND status IN ('ready', 'error') AND domain <> ''
GROUP BY system, status
UNION ALL
SELECT system, 'outbound', status::text, count(*)
FROM outbound_queue
WHERE domain = %(domain)s AND status IN ('ready', 'error', 'uncertain')
  AND domain <> ''
GROUP BY system, status
"""
PROGRESS = """
SELECT h.notification_id AS head, t.application_name AS view,
       t.notification_id AS "position"
FROM rps_log_head h LEFT JOIN rps_tracking t ON true
ORDER BY t.application_name
"""


PEERS = """
SELECT system, heard_at, said ->> 'state' AS state, said -> 'knows' AS knows
FROM peers WHERE domain = %(domain)s
"""


class SystemQuestions(Questions):
    def breakers(self, domain: str) -> dict[str, Row]:
        """The breaker of each failing system, by the system's name."""
        rows = self._ask(BREAKERS, {"domain": domain})
        return {row.pop("system"): row for row in rows}

    def peers(self, domain: str) -> dict[str, Row]:
        """What linked nodes said of themselves last, by the system's name."""
        rows = self._ask(PEERS, {"domain": domain})
        return {row.pop("system"): row for row in rows}

    def queued(self, domain: str) -> dict[str, dict[str, dict[str, int]]]:
        """Open entries of each system: {system: {queue: {status: entries}}}."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for row in self._ask(QUEUED, {"domain": domain}):
            queues = found.setdefault(row["system"], {"inbound": {}, "outbound": {}})
            queues[row["queue"]][row["status"]] = row["entries"]
        return found

    def progress(self) -> tuple[int, dict[str, int]]:
        """Where the log ends, and up to where each followed view has come."""
        rows = self._ask(PROGRESS, {})
        views = {r["view"]: r["position"] or 0 for r in rows if r["view"] is not None}
        return rows[0]["head"], views
