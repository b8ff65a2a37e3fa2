"""Who came in, who failed to, and who left: facts, added to and never changed.

Failures of one kind within an hour are one row with a count, and an hour has no more
than so many rows: whoever tries passwords cannot fill the disk.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from psycopg.rows import dict_row

if TYPE_CHECKING:
    from datetime import datetime

    from eventsourcing.postgres import PostgresDatastore

    from rps.application.sessions import Came

What = Literal["signed_in", "confirmed", "failed", "held_back", "signed_out", "ended"]

KEPT_FOR = timedelta(days=400)
GROUPS_AN_HOUR = 1000
ELSEWHERE = "many"
"""The source of failures past that."""

ADD = """
INSERT INTO sign_ins
    (domain, account, what, provider, person, source, first_at, last_at)
VALUES (%(domain)s, %(account)s, %(what)s, %(provider)s, %(person)s, %(source)s,
        %(now)s, %(now)s)
"""
COUNT = """
INSERT INTO sign_ins AS s
    (domain, account, what, provider, person, source, first_at, last_at, hour)
SELECT k.domain, k.account, %(what)s, %(provider)s, '', k.source, %(now)s, %(now)s,
       %(hour)s
FROM (SELECT count(*) < %(most)s AS room FROM sign_ins WHERE hour = %(hour)s) h
CROSS JOIN LATERAL (
    SELECT CASE WHEN h.room THEN %(domain)s ELSE '' END AS domain,
           CASE WHEN h.room THEN %(account)s ELSE '' END AS account,
           CASE WHEN h.room THEN %(source)s ELSE %(elsewhere)s END AS source
) k
ON CONFLICT (hour, domain, account, what, provider, source) WHERE hour IS NOT NULL
DO UPDATE SET count = s.count + 1, last_at = EXCLUDED.last_at
"""
LATEST = """
SELECT domain, account, what, provider, person, source, first_at, last_at, count
FROM sign_ins
WHERE domain = ANY(%(domains)s) AND (%(account)s::text IS NULL OR account = %(account)s)
ORDER BY last_at DESC, id DESC LIMIT %(most)s
"""
FORGET = "DELETE FROM sign_ins WHERE last_at < %(before)s"


class SignInRecords:
    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def add(
        self, what: What, domain: str, account: str, came: Came, now: datetime
    ) -> None:
        self._run(ADD, **_named(what, domain, account, came, now))

    def count(
        self, what: What, domain: str, account: str, came: Came, now: datetime
    ) -> None:
        """One more of a kind that may be many; `account` "" for a name of nobody's."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        bounds = {"hour": hour, "most": GROUPS_AN_HOUR, "elsewhere": ELSEWHERE}
        self._run(COUNT, **_named(what, domain, account, came, now), **bounds)

    def latest(
        self, domains: list[str], most: int, account: str | None = None
    ) -> list[dict[str, Any]]:
        """Of those domains, the newest first; "" for names of nobody's."""
        return self._run(LATEST, domains=domains, account=account, most=most)

    def forget(self, now: datetime) -> None:
        self._run(FORGET, before=now - KEPT_FOR)

    def _run(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=dict_row)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []


def _named(
    what: What, domain: str, account: str, came: Came, now: datetime
) -> dict[str, Any]:
    return {
        "what": what,
        "domain": domain,
        "account": account,
        "provider": came.provider,
        "person": came.person,
        "source": came.source,
        "now": now,
    }
