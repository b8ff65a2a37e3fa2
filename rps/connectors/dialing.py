"""Opens connections to checked addresses.

Addresses are checked inside the connection: one look-up, one bad candidate refuses the
name, the checked address is the one connected to (`security.md`, 5).
"""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
from typing import TYPE_CHECKING

from rps.connectors import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.config import Network
    from rps.connectors.addresses import Address, Resolver

_CANDIDATES_TRIED = 4


class AddressRefused(Exception):
    """The URL leads to an address that deliveries may not go to."""


class Dialer:
    """Thread-safe. What it opens does not block and has checked who answers."""

    def __init__(
        self,
        allowed: tuple[Network, ...],
        resolve: Resolver,
        trust: ssl.SSLContext,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._trust = trust
        self._seconds = seconds
        self._clock = clock

    def dial(self, scheme: str, host: str, port: int, deadline: float) -> socket.socket:
        """Raises AddressRefused, or OSError when none of the addresses connects."""
        latest = min(deadline, self._clock() + self._seconds)
        found = addresses.looked_up(self._resolve, host, port, latest - self._clock())
        for address in found:
            self._admit(scheme, address, port)
        connected = self._first(scheme, found[:_CANDIDATES_TRIED], port, latest)
        try:
            if scheme == "https":
                # The handshake has as long again.
                latest = min(deadline, self._clock() + self._seconds)
                return self._secured(connected, host, latest)
            connected.setblocking(False)
        except BaseException:
            connected.close()
            raise
        return connected

    def _first(
        self, scheme: str, tried: list[Address], port: int, latest: float
    ) -> socket.socket:
        failure = OSError("the name has no address")
        for done, address in enumerate(tried):
            share = (latest - self._clock()) / (len(tried) - done)
            try:
                return self._connected(scheme, address, port, share)
            except OSError as error:
                failure = error
        raise failure

    def _admit(self, scheme: str, address: Address, port: int) -> None:
        if reason := addresses.endpoint_refusal(scheme, address, port, self._allowed):
            raise AddressRefused(reason)

    def _connected(
        self, scheme: str, address: Address, port: int, seconds: float
    ) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - as in IPv4
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(max(seconds, 0.001))
            connected.connect((str(address), port))
            self._admit(scheme, _peer(connected), port)
        except BaseException:
            connected.close()
            raise
        return connected

    def _secured(
        self, connected: socket.socket, host: str, latest: float
    ) -> ssl.SSLSocket:
        """`connected` under TLS, from a host that has proved its name."""
        connected.setblocking(False)
        secured = self._trust.wrap_socket(
            connected,
            server_hostname=host.rstrip("."),
            do_handshake_on_connect=False,
        )
        try:
            while True:
                try:
                    secured.do_handshake()
                except ssl.SSLWantReadError:
                    self._await(secured, select.POLLIN, latest)
                except ssl.SSLWantWriteError:
                    self._await(secured, select.POLLOUT, latest)
                else:
                    return secured
        except BaseException:
            secured.close()
            raise

    def _await(self, waiting: socket.socket, event: int, latest: float) -> None:
        poll = select.poll()
        poll.register(waiting, event)
        left = latest - self._clock()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("the deadline has passed")


def _peer(connected: socket.socket) -> Address:
    peer = connected.getpeername()
    if peer == connected.getsockname():
        # TCP lets a loopback port that nobody listens on connect to itself.
        raise ConnectionRefusedError("connected to ourselves")
    return ipaddress.ip_address(peer[0])
