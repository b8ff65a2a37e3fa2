"""Providers of identities as they are configured, and whose account a person may use.

Nobody gets an account by signing in: an operator has linked one before, by the subject
or by a claim that the provider vouches for.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from rps.application.operations import NotFound
from rps.application.rights import may_vouch, providers
from rps.connectors.openid import OpenIdProvider, ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.application.configuration import Configuration
    from rps.application.secret_store import SecretStore
    from rps.connectors.push import Wire
    from rps.domain.account import Account, Identity
    from rps.domain.tenancy import Provider

PERSON_CHARACTERS = 200
_FIRST = ("sub", "email")
"""A subject says more than an address, and that more than a group."""


class NobodyLinked(Exception):
    """The provider vouches for the person, but no account is linked to them, or several
    are; the text says it to operators."""


class _Known(NamedTuple):
    provider: Provider
    secret: str
    made: OpenIdProvider


def secret_name(provider: str) -> str:
    """What the client's secret is called in the secret store, in its domain."""
    return f"{provider}.oidc"


class Vouching:
    """One for a process: it remembers what providers said of themselves."""

    def __init__(self, secrets: SecretStore, transport: Wire) -> None:
        self._secrets = secrets
        self._transport = transport
        self._known: dict[str, _Known] = {}
        self._lock = Lock()

    def provider(self, key: str, configuration: Configuration) -> OpenIdProvider:
        """The one that `top/corporate` names; raises NotFound, ProviderFailed."""
        found = providers(configuration).get(key)
        if found is None:
            raise NotFound(f"no provider {key!r}")
        domain, provider = found
        secrets = self._secrets.live(domain, [secret_name(provider.name)])
        if not secrets:
            raise ProviderFailed(
                f"its secret is missing: rps provider set {provider.name}"
            )
        with self._lock:
            known = self._known.get(key)
            if known is None or known[:2] != (provider, secrets[0]):
                made = OpenIdProvider(
                    provider.issuer,
                    provider.client_id,
                    secrets[0],
                    provider.scopes,
                    self._transport,
                )
                known = self._known[key] = _Known(provider, secrets[0], made)
            return known.made


def account_for(
    key: str, claims: Mapping[str, Any], configuration: Configuration
) -> Account:
    """The one account linked to whoever the provider vouches for; NobodyLinked."""
    domain, _, _ = key.rpartition("/")
    found = [
        (_rank(identity), account)
        for account in configuration.accounts()
        if may_vouch(domain, account)
        for identity in account.identities
        if identity.provider == key and _holds(identity, claims)
    ]
    if not found:
        raise NobodyLinked(f"no account is linked to {person_of(claims)}")
    nearest = min(rank for rank, _ in found)
    accounts = {account.id: account for rank, account in found if rank == nearest}
    if len(accounts) > 1:
        named = ", ".join(sorted(f"{a.domain}/{a.name}" for a in accounts.values()))
        raise NobodyLinked(
            f"{person_of(claims)} is linked to several accounts: {named}"
        )
    return next(iter(accounts.values()))


def person_of(claims: Mapping[str, Any]) -> str:
    """How to call them: the address that was verified, else the subject."""
    verified = claims.get("email_verified") is True
    said = str(claims.get("email") if verified else claims["sub"])
    return "".join(c if c.isprintable() else "�" for c in said)[:PERSON_CHARACTERS]


def _rank(identity: Identity) -> int:
    return _FIRST.index(identity.claim) if identity.claim in _FIRST else len(_FIRST)


def _holds(identity: Identity, claims: Mapping[str, Any]) -> bool:
    value = claims.get(identity.claim)
    if identity.claim == "email":
        return (
            claims.get("email_verified") is True
            and isinstance(value, str)
            and value.casefold() == identity.value.casefold()
        )
    return identity.value == value or (
        isinstance(value, list) and identity.value in value
    )
