"""The channel of a subscription, made with its secret as it is now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rps.connectors.announcing import Announcement, ChannelUnusable
from rps.connectors.chat import AppriseChannel, usable
from rps.connectors.file_channel import FileChannel
from rps.connectors.mail import EmailChannel
from rps.connectors.signature import SecretUnusable
from rps.connectors.webhook import WebhookChannel
from rps.domain.subscription import APPRISE, EMAIL, FILE, NODE, WEBHOOK
from rps.keys.envelope import KeyTrouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from rps.application.secret_store import SecretStore
    from rps.config import Config
    from rps.connectors.announcing import Announced, Channel
    from rps.connectors.push import Wire
    from rps.domain.subscription import Subscription

NO_SMTP = "this node sends no mail: the operator has to set RPS_SMTP_URL"
NO_SECRET = "its secret is missing: change the subscription and give it anew"  # noqa: S105


class Channels:
    """How each kind of subscription is told. `nodes`: where it is a linked node."""

    def __init__(
        self,
        config: Config,
        transport: Wire,
        secrets: SecretStore,
        nodes: Callable[[Subscription], Channel] | None = None,
    ) -> None:
        self._config = config
        self._transport = transport
        self._secrets = secrets
        self._nodes = nodes

    def channel(self, subscription: Subscription) -> Channel:
        """Raises ChannelUnusable, which says what to mend."""
        if subscription.kind == EMAIL:
            if self._config.smtp is None:
                raise ChannelUnusable(NO_SMTP)
            return EmailChannel(
                self._config.smtp,
                subscription.settings["addresses"],
                ca_file=self._config.ca_file,
            )
        if subscription.kind == FILE:
            return FileChannel(Path(subscription.settings["path"]))
        if subscription.kind == NODE:
            if self._nodes is None:
                raise ChannelUnusable("this process reaches no linked nodes")
            return self._nodes(subscription)
        return self._with_secret(subscription)

    def _with_secret(self, subscription: Subscription) -> Channel:
        try:
            kept = self._secrets.live(subscription.domain, [subscription.secret_name])
        except KeyTrouble as error:
            raise ChannelUnusable(str(error)) from None
        if not kept:
            raise ChannelUnusable(NO_SECRET)
        if subscription.kind == WEBHOOK:
            return self._webhook(subscription, kept)
        services, allowed = self._config.apprise_services, self._config.allow_networks
        return AppriseChannel(kept[0], services, allowed)

    def refusal(self, kind: str, secret: str | None) -> str | None:
        """Why a subscription of this kind would be of no use here, None where it would;
        repeats nothing of the secret."""
        if kind == EMAIL:
            return NO_SMTP if self._config.smtp is None else None
        if kind == APPRISE and secret is not None:
            return usable(secret, self._config.apprise_services)
        return None

    def _webhook(self, subscription: Subscription, secrets: list[str]) -> Channel:
        try:
            return WebhookChannel(
                self._transport,
                url=subscription.settings["url"],
                secrets=secrets,
                source=self._config.public_url or "urn:rps",
            )
        except SecretUnusable as error:
            raise ChannelUnusable(str(error)) from None

    def try_out(
        self, subscription: Subscription, key: UUID, now: datetime
    ) -> Announced:
        """Send a test notice at once. ChannelUnusable."""
        name, domain = subscription.name, subscription.domain
        said = Announcement(
            key=str(key),
            topic="test",
            subject=f"[rps] a test of {name} ({domain})",
            text="A person asked for this test. Nothing has happened.\n",
            about=name,
            at=now.isoformat(),
            data={"domain": domain, "topic": "test", "subscription": name},
        )
        return self.channel(subscription).announce(said)
