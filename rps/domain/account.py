"""Who may use the API: an account, its roles, its tokens (only their hashes)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rps.domain.aggregate import Aggregate, Event, identity, records

if TYPE_CHECKING:
    from uuid import UUID

ROLES = (
    "admin",
    "ih_process_sync",
    "ih_process_sync_api",
    "operator",
    "auditor",
)
TOKENS_MAX = 2
LIFETIME_DAYS, LIFETIME_DAYS_MAX = 90, 365


class TooManyTokens(Exception):
    """The account has two live tokens: revoke one before another is issued."""


class RoleUnknown(ValueError):
    """No such role."""


class Identity(NamedTuple):
    """Whom a provider has to vouch for: `claim` of what it says is, or lists, `value`.
    `provider` names it with its domain, the account's or one above: top/corporate."""

    provider: str
    claim: str
    value: str


@dataclass(frozen=True, slots=True)
class Token:
    sha256: str
    expires_at: datetime


class Account(Aggregate):
    """One user of the API within a domain."""

    name: str
    roles: set[str]
    tokens: dict[str, Token]
    identities: set[Identity]

    @staticmethod
    def id_of(domain: str, name: str) -> UUID:
        return identity("account", domain, name)

    def start(self) -> None:
        self.name = self.domain = ""
        self.roles, self.tokens, self.identities = set(), {}, set()

    @classmethod
    def created(cls, domain: str, name: str, actor: str, now: datetime) -> Account:
        made = cls.blank(cls.id_of(domain, name), now)
        made.domain = domain
        made.happened(AccountCreated, now, name=name, actor=actor)
        return made

    def grant(self, role: str, actor: str, now: datetime) -> None:
        if role not in ROLES:
            raise RoleUnknown(f"{role!r} is not one of {', '.join(ROLES)}")
        if role not in self.roles:
            self.happened(AccountGranted, now, role=role, actor=actor)

    def revoke(self, role: str, actor: str, now: datetime) -> None:
        if role in self.roles:
            self.happened(AccountRevoked, now, role=role, actor=actor)

    def issue_token(
        self, token_id: str, sha256: str, lifetime_days: int, actor: str, now: datetime
    ) -> datetime:
        """Remember a token by its hash; answers when it expires, 1 to 365 days on."""
        live = [t for t in self.tokens.values() if t.expires_at > now]
        if len(live) >= TOKENS_MAX:
            raise TooManyTokens(self.name)
        lifetime = min(max(lifetime_days, 1), LIFETIME_DAYS_MAX)
        expires_at = now + timedelta(days=lifetime)
        self.happened(
            AccountTokenIssued,
            now,
            token_id=token_id,
            sha256=sha256,
            expires_at=expires_at.isoformat(),
            actor=actor,
        )
        return expires_at

    def revoke_token(self, token_id: str, actor: str, now: datetime) -> None:
        if token_id in self.tokens:
            self.happened(AccountTokenRevoked, now, token_id=token_id, actor=actor)

    def set_password(self, actor: str, now: datetime) -> None:
        """Whenever it is set, to whatever: the log never has the password itself."""
        self.happened(AccountPasswordSet, now, actor=actor)

    def remove_password(self, actor: str, now: datetime) -> None:
        self.happened(AccountPasswordRemoved, now, actor=actor)

    def link_identity(self, identity: Identity, actor: str, now: datetime) -> None:
        """Let whoever the provider vouches for come in as this account."""
        if identity not in self.identities:
            named = identity._asdict()
            self.happened(AccountIdentityLinked, now, **named, actor=actor)

    def unlink_identity(self, identity: Identity, actor: str, now: datetime) -> None:
        if identity in self.identities:
            named = identity._asdict()
            self.happened(AccountIdentityUnlinked, now, **named, actor=actor)


@records(Account)
class AccountCreated(Event):
    TOPIC = "account.created"

    name: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.domain, aggregate.name = self.domain, self.name


@records(Account)
class AccountGranted(Event):
    TOPIC = "account.granted"

    role: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.roles.add(self.role)


@records(Account)
class AccountRevoked(Event):
    TOPIC = "account.revoked"

    role: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.roles.discard(self.role)


@records(Account)
class AccountTokenIssued(Event):
    TOPIC = "account.token_issued"

    token_id: str
    sha256: str
    expires_at: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.tokens[self.token_id] = Token(
            self.sha256, datetime.fromisoformat(self.expires_at)
        )


@records(Account)
class AccountTokenRevoked(Event):
    TOPIC = "account.token_revoked"

    token_id: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.tokens.pop(self.token_id, None)


@records(Account)
class AccountPasswordSet(Event):
    TOPIC = "account.password_set"

    actor: str


@records(Account)
class AccountPasswordRemoved(Event):
    TOPIC = "account.password_removed"

    actor: str


@records(Account)
class AccountIdentityLinked(Event):
    TOPIC = "account.identity_linked"

    provider: str
    claim: str
    value: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.identities.add(Identity(self.provider, self.claim, self.value))


@records(Account)
class AccountIdentityUnlinked(Event):
    TOPIC = "account.identity_unlinked"

    provider: str
    claim: str
    value: str
    actor: str

    def apply(self, aggregate: Account) -> None:
        aggregate.identities.discard(Identity(self.provider, self.claim, self.value))
