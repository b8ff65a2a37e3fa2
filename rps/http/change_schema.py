"""The shape of a change at the door: one table, read twice.

Each field says how to tell a good value (fast: thousands of changes a second come this
way) and how JSON Schema says the same for OpenAPI. Good changes are cleared by the
first; only a change that is not is walked again, to name everything that is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from rps.domain.canonical import DATE_TIME_LENGTH_MAX, WHOLE_MAX, Unreadable, instant
from rps.domain.problem import Findings
from rps.http.attachment_schema import ATTACHMENTS
from rps.http.kinds import Kind, Messages, Shape, is_whole, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANGES_MAX = 1000
FIELDS_MAX = 200
ENTRIES_MAX = 100
ORIGIN_MAX = 20
HOP_MAX = 100
TAGS_MAX = 500
ENTRY_TEXT_MAX = 64 * 1024
NAME_MAX = 120
RECORD_ID_MAX = 255
CHANGE_ID_MAX = 200
PERSON_MAX = 255
OPERATIONS = ("create", "update", "delete")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = frozenset({str, int, float, bool, type(None)})


# --- single values ------------------------------------------------------------------


def _line(most: int) -> Kind:
    """A text that can be shown on one line."""

    def fits(value: Any) -> bool:
        return (
            type(value) is str
            and 1 <= len(value) <= most
            and _CONTROL.search(value) is None
        )

    schema = {
        "type": "string",
        "minLength": 1,
        "maxLength": most,
        "not": {"pattern": _CONTROL.pattern},
    }
    return Kind(
        fits, schema, f"a text of 1 to {most} characters, no control characters"
    )


def _is_revision(value: Any) -> bool:
    if type(value) is str:
        return 1 <= len(value) <= RECORD_ID_MAX
    return value is None or (is_whole(value) and -WHOLE_MAX <= value <= WHOLE_MAX)


def _is_hop(value: Any) -> bool:
    return is_whole(value) and 0 <= value <= HOP_MAX


def _is_external_id(value: Any) -> bool:
    return value is None or (type(value) is str and len(value) <= RECORD_ID_MAX)


def is_moment(value: Any) -> bool:
    """Whether `value` is a text that the domain reads as a moment."""
    try:
        instant(value)
    except Unreadable:
        return False
    return True


def _is_operation(value: Any) -> bool:
    return type(value) is str and value in OPERATIONS


def _is_origin(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) <= ORIGIN_MAX
        and all(type(name) is str and 1 <= len(name) <= NAME_MAX for name in value)
    )


_MOMENT = Kind(
    is_moment,
    {
        "type": "string",
        "maxLength": DATE_TIME_LENGTH_MAX,
        "format": "date-time",
        "description": "ISO 8601 with a zone, or ServiceNow's UTC without one",
    },
    "a moment in ISO 8601 with a zone",
)
_DELETED = Kind(
    lambda value: type(value) is bool,
    {"type": "boolean", "description": "true: the entry was removed there"},
    "true or false",
)
_YOURS = Kind(
    lambda value: type(value) is bool,
    {"type": "boolean", "description": "between nodes: the id is this node's"},
    "true or false",
)
_OPERATION = Kind(
    _is_operation,
    {"type": "string", "enum": list(OPERATIONS)},
    f"one of {', '.join(OPERATIONS)}",
)
_REVISION = Kind(
    _is_revision,
    {
        "type": ["string", "integer", "null"],
        "minimum": -WHOLE_MAX,
        "maximum": WHOLE_MAX,
        "minLength": 1,
        "maxLength": RECORD_ID_MAX,
        "description": "the record's revision after the change, as its system counts",
    },
    f"a whole number, or a text of 1 to {RECORD_ID_MAX} characters, or null",
)
_EXTERNAL_ID = Kind(
    _is_external_id,
    {"type": ["string", "null"], "maxLength": RECORD_ID_MAX},
    f"a text of up to {RECORD_ID_MAX} characters, or null",
)
_HOP = Kind(
    _is_hop,
    {"type": "integer", "minimum": 0, "maximum": HOP_MAX},
    f"a whole number 0 to {HOP_MAX}",
)
_ORIGIN = Kind(
    _is_origin,
    {
        "type": "array",
        "maxItems": ORIGIN_MAX,
        "items": {"type": "string", "minLength": 1, "maxLength": NAME_MAX},
    },
    f"a list of up to {ORIGIN_MAX} texts of 1 to {NAME_MAX} characters",
)


# --- field values -------------------------------------------------------------------


def _is_tags(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) <= TAGS_MAX
        and all(type(tag) is str for tag in value)
    )


def _are_values(value: Any) -> bool:
    if type(value) is not dict or len(value) > FIELDS_MAX:
        return False
    if not value:
        return True
    if "" in value or max(map(len, value)) > NAME_MAX:
        return False
    return _PLAIN.issuperset(map(type, value.values())) or all(
        type(each) in _PLAIN or _is_tags(each) for each in value.values()
    )


_VALUE_SAYS = f"a text, a number, true, false, null or a list of up to {TAGS_MAX} texts"


def _value_faults(value: Any, _found: Findings) -> Messages:
    if type(value) is not dict or len(value) > FIELDS_MAX:
        return None
    wrong: dict[str, list[str]] = {}
    for name, each in value.items():
        if not 1 <= len(name) <= NAME_MAX:
            wrong[name] = [f"a field's name has 1 to {NAME_MAX} characters"]
        elif type(each) not in _PLAIN and not _is_tags(each):
            wrong[name] = [f"give {_VALUE_SAYS}"]
    return wrong


_VALUES = Kind(
    _are_values,
    {
        "type": "object",
        "maxProperties": FIELDS_MAX,
        "propertyNames": {"minLength": 1, "maxLength": NAME_MAX},
        "additionalProperties": {
            "type": ["string", "number", "boolean", "null", "array"],
            "maxItems": TAGS_MAX,
            "items": {"type": "string"},
        },
    },
    f"an object of up to {FIELDS_MAX} fields",
    _value_faults,
)


# --- objects ------------------------------------------------------------------------


class _EntryShape(Shape):
    """A journal entry has a text, or was deleted."""

    def fits(self, value: Any) -> bool:
        return super().fits(value) and _says_something(value)

    def faults(self, value: Any, found: Findings) -> Messages:
        wrong = super().faults(value, found)
        if type(value) is dict and not _says_something(value):
            wrong["text"] = ["this field is missing"]
        return wrong

    @property
    def schema(self) -> dict[str, Any]:
        deleted = {"required": ["deleted"], "properties": {"deleted": {"const": True}}}
        return {**super().schema, "anyOf": [{"required": ["text"]}, deleted]}


def _says_something(entry: Mapping[str, Any]) -> bool:
    return "text" in entry or entry.get("deleted") is True


_ENTRY = _EntryShape(
    {
        "id": _line(CHANGE_ID_MAX),
        "journal": text(NAME_MAX),
        "text": text(ENTRY_TEXT_MAX, least=0),
        "author": text(PERSON_MAX, least=0),
        "written_at": _MOMENT,
        "deleted": _DELETED,
        "yours": _YOURS,
    },
    required=("id", "journal"),
)


def _are_entries(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) <= ENTRIES_MAX
        and all(map(_ENTRY.fits, value))
    )


def _entry_faults(value: Any, found: Findings) -> Messages:
    if type(value) is not list or len(value) > ENTRIES_MAX:
        return None
    faults = {index: _ENTRY.faults(each, found) for index, each in enumerate(value)}
    return {index: messages for index, messages in faults.items() if messages}


_CHANGE = Shape(
    {
        "system": text(NAME_MAX),
        "table": text(NAME_MAX),
        "record_id": text(RECORD_ID_MAX),
        "operation": _OPERATION,
        "change_id": text(CHANGE_ID_MAX),
        "revision": _REVISION,
        "fields": _VALUES,
        "before": _VALUES,
        "entries": Kind(
            _are_entries,
            {"type": "array", "maxItems": ENTRIES_MAX, "items": _ENTRY.schema},
            f"a list of up to {ENTRIES_MAX} journal entries",
            _entry_faults,
        ),
        "attachments": ATTACHMENTS,
        "changed_by": text(PERSON_MAX, least=0),
        "changed_at": _MOMENT,
        "external_id": _EXTERNAL_ID,
        "origin": _ORIGIN,
        "hop": _HOP,
    },
    required=("system", "table", "record_id", "operation"),
)

CHANGE_SCHEMA = _CHANGE.schema
"""A change as JSON Schema (2020-12, as in OpenAPI 3.1)."""


def checked(change: Any) -> dict[str, Any]:
    """`change` itself, numbers that stand for others put right.

    Raises ValidationError naming everything that is wrong with it.
    """
    if not _CHANGE.fits(change):
        raise ValidationError(_CHANGE.faults(change, Findings()))
    return _plain(change)


def all_checked(changes: Sequence[Any]) -> list[dict[str, Any]]:
    """As `checked`, for 1 to 1,000 changes at once."""
    if not 1 <= len(changes) <= CHANGES_MAX:
        raise ValidationError([f"give 1 to {CHANGES_MAX} changes in a list"])
    if not all(map(_CHANGE.fits, changes)):
        found = Findings()
        faults = {i: _CHANGE.faults(each, found) for i, each in enumerate(changes)}
        raise ValidationError({i: wrong for i, wrong in faults.items() if wrong})
    return [_plain(change) for change in changes]


def _plain(change: dict[str, Any]) -> dict[str, Any]:
    revision = change.get("revision")
    if revision is not None and type(revision) is not str:
        change["revision"] = str(int(revision))
    if type(change.get("hop")) is float:
        change["hop"] = int(change["hop"])
    for file in change.get("attachments", ()):
        for name in ("size", "version"):
            if name in file:
                file[name] = int(file[name])
    return change
