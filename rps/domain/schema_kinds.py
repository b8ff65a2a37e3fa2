"""Kinds of values as JSON Schema says them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.section import LENGTH_MAX, LIST_MAX, NUMBER_MAX, Shape, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]


def mapping(properties: Mapping[str, Schema], *required: str) -> Schema:
    made: Schema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    return {**made, "required": list(required)} if required else made


def named(names: Shape, most: int, values: Schema, description: str) -> Schema:
    """A mapping whose keys its author chooses."""
    return {
        "type": "object",
        "description": description,
        "propertyNames": dict(names.schema),
        "maxProperties": most,
        "additionalProperties": values,
    }


def string(shape: Shape) -> Schema:
    return {"type": "string", **shape.schema}


def text(shape: Shape, description: str, default: str | None = None) -> Schema:
    made = {**string(shape), "description": description}
    return made if default is None else {**made, "default": default}


def word(
    words: tuple[str, ...], description: str, default: str | None = None
) -> Schema:
    return text(one_of(words), description, default)


def texts(shape: Shape, description: str) -> Schema:
    return {
        "type": "array",
        "description": description,
        "items": string(shape),
        "maxItems": LIST_MAX,
        "uniqueItems": True,
    }


def length(description: str) -> Schema:
    return {
        "type": "integer",
        "minimum": 1,
        "maximum": LENGTH_MAX,
        "description": description,
    }


def flag(description: str, *, default: bool) -> Schema:
    return {"type": "boolean", "default": default, "description": description}


def literal(shape: Shape) -> Schema:
    number = {"type": "number", "minimum": -NUMBER_MAX, "maximum": NUMBER_MAX}
    return {"anyOf": [string(shape), number, {"type": "boolean"}]}
