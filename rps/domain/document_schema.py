"""The JSON Schema (2020-12) of definition documents, for editors to complete and check.

Made from what `rps.domain.document` reads by: the same keys, words, names and limits.
It says as much of a document's shape as JSON Schema can; whether the document makes
sense, only `parse` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import document
from rps.domain.section import (
    LENGTH_MAX,
    LIST_MAX,
    NUMBER_MAX,
    SIZE,
    SIZE_MAX,
    Shape,
    one_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MEDIA_TYPE = "application/schema+json"
Schema = dict[str, Any]


def schema() -> Schema:
    """A fresh one, for the caller to keep."""
    return {
        "$schema": DIALECT,
        "title": "Process sync definition",
        "description": "What is shared between which systems, and how each says it.",
        **_mapping(_definition(), "process_event", "members"),
        # a member has to name its table, unless all members have one in common
        "if": {
            "required": ["common"],
            "properties": {"common": {"type": "object", "required": ["table"]}},
        },
        "else": {
            "properties": {
                "members": {"additionalProperties": {"required": ["table"]}},
            },
        },
        "$defs": {
            "field": _mapping(_field(), "type"),
            "journal": _mapping(
                {
                    "visibility": _word(
                        document.VISIBILITIES,
                        "internal ones never reach a public journal",
                    )
                },
                "visibility",
            ),
            "attachments": _mapping(_attachments(), "journal"),
            "retention": _mapping(
                {
                    "attachments": _text(
                        document.DAYS,
                        "how long the bytes of a file stay after the last message",
                    )
                }
            ),
            "member": _mapping(_member()),
            "field_map": _mapping(_field_map(), "field"),
            "journal_map": _mapping(_journal_map(), "journal"),
        },
    }


def _definition() -> Schema:
    member = {"$ref": "#/$defs/member"}
    return {
        "process_event": _text(
            document.PROCESS_EVENT, "the name both sides agree on; capitals count"
        ),
        "domain": _text(document.DOMAIN, "the tenant, as a path", default="top"),
        "description": _text(document.PROSE, "what it is for"),
        "fields": _named(
            document.SHARED_NAME,
            document.FIELDS_MAX,
            {"$ref": "#/$defs/field"},
            "what all members share, in nobody's dialect",
        ),
        "journals": _named(
            document.SHARED_NAME,
            document.JOURNALS_MAX,
            {"$ref": "#/$defs/journal"},
            "comments and work notes",
        ),
        "attachments": {"$ref": "#/$defs/attachments"},
        "retention": {"$ref": "#/$defs/retention"},
        "common": {**member, "description": "what all members say, said once"},
        "members": {
            **_named(
                document.MEMBER_NAME,
                document.MEMBERS_MAX,
                member,
                "each one table of one remote system",
            ),
            "minProperties": 2,
        },
    }


def _field() -> Schema:
    return {
        "type": _word(document.FIELD_TYPES, "what its values are"),
        "policy": _word(
            (*document.POLICIES, *document.HUB_WINS),
            "who wins when two members change it at once",
            default="newer_wins",
        ),
        "owner": _text(document.MEMBER_NAME, "with policy owner: whose value counts"),
        "max_length": _length("of a text, in characters"),
        "values": _texts(document.CHOICE, "of a choice"),
    }


def _attachments() -> Schema:
    sizes = [
        {"type": "integer", "minimum": 1, "maximum": SIZE_MAX},
        {"type": "string", "pattern": f"^(?:{SIZE})$"},
    ]
    return {
        "journal": _text(
            document.SHARED_NAME, "where people read of a file that does not travel"
        ),
        "size_max": {
            "anyOf": sizes,
            "default": document.ATTACHMENT_BYTES,
            "description": "in bytes, or like '25 MB'",
        },
        "extensions": _texts(document.EXTENSION, "without the dot; none: all files"),
        "deletion": _flag("removed somewhere is removed everywhere", default=False),
    }


def _member() -> Schema:
    return {
        "system": _text(document.REMOTE_NAME, "the remote system; else as the member"),
        "table": _text(document.REMOTE_NAME, "its table there"),
        "capture": {
            **_texts(document.OPERATION, "what is taken from it; []: nothing"),
            "default": list(document.OPERATIONS),
        },
        "deliver": {
            **_texts(document.OPERATION, "what is written to it; []: nothing"),
            "default": ["create", "update"],
        },
        "delivery": _word(
            document.DELIVERIES,
            "each change in its order, or what waits put together",
            default="each",
        ),
        "fields": _named(
            document.SHARED_NAME,
            document.FIELDS_MAX,
            _or_name("field_map"),
            "shared name: the member's own",
        ),
        "journals": _named(
            document.SHARED_NAME,
            document.JOURNALS_MAX,
            _or_name("journal_map"),
            "shared name: the member's own",
        ),
        "attachments": _flag("gives files and gets them", default=True),
        "capture_when": _text(
            document.CONDITION, "which records are shared, as an encoded query"
        ),
        "capture_while": _flag("only as long as they match", default=False),
        "ignore_changed_by": _texts(
            document.REMOTE_NAME, "whose changes are not captured"
        ),
        "constants": _named(
            document.REMOTE_NAME,
            document.CONSTANTS_MAX,
            _literal(document.TEMPLATE),
            "the member's own field: a value, or a text with shared {fields} in it",
        ),
    }


def _field_map() -> Schema:
    either = _literal(document.LITERAL)
    tags = {
        "type": "array",
        "items": _string(document.LITERAL),
        "maxItems": LIST_MAX,
        "uniqueItems": True,
    }
    return {
        "field": _text(document.REMOTE_NAME, "the member's own name"),
        "values": _named(
            document.CHOICE,
            LIST_MAX,
            _string(document.CHOICE),
            "shared value: the member's, one for each",
        ),
        "truncate": _length("cuts a text on the way out, in characters"),
        "default": {
            "anyOf": [*either["anyOf"], tags],
            "description": "what an empty value is read as, in shared words",
        },
        "format": _text(
            document.FORMAT, "goes round a text on the way out: '#{value}'"
        ),
        "as": _word(
            document.WRITTEN, "how a duration is written there", default="seconds"
        ),
    }


def _journal_map() -> Schema:
    return {
        "journal": _text(document.REMOTE_NAME, "the member's own name"),
        "visibility": _word(
            document.VISIBILITIES, "who reads it there: your promise about the system"
        ),
        "prefix": _text(
            document.PREFIX, "before each text that is written there: '[{author}] '"
        ),
        "edits": _flag("entries can be changed and removed there", default=False),
        "earlier_entries": _flag(
            "a record that comes to be shared gets the entries of before",
            default=False,
        ),
    }


# --- kinds of values ----------------------------------------------------------------


def _mapping(properties: Mapping[str, Schema], *required: str) -> Schema:
    made: Schema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    return {**made, "required": list(required)} if required else made


def _named(names: Shape, most: int, values: Schema, description: str) -> Schema:
    """A mapping whose keys its author chooses."""
    return {
        "type": "object",
        "description": description,
        "propertyNames": dict(names.schema),
        "maxProperties": most,
        "additionalProperties": values,
    }


def _or_name(map_: str) -> Schema:
    """A member's own name is short for a map with just that."""
    return {"anyOf": [_string(document.REMOTE_NAME), {"$ref": f"#/$defs/{map_}"}]}


def _string(shape: Shape) -> Schema:
    return {"type": "string", **shape.schema}


def _text(shape: Shape, description: str, default: str | None = None) -> Schema:
    made = {**_string(shape), "description": description}
    return made if default is None else {**made, "default": default}


def _word(
    words: tuple[str, ...], description: str, default: str | None = None
) -> Schema:
    return _text(one_of(words), description, default)


def _texts(shape: Shape, description: str) -> Schema:
    return {
        "type": "array",
        "description": description,
        "items": _string(shape),
        "maxItems": LIST_MAX,
        "uniqueItems": True,
    }


def _length(description: str) -> Schema:
    return {
        "type": "integer",
        "minimum": 1,
        "maximum": LENGTH_MAX,
        "description": description,
    }


def _flag(description: str, *, default: bool) -> Schema:
    return {"type": "boolean", "default": default, "description": description}


def _literal(shape: Shape) -> Schema:
    number = {"type": "number", "minimum": -NUMBER_MAX, "maximum": NUMBER_MAX}
    return {"anyOf": [_string(shape), number, {"type": "boolean"}]}
