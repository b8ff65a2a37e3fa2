"""Lists of records: the parameters, a page, its headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from flask import Response, request

from rps.sandbox.servicenow.answers import NotAllowed, NotUnderstood, result
from rps.sandbox.servicenow.query import Query, TooLong, of_parameters, read
from rps.sandbox.servicenow.selection import Selection, walked
from rps.sandbox.servicenow.shapes import Manner, Shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.sandbox.servicenow.behaviour import Behaviour
    from rps.sandbox.servicenow.records import Records
    from rps.sandbox.servicenow.shapes import Display
    from rps.sandbox.servicenow.tables import Table

LIMIT: Final = 10_000
FIELDS_MAX: Final = 500
DISPLAYS: Final = ("false", "true", "all")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are asked for; `pairs` are `name=value` where there is no query."""

    query: str | None
    pairs: tuple[tuple[str, str], ...]
    limit: int
    offset: int
    count: bool
    links: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A page's records, and how many there are on all of them."""

    page: Page
    records: list[dict[str, Any]]
    total: int | None

    def answer(self) -> Response:
        built = result(self.records)
        if self.total is not None:
            built.headers["X-Total-Count"] = str(self.total)
            if self.page.links:
                built.headers["Link"] = ",".join(_links(self.page, self.total))
        return built


def read_page(limit: int = LIMIT) -> Page:
    """The request's parameters; raises NotUnderstood."""
    given = request.args
    query = given.get("sysparm_query")
    pairs = [(k, v) for k, v in given.items() if not k.startswith("sysparm_")]
    offset = _number("sysparm_offset", 0)
    if offset < 0:
        raise NotUnderstood(
            "sysparm_offset must not be negative", "Pagination not supported"
        )
    asked = _number("sysparm_limit", limit)
    return Page(
        query,
        () if query else tuple(pairs),
        asked if asked >= 0 else limit,
        offset,
        count=not _is_true("sysparm_no_count"),
        links=not _is_true("sysparm_suppress_pagination_header"),
    )


def read_manner() -> Manner:
    """How records are to be shown."""
    given = request.args
    asked = given.get("sysparm_display_value", "false").lower()
    fields = given.get("sysparm_fields", "")
    version = next((v for v in ("/v1", "/v2") if f"/now{v}/" in request.path), "")
    return Manner(
        f"{request.host_url}api/now{version}",
        tuple(name.strip() for name in fields.split(",") if name.strip())[:FIELDS_MAX],
        cast("Display", asked) if asked in DISPLAYS else "false",
        links=not _is_true("sysparm_exclude_reference_link"),
    )


class Listing:
    """Searches one table as one user."""

    def __init__(self, records: Records, table: Table, behaviour: Behaviour) -> None:
        if not records.access.reads(table):
            raise NotAllowed("User Not Authorized", "User Not Authorized")
        self._records = records
        self._table = table
        self._behaviour = behaviour

    def read(self, page: Page, manner: Manner) -> Found:
        """One page: cut first, then without what the user must not see."""
        selection = self._selection(page)
        total = self._count(selection) if page.count else None
        access, connection = self._records.access, self._records.connection
        shapes = Shapes(connection, access, self._table, manner)
        whole = access.sees_all(self._table)
        where = f"FROM {self._table.name} WHERE {selection.where}"
        if selection.order:
            where += f" ORDER BY {selection.order}"
        where += " LIMIT ? OFFSET ?"
        parameters = (*selection.parameters, page.limit, page.offset)
        sql = f"SELECT {shapes.columns} {where}"
        rows = connection.execute(sql, parameters).fetchall()
        if not whole:
            full = connection.execute(f"SELECT * {where}", parameters)
            rows = [
                row
                for row, each in zip(rows, full.fetchall(), strict=True)
                if access.sees(connection, self._table, _mapping(each))
            ]
        return Found(page, shapes.shown(rows), total)

    def count(self, page: Page) -> int:
        """How many records the query finds."""
        return self._count(self._selection(page))

    def _count(self, selection: Selection) -> int:
        found = self._records.connection.execute(
            f"SELECT count(*) FROM {self._table.name} WHERE {selection.where}",  # noqa: S608 - our names
            selection.parameters,
        ).fetchone()
        return int(found[0])

    def _selection(self, page: Page) -> Selection:
        if page.query is None:
            query = of_parameters(list(page.pairs), self._known)
        else:
            query = _read(page.query, self._known)
        refused = query.ignored and self._behaviour.invalid_query_returns_no_rows
        made = Selection(self._table, query, self._records.access.actor)
        if refused:
            made = Selection(self._table, Query())
            made.where = "0"
        return made

    def _known(self, path: str) -> bool:
        return walked(self._table, path) is not None


def _read(text: str, known: Callable[[str], bool]) -> Query:
    try:
        return read(text, known)
    except TooLong as wrong:
        raise NotUnderstood(str(wrong), "Query is too long") from None


def _mapping(row: Any) -> Mapping[str, str]:
    return {name: str(row[name]) for name in row.keys()}  # noqa: SIM118 - a sqlite3.Row


def _links(page: Page, total: int) -> list[str]:
    """RFC 8288 links to the pages around this one."""
    if not page.limit:
        return []
    last = max(0, (total - 1) // page.limit * page.limit)
    offsets = {"first": 0}
    if page.offset > 0:
        offsets["prev"] = max(0, page.offset - page.limit)
    if page.offset + page.limit < total:
        offsets["next"] = page.offset + page.limit
    offsets["last"] = last
    return [f'<{_at(offset)}>;rel="{name}"' for name, offset in offsets.items()]


def _at(offset: int) -> str:
    given = {**request.args.to_dict(), "sysparm_offset": str(offset)}
    return f"{request.base_url}?{urlencode(given)}"


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    number = text.removeprefix("-")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):  # noqa: PLR2004 - of SQLite's size
        return default
    return int(text)


def _is_true(name: str) -> bool:
    return request.args.get(name, "").lower() == "true"
