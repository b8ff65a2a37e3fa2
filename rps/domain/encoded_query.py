"""ServiceNow's encoded queries, as people copy them from a list filter: text to tree.

`^` joins conditions that must all hold. `^OR` joins a condition to the one right before
it and binds closer: `a=1^b=2^ORc=3` is a and (b or c). `^NQ` begins another query, of
which one has to hold, and binds least. Parentheses are an addition: a group stands
where a condition does. `^^` is a caret in a value. How a list is sorted and grouped
(`^ORDERBY…`, `^GROUPBY…`) and the mark of its end (`^EQ`) are left out.

Which values a field may have is not known here: `rps.domain.condition`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rps.domain.problem import SHOWN_MAX, printable, shown

if TYPE_CHECKING:
    from collections.abc import Collection

LENGTH_MAX = 4000
CONDITIONS_MAX = 200
DEPTH_MAX = 20

Takes = Literal["nothing", "value", "list", "range"]

OPERATORS: Final[dict[str, Takes]] = {
    "=": "value",
    "!=": "value",
    "<": "value",
    "<=": "value",
    ">": "value",
    ">=": "value",
    "IN": "list",
    "NOT IN": "list",
    "LIKE": "value",
    "NOT LIKE": "value",
    "STARTSWITH": "value",
    "ENDSWITH": "value",
    "ISEMPTY": "nothing",
    "ISNOTEMPTY": "nothing",
    "ANYTHING": "nothing",
    "BETWEEN": "range",
    "SINCE": "value",
    "CHANGES": "nothing",
    "CHANGESFROM": "value",
    "CHANGESTO": "value",
}
SPELLINGS: Final = {"NOTLIKE": "NOT LIKE", "VALCHANGES": "CHANGES"}
"""Other words for an operator that list filters and condition builders write."""

_NO_FIELDS = "compare with a value; two fields cannot be compared"
_MOMENT = "write a date-time: '>=2024-01-01 00:00:00'"
REFUSED: Final = {
    "==": "write '='",
    "<>": "write '!='",
    "=>": "write '>='",
    "=<": "write '<='",
    "*": "write LIKE",
    "!*": "write 'NOT LIKE'",
    "%": "write ENDSWITH",
    "CONTAINS": "write LIKE",
    "DOES NOT CONTAIN": "write 'NOT LIKE'",
    "NOTIN": "write 'NOT IN'",
    "EMPTYSTRING": "write ISEMPTY",
    "ON": "write '=2024-01-01': a date without a time is that whole day",
    "NOTON": "write '!=2024-01-01': a date without a time is that whole day",
    "NOT BETWEEN": "write '<' and '>' joined by ^OR",
    "DATEPART": _MOMENT,
    "RELATIVE": _MOMENT,
    "MORETHAN": _MOMENT,
    "LESSTHAN": _MOMENT,
    "DYNAMIC": "write the values themselves: 'IN…'",
    "INSTANCEOF": "name the table in 'table:' of the member",
    "RLQUERY": "only fields of the record itself can be asked about",
    "MATCH_PAT": "write STARTSWITH, ENDSWITH or LIKE",
    "MATCH_RGX": "write STARTSWITH, ENDSWITH or LIKE",
    "SAMEAS": _NO_FIELDS,
    "NSAMEAS": _NO_FIELDS,
    "GT_FIELD": _NO_FIELDS,
    "LT_FIELD": _NO_FIELDS,
    "GT_OR_EQUALS_FIELD": _NO_FIELDS,
    "LT_OR_EQUALS_FIELD": _NO_FIELDS,
}
"""Operators that ServiceNow has and a condition here has not, and what to write."""

_WORDS = sorted({*OPERATORS, *SPELLINGS, *REFUSED}, key=len, reverse=True)
_OPERATOR = re.compile("|".join(re.escape(word) for word in _WORDS))
_UNSAID = re.compile(r"(ORDERBYDESC|ORDERBY|GROUPBY|TRENDBY)[^^()]*")
_END = re.compile(r"\^EQ(?=\^|\)|$)")
_GENERATED = re.compile(
    r"javascript:gs\.dateGenerate\('(\d{4}-\d\d-\d\d)',\s*"
    r"'(\d\d:\d\d:\d\d|start|end)'\)"
)
_TIMES = {"start": "00:00:00", "end": "23:59:59"}
EXAMPLE = "write field, operator and value: 'active=true'"


class QueryRefused(ValueError):
    """The text is no encoded query: `column` (from 1) is where it stops being one."""

    def __init__(self, column: int, cause: str, remedy: str) -> None:
        super().__init__(f"column {column}: {cause}; {remedy}")
        self.column = column
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition; `column` is where it begins, `at_value` where its value does."""

    text: str
    field: str
    operator: str
    values: tuple[str, ...]
    column: int
    at_value: int


