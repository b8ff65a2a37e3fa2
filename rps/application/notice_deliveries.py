"""What is to be told to whom: planned from the notices, claimed, settled.

Operational state, written beside the log. A delivery's id follows from subscription,
notice and part, and its content is fixed before it is first sent: whoever tries again
sends the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from psycopg.rows import dict_row

from rps.domain.aggregate import identity
from rps.domain.notice import FOLDED, Part, next_part
from rps.domain.telling import data_of, place_of, subject_of, text_of
from rps.log.columns import columns, register
from rps.projections.notices import notice_of
from rps.projections.notices_sql import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from eventsourcing.postgres import PostgresDatastore
    from psycopg import Cursor

    from rps.domain.notice import Notice
    from rps.domain.subscription import Subscription
    from rps.log.columns import Kind

LEASE = timedelta(minutes=2)
"""Longer than an attempt takes, so that who sends needs no heartbeat."""

NOTICES = 200

PLANNED = 'SELECT "position" FROM notice_planning FOR UPDATE SKIP LOCKED'
_SHOWN = ", ".join(
    "samples::text" if name == "samples" else f'"{name}"' for name in COLUMNS
)
CHANGED = f"""
SELECT {_SHOWN} FROM notices WHERE "position" > %b
ORDER BY "position" FETCH FIRST {NOTICES} ROWS WITH TIES
"""  # noqa: S608 - names of our own
# Locked: whoever fixes the content of one has read its notice before or after us.
LAST_PARTS = """
SELECT subscription_id, notice_id, part, due_at, told,
       content IS NOT NULL OR state <> 'waiting' AS fixed
FROM notice_deliveries d
WHERE notice_id = ANY(%b::uuid[]) AND part = (
    SELECT max(part) FROM notice_deliveries x
    WHERE (x.notice_id, x.subscription_id) = (d.notice_id, d.subscription_id)
)
FOR UPDATE
"""
ADD = """
INSERT INTO notice_deliveries (delivery_id, subscription_id, domain, notice_id, part,
                               state, due_at, made_at)
SELECT r.id, r.subscription, r.domain, r.notice, r.part, 'waiting', r.due_at, r.made_at
FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::uuid[], %b::integer[],
            %b::timestamptz[], %b::timestamptz[])
     AS r(id, subscription, domain, notice, part, due_at, made_at)
