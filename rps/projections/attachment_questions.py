"""Which messages carry which files, which are missing, and where they can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from rps.projections.questions import Questions, Row

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

NAME = """
SELECT name FROM message_attachments
WHERE (domain, sha256) = (%(domain)s, %(sha256)s) LIMIT 1
"""
OFFERED = """
SELECT f.name FROM message_attachments f JOIN outbound_queue q USING (message_id)
WHERE (f.domain, f.sha256) = (%(domain)s, %(sha256)s) AND q.system = %(system)s
LIMIT 1
"""
# Messages that wait for files: nobody can have sent them.
WAITING: LiteralString = """
FROM message_attachments f
JOIN outbound_queue q ON q.message_id = f.message_id
 AND q.status = 'ready' AND q.due_at IS NULL
LEFT JOIN blobs b ON (b.domain, b.sha256) = (f.domain, f.sha256)
WHERE f.waits
"""
RELEASABLE = f"""
SELECT f.message_id, f.correlation_id
{WAITING}
GROUP BY f.message_id, f.correlation_id
HAVING bool_and(coalesce(b.complete AND b.size = f.size, false))
ORDER BY f.message_id LIMIT %(most)s
"""
# Whole, and right, but of another size than was offered: somebody is mistaken.
CONTRADICTED = f"""
SELECT f.message_id, f.correlation_id, f.name, f.size, f.system, b.size AS here
{WAITING} AND b.complete AND b.size <> f.size
ORDER BY f.message_id LIMIT %(most)s
"""
# Small ones first: a screenshot does not wait for a film.
WANTED = f"""
SELECT DISTINCT f.size, f.domain, f.sha256, f.system, f.name,
       coalesce(b.attempts, 0) AS attempts
{WAITING}
  AND NOT coalesce(b.complete, false)
  AND coalesce(b.due_at, now()) <= now()
  AND (b.holder IS NULL OR b.leased_until < clock_timestamp())
  AND NOT EXISTS (
      SELECT FROM breakers x
      WHERE (x.domain, x.system) = (f.domain, f.system) AND x.open_until > now()
  )
  AND (f.domain, f.system) IN (SELECT * FROM unnest(%(domains)s::text[],
                                                    %(systems)s::text[]))
ORDER BY f.size LIMIT %(most)s
"""  # noqa: S608
WAITING_FOR = f"""
SELECT f.message_id, f.correlation_id
{WAITING}
  AND (f.domain, f.sha256, f.system, f.size)
    = (%(domain)s, %(sha256)s, %(system)s, %(size)s)
"""
# What the files of one message wait for, for people.
STANDING = """
SELECT f.name, f.size, f.system, coalesce(b.stored, 0) AS stored,
       coalesce(b.complete, false) AS complete, coalesce(b.attempts, 0) AS attempts,
       b.due_at, coalesce(b.detail, '') AS detail
FROM message_attachments f
LEFT JOIN blobs b ON (b.domain, b.sha256) = (f.domain, f.sha256)
WHERE f.message_id = %(message_id)s AND f.waits
ORDER BY f.name
"""


class AttachmentQuestions(Questions):
    def name_of(self, domain: str, sha256: str) -> str:
        """One of the names it was offered under; empty where nobody did."""
        rows = self._ask(NAME, {"domain": domain, "sha256": sha256})
        return str(rows[0]["name"]) if rows else ""

    def offered_to(self, domain: str, system: str, sha256: str) -> str | None:
        """One of the names that a system was told of it under; None: it was not."""
        asked = {"domain": domain, "system": system, "sha256": sha256}
        rows = self._ask(OFFERED, asked)
        return str(rows[0]["name"]) if rows else None

    def releasable(self, most: int) -> list[Row]:
        """Messages whose files have come."""
        return self._ask(RELEASABLE, {"most": most})

    def contradicted(self, most: int) -> list[Row]:
        """Messages that carry a file of another size than it has."""
        return self._ask(CONTRADICTED, {"most": most})

    def wanted(self, systems: Collection[tuple[str, str]], most: int) -> list[Row]:
        """Files to pull now from these (domain, system)."""
        domains, names = zip(*systems, strict=True) if systems else ((), ())
        asked = {"domains": list(domains), "systems": list(names), "most": most}
        return self._ask(WANTED, asked)

    def waiting_for(
        self, domain: str, sha256: str, system: str, size: int
    ) -> list[Row]:
        """Messages that wait for this file as that system offered it."""
        asked = {"domain": domain, "sha256": sha256, "system": system, "size": size}
        return self._ask(WAITING_FOR, asked)

    def standing(self, message_id: UUID) -> list[Row]:
        """How far the files are that the message waits for."""
        return self._ask(STANDING, {"message_id": message_id})
