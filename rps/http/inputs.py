"""What a request brings: body, query, preconditions, each checked for shape once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import request
from marshmallow import Schema, ValidationError, fields, validate
from werkzeug.exceptions import (
    NotFound,
    PreconditionFailed,
    UnsupportedMediaType,
)

from rps.domain.canonical import instant
from rps.domain.problem import Findings
from rps.http import cursor, json_body

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rps.domain.aggregate import Aggregate

REASON_MAX = 500
STATUSES = ("ready", "processed", "error", "skipped", "uncertain")
_UNKNOWN = ["Unknown field."]
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class QueryRefused(ValueError):
    """The query string asks for something this route does not know."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(parameter, detail)
        self.parameter = parameter
        self.detail = detail


class HeaderRefused(ValueError):
    """A header holds what it may not hold."""

    def __init__(self, header: str, detail: str) -> None:
        super().__init__(header, detail)
        self.header = header
        self.detail = detail


def refuse_nul() -> None:
    """No name holds a NUL, and no query takes one."""
    if "\0" in request.path:
        raise NotFound


class Shape(Schema):
    """A schema that refuses unknown keys, and says which one may have been meant."""

    def handle_error(
        self,
        error: ValidationError,
        data: Any,  # noqa: ARG002 - the library's signature
        *,
        many: bool,
        **_: Any,
    ) -> None:
        if many or not isinstance(error.messages, dict):
            return
        found = Findings()
        known = [each.data_key or name for name, each in self.load_fields.items()]
        for key, messages in error.messages.items():
            if messages == _UNKNOWN:
                hint = found.instead_of(str(key), known)
                error.messages[key] = [f"there is no field of this name; {hint}"]


def _one_line(text: str) -> None:
    if _CONTROL.search(text):
        raise ValidationError("control characters are not taken here")


class Text(fields.String):
    """One line of text without control characters."""

    def __init__(self, most: int, least: int = 1, **more: Any) -> None:
        super().__init__(validate=[validate.Length(least, most), _one_line], **more)


class Flag(fields.Boolean):
    """true or false, nothing that only looks like it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **more: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **more))


class Moment(fields.Field["datetime"]):
    """A point in time: ISO 8601 with a zone."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            return instant(value)
        except ValueError as error:
            raise ValidationError(f"this {error}") from None


class Reason(Shape):
    reason = Text(REASON_MAX, required=True)


class Nothing(Shape):
    """No parameters at all."""


class Page(Shape):
    """Parameters of every list; `limit` 1 to 200, 50 by default."""

    limit = fields.String()
    cursor = fields.String()


def raw_body() -> bytes:
    """All of the body, or 413. Flask alone cuts a chunked one off at the most."""
    read = request.get_data(cache=False)
    request.stream.read(1)  # raises where more was to come
    return read


def decoded(limits: json_body.Limits = json_body.DEFAULT) -> Any:
    """The JSON of the body; BodyRefused, or 415 where it is called something else."""
    if request.mimetype != "application/json" or request.content_encoding:
        raise UnsupportedMediaType("send application/json, not compressed")
    return json_body.decode(raw_body(), limits=limits)


def has_body() -> bool:
    """Whether the request brings anything."""
    return bool(request.content_length or "Transfer-Encoding" in request.headers)


def is_called(media_type: str) -> bool:
    """Whether the body is said to be that, and not compressed."""
    return request.mimetype == media_type and not request.content_encoding


def body(shape: Schema) -> dict[str, Any]:
    """The body as `shape` reads it; ValidationError."""
    loaded: dict[str, Any] = shape.load(decoded())
    return loaded


def optional_body(shape: Schema) -> dict[str, Any]:
    """As `body`, and an absent one is an empty object."""
    if not has_body():
        loaded: dict[str, Any] = shape.load({})
        return loaded
    return body(shape)


def query(shape: Schema) -> dict[str, Any]:
    """The query string as `shape` reads it; QueryRefused names the parameter."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise QueryRefused(name, "give it once")
    try:
        loaded: dict[str, Any] = shape.load(request.args.to_dict())
    except ValidationError as error:
        name, messages = next(iter(_by_name(error.messages).items()))
        raise QueryRefused(str(name), str(messages[0])) from None
    return loaded


def paged(
    shape: Page, kinds: tuple[type[int], ...]
) -> tuple[dict[str, Any], int, tuple[int, ...] | None]:
    """What a list is asked: filters, limit, and after which row it goes on, as its
    values of `kinds`; None at the beginning."""
    asked = query(shape)
    limit = cursor.limit(asked.pop("limit", None))
    text = asked.pop("cursor", None)
    if text is None:
        return asked, limit, None
    return asked, limit, tuple(int(value) for value in cursor.decode(text, kinds))


def _by_name(messages: Any) -> Mapping[str, Any]:
    return messages if isinstance(messages, dict) else {"": messages}


def precondition(aggregate: Aggregate | None) -> None:
    """412 unless the aggregate is at the version `If-Match` names, or does not exist
    where `If-None-Match: *` asks for that."""
    if request.if_none_match.star_tag and aggregate is not None:
        raise PreconditionFailed("it exists already")
    if "If-Match" not in request.headers:
        return
    if aggregate is None or not (
        request.if_match.star_tag or request.if_match.contains(str(aggregate.version))
    ):
        raise PreconditionFailed("it has changed since: read it again")
