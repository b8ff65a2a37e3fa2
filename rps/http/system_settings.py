"""What a remote system is registered with, as it is posted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate

from rps.application.connections import REST
from rps.application.secret_store import SECRET_MAX
from rps.connectors.authorities import PEM_MAX, AuthorityUnusable, read_authorities
from rps.connectors.batch import MESSAGES_MAX
from rps.connectors.servicenow.connector import SERVICENOW
from rps.connectors.signature import SecretUnusable, Signer
from rps.http import described, servicenow_settings
from rps.http.inputs import Flag, Shape, Text
from rps.http.servicenow_settings import ServiceNowSettings

if TYPE_CHECKING:
    from datetime import datetime

URL_MAX = 2048


def http_url(text: str) -> None:
    """Only the form: which addresses may be reached is the transport's to say."""
    try:
        parts = urlsplit(text)
        well_formed = bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not (
        well_formed
        and text.isascii()
        and text.isprintable()
        and " " not in text
        and parts.scheme in ("http", "https")
        and parts.username is None
        and not parts.query
        and not parts.fragment
    ):
        raise ValidationError(
            "give an http or https URL with a host, without user, query and fragment"
        )


def signing_secret(text: str) -> None:
    try:
        Signer([text])
    except SecretUnusable:
        raise ValidationError(
            {"secret": ["a secret is whsec_ and the base64 of 24 to 64 bytes"]}
        ) from None


def _secret_name(text: str) -> None:
    if text.startswith("whsec_"):
        # It would be kept in the log for ever.
        raise ValidationError("name the secret here; give its value as 'secret'")


class Settings(ServiceNowSettings):
    """Of a system of any kind; which ones it takes is its connector's to say."""

    url = fields.String(required=True, validate=[validate.Length(1, URL_MAX), http_url])
    secrets = fields.List(
        fields.String(validate=[validate.Length(1, 120), _secret_name]),
        validate=validate.Length(1, 4),
    )
    dedupe = Flag(metadata={"default": True})
    conditional_write = Flag(metadata={"default": True})
    read_back = Flag(metadata={"default": True})
    batch = fields.Integer(strict=True, validate=validate.Range(1, MESSAGES_MAX))
    ca = fields.String(validate=validate.Length(1, PEM_MAX))
    preset = fields.String(validate=validate.Length(0, 40))
    described = fields.Dict(keys=fields.String())
    set = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 40)),
        values=fields.String(validate=validate.Length(0, 500)),
        validate=validate.Length(0, 30),
    )


PUSH_ONLY = ("dedupe", "conditional_write", "read_back", "batch")


class System(Shape):
    """`secret` belongs to a push or rest system, `hook_secret` to a rest system,
    `credentials` to a ServiceNow instance."""

    connector = fields.String(
        load_default="push", validate=validate.OneOf(["push", SERVICENOW, REST])
    )
    description = Text(2000, least=0, load_default="")
    settings = fields.Nested(Settings, required=True)
    secret = fields.String(validate=validate.Length(1, SECRET_MAX))
    hook_secret = fields.String(validate=validate.Length(1, SECRET_MAX))
    credentials = fields.Nested(servicenow_settings.Credentials)


_OTHERS = {
    "push": (*servicenow_settings.OWN, *described.OWN),
    SERVICENOW: (*PUSH_ONLY, *described.OWN),
    REST: (
        *PUSH_ONLY,
        *sorted({*servicenow_settings.OWN} - {*servicenow_settings.OF_ALL_ASKED}),
    ),
}
_OTHER_SECRETS = {
    "push": ("credentials", "hook_secret"),
    SERVICENOW: ("secret", "hook_secret"),
    REST: ("credentials",),
}


def checked_settings(posted: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Those of the connector, defaults filled in. Raises ValidationError for others,
    and DefinitionRefused."""
    settings: dict[str, Any] = posted["settings"]
    kind = posted["connector"]
    if wrong := {
        name: [f"a {kind} system has no such setting"]
        for name in _OTHERS[kind]
        if name in settings
    }:
        raise ValidationError({"settings": wrong})
    for key in _OTHER_SECRETS[kind]:
        if key in posted:
            raise ValidationError({key: [f"a {kind} system has none"]})
    if "ca" in settings:
        try:
            settings["ca"] = read_authorities(settings["ca"], settings["url"], now)
        except AuthorityUnusable as unusable:
            raise ValidationError({"settings": {"ca": [str(unusable)]}}) from None
    if kind == SERVICENOW:
        return servicenow_settings.checked(settings)
    if kind == REST:
        return described.described_settings(settings)
    return {"dedupe": True, "conditional_write": True, "read_back": True} | settings
