"""No form of writing an address brings a request to a place it may not go to.

A canary listens on loopback; after each try we connect to it ourselves, and ours must
be the only connection it has seen.
"""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from loopback_server import LOOPBACK, LoopbackServer, answer, raw

from rps.connectors import addresses
from rps.connectors.transport import Answer, NotSent, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PLAYS_PUBLIC = "127.0.0.2"
EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))

NAMES = {
    "localhost": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "LOCALHOST": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1", "::1"],
    "loopback.test": ["127.0.0.1"],
    "six.loopback.test": ["::1"],
    "private.test": ["10.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "127.0.0.1.nip.test": ["127.0.0.1"],
    "mixed.test": ["1.1.1.1", "127.0.0.1"],
    "mixed-last.test": ["127.0.0.1", "1.1.1.1"],
    "mixed-six.test": ["2606:4700::1111", "::1"],
    "mixed-mapped.test": ["1.1.1.1", "::ffff:127.0.0.1"],
    "scoped.test": ["fe80::1%1"],
    "unreadable.test": ["1.1.1.1", "not an address"],
    "empty.test": [],
}

_LITERALS = """
127.0.0.1 127.1 127.0.1 127.0.0.2 127.255.255.254 0 0.0.0.0 0.0 0x0 00
2130706433 0x7f000001 0x7F.0.0.1 0x7f.1 0177.0.0.1 0177.1 017700000001
00000177.0.0.1 127.0x0.0.1 127.0.0.0x1 0x7f.0x0.0x0.0x1
[::1] [::] [0:0:0:0:0:0:0:1] [0000::0001] [::127.0.0.1] [::7f00:1]
[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:127.0.0.1]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
[2001::1] [2001:0:7f00:1::] [::ffff:0:127.0.0.1] [fe80::1] [fe80::1%25lo]
[fec0::1] [fc00::1] [fd00:ec2::254] [ff02::1] [5f00::1] [3fff::1] [2001:db8::1]
10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 2852039166 0xa9fea9fe
0251.0376.0251.0376 100.100.100.200 192.0.0.192 168.63.129.16 198.18.0.1
224.0.0.1 255.255.255.255 240.0.0.1
"""

_MALFORMED = """
user@127.0.0.1 user:word@127.0.0.1 1.1.1.1@127.0.0.1 127.0.0.1@127.0.0.1
1.1.1.1\\@127.0.0.1 1.1.1.1%20@127.0.0.1 %31%32%37.0.0.1 127。0。0。1 １２７.0.0.1
①②⑦.0.0.1 ⓛocalhost [::1]@127.0.0.1 [127.0.0.1] [::1%00] 127.0.0.1%00
127.0.0.1%2f 127.0.0.1\t 256.256.256.256 1.2.3.4.5 -1 4294967297 [v1.127.0.0.1]
127.0.0.1.
"""  # noqa: RUF001 - digits that only look like digits are the subject

LITERALS = _LITERALS.split()
MALFORMED = _MALFORMED.split()


def resolved(host: str, port: int) -> Sequence[str]:
    """The names above; numbers in any writing as the C library reads them; no DNS."""
    if host in NAMES:
        return NAMES[host]
    numeric = socket.AI_NUMERICHOST
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    return [str(sockaddr[0]) for *_, sockaddr in found]


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """Its port counts as public, so that nothing but the address can refuse it."""
    with LoopbackServer(answer(200)) as server:
        monkeypatch.setattr(addresses, "PUBLIC_PORTS", (443, server.port))
        yield server


def heard(canary: LoopbackServer) -> int:
    """Connections before our own; they are accepted in the order they came."""
    own = Transport(LOOPBACK).request("GET", f"http://127.0.0.1:{canary.port}/", {})
    assert isinstance(own, Answer)
    return canary.connections - 1


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_no_form_of_an_address_reaches_what_is_not_public(
    canary: LoopbackServer, scheme: str
) -> None:
    forms = [*LITERALS, *NAMES, *MALFORMED]
    assert len(forms) >= 100
    transport = Transport((), connect_seconds=0.5, total_seconds=1, resolve=resolved)
    for form in forms:
        url = f"{scheme}://{form}:{canary.port}/"
        said = transport.request("POST", url, {}, b"{}")
        assert isinstance(said, NotSent), form
    assert heard(canary) == 0


@pytest.fixture(scope="module")
def strict() -> Transport:
    return Transport((), resolve=resolved)


@pytest.mark.parametrize("form", LITERALS)
def test_a_literal_is_refused_for_its_address(strict: Transport, form: str) -> None:
    said = strict.request("POST", f"https://{form}/", {}, b"{}")
    assert isinstance(said, NotSent)
    assert "not public" in said.detail or "%" in form


@pytest.mark.parametrize(
    "form",
    ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]"],
)
def test_the_canary_would_hear_them(canary: LoopbackServer, form: str) -> None:
    transport = Transport(EVERYWHERE, resolve=resolved)
    said = transport.request("POST", f"http://{form}:{canary.port}/", {}, b"{}")
    assert isinstance(said, Answer)


def test_the_operators_list_lets_through_what_it_names_only(
    canary: LoopbackServer,
) -> None:
    transport = Transport((ip_network(f"{PLAYS_PUBLIC}/32"),), resolve=resolved)
    with LoopbackServer(answer(200), host=PLAYS_PUBLIC) as server:
        assert isinstance(transport.request("POST", server.url, {}), Answer)
    said = transport.request("POST", f"http://127.0.0.1:{canary.port}/", {})
    assert isinstance(said, NotSent)
    assert heard(canary) == 0


def test_a_name_that_changes_its_address_is_checked_each_time_it_connects(
    canary: LoopbackServer,
) -> None:
    answers = [[PLAYS_PUBLIC], ["127.0.0.1"], [PLAYS_PUBLIC, "127.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    transport = Transport((ip_network(f"{PLAYS_PUBLIC}/32"),), resolve=rebinding)
    url = f"http://rebinding.test:{canary.port}/"
    with LoopbackServer(
        raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", keep=False),
        host=PLAYS_PUBLIC,
        port=canary.port,
    ):
        assert isinstance(transport.request("POST", url, {}), Answer)
        assert asked == ["rebinding.test"]
        assert isinstance(transport.request("POST", url, {}), NotSent)
        assert isinstance(transport.request("POST", url, {}), NotSent)
    assert len(asked) == 3
    assert heard(canary) == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_place_inside_is_not_followed(
    canary: LoopbackServer, status: int
) -> None:
    location = [("Location", f"http://127.0.0.1:{canary.port}/")]
    transport = Transport((ip_network(f"{PLAYS_PUBLIC}/32"),))
    with LoopbackServer(answer(status, headers=location), host=PLAYS_PUBLIC) as server:
        said = transport.request("GET", server.url, {}, retry_safe=True)
    assert isinstance(said, Answer)
    assert said.status == status
    assert heard(canary) == 0


def test_proxies_and_netrc_of_the_environment_are_not_used(
    canary: LoopbackServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{canary.port}")
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login user password word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    transport = Transport((ip_network(f"{PLAYS_PUBLIC}/32"),))
    with LoopbackServer(answer(200), host=PLAYS_PUBLIC) as server:
        assert isinstance(transport.request("POST", server.url, {}), Answer)
    assert "authorization" not in server.received[0].headers
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name)
        monkeypatch.delenv(name.upper())
    assert heard(canary) == 0
