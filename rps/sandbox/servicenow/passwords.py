"""Passwords as they are kept."""

from __future__ import annotations

import hmac
import os
from hashlib import scrypt, sha256

SALT_BYTES = 16
_WORK = 2**12


def hashed(password: str) -> str:
    """What is kept of a password."""
    salt = os.urandom(SALT_BYTES)
    return f"{salt.hex()}:{_derived(password, salt)}"


def fits(password: str, kept: str) -> bool:
    """Whether this is the password; takes some milliseconds."""
    salt, _, derived = kept.partition(":")
    if not derived:
        return False
    return hmac.compare_digest(_derived(password, bytes.fromhex(salt)), derived)


def digest(secret: str) -> str:
    """What a token, or a password that fits, is remembered by."""
    return sha256(secret.encode()).hexdigest()


def _derived(password: str, salt: bytes) -> str:
    return scrypt(password.encode(), salt=salt, n=_WORK, r=8, p=1).hex()
