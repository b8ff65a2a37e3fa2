"""What an account may see and do, as pages ask it: the one place that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rps.domain.account import Account
from rps.domain.tenancy import TOP, Provider, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.application.configuration import Configuration

_READERS = frozenset(("admin", "ih_process_sync", "operator", "auditor"))

ENOUGH: Final[Mapping[str, frozenset[str]]] = {
    "queue.read": _READERS,
    "system.read": _READERS,
}
"""The roles that may do what pages show."""

ADDRESS_CHARACTERS = 500
"""A domain's path and a name."""


@dataclass(frozen=True, slots=True)
class Place:
    """A domain within an account's reach, and its roles there."""

    domain: str
    path: str
    roles: frozenset[str]

    def may(self, action: str) -> bool:
        return not ENOUGH[action].isdisjoint(self.roles)


def places(account: Account, configuration: Configuration) -> list[Place]:
    """The account's domain and those below it that its roles reach, by path."""
    paths = {each.path for each in configuration.domains()} | {account.domain}
    reached = sorted(path for path in paths if within(path, account.domain))
    roles = frozenset(account.roles)
    return [
        Place(path, path, roles) for path in reached if roles or path == account.domain
    ]


def addressed(written: str) -> tuple[str, str]:
    """Domain and name of the account that a person writes as `top/acme/ada`, or as
    `ada` alone where it is of the top domain."""
    kept = written.replace("\0", "�").strip()[:ADDRESS_CHARACTERS]
    domain, _, name = kept.rpartition("/")
    return domain or TOP, name


def address(account: Account) -> str:
    """How a person writes the account."""
    return account.name if account.domain == TOP else f"{account.domain}/{account.name}"


def account_at(written: str, configuration: Configuration) -> Account | None:
    found = configuration.aggregates.get(Account.id_of(*addressed(written)))
    return found if isinstance(found, Account) else None


def providers(configuration: Configuration) -> dict[str, tuple[str, Provider]]:
    """All providers with their domains, by the name with the domain."""
    return {
        f"{domain.path}/{provider.name}": (domain.path, provider)
        for domain in configuration.domains()
        for provider in domain.providers.values()
    }


def offered(domain: str, configuration: Configuration) -> list[str]:
    """The providers of that domain and those above it, which its people may use."""
    return sorted(
        key
        for key, (where, _) in providers(configuration).items()
        if within(domain, where)
    )


def may_vouch(domain: str, account: Account) -> bool:
    """Whether a provider of `domain` may speak for the account."""
    return within(account.domain, domain)
