"""A company's own certificate authority, and servers that it vouches for."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

PEM = serialization.Encoding.PEM


class Authority:
    """`issuer`: who vouches for it; without one it does so itself."""

    def __init__(
        self, name: str, issuer: Authority | None = None, *, days: int = 30
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._chain = issuer.chain if issuer else ""
        self.pem = _signed(
            (issuer or self), self._name, self._key, is_authority=True, days=days
        )

    @property
    def chain(self) -> str:
        return self.pem + self._chain

    def serves(self, folder: Path) -> ssl.SSLContext:
        """For a server on 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "desk")])
        certificate = _signed(self, name, key, is_authority=False, days=10)
        private = key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / "server.pem"
        file.write_text(private.decode() + certificate + self.chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _signed(
    issuer: Authority,
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
    days: int,
) -> str:
    now = datetime.now(UTC)
    public, signs = key.public_key(), issuer._key
    key_of = x509.AuthorityKeyIdentifier.from_issuer_public_key(signs.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(issuer._name, name, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(constraints, critical=True)
        .add_extension(key_of, critical=False)
        .add_extension(own, critical=False)
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
    )
    return made.sign(signs, hashes.SHA256()).public_bytes(PEM).decode()
