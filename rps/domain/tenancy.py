"""Domains: tenants, in a tree of paths like `top/acme/emea`."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rps.domain.aggregate import Aggregate, Event, identity, records

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

TOP = "top"
_PATH = re.compile(r"[a-z0-9-]{1,40}(/[a-z0-9-]{1,40}){0,9}\Z")


class DomainPathRefused(ValueError):
    """A domain is a path of lower-case words, `top/acme/emea`, ten deep at most."""


def checked_path(path: str) -> str:
    """`path` itself when it may name a domain; raises DomainPathRefused."""
    if not _PATH.match(path):
        raise DomainPathRefused(path)
    return path


def within(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or lies below it."""
    return path == ancestor or path.startswith(f"{ancestor}/")


@dataclass(frozen=True, slots=True)
class Provider:
    """Who vouches for people by OpenID Connect. `scopes` are apart by spaces; the
    client's secret is in the secret store."""

    name: str
    issuer: str
    client_id: str
    scopes: str


class Domain(Aggregate):
    """One tenant; `path` says where it stands in the tree, `providers` who vouches for
    people of it and of the domains below, by name."""

    path: str
    description: str
    providers: dict[str, Provider]

    @staticmethod
    def id_of(path: str) -> UUID:
        return identity("domain", path)

    def start(self) -> None:
        self.domain = self.path = self.description = ""
        self.providers = {}

    @classmethod
    def created(cls, path: str, description: str, actor: str, now: datetime) -> Domain:
        made = cls.blank(cls.id_of(checked_path(path)), now)
        made.domain = path
        made.happened(DomainCreated, now, description=description, actor=actor)
        return made

    def configure_provider(self, provider: Provider, actor: str, now: datetime) -> None:
        if self.providers.get(provider.name) != provider:
            fields = asdict(provider)
            self.happened(DomainProviderConfigured, now, **fields, actor=actor)

    def remove_provider(self, name: str, actor: str, now: datetime) -> None:
        if name in self.providers:
            self.happened(DomainProviderRemoved, now, name=name, actor=actor)


@records(Domain)
class DomainCreated(Event):
    TOPIC = "domain.created"

    description: str
    actor: str

    def apply(self, aggregate: Domain) -> None:
        aggregate.domain = aggregate.path = self.domain
        aggregate.description = self.description


@records(Domain)
class DomainProviderConfigured(Event):
    TOPIC = "domain.provider_configured"

    name: str
    issuer: str
    client_id: str
    scopes: str
    actor: str

    def apply(self, aggregate: Domain) -> None:
        aggregate.providers[self.name] = Provider(
            self.name, self.issuer, self.client_id, self.scopes
        )


@records(Domain)
class DomainProviderRemoved(Event):
    TOPIC = "domain.provider_removed"

    name: str
    actor: str

    def apply(self, aggregate: Domain) -> None:
        aggregate.providers.pop(self.name, None)
