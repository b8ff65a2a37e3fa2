"""Domains: tenants, in a tree of paths like `top/acme/emea`."""

from __future__ import annotations

import re
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


class Domain(Aggregate):
    """One tenant; `path` says where it stands in the tree."""

    path: str
    description: str

    @staticmethod
    def id_of(path: str) -> UUID:
        return identity("domain", path)

    def start(self) -> None:
        self.domain = self.path = self.description = ""

    @classmethod
    def created(cls, path: str, description: str, actor: str, now: datetime) -> Domain:
        made = cls.blank(cls.id_of(checked_path(path)), now)
        made.domain = path
        made.happened(DomainCreated, now, description=description, actor=actor)
        return made


@records(Domain)
class DomainCreated(Event):
    TOPIC = "domain.created"

    description: str
    actor: str

    def apply(self, aggregate: Domain) -> None:
        aggregate.domain = aggregate.path = self.domain
        aggregate.description = self.description
