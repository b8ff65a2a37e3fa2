"""What a system says, without the secrets it was asked with: some repeat a request in
their error, headers included, and errors are kept and shown."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INSTEAD = "(secret)"
LEAST = 6
"""Shorter ones would be found in words that hold no secret."""
UNMISTAKABLE = 16
"""As long as this, it is hidden in records as well; a shorter one, which may be a word
that somebody wrote in a ticket, in errors only."""


def secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What `Authorization` says: as it is and, of Basic, the password in it."""
    for name, value in headers.items():
        if name.lower() == "authorization":
            scheme, _, said = value.partition(" ")
            return (said, _password(said)) if scheme == "Basic" else (said or value,)
    return ()


def _password(said: str) -> str:
    try:
        return b64decode(said, validate=True).decode().partition(":")[2]
    except (NotBase64, UnicodeDecodeError):
        return ""


def hidden(said: str, secrets: Iterable[str]) -> str:
    """`said` with something else in their place, however they are quoted."""
    for secret in secrets:
        if len(secret) >= LEAST:
            forms = {secret, quote(secret, safe=""), quote_plus(secret)}
            forms |= {json.dumps(secret)[1:-1]}
            for form in sorted(forms, key=len, reverse=True):
                said = said.replace(form, INSTEAD)
    return said


def hidden_bytes(status: int, said: bytes, secrets: Iterable[str]) -> bytes:
    """As `hidden`, of the body of an answer; what is no text stays as it is."""
    least = LEAST if status >= HTTPStatus.BAD_REQUEST else UNMISTAKABLE
    found = [secret for secret in secrets if len(secret) >= least]
    if not found:
        return said
    text = said.decode(errors="surrogateescape")
    return hidden(text, found).encode(errors="surrogateescape")
