"""Whether a request was signed by the rps node we share a secret with."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from standardwebhooks import Webhook, WebhookVerificationError

from rps.sandbox.answers import NotSigned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.datastructures import Headers

_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]+={0,2}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,11}")
_SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{43}=")
_HEADER_CHARACTERS_MAX = 2048


def secret_is_usable(secret: str) -> bool:
    """Whether `secret` is `whsec_` followed by base64 of at least one byte."""
    if not _SECRET.fullmatch(secret):
        return False
    try:
        return bool(base64.b64decode(secret.removeprefix("whsec_") + "=="))
    except binascii.Error:
        return False


class SignedRequests:
    """Standard Webhooks verification that answers NotSigned to whatever is wrong.

    The library's `verify` throws ValueError, binascii.Error and UnicodeDecodeError at
    hostile headers and bodies, and takes an id with a dot, which makes id and body
    ambiguous; so each part is checked for its shape before the library sees it.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._webhooks = [Webhook(secret) for secret in secrets]

    def message_id(self, headers: Headers, body: bytes) -> str:
        """Return the `webhook-id` of a signed request; raises NotSigned."""
        signed = {
            "webhook-id": _whole(_MESSAGE_ID, headers, "webhook-id"),
            "webhook-timestamp": _whole(_TIMESTAMP, headers, "webhook-timestamp"),
            "webhook-signature": _signatures(headers),
        }
        text = _text(body)
        if not any(_verifies(webhook, text, signed) for webhook in self._webhooks):
            raise NotSigned("no signature matches, or the timestamp is not of now")
        return signed["webhook-id"]


def _whole(shape: re.Pattern[str], headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    if not shape.fullmatch(value):
        raise NotSigned(f"header {name} is missing or malformed")
    return value


def _signatures(headers: Headers) -> str:
    value = headers.get("webhook-signature", "")
    known = [part for part in value.split(" ") if _SIGNATURE.fullmatch(part)]
    if not known or len(value) > _HEADER_CHARACTERS_MAX:
        raise NotSigned("header webhook-signature has no v1 signature, or too many")
    return " ".join(known)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise NotSigned("the body is not UTF-8") from None


def _verifies(webhook: Webhook, text: str, signed: dict[str, str]) -> bool:
    try:
        webhook.verify(text, signed, json_parse=False)
    except WebhookVerificationError:
        return False
    return True
