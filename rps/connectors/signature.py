"""Standard Webhooks v1: HMAC-SHA256 over the exact bytes that travel.

Own lines instead of the `standardwebhooks` package, whose `verify` lets ValueError,
binascii.Error and UnicodeDecodeError out on hostile headers, takes one secret, and
reads the system clock (`postgres-and-delivery.md`, 0.10). Source: standardwebhooks.com.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TOLERANCE_SECONDS = 300

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_SIGNATURES_MAX = 16
# A dot would let the id of one message and the start of its body trade places.
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SignatureRefused(Exception):
    """The message is not signed by a secret we share; answer 401."""


class SecretUnusable(ValueError):
    """A secret is `whsec_` and the base64 of 24 to 64 random bytes."""


class Signer:
    """Signs with every one of `secrets`, so that a partner can change over in time.

    Raises SecretUnusable when one of them is no secret.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keyed = tuple(_keyed(_key(secret)) for secret in secrets)

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """`webhook-*` headers for `body`; `timestamp` in seconds of the epoch.

        Raises ValueError for an id that is not `[A-Za-z0-9_-]{1,255}`.
        """
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise ValueError("a message id is 1 to 255 of A-Z a-z 0-9 _ -")
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(
                _signature(keyed, message_id, str(timestamp), body)
                for keyed in self._keyed
            ),
        }


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: float
) -> None:
    """Raises SignatureRefused unless one of `secrets` signed `body` close to `now`.

    `now` in seconds of the epoch; five minutes either way are accepted. Whether the id
    was seen before is for the caller to remember.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = given.get("webhook-id", "")
    timestamp = given.get("webhook-timestamp", "")
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise SignatureRefused("webhook-id is missing or malformed")
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise SignatureRefused("webhook-timestamp is missing or malformed")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise SignatureRefused("webhook-timestamp is more than five minutes off")
    # Comparing the encoded forms spares decoding hostile base64.
    offered = [
        part.encode("utf-8", "replace")
        for part in given.get("webhook-signature", "").split(" ", _SIGNATURES_MAX)
    ][:_SIGNATURES_MAX]
    for secret in secrets:
        keyed = _keyed(_key(secret))
        expected = _signature(keyed, message_id, timestamp, body).encode()
        if any(hmac.compare_digest(expected, signature) for signature in offered):
            return
    raise SignatureRefused("no signature matches")


def new_secret(random_bytes: bytes) -> str:
    """The written form of a new secret; raises SecretUnusable unless 24 to 64 bytes."""
    if len(random_bytes) not in _KEY_BYTES:
        raise SecretUnusable(f"24 to 64 random bytes, not {len(random_bytes)}")
    return _PREFIX + base64.b64encode(random_bytes).decode()


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):  # the text stays out: it is a secret
        raise SecretUnusable("a secret is whsec_ and base64") from None
    if len(key) not in _KEY_BYTES:
        raise SecretUnusable(f"a secret has 24 to 64 bytes, this one {len(key)}")
    return key


def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _signature(keyed: hmac.HMAC, message_id: str, timestamp: str, body: bytes) -> str:
    # A copy of what the key has begun, not hmac.digest: that one hands over to another
    # thread each time, which costs more than the hash.
    signed = keyed.copy()
    signed.update(f"{message_id}.{timestamp}.".encode() + body)
    return "v1," + base64.b64encode(signed.digest()).decode()
