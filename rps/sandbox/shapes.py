"""What the ticket sandbox takes at its doors: type and size, nothing more."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load
from marshmallow.validate import Length, OneOf, Range, Regexp

from rps.domain.delivery import JournalEntry
from rps.sandbox.attachments import File
from rps.sandbox.edits import COMMENTS
from rps.sandbox.inbound import InboundMessage

TEXT_CHARACTERS_MAX = 65_536
FIELDS_MAX = 200
MESSAGES_MAX = 500

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_WEBHOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ENTRIES_MAX = 500
_TAG_MAX = 200

_name = Length(min=1, max=200)
_text = Length(min=1, max=TEXT_CHARACTERS_MAX)


class Scalars(fields.Field[dict[str, Any]]):
    """A JSON object of field names and scalars, or lists of texts (tags)."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002 - marshmallow's signature
        data: Any,  # noqa: ARG002 - marshmallow's signature
        **_: Any,
    ) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > FIELDS_MAX:
            raise ValidationError(f"Give an object of at most {FIELDS_MAX} fields.")
        wrong = {name: why for name in value if (why := _fault(name, value[name]))}
        if wrong:
            raise ValidationError(wrong)
        return value


def _fault(name: str, value: object) -> list[str]:
    if not _FIELD_NAME.fullmatch(name):
        return ["Not a field name."]
    if isinstance(value, str):
        return ["Too long."] if len(value) > TEXT_CHARACTERS_MAX else []
    if value is None or isinstance(value, (bool, int, float)):
        return []
    if isinstance(value, list) and all(map(_is_tag, value[: FIELDS_MAX + 1])):
        return ["Too many."] if len(value) > FIELDS_MAX else []
    return ["Neither a scalar nor a list of short texts."]


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _TAG_MAX


class _EntrySchema(Schema):
    class Meta:
        unknown = EXCLUDE

    id = fields.String(required=True, validate=_name)
    journal = fields.String(required=True, validate=_name)
    text = fields.String(required=True, validate=Length(max=TEXT_CHARACTERS_MAX))
    author = fields.String(load_default="", validate=Length(max=200))
    written_at = fields.String(load_default="", validate=Length(max=40))
    operation = fields.String(load_default="", validate=OneOf(("update", "delete")))

    @post_load
    def build(self, loaded: dict[str, Any], **_: Any) -> JournalEntry:
        """Build the entry."""
        return JournalEntry(**loaded)


class _AttachmentSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    id = fields.String(required=True, validate=Length(min=1, max=400))
    name = fields.String(required=True, validate=Length(min=1, max=255))
    size = fields.Integer(required=True, strict=True, validate=Range(min=0))
    type = fields.String(load_default="", validate=Length(max=255))
    sha256 = fields.String(required=True, validate=Regexp(_SHA256))
    version = fields.Integer(load_default=1, strict=True, validate=Range(min=1))
    deleted = fields.Boolean(load_default=False)

    @post_load
    def build(self, loaded: dict[str, Any], **_: Any) -> File:
        """Build the file."""
        return File(**loaded)


class MessageSchema(Schema):
    """A message from rps. Members we do not know are for receivers newer than us."""

    class Meta:
        unknown = EXCLUDE

    type = fields.String(required=True, validate=_name)
    operation = fields.String(
        required=True, validate=OneOf(("create", "update", "delete"))
    )
    correlation_id = fields.String(required=True, validate=_name)
    table = fields.String(required=True, validate=Regexp(_TABLE))
    record_id = fields.String(allow_none=True, load_default=None, validate=_name)
    if_match = fields.String(allow_none=True, load_default=None, validate=_name)
    values = Scalars(data_key="fields", load_default=dict)
    entries = fields.List(
        fields.Nested(_EntrySchema),
        load_default=list,
        validate=Length(max=_ENTRIES_MAX),
    )
    attachments = fields.List(
        fields.Nested(_AttachmentSchema),
        load_default=list,
        validate=Length(max=_ENTRIES_MAX),
    )
    origin = fields.List(fields.String(), load_default=list)
    hop = fields.Integer(strict=True, load_default=0, validate=Range(min=0))

    @post_load
    def build(self, loaded: dict[str, Any], **_: Any) -> InboundMessage:
        """Build the message; its type, origin and hop matter to other receivers."""
        return InboundMessage(
            operation=loaded["operation"],
            correlation_id=loaded["correlation_id"],
            table=loaded["table"],
            record_id=loaded["record_id"],
            if_match=loaded["if_match"],
            fields=loaded["values"],
            entries=tuple(loaded["entries"]),
            attachments=tuple(loaded["attachments"]),
        )


class _Numbered(fields.Field[dict[str, Any]]):
    """A message's id, and whatever else it holds: that is looked at one by one."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002 - marshmallow's signature
        data: Any,  # noqa: ARG002 - marshmallow's signature
        **_: Any,
    ) -> dict[str, Any]:
        name = value.get("id") if isinstance(value, dict) else None
        if not isinstance(name, str) or not _WEBHOOK_ID.fullmatch(name):
            raise ValidationError("Give an object with the id of the message.")
        return dict(value)


class BatchSchema(Schema):
    """Many messages from rps in one request."""

    class Meta:
        unknown = EXCLUDE

    messages = fields.List(
        _Numbered(), required=True, validate=Length(min=1, max=MESSAGES_MAX)
    )

    @post_load
    def build(self, loaded: dict[str, Any], **_: Any) -> list[dict[str, Any]]:
        """Take the messages out."""
        messages: list[dict[str, Any]] = loaded["messages"]
        return messages


class NewRecordSchema(Schema):
    """An own user's new record; the table comes from the path."""

    class Meta:
        unknown = RAISE

    table = fields.String(required=True, validate=Regexp(_TABLE))
    values = Scalars(data_key="fields", required=True)
    comment = fields.String(load_default="", validate=Length(max=TEXT_CHARACTERS_MAX))
    user = fields.String(load_default="user", validate=_name)


class EditSchema(Schema):
    """An own user's new field values."""

    class Meta:
        unknown = RAISE

    values = Scalars(data_key="fields", required=True)
    user = fields.String(load_default="user", validate=_name)


class CommentEditSchema(Schema):
    """An own user's other words for a journal entry."""

    class Meta:
        unknown = RAISE

    text = fields.String(required=True, validate=_text)
    user = fields.String(load_default="user", validate=_name)


class CommentSchema(Schema):
    """An own user's journal entry."""

    class Meta:
        unknown = RAISE

    text = fields.String(required=True, validate=_text)
    user = fields.String(load_default="user", validate=_name)
    journal = fields.String(load_default=COMMENTS, validate=_name)


class UploadSchema(Schema):
    """What the query string says of a file that an own user attaches."""

    class Meta:
        unknown = RAISE

    name = fields.String(required=True, validate=Length(max=1000))
    type = fields.String(load_default="", validate=Length(max=200))
    user = fields.String(load_default="user", validate=_name)
