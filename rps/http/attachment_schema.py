"""The shape of a change's attachments at the door."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rps.domain.canonical import WHOLE_MAX
from rps.http.kinds import Kind, Messages, Shape, is_whole, text

if TYPE_CHECKING:
    from rps.domain.problem import Findings

ATTACHMENTS_MAX = 100
NAME_MAX = 1000
"""More than any file system takes: what does not fit is refused with an entry that
people read, which a change that is turned away here would not have."""
ID_MAX = 200
TYPE_MAX = 255
VERSION_MAX = 1_000_000_000

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _is_size(value: Any) -> bool:
    return is_whole(value) and 0 <= value <= WHOLE_MAX


def _is_version(value: Any) -> bool:
    return is_whole(value) and 1 <= value <= VERSION_MAX


def _is_sha256(value: Any) -> bool:
    return type(value) is str and _SHA256.fullmatch(value) is not None


def _is_flag(value: Any) -> bool:
    return type(value) is bool


_ATTACHMENT = Shape(
    {
        "id": text(ID_MAX),
        "name": text(NAME_MAX, least=0),
        "size": Kind(
            _is_size,
            {"type": "integer", "minimum": 0, "maximum": WHOLE_MAX},
            "its number of bytes",
        ),
        "type": text(TYPE_MAX, least=0),
        "sha256": Kind(
            _is_sha256,
            {"type": "string", "maxLength": 64, "pattern": "^[0-9a-f]{64}$"},
            "the SHA-256 of its bytes: 64 of 0-9 and a-f",
        ),
        "deleted": Kind(_is_flag, {"type": "boolean"}, "true or false"),
        "version": Kind(
            _is_version,
            {
                "type": "integer",
                "minimum": 1,
                "maximum": VERSION_MAX,
                "description": "between nodes: counts its contents",
            },
            f"a whole number 1 to {VERSION_MAX}",
        ),
        "yours": Kind(
            _is_flag,
            {"type": "boolean", "description": "between nodes: the id is this node's"},
            "true or false",
        ),
    },
    required=("id",),
)
_THERE = ("name", "size", "sha256")


def _is_attachment(value: Any) -> bool:
    return _ATTACHMENT.fits(value) and (
        value.get("deleted") is True or all(name in value for name in _THERE)
    )


def _are_attachments(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) <= ATTACHMENTS_MAX
        and all(map(_is_attachment, value))
    )


def _attachment_faults(value: Any, found: Findings) -> Messages:
    if type(value) is not list or len(value) > ATTACHMENTS_MAX:
        return None
    faults = {index: _attachment_wrong(each, found) for index, each in enumerate(value)}
    return {index: messages for index, messages in faults.items() if messages}


def _attachment_wrong(value: Any, found: Findings) -> Messages:
    wrong = _ATTACHMENT.faults(value, found)
    if type(value) is dict and value.get("deleted") is not True:
        missing = [name for name in _THERE if name not in value]
        wrong |= {name: ["give it, or 'deleted': true"] for name in missing}
    return wrong


ATTACHMENTS = Kind(
    _are_attachments,
    {
        "type": "array",
        "maxItems": ATTACHMENTS_MAX,
        "items": {
            **_ATTACHMENT.schema,
            "anyOf": [
                {"required": list(_THERE)},
                {
                    "required": ["deleted"],
                    "properties": {"deleted": {"const": True}},
                },
            ],
        },
    },
    f"a list of up to {ATTACHMENTS_MAX} attachments",
    _attachment_faults,
)
