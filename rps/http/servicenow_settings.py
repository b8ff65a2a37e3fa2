"""What a ServiceNow instance is registered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from marshmallow import ValidationError, fields, validate

from rps.connectors.servicenow.settings import AUTHS, NEEDED, SECRET_NAMES
from rps.connectors.servicenow.words import FIELD
from rps.domain.canonical import Unreadable, instant
from rps.http.inputs import Shape, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_MAX = 4_000
OWN = (
    *("auth", "username", "client_id", "display_values", "correlation_field"),
    *("poll_seconds", "poll_from", "overlap_seconds", "requests_per_hour"),
)
"""The settings that only systems have that are asked."""
OF_ALL_ASKED = ("poll_seconds", "poll_from")
"""Those of them that described systems have as well."""


def _field(text: str) -> None:
    if text and FIELD.fullmatch(text) is None:
        raise ValidationError("a field's name has letters, digits and _")


def _moment(text: str) -> None:
    try:
        instant(text)
    except Unreadable as unreadable:
        raise ValidationError(str(unreadable)) from None


class Credentials(Shape):
    """Kept as a secret, never shown again."""

    password = Text(SECRET_MAX)
    client_secret = Text(SECRET_MAX)
    refresh_token = Text(SECRET_MAX)


class ServiceNowSettings(Shape):
    """Mixed into the settings of a system."""

    auth = fields.String(validate=validate.OneOf(AUTHS))
    username = Text(255)
    client_id = Text(255)
    display_values = fields.List(
        fields.String(validate=[validate.Length(1, 80), _field]),
        validate=validate.Length(0, 200),
    )
    correlation_field = fields.String(validate=[validate.Length(0, 80), _field])
    poll_seconds = fields.Integer(strict=True, validate=validate.Range(0, 86_400))
    poll_from = fields.String(validate=_moment)
    overlap_seconds = fields.Integer(strict=True, validate=validate.Range(2, 3_600))
    requests_per_hour = fields.Integer(
        strict=True, validate=validate.Range(1, 10_000_000)
    )


def checked(settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` of an instance, what the others take left out. Raises
    ValidationError naming what is missing or out of place."""
    auth = settings.setdefault("auth", "basic")
    wrong: dict[str, list[str]] = {}
    if auth in ("basic", "oauth-password") and not settings.get("username"):
        wrong["username"] = [f"{auth} needs the account's name"]
    if auth.startswith("oauth") and not settings.get("client_id"):
        wrong["client_id"] = [f"{auth} needs the OAuth client's id"]
    if wrong:
        raise ValidationError({"settings": wrong})
    return settings


def kept(auth: str, given: Mapping[str, str] | None, known: str | None) -> str | None:
    """The secret to keep: what is `given` over what is `known` (JSON); None: it stays
    as it is. Raises ValidationError where `auth` needs more."""
    before = orjson.loads(known) if known else {}
    after = {**before, **(given or {})}
    missing = [name for name in NEEDED[auth] if not after.get(name)]
    if missing:
        raise ValidationError(
            {"credentials": {name: [f"{auth} needs it"] for name in missing}}
        )
    if after == before:
        return None
    return orjson.dumps({n: after[n] for n in SECRET_NAMES if n in after}).decode()
