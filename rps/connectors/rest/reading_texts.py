"""The smallest parts of a description: texts, templates, expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.connectors.rest import template
from rps.domain.problem import Findings, shown
from rps.domain.section import Section, Shape, matching, prose, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.connectors.rest.description import Setting

NAME = matching(r"[a-z][a-z0-9_]{0,39}", "a small letter, then up to 39 of a-z, 0-9, _")
HEADER = matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of a header")
TEXT = prose(4000)
LINE = visible(500)
PATH = matching(
    r"/(?!/)[!-~]{0,500}",
    "a path that begins with one slash: no host, no blanks; {name} for values",
)
ROOTS = frozenset(
    (
        *("record_id", "external_id", "delivery_id", "revision", "table", "fields"),
        *("values", "entry", "journal", "file", "kept", "setting", "origin"),
        *("since", "page", "next", "offset", "limit", "by", "value", "id"),
        *("correlation_id", "of"),
    )
)
DEPTH_MAX = 12


def _is_expression(text: str) -> bool:
    try:
        template.check(text)
    except template.NotExpression:
        return False
    return True


EXPRESSION = Shape(_is_expression, "a JMESPath expression (https://jmespath.org)", {})


class TextReader:
    """`settings`: what templates may name, known once they are read."""

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._settings: dict[str, Setting] = {}

    def expression(self, at: Section, key: str, *, required: bool = False) -> str:
        if not required and not at.has(key):
            return ""
        return at.text(key, EXPRESSION)

    def expressions(self, at: Section, key: str) -> dict[str, str]:
        inside = at.section(key)
        return {name: self.expression(inside, name) for name in inside.names(NAME, 20)}

    def texts(self, at: Section, key: str, names: Shape) -> dict[str, str]:
        inside = at.section(key)
        return {
            name: self.text_template(inside, name, required=True)
            for name in inside.names(names, 30)
        }

    def text_template(self, at: Section, key: str, *, required: bool = False) -> str:
        if not required and not at.has(key):
            return ""
        text = at.text(key, TEXT)
        self.references(at, key, text)
        return text

    def template(self, at: Section, key: str, more: set[str], default: Any) -> Any:
        value = at.raw(key, default)
        if not _is_json(value, DEPTH_MAX):
            cause, remedy = f"{shown(value)} is no JSON", "write texts, numbers, lists"
            at.refuse("wrong-type", key, cause, remedy)
            return default
        self.references(at, key, value, more)
        return value

    def references(
        self, at: Section, key: str, value: Any, more: set[str] | None = None
    ) -> None:
        for name, inside in sorted(template.references(value)):
            if name not in ROOTS and name not in (more or ()):
                cause = f"{{{name}}} stands for nothing here"
                remedy = self._found.instead_of(name, sorted(ROOTS))
                at.refuse("step-field", key, cause, remedy)
            elif name == "setting" and inside not in self._settings:
                cause = f"there is no setting {shown(inside)}"
                remedy = self._found.instead_of(inside, self._settings)
                at.refuse("step-field", key, cause, remedy)

    def named(
        self,
        at: Section,
        key: str,
        names: Shape,
        most: int,
        read: Callable[[Section], Any],
        short_for: str | None = None,
    ) -> dict[str, Any]:
        inside = at.section(key)
        return {
            name: read(inside.section(name, short_for))
            for name in inside.names(names, most)
        }


def _is_json(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    match value:
        case None | bool() | int() | float() | str():
            return True
        case list():
            return all(_is_json(each, depth - 1) for each in value)
        case dict():
            return all(
                isinstance(key, str) and _is_json(each, depth - 1)
                for key, each in value.items()
            )
        case _:
            return False
