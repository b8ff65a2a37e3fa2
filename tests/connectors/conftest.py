"""What the tests of connectors share: transports to loopback, a certificate."""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from rps.connectors.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.fixture
def transport() -> Iterator[Transport]:
    """Reaches loopback; a request has 0.4 s."""
    made = Transport(LOOPBACK, connect_seconds=0.2, total_seconds=0.4)
    yield made
    made.close()


@pytest.fixture
def patient() -> Iterator[Transport]:
    """Reaches loopback; a request has the usual 30 s."""
    made = Transport(LOOPBACK)
    yield made
    made.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate and its key for receiver.test, in one PEM file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=receiver.test -addext subjectAltName=DNS:receiver.test "
        "-keyout key.pem -out cert.pem"
    )
    subprocess.run(
        [openssl, *command.split()], cwd=folder, check=True, capture_output=True
    )
    both = folder / "both.pem"
    parts = (folder / "key.pem", folder / "cert.pem")
    both.write_text("".join(part.read_text() for part in parts))
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
