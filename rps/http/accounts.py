"""Accounts, their roles and tokens; domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response
from marshmallow import ValidationError, fields, validate

from rps.application.operations import NotFound
from rps.application.tokens import TOKEN_BYTES, mint
from rps.domain.account import LIFETIME_DAYS, LIFETIME_DAYS_MAX, ROLES, Account
from rps.domain.section import matching
from rps.domain.tenancy import Domain, within
from rps.http.access import principal
from rps.http.answers import answer, of
from rps.http.inputs import (
    Shape,
    Text,
    body,
    optional_body,
    precondition,
)
from rps.http.routes import allowed, route

if TYPE_CHECKING:
    from rps.http.parts import Parts

ACCOUNT_NAME = matching(
    r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}",
    "a letter or digit, then up to 79 of A-Z, a-z, 0-9, '.', '_', '@' and '-'",
)


class Roles(Shape):
    roles = fields.List(
        fields.String(validate=validate.OneOf(ROLES)),
        required=True,
        validate=validate.Length(0, len(ROLES)),
    )


class Lifetime(Shape):
    lifetime_days = fields.Integer(
        strict=True,
        load_default=LIFETIME_DAYS,
        validate=validate.Range(1, LIFETIME_DAYS_MAX),
    )


class Description(Shape):
    description = Text(2000, least=0, load_default="")


class Accounts:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._clock = parts.clock
        self._random_bytes = parts.random_bytes

    @route("GET", "/accounts", "All accounts of the domain", answer="Accounts")
    @allowed("auditor")
    def list_accounts(self) -> Response:
        own = [
            account
            for account in self._application.configuration.current.accounts()
            if account.domain == principal().domain
        ]
        own.sort(key=lambda account: account.name)
        return answer({"accounts": [_shown(account) for account in own]})

    @route("GET", "/accounts/<name>", "One account", answer="Account")
    @allowed("auditor")
    def get_account(self, name: str) -> Response:
        account = self._found(name)
        return of(account, _shown(account))

    @route(
        "PUT",
        "/accounts/<name>",
        "Make an account with exactly these roles",
        or_status=201,
        body=Roles(),
        answer="Account",
        headers=("If-Match", "If-None-Match"),
    )
    @allowed()
    def put_account(self, name: str) -> Response:
        if not ACCOUNT_NAME.fits(name):
            raise ValidationError([f"the account's name is {ACCOUNT_NAME.says}"])
        wanted = set(body(Roles())["roles"])
        who, now = principal(), self._clock()
        key = Account.id_of(who.domain, name)
        known = self._application.find(Account, key)
        precondition(known)
        if known is None:
            made = self._application.ensure_account(
                who.domain, name, sorted(wanted), who.account, now
            )
            return of(made, _shown(made), 201)

        def set_roles(account: Account) -> None:
            precondition(account)
            for role in sorted(wanted - account.roles):
                account.grant(role, who.account, now)
            for role in sorted(account.roles - wanted):
                account.revoke(role, who.account, now)

        changed = self._application.change(Account, key, set_roles)
        return of(changed, _shown(changed))

    @route(
        "POST",
        "/accounts/<name>/tokens",
        "Issue a token; it is shown in this answer only",
        status=201,
        body=Lifetime(),
        answer="Token",
    )
    @allowed()
    def post_token(self, name: str) -> Response:
        days = optional_body(Lifetime())["lifetime_days"]
        who, now = principal(), self._clock()
        token, token_id, sha256 = mint(self._random_bytes(TOKEN_BYTES))
        account = self._application.change(
            Account,
            self._found(name).id,
            lambda each: each.issue_token(token_id, sha256, days, who.account, now),
        )
        expires_at = account.tokens[token_id].expires_at
        shown = {"token": token, "token_id": token_id, "expires_at": expires_at}
        return answer(shown, 201)

    @route(
        "DELETE",
        "/accounts/<name>/tokens/<token_id>",
        "Revoke a token",
        status=204,
        answer="",
    )
    @allowed()
    def delete_token(self, name: str, token_id: str) -> Response:
        account = self._found(name)
        if token_id not in account.tokens:
            raise NotFound(f"no token {token_id!r}")
        who, now = principal(), self._clock()
        self._application.change(
            Account,
            account.id,
            lambda each: each.revoke_token(token_id, who.account, now),
        )
        return Response(status=204)

    def _found(self, name: str) -> Account:
        key = Account.id_of(principal().domain, name)
        account = self._application.find(Account, key)
        if account is None:
            raise NotFound(f"no account {name!r}")
        return account


class Domains:
    """Its own domain and those below it are all an account sees."""

    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._clock = parts.clock

    @route(
        "GET", "/domains", "The account's domain and those below it", answer="Domains"
    )
    @allowed("auditor")
    def list_domains(self) -> Response:
        own = [
            domain
            for domain in self._application.configuration.current.domains()
            if within(domain.path, principal().domain)
        ]
        own.sort(key=lambda domain: domain.path)
        return answer({"domains": [_domain(domain) for domain in own]})

    @route("GET", "/domains/<path:path>", "One domain", answer="Domain")
    @allowed("auditor")
    def get_domain(self, path: str) -> Response:
        domain = self._application.find(Domain, Domain.id_of(path))
        if domain is None or not within(path, principal().domain):
            raise NotFound(f"no domain {path!r}")
        return of(domain, _domain(domain))

    @route(
        "PUT",
        "/domains/<path:path>",
        "Make a domain below the account's own",
        or_status=201,
        body=Description(),
        answer="Domain",
        headers=("If-None-Match",),
    )
    @allowed()
    def put_domain(self, path: str) -> Response:
        description = optional_body(Description())["description"]
        who = principal()
        if not within(path, who.domain):
            raise NotFound(f"no domain {path!r}")
        known = self._application.find(Domain, Domain.id_of(path))
        precondition(known)
        domain = self._application.ensure_domain(
            path, description, who.account, self._clock()
        )
        return of(domain, _domain(domain), 200 if known else 201)


def _shown(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "domain": account.domain,
        "roles": sorted(account.roles),
        "tokens": [
            {"token_id": token_id, "expires_at": token.expires_at}
            for token_id, token in sorted(account.tokens.items())
        ],
        "version": account.version,
        "changed_at": account.modified_on,
    }


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        "path": domain.path,
        "description": domain.description,
        "version": domain.version,
    }
