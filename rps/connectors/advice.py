"""What an operator can do about a system that does not answer as it should."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rps.connectors.dialing import AddressRefused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Answered(Protocol):
        """What of an answer is looked at."""

        @property
        def status(self) -> int: ...

        @property
        def headers(self) -> Mapping[str, str]: ...

        @property
        def body(self) -> bytes: ...


CLOCK_SECONDS_MAX: Final = 60.0
"""Clocks that are further apart than that are worth a word."""
_MARKUP = re.compile(rb"\s*<")
_RENEW = "have it renewed there, and look whether the clock of this machine is right"
_OTHER_NAME = "it is for another name: correct the URL, or the certificate"
_NOBODY_KNOWN = "have a known authority sign it, or name your own with rps system trust"
_OF_CERTIFICATES = {
    9: _RENEW,
    10: _RENEW,
    **dict.fromkeys((18, 19, 20, 21), _NOBODY_KNOWN),
    **dict.fromkeys((62, 64), _OTHER_NAME),
}
"""By OpenSSL's verify codes."""
_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (AddressRefused, "correct the URL, or name the network in RPS_ALLOW_NETWORKS"),
    (socket.gaierror, "there is no such host, or no DNS: correct the URL"),
    (TimeoutError, "is it up, and may it be reached from here (firewall, proxy)?"),
    (
        ConnectionRefusedError,
        "nothing listens there: is it running, and is the URL right?",
    ),
)
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def unreached(error: BaseException) -> str:
    """Where nothing was sent, as `error` says; "" for nothing to add."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATES.get(error.verify_code, "look at its certificate")
    if isinstance(error, ssl.SSLError):
        return "is https what is spoken at this port?"
    for kind, advice in _CAUSES:
        if isinstance(error, kind):
            return advice
    if isinstance(error, OSError) and error.errno in _NO_WAY:
        return "there is no way to it from here: look at network and firewall"
    return ""


def redirected(said: Answered) -> str:
    """What a 3xx says; no more than the host of where it leads."""
    where = said.headers.get("location", "")
    try:
        host = urlsplit(where).hostname or "another path"
    except ValueError:
        host = "somewhere"
    return (
        f"answered {said.status}, a redirect to {host[:255]}: rps follows none, as it"
        " would take the credentials along; give the address it leads to as --url"
    )


def is_web_page(said: Answered) -> bool:
    """A login page, say, or a proxy's own."""
    is_html = "html" in said.headers.get("content-type", "").lower()
    return is_html or _MARKUP.match(said.body) is not None


def clock_ahead(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds by which the clock that stamped the answer is ahead of `now`, less than 0
    where it is behind; None where it does not tell. A stamp has whole seconds."""
    try:
        there = parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    zoned = there if there.tzinfo else there.replace(tzinfo=UTC)
    return zoned.timestamp() - now


def clocks(headers: Mapping[str, str], now: float) -> str:
    """Where its clock and ours are far apart."""
    ahead = clock_ahead(headers, now)
    if ahead is None or abs(ahead) <= CLOCK_SECONDS_MAX:
        return ""
    where = "ahead of" if ahead > 0 else "behind"
    return (
        f"its clock is {abs(ahead):.0f} s {where} this one: let both follow a time"
        " server"
    )
