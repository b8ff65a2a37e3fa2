"""Nothing is sent to a receiver that cannot prove its name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from loopback_server import LOOPBACK, Line, LoopbackServer, Received, answer

from rps.config import Config, ConfigurationError
from rps.connectors.transport import Answer, NoAnswer, NotSent, Request, Transport

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


def echo(line: Line, request: Received) -> bool:
    return answer(200, request.body)(line, request)


def drip_body(line: Line, _: Received) -> bool:
    line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    line.drip(b"x" * 500)
    return False


def named(transport: Transport, server: LoopbackServer, name: str) -> object:
    return transport.request("POST", f"https://{name}:{server.port}/", {}, b"{}")


def trusting(certificate: Path | None) -> Transport:
    return Transport(
        LOOPBACK,
        connect_seconds=0.3,
        total_seconds=0.5,
        authorities=certificate.read_text() if certificate else "",
        resolve=lambda *_: ["127.0.0.1"],
    )


def test_a_trusted_certificate_for_the_name_is_accepted(
    certificate: Path, tls: ssl.SSLContext
) -> None:
    transport = trusting(certificate)
    with LoopbackServer(echo, tls=tls) as server:
        for _ in range(3):
            said = named(transport, server, "receiver.test")
            assert isinstance(said, Answer)
            assert said.body == b"{}"
    assert server.connections == 1


def test_an_operator_names_the_authorities_that_are_trusted(
    certificate: Path, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    known = {"RPS_ALLOW_NETWORKS": "127.0.0.0/8"}
    with LoopbackServer(echo, tls=tls) as server:
        url = f"https://localhost:{server.port}/"
        stranger = Transport.of(Config.from_environ(known))
        said = stranger.send(Request("GET", url, {}))
        assert isinstance(said, NotSent)
        assert "self-signed certificate" in said.detail
        trusted = Config.from_environ({**known, "RPS_CA_FILE": str(certificate)})
        said = Transport.of(trusted).send(Request("GET", url, {}))
        assert isinstance(said, NotSent)
        assert said.detail.startswith("TLS: Hostname mismatch")  # it is somebody's
    nowhere = tmp_path / "ca.pem"
    with pytest.raises(ConfigurationError, match="there is no such file"):
        Config.from_environ({"RPS_CA_FILE": str(nowhere)})
    nowhere.write_text("no certificate")
    with pytest.raises(ConfigurationError, match="certificates in PEM"):
        Config.from_environ({"RPS_CA_FILE": str(nowhere)})


def test_a_certificate_for_another_name_gets_nothing(
    certificate: Path, tls: ssl.SSLContext
) -> None:
    with LoopbackServer(echo, tls=tls) as server:
        said = named(trusting(certificate), server, "other.test")
        literal = named(trusting(certificate), server, "127.0.0.1")
    assert isinstance(said, NotSent)
    assert said.detail.startswith("TLS: Hostname mismatch")
    assert isinstance(literal, NotSent)
    assert server.received == []


def test_a_certificate_nobody_vouches_for_gets_nothing(tls: ssl.SSLContext) -> None:
    with LoopbackServer(echo, tls=tls) as server:
        said = named(trusting(None), server, "receiver.test")
    assert isinstance(said, NotSent)
    assert said.detail.startswith("TLS: self-signed certificate")
    assert "rps system trust" in said.detail
    assert server.received == []


def test_a_handshake_that_does_not_end_sends_nothing() -> None:
    with LoopbackServer(on_connect=Line.hang) as server:
        started = time.monotonic()
        said = named(trusting(None), server, "receiver.test")
        took = time.monotonic() - started
    assert isinstance(said, NotSent)
    assert took < 2.0


def test_a_slow_answer_over_tls_ends_at_the_deadline(
    certificate: Path, tls: ssl.SSLContext
) -> None:
    with LoopbackServer(drip_body, tls=tls) as server:
        started = time.monotonic()
        said = named(trusting(certificate), server, "receiver.test")
        took = time.monotonic() - started
    assert isinstance(said, NoAnswer)
    assert 0.45 < took < 2.0
