"""Queries as SQL over the instance's tables; every value is a parameter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from rps.domain.encoded_query import with_plain_dates
from rps.sandbox.servicenow.query import OF_TWO_FIELDS
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    from rps.sandbox.servicenow.access import Actor
    from rps.sandbox.servicenow.query import Condition, Query
    from rps.sandbox.servicenow.tables import Column, Table

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ENDS: Final = {"<": "00:00:00", ">=": "00:00:00", ">": "23:59:59", "<=": "23:59:59"}
_TRUE: Final = ("true", "1")
STEPS_MAX: Final = 5
"""Of a dot-walk."""
ORDERS_MAX: Final = 20


def walked(table: Table, path: str) -> tuple[Table, Column] | None:
    """The table and column a dot-walked path ends at, None where there is none."""
    name, _, rest = path.partition(".")
    column = table.columns.get(name)
    if column is None:
        return None
    if not rest:
        return table, column
    if column.kind != "reference" or path.count(".") > STEPS_MAX:
        return None
    return walked(TABLES[column.target], rest)


def column_at(table: Table, path: str) -> Column | None:
    """The column a dot-walked path ends at, None where there is none."""
    found = walked(table, path)
    return found[1] if found else None


def expression(table: Table, path: str, alias: str = "") -> str:
    """SQL for the value at a path that `column_at` finds a column for."""
    name, _, rest = path.partition(".")
    here = f"{alias or table.name}.{name}"
    column = table.columns[name]
    if not column.stored:
        return "''"
    if not rest:
        return here
    target = TABLES[column.target]
    walked = f"{alias or table.name}_{name}"[-60:]
    there = expression(target, rest, walked)
    return (
        f"coalesce((SELECT {there} FROM {target.name} AS {walked}"  # noqa: S608 - our names
        f" WHERE {walked}.sys_id = {here}), '')"
    )


class Selection:
    """The WHERE and ORDER BY of a query, with `parameters` in their order."""

    def __init__(self, table: Table, query: Query, actor: Actor | None = None) -> None:
        self._table = table
        self._actor = actor
        self.parameters: list[str] = []
        self.where = self._where(query)
        self.order = ", ".join(
            f"{expression(table, field)}{' DESC' if downwards else ''}"
            for field, downwards in query.orders[:ORDERS_MAX]
        )

    def _where(self, query: Query) -> str:
        queries = [
            _joined(
                "AND",
                [
                    _joined("OR", [self._condition(each) for each in alternatives])
                    for alternatives in parts
                ],
            )
            for parts in query.queries
        ]
        return _joined("OR", queries) if queries else "1"

    def _condition(self, asked: Condition) -> str:
        column = column_at(self._table, asked.field)
        if column is None:
            return "1"
        here = f"{expression(self._table, asked.field)} COLLATE NOCASE"
        if asked.operator in OF_TWO_FIELDS:
            there = expression(self._table, asked.value)
            sign = "=" if asked.operator == "SAMEAS" else "<>"
            return f"{here} {sign} {there}"
        value = self._meant(asked.value)
        if asked.operator in _WITHOUT_VALUE:
            return _WITHOUT_VALUE[asked.operator].format(here)
        if asked.operator in _PATTERNS:
            return self._like(here, asked.operator, value)
        if asked.operator in ("IN", "NOT IN"):
            return self._listed(here, asked.operator, value, column)
        if asked.operator == "BETWEEN":
            low, _, high = value.partition("@")
            first = self._compared(here, ">=", low, column)
            return f"({first} AND {self._compared(here, '<=', high, column)})"
        return self._compared(here, asked.operator, value, column)

    def _meant(self, value: str) -> str:
        if "javascript:" not in value:
            return value
        asked = _ME.fullmatch(value)
        if asked and self._actor:
            return self._actor.id if asked[1] == "ID" else self._actor.name
        return with_plain_dates(value)

    def _like(self, here: str, operator: str, value: str) -> str:
        escaped = re.sub(r"([\\%_])", r"\\\1", value)
        word, pattern = _PATTERNS[operator]
        self.parameters.append(pattern.format(escaped))
        return f"{here} {word} ? ESCAPE '\\'"

    def _listed(self, here: str, operator: str, value: str, column: Column) -> str:
        values = [_stored(each.strip(), column) for each in value.split(",")]
        self.parameters.append(orjson.dumps(values).decode())
        listed = f"{here} {operator} (SELECT value FROM json_each(?))"  # noqa: S608 - our words
        return listed if operator == "IN" else f"({listed} AND {here} <> '')"

    def _compared(self, here: str, operator: str, value: str, column: Column) -> str:
        if column.kind == "date_time" and _DAY.fullmatch(value):
            return self._of_day(here, operator, value)
        self.parameters.append(_stored(value, column))
        if operator == "=" or (operator == "!=" and not value):
            return f"{here} {operator} ?"
        return f"({here} {operator} ? AND {here} <> '')"

    def _of_day(self, here: str, operator: str, day: str) -> str:
        if operator in _ENDS:
            self.parameters.append(f"{day} {_ENDS[operator]}")
            return f"({here} {operator} ? AND {here} <> '')"
        self.parameters += [f"{day} 00:00:00", f"{day} 23:59:59"]
        within = f"{here} BETWEEN ? AND ?"
        return within if operator == "=" else f"(NOT {within} AND {here} <> '')"


_ME: Final = re.compile(r"javascript:\s*gs\.getUser(ID|Name)\(\);?")
_WITHOUT_VALUE: Final = {
    "ISEMPTY": "{} = ''",
    "ISNOTEMPTY": "{} <> ''",
    "ANYTHING": "1",
}
_PATTERNS: Final = {
    "LIKE": ("LIKE", "%{}%"),
    "NOT LIKE": ("NOT LIKE", "%{}%"),
    "STARTSWITH": ("LIKE", "{}%"),
    "ENDSWITH": ("LIKE", "%{}"),
}


def _joined(word: str, parts: list[str]) -> str:
    """As a balanced tree: SQLite refuses expressions more than 1,000 deep."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_joined(word, parts[:half])} {word} {_joined(word, parts[half:])})"


def _stored(value: str, column: Column) -> str:
    """A value as the column holds it."""
    if column.kind == "boolean" and value:
        return "true" if value.lower() in _TRUE else "false"
    return value
