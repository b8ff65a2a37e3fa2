"""Linked nodes: invited once, then known to each other by an id and two secrets.

Of a system NAME that is a node there are these secrets: NAME signs what goes there,
`NAME\\tin` what comes from there; `NAME\\tin before` is the one before that, for a day;
`NAME\\tnext` will sign once the other side has it; `NAME\\tinvited` signs the one
request by which an invitation is accepted. No name of a system holds a tab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import orjson

from rps.application.invitation import Invitation, InvitationRefused
from rps.application.operations import LaneBusy, NotFound, NotOpen
from rps.connectors.addresses import url_refusal
from rps.connectors.node import BATCH, PROTOCOL, NodeConnector
from rps.connectors.signature import SecretUnusable, SignatureRefused, Signer, verify
from rps.domain.between_nodes import NODE
from rps.domain.remote_system import RemoteSystem
from rps.log.append import LeaseLost
from rps.projections.node_questions import NodeQuestions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.configuration import Configuration
    from rps.application.operations import Operations
    from rps.application.secret_store import SecretStore
    from rps.connectors.push import Wire as Line

INVITED_SECONDS = 7 * 24 * 3600.0
BEFORE_SECONDS = 24 * 3600.0
WOKEN_MAX = 200

_REFUSED = "answered 401"
_UNSIGNED = (
    " An invitation serves once, for seven days, and the newest only: ask for another."
)


class Wire(Protocol):
    """What of the transport is needed."""

    def trusting(self, authorities: str) -> Line: ...


class NotANode(LookupError):
    """There is no linked node of that name."""


class PeerUnanswered(Exception):
    """The other node did not do as asked; the text is what it said."""


class Neighbours:
    def __init__(self, application: RemoteProcessSync, secrets: SecretStore) -> None:
        self._application = application
        self._secrets = secrets
        self._questions = NodeQuestions(application.recorder.questions)

    # --- invitations --------------------------------------------------------------

    def invite(
        self,
        domain: str,
        name: str,
        base_url: str,
        called: str,
        actor: str,
        now: datetime,
        ca: str = "",
    ) -> str:
        """The token for whoever is to be NAME here and calls us `called`; we shall
        decide where both changed a field. `ca`: whom we trust to vouch for it (PEM).
        Raises InvitationRefused."""
        known = self._application.find(RemoteSystem, RemoteSystem.id_of(domain, name))
        if known is not None and known.connector != NODE:
            raise InvitationRefused(
                f"there is a remote system {name} already: choose another name"
            )
        if known is not None and known.settings["url"]:
            raise InvitationRefused(
                f"{name} is linked already. Where this node has another URL now:"
                f" rps system moved {name}"
            )
        system = known or self._register(domain, name, "", actor, now, decides=True)
        system = self._trusting(system, ca, actor, now)
        key = self._secrets.new()
        self._secrets.keep(domain, f"{name}\tinvited", key)
        return Invitation(_address_for(system, base_url), key, called).token()

    def accept(
        self,
        domain: str,
        invitation: Invitation,
        name: str,
        base_url: str,
        transport: Wire,
        actor: str,
        now: datetime,
        ca: str = "",
    ) -> tuple[RemoteSystem, str]:
        """Link with the node that invited; and why it does not reach us, else "". Said
        again after an answer that was lost, or with another `base_url` or `ca`, it
        comes to the same. Raises InvitationRefused, PeerUnanswered."""
        key = RemoteSystem.id_of(domain, name)
        known = self._application.find(RemoteSystem, key)
        if known is not None and known.settings.get("url") != invitation.url:
            raise InvitationRefused(
                f"there is a remote system {name} already: choose another with --name"
            )
        there = (domain, invitation.url)
        for other in self._application.configuration.refresh().systems():
            is_it = (other.domain, other.settings.get("url")) == there
            if is_it and other.name != name:
                raise InvitationRefused(f"that node is {other.name} here already")
        system = known or self._register(
            domain, name, invitation.url, actor, now, decides=False
        )
        system = self._trusting(system, ca, actor, now)
        if known is not None and self._secrets.live(domain, [name]):
            return system, self.moved(system, base_url, transport)
        theirs = f"{name}\tin"
        self._secrets.make(domain, theirs)
        (secret,) = self._secrets.live(domain, [theirs])
        connector = NodeConnector(
            transport.trusting(system.settings.get("ca", "")),
            url=invitation.url,
            secrets=[invitation.key],
            decides=False,
        )
        say = self.standing(system) | {
            "url": _address_for(system, base_url),
            "secret": secret,
        }
        said, why = connector.ask("accept", say)
        if said is None:
            raise PeerUnanswered(f"{why}{_UNSIGNED if _REFUSED in why else ''}")
        self._secrets.keep(domain, name, _usable(said.get("secret")))
        self.heard(system, said)
        linked = self._application.activate_system(system.id, actor, now)
        return linked, str(said.get("unreached", ""))

    def accepted(
        self, system: RemoteSystem, said: Mapping[str, Any], now: datetime
    ) -> tuple[RemoteSystem, dict[str, Any]]:
        """It as it is known now, and what it is answered. Raises InvitationRefused."""
        url, secret = said.get("url"), _usable(said.get("secret"))
        if system.settings["url"] not in ("", url):
            raise InvitationRefused("another node has accepted the invitation before")
        domain, name = system.domain, system.name
        self._secrets.keep(domain, name, secret)
        self._secrets.make(domain, f"{name}\tin")
        (theirs,) = self._secrets.live(domain, [f"{name}\tin"])
        self.reached_at(system, url, now)
        linked = self._application.activate_system(system.id, NODE, now)
        self.heard(linked, said)
        return linked, self.standing(linked) | {"secret": theirs}

    # --- where it is ----------------------------------------------------------------

    def moved(self, system: RemoteSystem, base_url: str, transport: Wire) -> str:
        """Tell that node where it reaches us now; why it does not, else "". Raises
        PeerUnanswered, NotANode."""
        if system.connector != NODE:
            raise NotANode(system.name)
        say = self.standing(system) | {"url": _address_for(system, base_url)}
        said, why = self.connector(system, transport).ask("heartbeat", say)
        if said is None:
            raise PeerUnanswered(why)
        self.heard(system, said)
        return str(said.get("unreached", ""))

    def reached_at(
        self, system: RemoteSystem, url: object, now: datetime
    ) -> RemoteSystem:
        """Keep where that node says it is reached. Raises InvitationRefused."""
        if not isinstance(url, str) or (refusal := url_refusal(url)):
            why = refusal if isinstance(url, str) else "it is no text"
            raise InvitationRefused(f"the URL of the other node cannot be used: {why}")
        settings = {**system.settings, "url": url}
        return self._application.change(
            RemoteSystem,
            system.id,
            lambda each: each.change(each.description, settings, NODE, now),
        )

    def _register(
        self,
        domain: str,
        name: str,
        url: str,
        actor: str,
        now: datetime,
        *,
        decides: bool,
    ) -> RemoteSystem:
        settings = {"url": url, "secrets": [name], "decides": decides, "batch": BATCH}
        return self._application.register_system(
            domain, name, NODE, "", settings, actor, now
        )[0]

    def _trusting(
        self, system: RemoteSystem, ca: str, actor: str, now: datetime
    ) -> RemoteSystem:
        if not ca:
            return system
        return self._application.change(
            RemoteSystem, system.id, lambda each: each.trust(ca, actor, now)
        )

    # --- who is it ----------------------------------------------------------------

    def invited(
        self, key: UUID, headers: Mapping[str, str], body: bytes, now: float
    ) -> RemoteSystem:
        """The system an invitation was made for; raises SignatureRefused."""
        system = self._node(key)
        name = f"{system.name}\tinvited"
        live = self._secrets.live(system.domain, [name], INVITED_SECONDS)
        verify(headers, body, live, now)
        return system

    def verified(
        self, key: UUID, headers: Mapping[str, str], body: bytes, now: float
    ) -> RemoteSystem:
        """The linked node that signed a request; raises SignatureRefused."""
        system = self._node(key)
        name, domain = system.name, system.domain
        try:
            verify(headers, body, self._secrets.live(domain, [f"{name}\tin"]), now)
        except SignatureRefused:
            before = self._secrets.live(domain, [f"{name}\tin before"], BEFORE_SECONDS)
            verify(headers, body, before, now)
        if system.settings["decides"]:
            self._secrets.drop(domain, f"{name}\tinvited")
        return system

    def _node(self, key: UUID) -> RemoteSystem:
        reader = self._application.configuration
        found = reader.current.aggregates.get(key) or reader.refresh().aggregates.get(
            key
        )
        if not isinstance(found, RemoteSystem) or found.connector != NODE:
            # As for a wrong signature: who asks does not learn which ids there are.
            raise SignatureRefused("no signature matches")
        return found

    # --- secrets change -----------------------------------------------------------

    def rotate(self, system: RemoteSystem, transport: Wire) -> None:
        """Sign with a new secret from now on, once the other node has it; said again
        after an answer that was lost, it comes to the same. Raises PeerUnanswered."""
        if system.connector != NODE:
            raise NotANode(system.name)
        domain, name = system.domain, system.name
        self._secrets.make(domain, f"{name}\tnext")
        (secret,) = self._secrets.live(domain, [f"{name}\tnext"])
        said, why = self.connector(system, transport).ask("secret", {"secret": secret})
        if said is None:
            raise PeerUnanswered(why)
        self._secrets.rename(domain, f"{name}\tnext", name)

    def rotated(self, system: RemoteSystem, secret: object) -> None:
        """Take what the other node will sign with. Raises InvitationRefused."""
        name, domain = f"{system.name}\tin", system.domain
        new = _usable(secret)
        if new not in self._secrets.live(domain, [name]):
            self._secrets.rename(domain, name, f"{name} before")
            self._secrets.keep(domain, name, new)

    # --- how it stands ------------------------------------------------------------

    def connector(self, system: RemoteSystem, transport: Wire) -> NodeConnector:
        return NodeConnector(
            transport.trusting(system.settings.get("ca", "")),
            url=system.settings["url"],
            secrets=self._secrets.live(system.domain, system.settings["secrets"]),
            decides=system.settings["decides"],
        )

    def standing(
        self, system: RemoteSystem, configuration: Configuration | None = None
    ) -> dict[str, Any]:
        """What we say of ourselves to that node; by the newest configuration, or the
        one that the caller has just read."""
        configuration = configuration or self._application.configuration.refresh()
        current = configuration.system(system.domain, system.name) or system
        return {
            "protocol": PROTOCOL,
            "state": current.state,
            "knows": known_to(configuration, system),
        }

    def heard(self, system: RemoteSystem, said: Mapping[str, Any]) -> bool:
        """Keep what that node said of itself; whether it shares something else now."""
        kept = {
            "protocol": said.get("protocol"),
            "state": said.get("state"),
            "knows": said.get("knows"),
        }
        before = self._questions.peer(system.domain, system.name)
        self._questions.heard(system.domain, system.name, orjson.dumps(kept).decode())
        return before is not None and before.get("knows") != kept["knows"]

    def wake(self, system: RemoteSystem, operations: Operations, now: datetime) -> None:
        """Send again what that node could not take; it may be able to now."""
        why = f"{system.name} shares something else now"
        for key in self._questions.postponed(system.domain, system.name, WOKEN_MAX):
            _send_now(system, str(key), why, operations, now)

    def ask_now(
        self,
        system: RemoteSystem,
        delivery_id: object,
        operations: Operations,
        now: datetime,
    ) -> bool:
        """Send a message of ours again, which is how it is asked after. False: there is
        none, it is settled, or somebody asks already."""
        why = f"{system.name} says that it is further there"
        return _send_now(system, str(delivery_id)[:36], why, operations, now)


def _send_now(
    system: RemoteSystem, key: str, why: str, operations: Operations, now: datetime
) -> bool:
    try:
        operations.retry_message(
            system.domain,
            UUID(key),
            why,
            f"{NODE}:{system.name}",
            now,
            system=system.name,
        )
    except (ValueError, NotFound, NotOpen, LaneBusy, LeaseLost):
        return False
    return True


def known_to(
    configuration: Configuration, system: RemoteSystem
) -> dict[str, dict[str, Any]]:
    """The process events we share with a node, by the name both use."""
    known: dict[str, dict[str, Any]] = {}
    for (domain, name, table), routes in configuration.routes.items():
        if (domain, name) == (system.domain, system.name):
            for route in routes:
                known[table] = {
                    "revision": route.revision,
                    "fields": sorted(route.member.by_field),
                    "journals": sorted(route.member.by_journal),
                }
    return known


def _address_for(system: RemoteSystem, base_url: str) -> str:
    return f"{base_url.rstrip('/')}/v1/nodes/{system.id}"


def _usable(secret: object) -> str:
    try:
        if isinstance(secret, str):
            Signer([secret])
            return secret
    except SecretUnusable:
        pass
    raise InvitationRefused("the other node sent no usable secret")
