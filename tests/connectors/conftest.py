"""What the tests of connectors share: transports to loopback, a certificate."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loopback_server import LOOPBACK

from rps.connectors.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator


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
def certificate() -> Path:
    """A self-signed certificate for receiver.test and its key, which guards nothing."""
    return Path(__file__).with_name("receiver.test.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
