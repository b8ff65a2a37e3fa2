"""Which addresses a name has, and which of them deliveries may go to.

The table is our own: Python's `is_global` calls NAT64, 6to4 and multicast addresses
global (`security.md`, 6). Sources: IANA special-purpose address registries, RFC 6890.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.config import Network

Address = IPv4Address | IPv6Address

# Host name and port to the texts of all its addresses; raises OSError.
Resolver = Callable[[str, int], Sequence[str]]

PUBLIC_PORTS = (443, 8443)

# No blanks, no controls, no backslash: parsers disagree about where those end the name.
_URL = re.compile(r"https?://[\x21-\x5b\x5d-\x7e]+")

_IPV4_SPECIAL = tuple(
    (ipaddress.IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's host agent"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_IPV6_PUBLIC = ipaddress.IPv6Network("2000::/3")
_IPV6_SPECIAL = tuple(
    (ipaddress.IPv6Network(network), why)
    for network, why in (
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
        ("3ffe::/16", "6bone"),
        # Outside 2000::/3, so refused anyway; listed for the reason they give.
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)


def permitted(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether an operator's list names `address`, in itself or as mapped IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any(
        address in network or (mapped is not None and mapped in network)
        for network in allowed
    )


def refusal(address: Address, allowed: Iterable[Network]) -> str | None:
    """Why nothing may be delivered to `address`; None when it may."""
    if permitted(address, allowed):
        return None
    if isinstance(address, IPv4Address):
        return _named(address, _IPV4_SPECIAL)
    if address.ipv4_mapped is not None:
        return refusal(address.ipv4_mapped, ())
    if address.scope_id is not None:
        return f"{address} is bound to one interface"
    if (special := _named(address, _IPV6_SPECIAL)) is not None:
        return special
    return None if address in _IPV6_PUBLIC else f"{address} is not public (reserved)"


def endpoint_refusal(
    scheme: str, address: Address, port: int, allowed: tuple[Network, ...]
) -> str | None:
    """As `refusal`, and public addresses only by https on `PUBLIC_PORTS`."""
    if permitted(address, allowed):
        return None
    if (reason := refusal(address, ())) is not None:
        return reason
    if scheme != "https":
        return f"{address} is public: only https goes there"
    if port not in PUBLIC_PORTS:
        return f"port {port} of {address}: only {PUBLIC_PORTS} are reached"
    return None


def url_refusal(url: str) -> str | None:
    """Why `url` is not used at all, whatever its name resolves to."""
    try:
        target = urlsplit(url)
        named = target.hostname and target.port != 0
    except ValueError:
        return "not a URL"
    if _URL.fullmatch(url) is None or not named:
        return "not an absolute http(s) URL in plain ASCII"
    if "@" in target.netloc:
        return "a URL with user information is not used"
    return None


def resolve(host: str, port: int) -> list[str]:
    """All addresses the machine's resolver has for `host`; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def looked_up(
    resolver: Resolver, host: str, port: int, seconds: float
) -> list[Address]:
    """Every address of `host`, once each. Raises OSError or ValueError.

    A resolver cannot be given a deadline, so it runs in a thread of its own, which is
    left behind when `seconds` are over.
    """
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    found: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(resolver(host, port))
        except (OSError, ValueError) as error:
            found.put(error)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise answer
    return list(dict.fromkeys(ipaddress.ip_address(text) for text in answer))


def _named(address: Address, special: tuple[tuple[Network, str], ...]) -> str | None:
    for network, why in special:
        if address in network:
            return f"{address} is not public ({why})"
    return None
