"""Certificates as operators meet them, made for a test; they guard nothing."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "desk.test"


@dataclass(frozen=True, slots=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def context(self) -> ssl.SSLContext:
        """Of a server that shows it."""
        told = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with TemporaryDirectory() as folder:
            file = Path(folder) / "both.pem"
            file.write_bytes(self.pem + key)
            told.load_cert_chain(file)
        return told


@cache
def authority() -> Signed:
    return _signed("an authority", None, days=10)


def of_host(name: str = HOST, *, days: int = 10, known: bool = True) -> Signed:
    """For `name`, until so many days from now; by the authority, or by itself."""
    return _signed(name, authority() if known else None, days=days)


def _signed(name: str, by: Signed | None, *, days: int) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    until = datetime.now(UTC) + timedelta(days=days)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=30))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(by is None, None), critical=True)
    )
    if " " not in name:
        made = made.add_extension(names, critical=False)
    return Signed(made.sign(by.key if by else key, hashes.SHA256()), key)
