"""Notices to chats, pagers and the rest, through the library apprise, an extra.

Its services open their own connections, so an operator names those that may be used.
Of those that reach whatever host their URL names the addresses are checked first.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rps.connectors.addresses import endpoint_refusal, looked_up, resolve
from rps.connectors.announcing import (
    Again,
    Announced,
    Announcement,
    ChannelUnusable,
    Told,
)

if TYPE_CHECKING:
    from rps.config import Network
    from rps.connectors.addresses import Resolver

MISSING = "apprise is not installed here: pip install 'rps[notify]'"
RESOLVE_SECONDS = 5.0
TALKATIVE = ("urllib3", "requests_oauthlib", "oauthlib")
"""What apprise speaks through; as apprise itself they log URLs, which hold tokens."""


class AppriseChannel:
    """Raises ChannelUnusable where apprise is missing or the service is not allowed.
    `url` is a secret: it holds the tokens, and no text repeats it."""

    def __init__(
        self,
        url: str,
        services: frozenset[str],
        allowed: tuple[Network, ...],
        resolver: Resolver = resolve,
    ) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._service = _service(url, services)

    def announce(self, said: Announcement) -> Announced:
        if reason := self._unreachable():
            return Again(reason)
        try:
            taken = self._service.notify(body=said.text, title=said.subject)
        except Exception as error:  # noqa: BLE001 - of a hundred services, each its own
            return Again(f"the service failed with {type(error).__name__}")
        if taken:
            return Told("taken by the service")
        return Again("the service refused it or was not reached; apprise says no more")

    def _unreachable(self) -> str | None:
        """Why the host that the URL names may not be reached."""
        # Of others `host` is what stands there: a token, mostly.
        if not all("{host}" in each for each in self._service.templates):
            return None
        host = self._service.host
        scheme = "https" if getattr(self._service, "secure", False) else "http"
        port = getattr(self._service, "port", None) or (
            443 if scheme == "https" else 80
        )
        try:
            found = looked_up(self._resolver, str(host), port, RESOLVE_SECONDS)
        except (OSError, ValueError):
            return "the service's host is not found"
        for address in found:
            if reason := endpoint_refusal(scheme, address, port, self._allowed):
                return reason
        return None


def usable(url: str, services: frozenset[str]) -> str | None:
    """Why a URL cannot be used, None where it can."""
    try:
        _service(url, services)
    except ChannelUnusable as error:
        return str(error)
    return None


def _service(url: str, services: frozenset[str]) -> Any:
    scheme = url.partition("://")[0].lower()
    if scheme not in services:
        known = ", ".join(sorted(services)) or "none"
        raise ChannelUnusable(
            f"the operator allows these apprise services: {known} (RPS_APPRISE)"
        )
    if scheme.startswith("mailto"):
        # It reaches servers that its URL's parameters name.
        raise ChannelUnusable("mail is a kind of its own: email")
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise ChannelUnusable(MISSING) from None
    logging.getLogger("apprise").disabled = True
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asset = apprise.AppriseAsset(
        plugin_paths=[],
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    made = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if made is None:
        raise ChannelUnusable("apprise cannot read the URL of the service")
    made.redirects = False  # it would lead past the check of addresses
    return made
