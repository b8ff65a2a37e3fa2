"""rps init, rps migrate."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from argon2 import PasswordHasher

from rps.application.passwords import Passwords
from rps.application.tokens import mint
from rps.cli.keys import prepare_keys
from rps.cli.session import actor, application_of
from rps.cli.terminal import output_option, say, show_json
from rps.config import Config
from rps.domain.account import LIFETIME_DAYS, Account
from rps.domain.tenancy import TOP
from rps.migrate import migrate as bring_to_schema
from rps.postgres import open_server

if TYPE_CHECKING:
    from rps.application import RemoteProcessSync


@click.command()
@click.option(
    "--account", default="admin", show_default=True, help="Name of the first account."
)
@output_option
def init(account: str, output: str) -> None:
    """Set up a node: database, schema, key, first account and token.

    The token is shown this once, on stdout; rps keeps only its hash. Run again, it
    changes nothing that is there.
    """
    config = Config.from_environ()
    with open_server(config) as database_url:
        applied = bring_to_schema(database_url)
        say(f"database ready, {len(applied)} migration(s) applied")
        with application_of(config, database_url) as application:
            prepare_keys(application, first=True)
            application.ensure_domain(TOP, "", actor(), datetime.now(UTC))
            made = first_token(application, account)
            passwords = Passwords(application.datastore, PasswordHasher())
            has_password = passwords.exists(Account.id_of(TOP, account))
    if made is None:
        say(f"account {account} has a token already: rps token issue {account}")
    elif output == "json":
        show_json(made)
    else:
        say(f"token of account {account}, until {made['expires_at'][:10]}:")
        click.echo(made["token"])
    if not has_password:
        say(
            f"to sign in at {config.public_url or _local(config)} once rps serve runs, "
            f"set its password: rps account password {account}"
        )


def _local(config: Config) -> str:
    return f"http://localhost:{config.port}/"


def first_token(application: RemoteProcessSync, name: str) -> dict[str, str] | None:
    """A token for the admin account `name`, unless it has a live one."""
    now = datetime.now(UTC)
    account = application.ensure_account(TOP, name, ["admin"], actor(), now)
    if any(token.expires_at > now for token in account.tokens.values()):
        return None
    return issue_token(application, account, LIFETIME_DAYS)


def issue_token(
    application: RemoteProcessSync, account: Account, days: int
) -> dict[str, str]:
    """Raises TooManyTokens."""
    token, token_id, digest = mint(os.urandom(38))
    now = datetime.now(UTC)
    expires_at = account.issue_token(token_id, digest, days, actor(), now)
    application.save(account)
    return {
        "account": account.name,
        "domain": account.domain,
        "token": token,
        "token_id": token_id,
        "expires_at": expires_at.isoformat(),
    }


@click.command()
def migrate() -> None:
    """Bring the database to the schema of this version. Safe to run at any time."""
    with open_server(Config.from_environ()) as database_url:
        applied = bring_to_schema(database_url)
    for name in applied:
        click.echo(name)
    say(f"{len(applied)} migration(s) applied")
