"""A system whose certificate comes from a company's own authority is verified against
that one, whatever its connector; and against no other."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from private_authority import Authority

from rps.application.connections import Connections
from rps.connectors.authorities import AuthorityUnusable, read_authorities
from rps.connectors.rest import presets
from rps.connectors.transport import Answer, NotSent, Transport
from tests.connectors.loopback_server import LoopbackServer, answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from linked_node import LinkedNode

LOOPBACK = (ip_network("127.0.0.0/8"),)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OWN: dict[str, dict[str, Any]] = {
    "push": {},
    "node": {"decides": True, "batch": 1},
    "servicenow": {"username": "rps"},
    "rest": {
        "described": presets.read_text(presets.text("roundup"))[0],
        "set": {"user": "rps"},
    },
}


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority("Acme root")


@pytest.fixture(scope="module")
def issuing(root: Authority) -> Authority:
    return Authority("Acme issuing", root)


@pytest.fixture
def served(issuing: Authority, tmp_path: Path) -> ssl.SSLContext:
    return issuing.serves(tmp_path)


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(LOOPBACK, connect_seconds=2, total_seconds=3)
    yield made
    made.close()


def ask(transport: Transport, server: LoopbackServer) -> Any:
    return transport.request("GET", f"{server.url}/", {})


@pytest.mark.parametrize("connector", OWN)
def test_each_kind_of_system_is_verified_against_its_authority(
    node: LinkedNode,
    database: str,
    transport: Transport,
    root: Authority,
    served: ssl.SSLContext,
    connector: str,
) -> None:
    value = json.dumps({"password": "p"}) if connector == "servicenow" else SECRET
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO secrets VALUES ('top', 's', %s)", (value,))
    made = Connections(node.here.datastore, transport)
    with LoopbackServer(answer(404, b"{}"), tls=served) as server:
        settings = {"url": server.url, "secrets": ["s"], **OWN[connector]}
        system, _ = node.here.register_system(
            "top", "desk", connector, "", settings, "eve", node.now
        )
        _, said = made.connect(system).check()
        assert "TLS: " in said
        assert "rps system trust" in said
        assert server.received == []
        system.trust(root.pem, "eve", node.now)
        _, said = made.connect(system).check()
        assert "TLS" not in said
        assert server.received


def test_what_is_named_is_trusted_instead_of_the_public_authorities(
    transport: Transport, root: Authority, issuing: Authority, served: ssl.SSLContext
) -> None:
    other = Authority("Globex root")
    with LoopbackServer(answer(200, b"{}"), tls=served) as server:
        assert isinstance(ask(transport.trusting(root.pem), server), Answer)
        assert isinstance(ask(transport.trusting(issuing.pem), server), Answer)
        # Not even over a connection that another one has open.
        for stranger in (transport, transport.trusting(other.pem)):
            assert isinstance(ask(stranger, server), NotSent)


def test_whoever_trusts_the_same_shares_connections(
    transport: Transport, root: Authority, served: ssl.SSLContext
) -> None:
    with LoopbackServer(answer(200, b"{}"), tls=served) as server:
        for _ in range(3):
            assert isinstance(ask(transport.trusting(root.pem), server), Answer)
        assert server.connections == 1
    assert transport.trusting("") is transport


def test_only_certificates_are_kept(node: LinkedNode, root: Authority) -> None:
    """Not what people's files hold besides: names, and sometimes a key."""
    file = f"subject=CN = Acme root\n{root.pem}-----BEGIN PRIVATE KEY-----\nMIGH\n"
    assert read_authorities(file, "https://desk", node.now) == root.pem


@pytest.mark.parametrize(
    ("text", "url", "says"),
    [
        ("", "https://desk", "no PEM file"),
        ("MIIB8TCCAZegAwIBAgIU", "https://desk", "openssl x509 -inform der"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "https://desk", "no PEM file"),
        ("\x00\xff", "", "no PEM file"),
        ("x" * 70_000, "", "more than 64 KB"),
        ("…", "http://desk", "write an https URL"),
    ],
)
def test_what_is_no_authority_says_so(
    node: LinkedNode, text: str, url: str, says: str
) -> None:
    with pytest.raises(AuthorityUnusable, match=says):
        read_authorities(text, url, node.now)


def test_an_authority_that_has_expired_says_so(node: LinkedNode) -> None:
    old = Authority("Acme, before", days=-1)
    with pytest.raises(AuthorityUnusable, match="it has expired on 20"):
        read_authorities(old.pem, "", node.now)
