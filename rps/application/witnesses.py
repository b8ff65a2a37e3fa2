"""Who is handed the checkpoints of this log: subscriptions about CHECKPOINT.

They are told the way notices are: claimed, sent, tried again. A checkpoint covers those
before it, so what waits is replaced by what is newer, and nobody is told too often.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from rps.domain.aggregate import identity
from rps.domain.subscription import APPRISE, CHECKPOINT, EMAIL
from rps.log.checkpoint import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from psycopg import Connection

    from rps.domain.subscription import Subscription
    from rps.log.note import Note

PAUSE = timedelta(minutes=1)
PAUSES = {EMAIL: timedelta(hours=1), APPRISE: timedelta(hours=1)}
"""Between two checkpoints for the same witness; people are not told every minute."""

KEPT = timedelta(days=7)
"""What became of handing them over."""

FORGET = """
DELETE FROM notice_deliveries
WHERE subscription_id = %(subscription)s AND state <> 'waiting'
  AND settled_at < %(before)s AND content ->> 'topic' = %(topic)s
"""
HAND = """
WITH waiting AS (
    UPDATE notice_deliveries
    SET state = 'dropped', detail = 'a later checkpoint covers it', settled_at = %(now)s
    WHERE subscription_id = %(subscription)s AND state = 'waiting'
      AND delivery_id <> %(id)s AND content ->> 'topic' = %(topic)s
      AND (holder IS NULL OR leased_until < %(now)s)
    RETURNING attempts, CASE WHEN attempts > 0 THEN due_at END AS due_at
), before AS (
    SELECT max(settled_at) + %(pause)s AS due_at FROM notice_deliveries
    WHERE subscription_id = %(subscription)s AND state = 'sent'
      AND content ->> 'topic' = %(topic)s
)
INSERT INTO notice_deliveries (delivery_id, subscription_id, domain, notice_id, part,
                               state, due_at, attempts, content, made_at)
SELECT %(id)s, %(subscription)s, %(domain)s, %(notice)s, 1, 'waiting',
       greatest(%(now)s, (SELECT due_at FROM before),
                (SELECT max(due_at) FROM waiting)),
       coalesce((SELECT max(attempts) FROM waiting), 0), %(content)s::json, %(now)s
ON CONFLICT DO NOTHING
"""


def hand(
    conn: Connection[Any],
    subscriptions: Iterable[Subscription],
    note: Note,
    now: datetime,
) -> None:
    """Note that the checkpoint is to be handed to each witness."""
    said = Checkpoint.of(note.text)
    content = orjson.dumps(content_of(note, said, now)).decode()
    notice = identity("checkpoint", said.origin, str(said.size))
    for each in subscriptions:
        if each.state != "active" or CHECKPOINT not in each.about:
            continue
        about = {"subscription": each.id, "topic": CHECKPOINT, "now": now}
        conn.execute(FORGET, {**about, "before": now - KEPT})
        conn.execute(
            HAND,
            {
                **about,
                "id": identity("notice delivery", str(each.id), str(notice), "1"),
                "domain": each.domain,
                "notice": notice,
                "pause": PAUSES.get(each.kind, PAUSE),
                "content": content,
            },
        )


def content_of(note: Note, said: Checkpoint, now: datetime) -> dict[str, Any]:
    """What a witness is told: topic, subject, text, about, at, data."""
    return {
        "topic": CHECKPOINT,
        "subject": f"[rps] checkpoint of {said.origin}: {said.size:,} events",
        "text": (
            f"The log {said.origin} has {said.size:,} events. Keep the lines below on"
            " another machine: rps audit verify --checkpoint FILE compares the log with"
            f" them, now and in years.\n\n{note}"
        ),
        "about": said.origin,
        "at": now.isoformat(),
        "data": {
            "topic": CHECKPOINT,
            "origin": said.origin,
            "size": said.size,
            "checkpoint": str(note),
        },
    }