ON CONFLICT DO NOTHING
"""
DROP_FOLDED = """
UPDATE notice_deliveries
SET state = 'dropped', detail = 'told with the outage', settled_at = %b
WHERE notice_id = ANY(%b::uuid[]) AND state = 'waiting' AND content IS NULL
"""
MOVE = 'UPDATE notice_planning SET "position" = %b'

CLAIM = """
UPDATE notice_deliveries d
SET holder = %(holder)s, leased_until = %(until)s, epoch = d.epoch + 1
WHERE delivery_id IN (
    SELECT delivery_id FROM notice_deliveries
    WHERE state = 'waiting' AND due_at <= %(now)s
      AND (holder IS NULL OR leased_until < %(now)s)
    ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
RETURNING delivery_id, subscription_id, domain, notice_id, part, epoch, attempts, told,
          content::text
"""
SHOWN = f"SELECT {_SHOWN} FROM notices WHERE notice_id = ANY(%(ids)s)"  # noqa: S608
TOLD = """
SELECT coalesce(max(told), 0) AS told FROM notice_deliveries
WHERE subscription_id = %(subscription)s AND notice_id = %(notice)s
"""
FIX = """
UPDATE notice_deliveries SET content = %(content)s::json, told = %(told)s
WHERE delivery_id = %(id)s
"""
SETTLE = """
UPDATE notice_deliveries
SET state = %(state)s, attempts = %(attempts)s, detail = %(detail)s,
    due_at = coalesce(%(due_at)s, due_at), settled_at = %(settled_at)s,
    holder = NULL, leased_until = NULL
WHERE delivery_id = %(id)s AND epoch = %(epoch)s AND state = 'waiting'
"""


@dataclass(frozen=True, slots=True)
class Content:
    """What every attempt says. `at` is of the last happening told of."""

    topic: str
    subject: str
    text: str
    about: str
    at: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours to send."""

    delivery_id: UUID
    subscription: Subscription
    epoch: int
    attempts: int
    content: Content


class NoticeDeliveries:
    """`public_url`: where people reach this node, "" where nobody said."""

    def __init__(self, datastore: PostgresDatastore, public_url: str = "") -> None:
        self._datastore = datastore
        self._public_url = public_url.rstrip("/")

    def plan(
        self,
        subscriptions: Sequence[Subscription],
        concerns: Callable[[Subscription, Notice], bool],
        now: datetime,
    ) -> int:
        """Note what is to be told of notices that changed; answers of how many. 0
        where another notifier is at it."""
        with self._datastore.get_connection() as conn, conn.transaction():
            register(conn)
            cursor = conn.cursor(row_factory=dict_row)
            place = cursor.execute(PLANNED, (), prepare=True).fetchone()
            if place is None:
                return 0
            cursor.execute(CHANGED, (place["position"],), prepare=True)
            notices = [notice_of(row) for row in cursor.fetchall()]
            if notices:
                self._plan(cursor, notices, subscriptions, concerns, now)
                cursor.execute(MOVE, (notices[-1].position,), prepare=True)
            return len(notices)

    def _plan(
        self,
        cursor: Cursor[Any],
        notices: Sequence[Notice],
        subscriptions: Sequence[Subscription],
        concerns: Callable[[Subscription, Notice], bool],
        now: datetime,
    ) -> None:
        keys = [notice.notice_id for notice in notices]
        cursor.execute(LAST_PARTS, (keys,), prepare=True)
        parts = {
            (row["subscription_id"], row["notice_id"]): Part(
                row["part"], row["due_at"], row["told"], row["fixed"]
            )
            for row in cursor.fetchall()
        }
        added = []
        for notice in notices:
            for subscription in subscriptions:
                if not concerns(subscription, notice):
                    continue
                last = parts.get((subscription.id, notice.notice_id))
                if due := next_part(notice, last, now):
                    added.append(_row(subscription, notice, *due, now))
        if added:
            kinds: tuple[Kind, ...] = (
                "uuid",
                "uuid",
                "text",
                "uuid",
                "integer",
                "moment",
                "moment",
            )
            cursor.execute(ADD, columns(kinds, added), prepare=True)
        folded = [each.notice_id for each in notices if each.state == FOLDED]
        if folded:
            cursor.execute(DROP_FOLDED, (now, folded), prepare=True)

    def claim(
        self,
        subscriptions: Iterable[Subscription],
        holder: str,
        most: int,
        now: datetime,
    ) -> list[Claimed]:
        """Deliveries that are due, with what they say; those of nobody are dropped."""
        active = {each.id: each for each in subscriptions if each.state == "active"}
        asked = {"holder": holder, "until": now + LEASE, "now": now, "most": most}
        with self._datastore.get_connection() as conn, conn.transaction():
            cursor = conn.cursor(row_factory=dict_row)
            rows = cursor.execute(CLAIM, asked, prepare=True).fetchall()
            notices = self._notices(cursor, rows)
            claimed = []
            for row in rows:
                subscription = active.get(row["subscription_id"])
                content = self._content(cursor, row, notices)
                if subscription is None or content is None:
                    _drop(cursor, row, now)
                else:
                    key, epoch = row["delivery_id"], row["epoch"]
                    tried = row["attempts"]
                    claimed.append(Claimed(key, subscription, epoch, tried, content))
            return claimed

    def _notices(
        self, cursor: Cursor[Any], rows: Sequence[Mapping[str, Any]]
    ) -> dict[UUID, Notice]:
        keys = [row["notice_id"] for row in rows if row["content"] is None]
        if not keys:
            return {}
        cursor.execute(SHOWN, {"ids": keys}, prepare=True)
        return {row["notice_id"]: notice_of(row) for row in cursor.fetchall()}

    def _content(
        self,
        cursor: Cursor[Any],
        row: Mapping[str, Any],
        notices: Mapping[UUID, Notice],
    ) -> Content | None:
        """What it says, fixed from now on; None where there is nothing to say."""
        if row["content"] is not None:
            return Content(**orjson.loads(row["content"]))
        notice = notices.get(row["notice_id"])
        if notice is None or notice.state == FOLDED:
            return None
        about = {"subscription": row["subscription_id"], "notice": notice.notice_id}
        told = cursor.execute(TOLD, about, prepare=True).fetchone()
        content = self.content(notice, notice.count - told["told"] if told else 0)
        written = {"content": orjson.dumps(content).decode(), "told": notice.count}
        cursor.execute(FIX, {**written, "id": row["delivery_id"]}, prepare=True)
        return content

    def content(self, notice: Notice, new: int) -> Content:
        link = f"{self._public_url}/v1/{place_of(notice)}" if self._public_url else ""
        data = data_of(notice, new)
        return Content(
            topic=notice.topic,
            subject=subject_of(notice),
            text=text_of(notice, new, link),
            about=notice.system or notice.process_event or notice.domain,
            at=notice.last_at.isoformat(),
            data={**data, "link": link} if link else data,
        )

    def sent(self, claimed: Claimed, detail: str, now: datetime) -> None:
        self._settle(claimed, "sent", detail, None, now)

    def failed(
        self, claimed: Claimed, detail: str, again_at: datetime | None, now: datetime
    ) -> None:
        """Tried again at `again_at`; None: given up."""
        state = "failed" if again_at is None else "waiting"
        settled_at = now if again_at is None else None
        self._settle(claimed, state, detail, again_at, settled_at)

    def _settle(
        self,
        claimed: Claimed,
        state: str,
        detail: str,
        due_at: datetime | None,
        settled_at: datetime | None,
    ) -> None:
        with self._datastore.get_connection() as conn:
            conn.execute(
                SETTLE,
                {
                    "state": state,
                    "attempts": claimed.attempts + 1,
                    "detail": detail[:500],
                    "due_at": due_at,
                    "settled_at": settled_at,
                    "id": claimed.delivery_id,
                    "epoch": claimed.epoch,
                },
                prepare=True,
            )


def _row(
    subscription: Subscription,
    notice: Notice,
    part: int,
    due_at: datetime,
    now: datetime,
) -> tuple[Any, ...]:
    names = (str(subscription.id), str(notice.notice_id), str(part))
    key = identity("notice delivery", *names)
    about = (subscription.id, notice.domain, notice.notice_id)
    return (key, *about, part, due_at, now)


def _drop(cursor: Cursor[Any], row: Mapping[str, Any], now: datetime) -> None:
    cursor.execute(
        SETTLE,
        {
            "state": "dropped",
            "attempts": row["attempts"],
            "detail": "nobody is subscribed to it any more",
            "due_at": None,
            "settled_at": now,
            "id": row["delivery_id"],
            "epoch": row["epoch"],
        },
        prepare=True,
    )
