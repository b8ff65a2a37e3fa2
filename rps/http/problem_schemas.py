"""What the API answers about problems, as JSON Schema for OpenAPI."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_UUID: Json = {"type": "string", "format": "uuid"}

_EXAMPLE: Json = {
    "type": "object",
    "required": ["correlation_id", "since", "at", "attempts", "detail"],
    "properties": {
        "correlation_id": _UUID,
        "message_id": _UUID,
        "sequence": _WHOLE,
        "since": _MOMENT,
        "at": _MOMENT,
        "attempts": _WHOLE,
        "detail": _TEXT,
        "position": _WHOLE,
    },
}
_GROUP: Json = {
    "type": "object",
    "required": ["fingerprint", "queue", "state", "entries", "cause", "remedy"],
    "properties": {
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "domain": _TEXT,
        "queue": {"type": "string", "enum": ["inbound", "outbound"]},
        "state": {
            "type": "string",
            "enum": ["error", "ready", "uncertain"],
            "description": "error: its entries wait for a person; the others go on "
            "by themselves",
        },
        "kind": _TEXT,
        "process_event": _TEXT,
        "system": _TEXT,
        "member": _TEXT,
        "step": _TEXT,
        "field": _TEXT,
        "status": {"type": "integer", "description": "what the system answered, or 0"},
        "pattern": _TEXT,
        "entries": _WHOLE,
        "first_at": _MOMENT,
        "last_at": _MOMENT,
        "position": _WHOLE,
        "code": _TEXT,
        "cause": _TEXT,
        "remedy": _TEXT,
        "breaker": {"type": ["object", "null"]},
        "examples": {"type": "array", "items": _EXAMPLE},
    },
}
_TREATMENT: Json = {
    "type": "object",
    "required": ["treatment_id", "action", "state", "entries", "done", "left"],
    "properties": {
        "treatment_id": _UUID,
        "fingerprint": _TEXT,
        "action": {"type": "string", "enum": ["retry", "skip"]},
        "state": {
            "type": "string",
            "enum": ["planned", "started", "completed", "cancelled"],
        },
        "queue": _TEXT,
        "entries": _WHOLE,
        "done": _WHOLE,
        "settled": {
            "type": "integer",
            "description": "by others, before it came to it",
        },
        "left": _WHOLE,
        "reason": _TEXT,
        "planned_by": _TEXT,
        "version": _WHOLE,
        "changed_at": _MOMENT,
    },
}

SCHEMAS: dict[str, Json] = {
    "ProblemGroup": _GROUP,
    "ProblemGroups": {
        "type": "object",
        "required": ["problems"],
        "properties": {
            "problems": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/ProblemGroup"},
            }
        },
    },
    "Treatment": _TREATMENT,
}
