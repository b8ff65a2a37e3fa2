"""Signed notes: text, and who signed it by ed25519 (c2sp.org/signed-note).

    text, ending in a newline

    — name base64(key id, signature)

A key is written `name+id+base64(kind, public key)`. Tools of other makers read both.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE, COSIGNATURE = 1, 4
"""Kinds of keys: over the text; and by a witness, with the time (tlog-cosignature)."""

KEY_BYTES = 32
SIGNATURES_MAX = 64
BYTES_MAX = 64 * 1024

_ID_BYTES, _TIME_BYTES = 4, 8
_NAME = re.compile(r"[^\s+]+")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class NoteUnreadable(ValueError):
    """This is no signed note, or no key; the text says why."""


class SignatureWrong(Exception):
    """A known key is named, but did not sign this text."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whose signatures are known, and how they are checked."""

    name: str
    public: bytes
    kind: int = SIGNATURE

    @property
    def id(self) -> bytes:
        said = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return sha256(said).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        key = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    @classmethod
    def of(cls, written: str) -> PublicKey:
        """Raises NoteUnreadable."""
        name, _, rest = written.strip().partition("+")
        key_id, _, key = rest.partition("+")
        said = bytes_of(key)
        if not _NAME.fullmatch(name) or len(said) != KEY_BYTES + 1:
            raise NoteUnreadable(f"{written!r}: a key is written name+id+base64")
        made = cls(name, said[1:], said[0])
        if made.kind not in (SIGNATURE, COSIGNATURE) or made.id.hex() != key_id:
            raise NoteUnreadable(f"{written!r}: its id is not that of the key")
        return made

    def signed(self, text: str, signature: bytes) -> bool:
        said = text.encode()
        if self.kind == COSIGNATURE:
            at, signature = signature[:_TIME_BYTES], signature[_TIME_BYTES:]
            said = _with_time(text, int.from_bytes(at, "big"))
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, said)
        except (InvalidSignature, ValueError):
            return False
        return True


class PrivateKey:
    """Signs under a name, from 32 secret bytes."""

    def __init__(self, name: str, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        public = self._key.public_key().public_bytes_raw()
        self.public = PublicKey(name, public)
        self.witness = PublicKey(name, public, COSIGNATURE)
        """As which it signs what others made."""

    def sign(self, text: str) -> Signature:
        return Signature(
            self.public.name, self.public.id, self._key.sign(text.encode())
        )

    def cosign(self, text: str, at: int) -> Signature:
        """`at`: seconds since 1970."""
        signature = self._key.sign(_with_time(text, at))
        said = at.to_bytes(_TIME_BYTES, "big") + signature
        return Signature(self.witness.name, self.witness.id, said)


@dataclass(frozen=True, slots=True)
class Signature:
    """One line of those below the text."""

    name: str
    key_id: bytes
    bytes: bytes

    def __str__(self) -> str:
        return f"— {self.name} {b64encode(self.key_id + self.bytes).decode()}"

    @classmethod
    def of(cls, line: str) -> Signature:
        """Raises NoteUnreadable."""
        shape = _LINE.fullmatch(line)
        said = bytes_of(shape[2]) if shape else b""
        if shape is None or len(said) <= _ID_BYTES:
            raise NoteUnreadable(f"{line[:80]!r} is no line of a signature")
        return cls(shape[1], said[:_ID_BYTES], said[_ID_BYTES:])

    def time(self) -> int:
        """When a witness signed, in seconds since 1970."""
        return int.from_bytes(self.bytes[:_TIME_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Note:
    """`text` with its last newline."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(f"{each}\n" for each in self.signatures)

    @classmethod
    def of(cls, written: str) -> Note:
        """Raises NoteUnreadable."""
        if len(written) > BYTES_MAX or _CONTROLS.search(written):
            raise NoteUnreadable(
                "a signed note is short, and has no control characters"
            )
        text, blank, signed = written.rpartition("\n\n")
        lines = signed.removesuffix("\n").split("\n")
        if not blank or not text or not signed.endswith("\n"):
            raise NoteUnreadable("a signed note ends with the lines of its signatures")
        if len(lines) > SIGNATURES_MAX:
            raise NoteUnreadable(f"more than {SIGNATURES_MAX} signatures")
        return cls(f"{text}\n", tuple(Signature.of(line) for line in lines))

    def signers(self, known: Iterable[PublicKey]) -> list[PublicKey]:
        """Those of the known keys that signed it; signatures of others say nothing.
        Raises SignatureWrong."""
        by_name = {(key.name, key.id): key for key in known}
        found = []
        for each in self.signatures:
            key = by_name.get((each.name, each.key_id))
            if key is None:
                continue
            if not key.signed(self.text, each.bytes):
                raise SignatureWrong(f"the signature of {key} is wrong")
            found.append(key)
        return found


def bytes_of(written: str) -> bytes:
    """From base64 as it is written by whoever keeps to the form; else nothing."""
    try:
        found = b64decode(written, validate=True)
    except (NotBase64, ValueError):
        return b""
    return found if b64encode(found).decode() == written else b""


def _with_time(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
