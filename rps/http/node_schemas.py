"""What linked nodes say to each other, as JSON Schema; and a message as a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.connectors.batch import MESSAGES_MAX
from rps.connectors.node import PROTOCOL
from rps.http.change_schema import CHANGE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = {
    "id": "change_id",
    "process_event": "table",
    "operation": "operation",
    "correlation_id": "record_id",
    "version": "revision",
    "fields": "fields",
    "entries": "entries",
    "attachments": "attachments",
    "origin": "origin",
    "hop": "hop",
    "changed_by": "changed_by",
    "changed_at": "changed_at",
}
"""A message's keys, and those of the change that it is here."""

REQUIRED = ("id", "process_event", "operation", "correlation_id")

_TEXT = {"type": "string"}
_TEXT_OR_NOT = {"type": ["string", "null"]}
MESSAGES_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["protocol", "messages"],
    "properties": {
        "protocol": {"const": PROTOCOL},
        "messages": {
            "type": "array",
            "minItems": 1,
            "maxItems": MESSAGES_MAX,
            "items": {
                "type": "object",
                "required": list(REQUIRED),
                "properties": {
                    **{
                        key: CHANGE_SCHEMA["properties"][own]
                        for key, own in KEYS.items()
                    },
                    "record_id": _TEXT_OR_NOT,
                    "if_match": _TEXT_OR_NOT,
                },
            },
        },
    },
}
STANDING_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["protocol", "state", "knows"],
    "properties": {
        "protocol": {"type": "integer"},
        "state": _TEXT,
        "knows": {"type": "object"},
    },
}
SETTLED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["ids"],
    "properties": {"ids": {"type": "array", "maxItems": MESSAGES_MAX, "items": _TEXT}},
}
SECRET_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["secret"],
    "properties": {"secret": _TEXT},
}
CHECKPOINT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["checkpoint", "keys", "old", "proof"],
    "properties": {
        "checkpoint": {"type": "string", "description": "a signed note"},
        "keys": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["key", "succession"],
                "properties": {"key": _TEXT, "succession": _TEXT},
            },
        },
        "old": {"type": "integer", "minimum": 0},
        "proof": {"type": "array", "maxItems": 64, "items": _TEXT},
    },
}
ACCEPT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["url", "secret"],
    "properties": {"url": _TEXT, "secret": _TEXT},
}
