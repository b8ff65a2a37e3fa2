"""A certificate of the sandbox's own, for clients that speak nothing but TLS."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

    from rps.sandbox.servicenow.settings import InstanceSettings

DAYS: Final = 90
_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")


def server_context(settings: InstanceSettings) -> tuple[ssl.SSLContext, Path | None]:
    """What to serve with, and the file of the certificate where it was made here."""
    made = None
    certificate, key = settings.certificate, settings.key
    if certificate is None:
        certificate = settings.database.with_suffix(".pem")
        key = settings.database.with_suffix(".key")
        _make(certificate, key, settings.host)
        made = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context, made


def _make(certificate: Path, key: Path, host: str) -> None:
    """Write both files, new at each start: who has the old one reads the new."""
    private = ec.generate_private_key(ec.SECP256R1())
    signed = _builder(private.public_key(), host).sign(private, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = private.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key.unlink(missing_ok=True)
    with os.fdopen(
        os.open(key, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb"
    ) as f:
        f.write(secret)
    certificate.write_bytes(signed.public_bytes(pem))


def _builder(public: ec.EllipticCurvePublicKey, host: str) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rps sandbox")])
    now = datetime.now(UTC)
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    return (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(_names(host), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(own, critical=False)
        .add_extension(authority, critical=False)
    )


def _names(host: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [_general(each) for each in dict.fromkeys((host, *_ALWAYS))]
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage() -> x509.KeyUsage:
    """It signs itself, so it is its own authority."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
