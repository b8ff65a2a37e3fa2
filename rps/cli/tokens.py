"""rps token: who may use the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rps.cli.session import open_session
from rps.cli.setup import issue_token
from rps.cli.terminal import domain_option, output_option, say, show, show_json
from rps.domain.account import LIFETIME_DAYS, LIFETIME_DAYS_MAX, ROLES, Account

if TYPE_CHECKING:
    from datetime import datetime

COLUMNS = ("domain", "account", "token_id", "roles", "expires_at", "expired")


@click.group()
def token() -> None:
    """Issue and revoke API tokens. rps keeps only their hashes."""


@token.command()
@click.argument("account")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="Grant this role as well; an account that is not there is made with it.",
)
@click.option(
    "--days",
    default=LIFETIME_DAYS,
    show_default=True,
    type=click.IntRange(1, LIFETIME_DAYS_MAX),
    help="How long it lives.",
)
@domain_option
@output_option
def issue(
    account: str, roles: tuple[str, ...], days: int, domain: str, output: str
) -> None:
    """Issue a token for ACCOUNT; it goes to stdout this once."""
    with open_session() as session:
        if roles:
            session.application.ensure_account(
                domain, account, list(roles), session.actor, session.now
            )
        made = issue_token(session.application, session.account(domain, account), days)
    if output == "json":
        show_json(made)
    else:
        say(f"token {made['token_id']} of {account}, until {made['expires_at'][:10]}:")
        click.echo(made["token"])


@token.command()
@click.argument("account")
@click.argument("token_id")
@domain_option
def revoke(account: str, token_id: str, domain: str) -> None:
    """Let the token TOKEN_ID of ACCOUNT open nothing any more."""
    with open_session() as session:
        found = session.account(domain, account)
        known = token_id in found.tokens
        session.application.change(
            Account,
            found.id,
            lambda a: a.revoke_token(token_id, session.actor, session.now),
        )
    say(f"{token_id} {'revoked' if known else 'was not live: nothing to revoke'}")


@token.command(name="list")
@output_option
def list_tokens(output: str) -> None:
    """List all accounts and their tokens."""
    with open_session() as session:
        rows = [
            row
            for account in session.configuration().accounts()
            for row in _rows(account, session.now)
        ]
    rows.sort(key=lambda row: (row["domain"], row["account"]))
    show(rows, COLUMNS, output, empty="no accounts: rps init")


def _rows(account: Account, now: datetime) -> list[dict[str, Any]]:
    shown = {
        "domain": account.domain,
        "account": account.name,
        "roles": ", ".join(sorted(account.roles)),
    }
    tokens = [
        {
            **shown,
            "token_id": token_id,
            "expires_at": token.expires_at.isoformat(timespec="minutes"),
            "expired": token.expires_at <= now,
        }
        for token_id, token in account.tokens.items()
    ]
    return tokens or [{**shown, "token_id": None, "expires_at": None, "expired": None}]
