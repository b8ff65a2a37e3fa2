"""What the API asks of the views and the log: one read-only query a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing.postgres import PostgresDatastore

Row = dict[str, Any]


class Questions:
    """Asks on a connection of the pool, held for one query only."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def _ask(self, sql: LiteralString, params: Mapping[str, Any]) -> list[Row]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=dict_row, binary=True)
            return cursor.execute(sql, params).fetchall()


def narrowed(
    filters: Mapping[str, LiteralString], given: Mapping[str, Any]
) -> LiteralString:
    """The conditions of those filters that are given, as `AND …` on a line each.

    Spelled out instead of `param IS NULL OR …`, so that indexes are used.
    """
    empty: LiteralString = ""
    return empty.join(
        f"\n  AND {condition}"
        for name, condition in filters.items()
        if given.get(name) is not None
    )
