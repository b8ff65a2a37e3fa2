"""What is sealed, as bytes: AES-256-GCM, the key's id in front, its place in the tag.

    1 byte   version, 1
    8 bytes  id of the key
    12 bytes nonce, random
    rest     ciphertext and its tag of 16 bytes

The tag also covers the bytes before the ciphertext and where they are kept: what is
moved to another row, column or domain does not open.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES = 32
ID_BYTES = 8

_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + ID_BYTES
_LEAST_BYTES = _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES


class KeyTrouble(RuntimeError):
    """A key is missing or is not the one; the text says which and what to do."""


class Unreadable(KeyTrouble):
    """It was sealed under another key, for another place, or was changed since."""


class Key(NamedTuple):
    """`id` is written in front of everything the key seals."""

    id: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id.hex()})"  # never its secret: it may end up in a traceback

    @classmethod
    def made(cls) -> Key:
        return cls(os.urandom(ID_BYTES), os.urandom(KEY_BYTES))

    @classmethod
    def named_by_itself(cls, secret: bytes) -> Key:
        """Its id follows from it, so that no two keys have the same one."""
        return cls(sha256(b"rps key\0" + secret).digest()[:ID_BYTES], secret)


def sealed(key: Key, place: Sequence[str], plain: bytes) -> bytes:
    """`plain` under `key`, to be kept at `place` and nowhere else."""
    header, nonce = _VERSION + key.id, os.urandom(_NONCE_BYTES)
    text = AESGCM(key.secret).encrypt(nonce, plain, _covered(header, place))
    return header + nonce + text


def opened(key: Key, place: Sequence[str], held: bytes) -> bytes:
    """What was sealed. Raises Unreadable."""
    if sealed_under(held) != key.id:
        raise Unreadable(
            f"{_named(place)} is sealed under key {sealed_under(held).hex()}, not"
            f" under {key.id.hex()}"
        )
    header = held[:_HEADER_BYTES]
    nonce = held[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
    text = held[_HEADER_BYTES + _NONCE_BYTES :]
    try:
        return AESGCM(key.secret).decrypt(nonce, text, _covered(header, place))
    except InvalidTag:
        raise Unreadable(
            f"{_named(place)} does not open: it was changed, or written for another"
            " place"
        ) from None


def sealed_under(held: bytes) -> bytes:
    """The id of the key that sealed it. Raises Unreadable."""
    if len(held) < _LEAST_BYTES or held[:1] != _VERSION:
        raise Unreadable("these bytes are nothing that this version has sealed")
    return held[1:_HEADER_BYTES]


def _covered(header: bytes, place: Sequence[str]) -> bytes:
    parts = [part.encode() for part in place]
    return header + b"".join(len(p).to_bytes(4, "big") + p for p in parts)


def _named(place: Sequence[str]) -> str:
    return " ".join(repr(part) for part in place)
