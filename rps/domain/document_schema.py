"""The JSON Schema (2020-12) of definition documents, for editors to complete and check.

Made from what `rps.domain.document` reads by: the same keys, words, names and limits.
It says as much of a document's shape as JSON Schema can; whether the document makes
sense, only `parse` knows.
"""

from __future__ import annotations

from rps.domain import document
from rps.domain.schema_kinds import (
    Schema,
    flag,
    length,
    literal,
    mapping,
    named,
    string,
    text,
    texts,
    word,
)
from rps.domain.section import LIST_MAX, SIZE, SIZE_MAX
from rps.domain.step_schema import flow
from rps.domain.steps import DIRECTIONS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MEDIA_TYPE = "application/schema+json"


def schema() -> Schema:
    """A fresh one, for the caller to keep."""
    return {
        "$schema": DIALECT,
        "title": "Process sync definition",
        "description": "What is shared between which systems, and how each says it.",
        **mapping(_definition(), "process_event", "members"),
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
            "field": mapping(_field(), "type"),
            "journal": mapping(
                {
                    "visibility": word(
                        document.VISIBILITIES,
                        "internal ones never reach a public journal",
                    )
                },
                "visibility",
            ),
            "attachments": mapping(_attachments(), "journal"),
            "retention": mapping(
                {
                    "attachments": text(
                        document.DAYS,
                        "how long the bytes of a file stay after the last message",
                    )
                }
            ),
            "member": mapping(_member()),
            "field_map": mapping(_field_map(), "field"),
            "journal_map": mapping(_journal_map(), "journal"),
            "flow": flow(),
        },
    }


def _definition() -> Schema:
    member = {"$ref": "#/$defs/member"}
    return {
        "process_event": text(
            document.PROCESS_EVENT, "the name both sides agree on; capitals count"
        ),
        "domain": text(document.DOMAIN, "the tenant, as a path", default="top"),
        "description": text(document.PROSE, "what it is for"),
        "fields": named(
            document.SHARED_NAME,
            document.FIELDS_MAX,
            {"$ref": "#/$defs/field"},
            "what all members share, in nobody's dialect",
        ),
        "journals": named(
            document.SHARED_NAME,
            document.JOURNALS_MAX,
            {"$ref": "#/$defs/journal"},
            "comments and work notes",
        ),
        "attachments": {"$ref": "#/$defs/attachments"},
        "retention": {"$ref": "#/$defs/retention"},
        "common": {**member, "description": "what all members say, said once"},
        "members": {
            **named(
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
        "type": word(document.FIELD_TYPES, "what its values are"),
        "policy": word(
            (*document.POLICIES, *document.HUB_WINS),
            "who wins when two members change it at once",
            default="newer_wins",
        ),
        "owner": text(document.MEMBER_NAME, "with policy owner: whose value counts"),
        "max_length": length("of a text, in characters"),
        "values": texts(document.CHOICE, "of a choice"),
    }


def _attachments() -> Schema:
    sizes = [
        {"type": "integer", "minimum": 1, "maximum": SIZE_MAX},
        {"type": "string", "pattern": f"^(?:{SIZE})$"},
    ]
    return {
        "journal": text(
            document.SHARED_NAME, "where people read of a file that does not travel"
        ),
        "size_max": {
            "anyOf": sizes,
            "default": document.ATTACHMENT_BYTES,
            "description": "in bytes, or like '25 MB'",
        },
        "extensions": texts(document.EXTENSION, "without the dot; none: all files"),
        "deletion": flag("removed somewhere is removed everywhere", default=False),
    }


def _member() -> Schema:
    return {
        "system": text(document.REMOTE_NAME, "the remote system; else as the member"),
        "table": text(document.REMOTE_NAME, "its table there"),
        "capture": {
            **texts(document.OPERATION, "what is taken from it; []: nothing"),
            "default": list(document.OPERATIONS),
        },
        "deliver": {
            **texts(document.OPERATION, "what is written to it; []: nothing"),
            "default": ["create", "update"],
        },
        "delivery": word(
            document.DELIVERIES,
            "each change in its order, or what waits put together",
            default="each",
        ),
        "fields": named(
            document.SHARED_NAME,
            document.FIELDS_MAX,
            _or_name("field_map"),
            "shared name: the member's own",
        ),
        "journals": named(
            document.SHARED_NAME,
            document.JOURNALS_MAX,
            _or_name("journal_map"),
            "shared name: the member's own",
        ),
        "attachments": flag("gives files and gets them", default=True),
        "capture_when": text(
            document.CONDITION, "which records are shared, as an encoded query"
        ),
        "capture_while": flag("only as long as they match", default=False),
        "ignore_changed_by": texts(
            document.REMOTE_NAME, "whose changes are not captured"
        ),
        "constants": named(
            document.REMOTE_NAME,
            document.CONSTANTS_MAX,
            literal(document.TEMPLATE),
            "the member's own field: a value, or a text with shared {fields} in it",
        ),
        "flows": {
            **mapping({each: {"$ref": "#/$defs/flow"} for each in DIRECTIONS}),
            "description": "steps beside the maps, by direction",
        },
    }


def _field_map() -> Schema:
    either = literal(document.LITERAL)
    tags = {
        "type": "array",
        "items": string(document.LITERAL),
        "maxItems": LIST_MAX,
        "uniqueItems": True,
    }
    return {
        "field": text(document.REMOTE_NAME, "the member's own name"),
        "values": named(
            document.CHOICE,
            LIST_MAX,
            string(document.CHOICE),
            "shared value: the member's, one for each",
        ),
        "truncate": length("cuts a text on the way out, in characters"),
        "default": {
            "anyOf": [*either["anyOf"], tags],
            "description": "what an empty value is read as, in shared words",
        },
        "format": text(document.FORMAT, "goes round a text on the way out: '#{value}'"),
        "as": word(
            document.WRITTEN, "how a duration is written there", default="seconds"
        ),
    }


def _journal_map() -> Schema:
    return {
        "journal": text(document.REMOTE_NAME, "the member's own name"),
        "visibility": word(
            document.VISIBILITIES, "who reads it there: your promise about the system"
        ),
        "prefix": text(
            document.PREFIX, "before each text that is written there: '[{author}] '"
        ),
        "edits": flag("entries can be changed and removed there", default=False),
        "earlier_entries": flag(
            "a record that comes to be shared gets the entries of before",
            default=False,
        ),
    }


def _or_name(map_: str) -> Schema:
    """A member's own name is short for a map with just that."""
    return {"anyOf": [string(document.REMOTE_NAME), {"$ref": f"#/$defs/{map_}"}]}
