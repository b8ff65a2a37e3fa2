"""Records, comments and files as a system shows them, in our words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from rps.connectors.rest import template
from rps.connectors.shown import is_value, text_of_id, text_of_revision
from rps.domain.canonical import Unreadable, instant
from rps.domain.delivery import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.rest.description import Description, Field, Marker, Record

_SAFE = ":@.-_"
"""What is not escaped in a marker: no `--`, `<` or `>` can come to be in it."""
_ISO = "%Y-%m-%dT%H:%M:%S"
_EPOCH_MAX = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Seen:
    """A record in an answer. `raw` is as the system shows it."""

    snapshot: Snapshot
    raw: Any = None
    external_id: str = ""
    changed_by: str = ""
    is_ignored: bool = False
    marked: Mapping[str, str] = field(default_factory=dict)


def seen(
    description: Description,
    record: Record,
    document: Any,
    headers: Mapping[str, str],
    record_id: str = "",
) -> Seen | None:
    """None where the answer shows no record."""
    raw = template.picked(record.at, document)
    if not isinstance(raw, dict):
        return None
    known = text_of_id(template.picked(record.id, raw)) or record_id
    if not known:
        return None
    fields = _fields(description, record, raw)
    external_id = _unmarked(record.external_id, raw, fields)
    return Seen(
        Snapshot(
            record_id=known,
            revision=_revision(record, raw, headers),
            fields=fields,
            deleted=template.picked(record.deleted, raw) is True
            if record.deleted
            else False,
            updated_at=_moment_at(description, record.updated_at, raw),
        ),
        raw,
        external_id,
        text_at(record.updated_by, raw),
        bool(record.ignore) and template.picked(record.ignore, raw) is True,
    )


def _fields(description: Description, record: Record, raw: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if record.fields_at:
        shown_there = template.picked(record.fields_at, raw)
        if isinstance(shown_there, dict):
            found = {name: v for name, v in shown_there.items() if is_value(v)}
    for name, each in record.fields.items():
        found.pop(name, None)
        try:
            value = template.shown(each.read, raw)
        except template.Absent:
            if not each.optional:
                continue
            value = None
        value = in_our_form(description, each, value)
        if is_value(value):
            found[name] = value
    return {name: _with_plain_lines(value) for name, value in found.items()}


def in_our_form(description: Description, each: Field, value: Any) -> Any:
    if each.kind == "time" and value is not None:
        return moment(description, value) or value
    return value


def _with_plain_lines(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _revision(record: Record, raw: Any, headers: Mapping[str, str]) -> str | None:
    if record.revision:
        found = template.picked(record.revision, raw)
    elif record.revision_header:
        found = headers.get(record.revision_header)
    else:
        return None
    if isinstance(found, str):
        found = found.strip().removeprefix("W/").strip('"')
    return text_of_revision(found)


def text_at(expression: str, raw: Any) -> str:
    found = template.picked(expression, raw) if expression else None
    return found[:255] if isinstance(found, str) else ""


# --- times --------------------------------------------------------------------------


def moment(description: Description, value: Any) -> str | None:
    """ISO 8601 in UTC; None where it is no moment."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value <= _EPOCH_MAX:
            return datetime.fromtimestamp(value, UTC).isoformat()
        return None
    if not isinstance(value, str):
        return None
    try:
        if description.time_format:
            at = datetime.strptime(value, description.time_format).replace(tzinfo=UTC)
            return at.isoformat()
        return instant(value).isoformat()
    except (Unreadable, ValueError):
        return _without_zone(value)


def _without_zone(value: str) -> str | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).isoformat()


def _moment_at(description: Description, expression: str, raw: Any) -> str | None:
    return moment(description, template.picked(expression, raw)) if expression else None


def moment_at(description: Description, expression: str, raw: Any) -> str:
    return _moment_at(description, expression, raw) or ""


def as_asked(description: Description, at: datetime) -> str:
    """A moment as the system reads it in a question or a field."""
    if description.time_format:
        return at.strftime(description.time_format)
    return at.strftime(_ISO) + description.time_zone


# --- our ids in their texts ---------------------------------------------------------


def marked(marker: Marker, our_id: str) -> str:
    """The id as it is written there."""
    return marker.form.replace("{id}", quote(our_id, safe=_SAFE).replace("--", "%2D-"))


def unmarked(marker: Marker, text: str) -> tuple[str, str]:
    """Our id in the text, "" where there is none, and the text without the marker."""
    before, after = marker.form.split("{id}")
    pattern = re.escape(before) + r"([!-;=?-~]{1,600}?)" + re.escape(after)
    found = re.search(pattern, text) if marker.within else re.fullmatch(pattern, text)
    if found is None:
        return "", text
    rest = (text[: found.start()] + text[found.end() :]).strip()
    return unquote(found[1]), rest


def _unmarked(marker: Marker | None, raw: Any, fields: dict[str, Any]) -> str:
    """The external id; a text that holds it shows without it."""
    if marker is None:
        return ""
    if marker.at:
        return unmarked(marker, text_at(marker.at, raw))[0]
    text = fields.get(marker.within)
    if not isinstance(text, str):
        return ""
    our_id, fields[marker.within] = unmarked(marker, text)
    return our_id


def our_id(marker: Marker | None, raw: Any, text: str) -> tuple[str, str]:
    """The id that a comment is marked with, "" for none, and its text without it."""
    if marker is None:
        return "", text
    if marker.within:
        return unmarked(marker, text)
    return unmarked(marker, text_at(marker.at, raw))[0], text


# --- what is written ----------------------------------------------------------------


def written(
    description: Description,
    record: Record,
    fields: Mapping[str, Any],
    external_id: str,
) -> dict[str, Any]:
    """The fields as one JSON object in the system's form, for `{fields}`."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        each = record.fields.get(name)
        if each is not None and not each.writable:
            continue
        theirs = in_their_form(description, record, each, value)
        marker = record.external_id
        if marker is not None and marker.within == name:
            theirs = f"{theirs or ''}{marked(marker, external_id)}"
        for part in reversed(each.to if each else (name,)):
            theirs = {part: theirs}
        made = template.merged(made, theirs)
    return made


def in_their_form(
    description: Description, record: Record, each: Field | None, value: Any
) -> Any:
    if value is None:
        return record.cleared_as
    if each is None:
        return value
    if each.kind == "time" and isinstance(value, str):
        try:
            value = as_asked(description, instant(value))
        except Unreadable:
            return value
    if isinstance(value, str):
        value = each.words.get(value, value)
    return template.as_value(each.write, {"value": value})
