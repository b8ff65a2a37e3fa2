"""The words that schemas of answers are written in."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
YES: Json = {"type": "boolean"}
MOMENT: Json = {"type": "string", "format": "date-time"}
MOMENT_OR_NOT: Json = {"type": ["string", "null"], "format": "date-time"}
UUID: Json = {"type": "string", "format": "uuid"}
TEXT_OR_NOT: Json = {"type": ["string", "null"]}
ANY_OBJECT: Json = {"type": "object"}
STATUS: Json = {
    "type": "string",
    "enum": ["ready", "processed", "error", "skipped", "uncertain"],
}


def object_of(required: str, **properties: Json) -> Json:
    """`required` names properties, apart by spaces; more may be added to answers."""
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
    }


def list_of(items: Json) -> Json:
    return {"type": "array", "items": items}


def named(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
