"""A page of a list, in the order of stamps, from a position on.

The limit of a query counts what the account may not see, so a short page, or an empty
one, is not the end; and an offset would skip what moves up when a record is edited. So
pages go by position, and one that shows nothing is asked for again with more room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.positions import Position
from rps.connectors.servicenow.words import STAMP
from rps.domain.delivery import Refused

if TYPE_CHECKING:
    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.instance import Instance, Row

PAGE = 100
ROOMS = (1_000, 10_000, 100_000)
"""What is asked for where all of a page is hidden."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page; `at` is behind its last record. `has_more`: it is not the end."""

    rows: list[Row]
    at: Position
    has_more: bool


@dataclass(frozen=True, slots=True)
class GrowingList:
    """Records of `table` that fit `where` (an encoded query, or ""), by `stamp`.
    `path` where it is not the Table API that lists them; `limit` of a page."""

    instance: Instance
    table: str
    stamp: str
    where: str = ""
    fields: tuple[str, ...] = ()
    path: str = ""
    limit: int = PAGE

    def page(self, at: Position) -> Listed | Trouble:
        parts = [] if at.is_whole else [(f"{self.stamp}={at.stamp}", at.id)]
        parts.append((f"{self.stamp}>{at.stamp}", ""))
        rows: list[Row] = []
        has_more = False
        for condition, after in parts:
            if not has_more:
                came = self._part(condition, after)
                if not isinstance(came, Listed):
                    return came
                rows += came.rows
                has_more = came.has_more
        if any(not self._is_from(row, at) for row in rows):
            return Refused(
                f"{self.table} answered with records that were not asked for: it does"
                f" not sort and filter by {self.stamp}; let the account read that"
                " column (glide.invalid_query.returns_no_rows would hide all)"
            )
        return Listed(rows, _behind(rows, self.stamp, at), has_more)

    def _is_from(self, row: Row, at: Position) -> bool:
        stamp = row.get(self.stamp, "")
        return STAMP.fullmatch(stamp) is not None and stamp >= at.stamp

    def _part(self, condition: str, after: str) -> Listed | Trouble:
        """A page of what fits, behind the sys_id `after`."""
        query = "^".join(
            part
            for part in (
                self.where,
                condition,
                f"sys_id>{after}" if after else "",
                f"ORDERBY{self.stamp}",
                "ORDERBYsys_id",
            )
            if part
        )
        came = self._rows(query, self.fields, self.limit)
        if not isinstance(came, Rows):
            return came
        if not came.rows and (came.total is None or came.total > 0):
            return self._hidden(query, came)
        return Listed(came.rows, Position("", ""), _is_cut(came, self.limit))

    def _hidden(self, query: str, came: Rows) -> Listed | Trouble:
        """The first that may be seen, behind those that may not."""
        for room in ROOMS:
            if came.total is None:
                break
            seen = self._rows(query, ("sys_id", self.stamp), room)
            if not isinstance(seen, Rows):
                return seen
            if seen.rows:
                return self._in_full(seen, room)
            if seen.total is None or seen.total <= room:
                break
        else:
            return Refused(
                f"{ROOMS[-1]} records of {self.table} in a row are hidden from the"
                " account: let it read them, or poll a table that it may read"
            )
        return Listed([], Position("", ""), has_more=False)

    def _in_full(self, seen: Rows, room: int) -> Listed | Trouble:
        """Those seen, as they are by now; where they stood goes by what was seen."""
        first = seen.rows[: self.limit]
        ids = ",".join(row["sys_id"] for row in first)
        whole = self._rows(f"sys_idIN{ids}", self.fields, self.limit)
        if not isinstance(whole, Rows):
            return whole
        by_id = {row["sys_id"]: row for row in whole.rows}
        rows = [
            {**by_id[row["sys_id"]], self.stamp: row[self.stamp]}
            for row in first
            if row["sys_id"] in by_id
        ]
        return Listed(
            rows,
            Position("", ""),
            len(seen.rows) > self.limit or _is_cut(seen, room),
        )

    def _rows(self, query: str, fields: tuple[str, ...], limit: int) -> Rows | Trouble:
        return self.instance.rows(
            self.table, query, fields=fields, limit=limit, path=self.path
        )


def _is_cut(came: Rows, limit: int) -> bool:
    """Whether there may be more than came."""
    if came.total is None:
        return bool(came.rows)
    return came.total > limit


def _behind(rows: list[Row], stamp: str, at: Position) -> Position:
    if not rows:
        return at
    return max(Position(rows[-1][stamp], rows[-1]["sys_id"]), at)
