"""Which addresses deliveries may go to."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from rps.connectors.addresses import endpoint_refusal, refusal, url_refusal

SPECIAL = {
    "0.0.0.0": "this network",
    "0.255.255.255": "this network",
    "10.0.0.1": "private",
    "100.64.0.1": "carrier",
    "100.100.100.200": "carrier",
    "100.127.255.255": "carrier",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "host agent",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.8": "protocol",
    "192.0.0.192": "protocol",
    "192.0.2.1": "documentation",
    "192.31.196.1": "AS112",
    "192.52.193.1": "AMT",
    "192.88.99.1": "6to4",
    "192.168.1.1": "private",
    "192.175.48.1": "AS112",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:169.254.169.254": "link-local",
    "::ffff:a00:1": "private",
    "64:ff9b::a9fe:a9fe": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "100::1": "reserved",
    "2001::1": "Teredo",
    "2001:2::1": "protocol",
    "2001:10::1": "protocol",
    "2001:20::1": "protocol",
    "2001:1ff:ffff::1": "protocol",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "2002:a9fe:a9fe::1": "6to4",
    "2620:4f:8000::1": "AS112",
    "3fff::1": "documentation",
    "3fff:fff::1": "documentation",
    "3ffe::1": "6bone",
    "4000::1": "reserved",
    "5f00::1": "segment",
    "fc00::1": "private",
    "fd00:ec2::254": "private",
    "fe80::1": "link-local",
    "fe80::1%1": "interface",
    "2606:4700::1%1": "interface",
    "fec0::1": "reserved",
    "ff02::1": "multicast",
}

PUBLIC = (
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
    "3fff:1000::1",
)


@pytest.mark.parametrize(("text", "reason"), SPECIAL.items())
def test_a_special_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    refused = refusal(ip_address(text), ())
    assert refused is not None
    assert reason in refused


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_not_refused(text: str) -> None:
    assert refusal(ip_address(text), ()) is None


def test_a_network_the_operator_names_is_permitted_and_no_other() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert refusal(ip_address("10.1.2.3"), allowed) is None
    assert refusal(ip_address("::ffff:10.1.2.3"), allowed) is None
    assert refusal(ip_address("fd12::1"), allowed) is None
    assert refusal(ip_address("10.2.0.1"), allowed) is not None
    assert refusal(ip_address("fe80::1"), allowed) is not None


def test_a_public_address_is_reached_by_https_on_its_two_ports_only() -> None:
    public = ip_address("1.1.1.1")
    assert endpoint_refusal("https", public, 443, ()) is None
    assert endpoint_refusal("https", public, 8443, ()) is None
    assert "https" in (endpoint_refusal("http", public, 443, ()) or "")
    assert "port 22" in (endpoint_refusal("https", public, 22, ()) or "")


def test_a_permitted_address_is_reached_by_any_scheme_and_port() -> None:
    allowed = (ip_network("10.0.0.0/8"),)
    assert endpoint_refusal("http", ip_address("10.0.0.1"), 8080, allowed) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/messages",
        "//host/",
        "https://",
        "https:///path",
        "https://:443/",
        "https://host:0/",
        "https://host:99999/",
        "https://host:port/",
        "https://[::1/",
        "https://user@host/",
        "https://user:secret@host/",
        "https://host\\@other/",
        "https://host /",
        "https://host/\r\nX: y",
        "https://\uff11\uff12\uff17.0.0.1/",
        "file:///etc/passwd",
        "gopher://host/",
        "ftp://host/",
        "javascript:alert(1)",
    ],
)
def test_what_is_not_a_plain_web_address_is_refused(url: str) -> None:
    assert url_refusal(url) is not None


@pytest.mark.parametrize(
    "url", ["https://host/a?b=c", "http://10.0.0.1:8080", "https://[2606:4700::1]:8443"]
)
def test_a_plain_web_address_is_used(url: str) -> None:
    assert url_refusal(url) is None
