"""Encoded queries as the Table API takes them: nothing is refused.

A part that cannot be understood, because its field or operator is unknown, is left out
and the rest is run, as an instance does. `rps.domain.encoded_query` reads the same
language strictly, for people who write one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rps.domain.encoded_query import OPERATORS, SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER_WORDS: Final = {
    **SPELLINGS,
    "CONTAINS": "LIKE",
    "DOES NOT CONTAIN": "NOT LIKE",
    "NOTIN": "NOT IN",
    "EMPTYSTRING": "ISEMPTY",
    "INSTANCEOF": "=",
    "ON": "=",
    "NOTON": "!=",
    "<>": "!=",
    "!*": "NOT LIKE",
    "*": "LIKE",
}
OF_TWO_FIELDS: Final = ("NSAMEAS", "SAMEAS")
OF_CHANGES: Final = frozenset({"SINCE", "CHANGES", "CHANGESFROM", "CHANGESTO"})
"""About what happens to a record: nothing a search in a table can find."""

_WORDS = sorted(
    (OPERATORS.keys() - OF_CHANGES) | OTHER_WORDS.keys() | {*OF_TWO_FIELDS},
    key=len,
    reverse=True,
)
_CONDITION = re.compile(
    r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)("
    + "|".join(re.escape(word) for word in _WORDS)
    + r")(.*)",
    re.DOTALL,
)
_CARET = "\0"
PIECES_MAX: Final = 2000
PATTERN_MAX: Final = 10_000
"""Characters of a value that is looked for within others."""
_PATTERNS: Final = frozenset({"LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH"})


class TooLong(ValueError):
    """The query has more parts than are read."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` may be dot-walked: `assigned_to.name`."""

    field: str
    operator: str
    value: str


AnyOf = tuple[Condition, ...]
AllOf = tuple[AnyOf, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One of `queries` has to hold; `orders` are fields, and whether downwards."""

    queries: tuple[AllOf, ...] = ()
    orders: tuple[tuple[str, bool], ...] = ()
    ignored: tuple[str, ...] = ()


def read(text: str, known: Callable[[str], bool]) -> Query:
    """Read an encoded query; `known` says whether there is such a field.

    Raises TooLong.
    """
    reading = _Reading(known)
    pieces = text.replace("^^", _CARET).split("^")
    if len(pieces) > PIECES_MAX:
        raise TooLong(f"{len(pieces)} parts are more than {PIECES_MAX}")
    for piece in pieces:
        if piece and piece != "EQ":
            reading.take(piece.replace(_CARET, "^"))
    return reading.done()


def of_parameters(pairs: list[tuple[str, str]], known: Callable[[str], bool]) -> Query:
    """Read `name=value` pairs, which all have to hold."""
    found = [Condition(name, "=", value) for name, value in pairs if known(name)]
    return Query((tuple((each,) for each in found),) if found else ())


class _Reading:
    def __init__(self, known: Callable[[str], bool]) -> None:
        self._known = known
        self._queries: list[list[list[Condition]]] = [[]]
        self._orders: list[tuple[str, bool]] = []
        self._ignored: list[str] = []

    def take(self, piece: str) -> None:
        if self._is_about_order(piece):
            return
        if piece.startswith("NQ"):
            self._queries.append([])
            piece = piece[2:]
        joins = piece.startswith("OR")
        if not joins or not self._queries[-1]:
            self._queries[-1].append([])
        found = self._condition(piece[2:] if joins else piece)
        if found is not None:
            self._queries[-1][-1].append(found)
        elif piece:
            self._ignored.append(piece)

    def done(self) -> Query:
        queries = [
            understood
            for parts in self._queries
            if (understood := tuple(tuple(each) for each in parts if each))
        ]
        return Query(tuple(queries), tuple(self._orders), tuple(self._ignored))

    def _is_about_order(self, piece: str) -> bool:
        for word, downwards in (("ORDERBYDESC", True), ("ORDERBY", False)):
            if piece.startswith(word):
                field = piece.removeprefix(word)
                if self._known(field):
                    self._orders.append((field, downwards))
                return True
        return piece.startswith(("GROUPBY", "TRENDBY"))

    def _condition(self, piece: str) -> Condition | None:
        found = _CONDITION.fullmatch(piece)
        if found is None or not self._known(found[1]):
            return None
        word = OTHER_WORDS.get(found[2], found[2])
        if word in OF_TWO_FIELDS and not self._known(found[3]):
            return None
        if word in _PATTERNS and len(found[3]) > PATTERN_MAX:
            return None
        return Condition(found[1], word, found[3])
