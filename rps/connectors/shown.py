"""What an answer shows of a record. An answer is hostile input: bounded and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from rps.domain.delivery import Snapshot

_DEPTH_MAX = 32
_REVISION = re.compile(r"[\x21\x23-\x7e]{1,255}")  # what an entity tag may hold
_RECORD_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,255}")
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """What of an answer can be used."""

    record_id: str | None = None
    revision: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False
    updated_at: str | None = None


def parsed(body: bytes) -> dict[str, Any] | None:
    """A JSON object of at most 32 levels, or None: the answer is hostile input."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    level: list[Any] = [value]
    for _ in range(_DEPTH_MAX):
        inside = (one.values() if isinstance(one, dict) else one for one in level)
        level = [v for values in inside for v in values if isinstance(v, dict | list)]
        if not level:
            return value
    return None


def shown_record(value: Any) -> ShownRecord | None:
    """None when a field is no value or cannot be stored: nothing of it is used."""
    if not isinstance(value, dict):
        return None
    fields = value.get("fields")
    if fields is None:
        fields = {}
    if not isinstance(fields, dict) or not all(
        _is_storable(name) and is_value(value) for name, value in fields.items()
    ):
        return None
    return ShownRecord(
        record_id=_text(value.get("record_id"), _RECORD_ID),
        revision=_text(value.get("revision"), _REVISION),
        fields=fields,
        deleted=value.get("deleted") is True,
        updated_at=_text(value.get("updated_at"), _RECORD_ID),
    )


def is_value(value: Any) -> bool:
    """A scalar, or a list of texts."""
    if isinstance(value, list):
        return all(isinstance(each, str) and _is_storable(each) for each in value)
    return _is_storable(value)


def _is_storable(value: Any) -> bool:
    # PostgreSQL keeps no NUL in text.
    return isinstance(value, _SCALARS) and not (
        isinstance(value, str) and "\x00" in value
    )


def _text(value: Any, shape: re.Pattern[str]) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and shape.fullmatch(value) is not None:
        return value
    return None


def text_of_id(value: Any) -> str | None:
    return _text(value, _RECORD_ID)


def text_of_revision(value: Any) -> str | None:
    return _text(value, _REVISION)


def snapshot(record: ShownRecord, record_id: str) -> Snapshot:
    return Snapshot(
        record_id=record.record_id or record_id,
        revision=record.revision,
        fields=record.fields,
        deleted=record.deleted,
        updated_at=record.updated_at,
    )
