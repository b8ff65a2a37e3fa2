"""What the API answers about subscriptions and notices, as JSON Schema for OpenAPI."""

from __future__ import annotations

from typing import Any

from rps.domain.subscription import ABOUT, KINDS, TOPICS, WITNESSES

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_UUID: Json = {"type": "string", "format": "uuid"}
_TOPIC: Json = {"type": "string", "enum": list(TOPICS)}

_SUBSCRIPTION: Json = {
    "type": "object",
    "required": ["name", "kind", "settings", "about", "state", "deliveries", "version"],
    "properties": {
        "subscription_id": _UUID,
        "name": _TEXT,
        "domain": _TEXT,
        "kind": {"type": "string", "enum": [*KINDS, *WITNESSES]},
        "settings": {"type": "object"},
        "about": {
            "type": "array",
            "items": {"type": "string", "enum": list(ABOUT)},
        },
        "process_event": _TEXT,
        "system": _TEXT,
        "state": {"type": "string", "enum": ["active", "paused"]},
        "since": _MOMENT,
        "deliveries": {
            "type": "object",
            "required": ["waiting", "attempts", "failed", "detail"],
            "properties": {
                "waiting": _WHOLE,
                "attempts": {
                    "type": "integer",
                    "description": "the most that one of them had",
                },
                "failed": {"type": "integer", "description": "given up"},
                "detail": {"type": "string", "description": "of the latest failure"},
                "last_at": _MOMENT,
            },
        },
        "version": _WHOLE,
        "changed_at": _MOMENT,
        "secret": {"type": "string", "description": "shown in this answer only"},
    },
}
_NOTICE: Json = {
    "type": "object",
    "required": ["notice_id", "topic", "state", "count", "first_at", "last_at"],
    "properties": {
        "notice_id": _UUID,
        "topic": _TOPIC,
        "process_event": _TEXT,
        "system": _TEXT,
        "member": _TEXT,
        "field": _TEXT,
        "fingerprint": _TEXT,
        "state": {
            "type": "string",
            "enum": ["open", "over", "folded"],
            "description": "open: the outage goes on; folded: told with an outage",
        },
        "detail": _TEXT,
        "count": _WHOLE,
        "first_at": _MOMENT,
        "last_at": _MOMENT,
        "began_at": {"type": ["string", "null"], "format": "date-time"},
        "seconds": {"type": "number"},
        "parked": _WHOLE,
        "waited": _WHOLE,
        "samples": {"type": "array", "items": {"type": "object"}},
        "position": _WHOLE,
        "deliveries": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["delivery_id", "subscription_id", "part", "state"],
                "properties": {
                    "delivery_id": _UUID,
                    "subscription_id": _UUID,
                    "part": _WHOLE,
                    "state": {
                        "type": "string",
                        "enum": ["waiting", "sent", "failed", "dropped"],
                    },
                    "attempts": _WHOLE,
                    "due_at": _MOMENT,
                    "detail": _TEXT,
                },
            },
        },
    },
}


def _listed(name: str, of: str) -> Json:
    items = {"$ref": f"#/components/schemas/{of}"}
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": items}},
    }


SCHEMAS: dict[str, Json] = {
    "Subscription": _SUBSCRIPTION,
    "Subscriptions": _listed("subscriptions", "Subscription"),
    "Tested": {
        "type": "object",
        "required": ["outcome", "detail"],
        "properties": {
            "outcome": {"type": "string", "enum": ["told", "again", "never"]},
            "detail": _TEXT,
        },
    },
    "Notice": _NOTICE,
    "Notices": _listed("notices", "Notice"),
}
