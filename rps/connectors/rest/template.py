"""What a description says in place of values: `{name}` in texts, and JMESPath.

Neither loops nor calls anything. What a system answered only ever is a value here,
never part of a path, a header or an expression without being quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from rps.connectors.batch import segment

Context = Mapping[str, Any]
"""What `{name}` and `{name.key}` may stand for."""

REFERENCE = re.compile(r"\{([a-z_]+)(?:\.([^{}\s]{1,120}))?\}")
EXPRESSION_MAX = 1000
_BUILDERS_MAX = 8
"""Each may double what it is given."""
_WALKED = (
    *("projection", "flatten", "index_expression", "filter_projection"),
    *("value_projection", "pipe", "slice"),
)
_BUILDERS = ("multi_select_list", "multi_select_dict")


class Absent(Exception):
    """A text names what is not there; the name says what."""


class NotExpression(ValueError):
    """The text is no JMESPath, or asks for too much."""


@lru_cache(2048)
def _compiled(expression: str) -> Any:
    if len(expression) > EXPRESSION_MAX:
        raise NotExpression(f"it has more than {EXPRESSION_MAX} characters")
    try:
        made = jmespath.compile(expression)
    except (JMESPathError, RecursionError) as error:
        raise NotExpression(str(error).splitlines()[0] or "nested too deep") from None
    if _count(made.parsed) > _BUILDERS_MAX:
        raise NotExpression(f"it builds more than {_BUILDERS_MAX} lists and objects")
    return made


def check(expression: str) -> None:
    """Raises NotExpression."""
    _compiled(expression)


def _count(node: Mapping[str, Any]) -> int:
    own = node["type"] in _BUILDERS
    children = (each for each in node["children"] if isinstance(each, dict))
    return own + sum(_count(each) for each in children)


def picked(expression: str, value: Any) -> Any:
    """What the JMESPath finds, None where that is nothing or cannot be said."""
    try:
        return _compiled(expression).search(value)
    except (JMESPathError, RecursionError, ValueError, TypeError, OverflowError):
        return None


def shown(expression: str, value: Any) -> Any:
    """As `picked`; raises Absent where the path that the expression begins with leads
    to a name that is not there, which is something else than a null."""
    inside = value
    for name in _leading(_compiled(expression).parsed):
        if inside is None:
            return None
        if not isinstance(inside, dict) or name not in inside:
            raise Absent(name)
        inside = inside[name]
    return picked(expression, value)


def _leading(node: Mapping[str, Any]) -> list[str]:
    """The names that an expression begins with, up to what is no name."""
    if node["type"] == "field":
        return [node["value"]]
    if node["type"] != "subexpression":
        walked = node["type"] in _WALKED
        return _leading(node["children"][0]) if walked else []
    found: list[str] = []
    for child in node["children"]:
        found += _leading(child)
        if child["type"] != "field":
            break
    return found


# --- {name} -------------------------------------------------------------------------


def references(value: Any) -> set[tuple[str, str]]:
    """All `{name.key}` in a template, of whatever shape."""
    if isinstance(value, str):
        return {(name, key or "") for name, key in REFERENCE.findall(value)}
    if isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, Sequence):
        parts = list(value)
    else:
        return set()
    return {each for part in parts for each in references(part)}


def as_text(template: str, context: Context, quoted: Callable[[str], str] = str) -> str:
    """The text with all references filled in; raises Absent."""

    def filled(found: re.Match[str]) -> str:
        return quoted(_text(_value(found, context)))

    return REFERENCE.sub(filled, template)


def as_path(template: str, context: Context) -> str:
    """As `as_text`, each value as one segment of a path, or one part of a query."""
    return as_text(template, context, segment)


EVERYTHING = "*"
"""A key whose value's own keys are put in its place."""


def as_value(template: Any, context: Context) -> Any:
    """A template of JSON: a text that is one reference alone is the value itself. What
    is absent is left out of its mapping or list; raises Absent where all of it is."""
    if isinstance(template, str):
        if (found := REFERENCE.fullmatch(template)) is not None:
            return _value(found, context)
        return as_text(template, context)
    if isinstance(template, Mapping):
        made: dict[str, Any] = {}
        for key, each in template.items():
            try:
                value = as_value(each, context)
                name = as_text(str(key), context)
            except Absent:
                continue
            if name == EVERYTHING and isinstance(value, Mapping):
                made = merged(made, value)
            else:
                made[name] = value
        return made
    if isinstance(template, list):
        return [value for each in template for value in _present(each, context)]
    return template


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, objects within them put together."""
    made = dict(one)
    for key, value in other.items():
        mine = made.get(key)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        made[key] = merged(mine, value) if both and mine is not None else value
    return made


def _present(template: Any, context: Context) -> list[Any]:
    try:
        return [as_value(template, context)]
    except Absent:
        return []


def _value(found: re.Match[str], context: Context) -> Any:
    name, key = found[1], found[2]
    value = context.get(name)
    if key is not None:
        value = value.get(key) if isinstance(value, Mapping) else None
        if value is None and not _has(context.get(name), key):
            raise Absent(f"{name}.{key}")
    elif name not in context:
        raise Absent(name)
    return value


def _has(value: Any, key: str) -> bool:
    return isinstance(value, Mapping) and key in value


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ",".join(_text(each) for each in value)
        case _:
            return str(value)
