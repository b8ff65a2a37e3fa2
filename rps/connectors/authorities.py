"""Certificates of an operator's own authorities, which a system is verified against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from datetime import datetime

PEM_MAX = 65_536


class AuthorityUnusable(ValueError):
    """The text is not what a system can be verified against; it says what is wrong."""


def read_authorities(text: str, url: str, now: datetime) -> str:
    """The certificates as PEM, without what else the text holds. `url`: of the system,
    "" where it is not known. Raises AuthorityUnusable."""
    if url and not url.lower().startswith("https:"):
        raise AuthorityUnusable(
            "what is reached by http proves nothing: write an https URL, or name no"
            " authority"
        )
    found = _certificates(text)
    if all(each.not_valid_after_utc < now for each in found):
        last = max(each.not_valid_after_utc for each in found)
        raise AuthorityUnusable(f"it has expired on {last:%Y-%m-%d}")
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def _certificates(text: str) -> list[x509.Certificate]:
    if len(text) > PEM_MAX:
        raise AuthorityUnusable(
            f"it has more than {PEM_MAX // 1024} KB: give the certificates of your own"
            " authorities alone"
        )
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise AuthorityUnusable(
            "it is no PEM file: one holds -----BEGIN CERTIFICATE-----. Of a DER file"
            " openssl x509 -inform der makes one"
        ) from None
