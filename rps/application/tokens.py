"""Bearer tokens: shown once, kept as SHA-256, checked without a query.

rps_<8 characters that name it>_<43 characters, 256 bits>_<6 of CRC-32>
"""

from __future__ import annotations

import hmac
import re
import zlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from rps.application.configuration import Configuration

TOKEN_BYTES = 38

_SHAPE = re.compile(r"rps_([A-Za-z0-9-]{8})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})\Z")


class NotAuthenticated(Exception):
    """The token is missing, malformed, unknown, revoked or expired."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: an account of a domain, and its roles."""

    domain: str
    account: str
    roles: frozenset[str]


def mint(random_bytes: bytes) -> tuple[str, str, str]:
    """(token, token id, SHA-256) from TOKEN_BYTES random bytes."""
    token_id = random_bytes[:4].hex()
    secret = urlsafe_b64encode(random_bytes[6:38]).decode().rstrip("=")
    text = f"rps_{token_id}_{secret}"
    token = f"{text}_{zlib.crc32(text.encode()):08x}"
    return token, token_id, sha256(token.encode()).hexdigest()


def authenticate(token: str, configuration: Configuration, now: datetime) -> Principal:
    """Whose token it is; raises NotAuthenticated."""
    shape = _SHAPE.match(token)
    if shape is None or f"{zlib.crc32(token[:-9].encode()):08x}" != shape[3]:
        raise NotAuthenticated("not a token of this product")
    holder = configuration.tokens.get(shape[1])
    digest = sha256(token.encode()).hexdigest()
    if holder is None or not hmac.compare_digest(holder.sha256, digest):
        raise NotAuthenticated("unknown or revoked")
    account = holder.account
    live = account.tokens.get(shape[1])
    if live is None or live.expires_at <= now:
        raise NotAuthenticated("expired")
    return Principal(account.domain, account.name, frozenset(account.roles))