@dataclass(frozen=True, slots=True)
class AllOf:
    text: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    text: str
    parts: tuple[Node, ...]


Node = Comparison | AllOf | AnyOf


def read_query(text: str, fields: Collection[str]) -> Node:
    """The tree of `text`. `fields` are names to look for first: ones with capitals or
    spaces could not be told from the operator that follows. Raises QueryRefused."""
    if len(text) > LENGTH_MAX:
        raise QueryRefused(
            LENGTH_MAX + 1,
            f"{len(text)} characters are more than the {LENGTH_MAX} allowed",
            "say it in fewer conditions",
        )
    reader = _Reader(text, fields)
    return reader.whole()


class _Reader:
    def __init__(self, text: str, fields: Collection[str]) -> None:
        self._text = text
        self._fields = sorted(fields, key=len, reverse=True)
        self._at = 0
        self._depth = 0
        self._read = 0

    def whole(self) -> Node:
        node = self._queries()
        if self._at < len(self._text):
            # every other character belongs to a value or begins a condition
            cause = "this ')' closes nothing"
            remedy = "take it out; in a value, parentheses come in pairs"
            raise self._refused(cause, remedy)
        return node

    def _refused(self, cause: str, remedy: str, at: int | None = None) -> QueryRefused:
        return QueryRefused((self._at if at is None else at) + 1, cause, remedy)

    def _since(self, start: int) -> str:
        return self._text[start : self._at]

    def _queries(self) -> Node:
        start = self._at
        parts = [self._conditions()]
        while self._skip("^NQ"):
            parts.append(self._conditions())
        return parts[0] if len(parts) == 1 else AnyOf(self._since(start), tuple(parts))

    def _conditions(self) -> Node:
        start = self._at
        parts: list[Node] = []
        if self._leave_out(_UNSAID):
            self._skip_to_condition()
        parts.append(self._alternatives())
        until = self._at
        while True:
            if self._leave_out(_END) or self._leave_out(_UNSAID, after="^"):
                continue
            if self._looking_at("^NQ") or not self._skip("^"):
                break
            parts.append(self._alternatives())
            until = self._at
        text = self._text[start:until]
        return parts[0] if len(parts) == 1 else AllOf(text, tuple(parts))

    def _alternatives(self) -> Node:
        start = self._at
        parts = [self._condition()]
        while not self._unsaid_next() and self._skip("^OR"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else AnyOf(self._since(start), tuple(parts))

    def _unsaid_next(self) -> bool:
        """`^ORDERBY` begins like `^OR`."""
        begins = self._at + 1
        return self._looking_at("^") and bool(_UNSAID.match(self._text, begins))

    def _skip_to_condition(self) -> None:
        if self._at == len(self._text):
            raise self._refused("there is no condition", EXAMPLE, 0)
        self._skip("^")

    def _condition(self) -> Node:
        if self._at == len(self._text) or self._text[self._at] in "^)":
            remedy = f"{EXAMPLE}, or take out what joins it"
            raise self._refused("a condition is missing here", remedy)
        self._read += 1
        if self._read > CONDITIONS_MAX:
            cause = f"more than {CONDITIONS_MAX} conditions"
            raise self._refused(cause, "use IN for values of the same field")
        return self._group() if self._text[self._at] == "(" else self._comparison()

    def _group(self) -> Node:
        opened = self._at
        self._depth += 1
        if self._depth > DEPTH_MAX:
            cause = f"parentheses more than {DEPTH_MAX} deep"
            raise self._refused(cause, "take some out")
        self._at += 1
        node = self._queries()
        if not self._skip(")"):
            raise self._refused("this '(' is not closed", "write ')'", opened)
        self._depth -= 1
        if self._at < len(self._text) and self._text[self._at] not in "^)":
            cause = f"{shown(self._text[self._at :])} after a parenthesis"
            raise self._refused(cause, "join it with ^ or ^OR")
        return node

    # --- one condition --------------------------------------------------------------

    def _comparison(self) -> Comparison:
        start = self._at
        field, operator = self._field_and_operator()
        self._at += len(field) + len(operator)
        at_value = self._at
        value = self._value()
        name = SPELLINGS.get(operator, operator)
        values = self._values(field, name, value, at_value)
        text = self._since(start)
        return Comparison(text, field, name, values, start + 1, at_value + 1)

    def _field_and_operator(self) -> tuple[str, str]:
        segment = self._segment()
        for field in self._fields:
            if segment.startswith(field):
                found = _OPERATOR.match(segment, len(field))
                if found:
                    return field, self._operator(found, field)
        found = _OPERATOR.search(segment)
        field = segment[: found.start()] if found else segment
        for known in self._fields:
            follows = field[len(known) : len(known) + 1]
            if field.startswith(known) and not (follows.islower() or follows in "_."):
                raise self._no_operator(segment, known)
        if not found:
            raise self._no_operator(segment, segment)
        if not field:
            cause = f"the field is missing before {shown(found.group())}"
            raise self._refused(cause, EXAMPLE)
        return field, self._operator(found, field)

    def _segment(self) -> str:
        end = self._text.find("^", self._at)
        return self._text[self._at : end if end >= 0 else len(self._text)]

    def _operator(self, found: re.Match[str], field: str) -> str:
        word = found.group()
        if word in REFUSED:
            cause = f"the operator {word} cannot be used here"
            raise self._refused(cause, REFUSED[word], self._at + len(field))
        return word

    def _no_operator(self, segment: str, field: str) -> QueryRefused:
        rest = segment[len(field) :]
        cause = f"{shown(rest)} begins with no operator"
        if not rest:
            cause = f"no operator after {shown(field)}"
        remedy = f"write one of {', '.join(OPERATORS)}"
        return self._refused(cause, remedy, self._at + len(field))

    def _value(self) -> str:
        """Up to what joins the next condition, or closes a group around this one."""
        found: list[str] = []
        opened: list[int] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if self._looking_at("^^"):
                self._at += 1
            elif char == "^" or (char == ")" and not opened):
                break
            elif char == "(":
                opened.append(self._at)
            elif char == ")":
                opened.pop()
            found.append(char)
            self._at += 1
        if opened:
            remedy = "write ')'; in a value, parentheses come in pairs"
            raise self._refused("this '(' is not closed", remedy, opened[-1])
        return "".join(found)

    def _values(
        self, field: str, operator: str, value: str, at: int
    ) -> tuple[str, ...]:
        takes = OPERATORS[operator]
        if takes == "nothing":
            if value:
                cause = f"{operator} takes no value, {shown(value)} follows"
                raise self._refused(cause, "take it out, or join it with ^", at)
            return ()
        if not value.strip():
            remedy = _INSTEAD.get(operator, "write the value after the operator")
            raise self._refused(f"the value of {operator} is missing", remedy, at)
        if "javascript:" in value:
            raise self._script(field, operator, value, at)
        if takes == "value":
            return (value,)
        return self._several(value, takes, at)

    def _several(self, value: str, takes: Takes, at: int) -> tuple[str, ...]:
        parts = value.split("," if takes == "list" else "@")
        if takes == "range" and len(parts) != len(("from", "to")):
            cause = f"{shown(value)} is not one value, '@' and another"
            raise self._refused(cause, "write 'BETWEEN1@3'", at)
        if not all(part.strip() for part in parts):
            cause = f"{shown(value)} holds an empty value"
            remedy = "take the extra comma out; for empty ones write ISEMPTY"
            if takes == "range":
                remedy = "give both ends, or write '>=' or '<='"
            raise self._refused(cause, remedy, at)
        return tuple(part.strip() for part in parts)

    def _script(self, field: str, operator: str, value: str, at: int) -> QueryRefused:
        plain = with_plain_dates(value)
        cause = "scripts (javascript:…) are not run"
        remedy = "write the value itself; a date-time as '2024-01-01 00:00:00' (UTC)"
        if "javascript:" not in plain:
            said = f"{field}{operator}{plain}"
            remedy = f"write '{printable(said)}' (UTC)"
            if len(said) > SHOWN_MAX:
                remedy = f"write '{printable(plain)}' (UTC)"
        return self._refused(cause, remedy, at)

    # --- the text -------------------------------------------------------------------

    def _looking_at(self, word: str) -> bool:
        return self._text.startswith(word, self._at)

    def _skip(self, word: str) -> bool:
        if self._looking_at(word):
            self._at += len(word)
            return True
        return False

    def _leave_out(self, pattern: re.Pattern[str], after: str = "") -> bool:
        if not self._looking_at(after):
            return False
        found = pattern.match(self._text, self._at + len(after))
        if found is None or self._is_a_field(self._at + len(after)):
            return False
        self._at = found.end()
        return True

    def _is_a_field(self, at: int) -> bool:
        return any(
            self._text.startswith(field, at)
            and _OPERATOR.match(self._text, at + len(field))
            for field in self._fields
        )


_INSTEAD: Final = {
    "=": "write ISEMPTY for an empty field, or the value after '='",
    "!=": "write ISNOTEMPTY for a field that has a value, or the value after '!='",
    "CHANGESFROM": "write 'CHANGESFROMNULL' for empty, or the value",
    "CHANGESTO": "write 'CHANGESTONULL' for empty, or the value",
}


def with_plain_dates(value: str) -> str:
    """A list filter's scripted dates (gs.dateGenerate) as what they stand for."""
    return _GENERATED.sub(_generated, value)


def _generated(found: re.Match[str]) -> str:
    day, time = found.groups()
    return f"{day} {_TIMES.get(time, time)}"
