"""Where the console is: at the node's public https address, or on the machine itself.

The address is set, never taken from what a request says of itself. By plain http a
browser on the same machine is let in, to try things: from a loopback address, asking
for a loopback name, through no proxy.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from flask import Request

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto")
_V6_SITE = 64
"""One customer's network: its addresses are one source."""


class Misdirected(Exception):
    """The console is not at the address that was asked for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`url` as browsers write it in `Origin`; `cookie` is what the session is named."""

    url: str
    cookie: str
    secure: bool


def origin_of(request: Request, public_url: str) -> Origin:
    """Raises Misdirected."""
    host = request.host.lower()
    public = urlsplit(public_url)
    if public.scheme == "https" and host in _written(public.netloc.lower()):
        return Origin(f"https://{public.netloc.lower()}", "__Host-rps", secure=True)
    if _is_on_this_machine(request, host):
        # Cookies do not tell ports apart, and another node may be on another port.
        port = urlsplit(f"//{host}").port or 80
        return Origin(f"http://{host}", f"rps-{port}", secure=False)
    raise Misdirected


def source_of(request: Request) -> str:
    """Where somebody comes from: an IPv4 address, or the network of an IPv6 one."""
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed, _V6_SITE), strict=False))
    return str(found)


def _written(netloc: str) -> set[str]:
    """How a browser may write it in `Host`."""
    return {netloc, netloc.removesuffix(":443"), f"{netloc}:443"}


def _is_on_this_machine(request: Request, host: str) -> bool:
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        name = urlsplit(f"//{host}").hostname or ""
        _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    return (
        request.scheme == "http"
        and _is_loopback(request.remote_addr or "")
        and (name == "localhost" or _is_loopback(name))
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
