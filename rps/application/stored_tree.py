"""The tree over the log's events, from roots that are kept and the events' hashes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.log.merkle import Tree, consistency, inclusion, leaf_of

if TYPE_CHECKING:
    from eventsourcing.postgres import PostgresDatastore

BLOCK = 1_024
"""Events under one of the roots that are kept; the migration says the same."""

SUBTREES, BLOCKS_AT_HAND = 65_536, 256
ROOTS = "SELECT root FROM checkpoint_blocks ORDER BY number"
HASHES = """
SELECT hash FROM rps_events WHERE notification_id > %s AND notification_id <= %s
ORDER BY notification_id
"""


class StoredTree:
    """Answers proofs; what it needs for one is kept for the next."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore
        self._roots = [row[0] for row in self._ask(ROOTS)]
        self._leaves = lru_cache(BLOCKS_AT_HAND)(self._read_leaves)
        self._subtree = lru_cache(SUBTREES)(self._root_over)

    def inclusion(self, position: int, size: int) -> list[bytes]:
        """Proves the event at `position` (1 is the first) in the log of `size`."""
        return inclusion(position - 1, size, self._subtree)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return consistency(old, new, self._subtree)

    def first(self, size: int) -> Tree:
        """The tree over the first events."""
        return self._over(0, size)

    def _root_over(self, start: int, end: int) -> bytes:
        return self._over(start, end).root()

    def _over(self, start: int, end: int) -> Tree:
        tree, place = Tree(), start
        while place < end:
            number, within = divmod(place, BLOCK)
            if not within and place + BLOCK <= end and number < len(self._roots):
                tree.add(self._roots[number], BLOCK)
                place += BLOCK
                continue
            last = min(end, (number + 1) * BLOCK)
            tree.extend(self._leaves(number)[within : last - number * BLOCK])
            place = last
        return tree

    def _read_leaves(self, number: int) -> list[bytes]:
        rows = self._ask(HASHES, number * BLOCK, (number + 1) * BLOCK)
        return [leaf_of(row[0]) for row in rows]

    def _ask(self, sql: str, *params: object) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row, binary=True)
            return list(cursor.execute(sql, params).fetchall())
