"""rps account: how people sign in, and who did."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click
from argon2 import PasswordHasher

from rps.application.operations import NotFound
from rps.application.passwords import CHARACTERS_MAX
from rps.application.rights import may_vouch, providers
from rps.application.sessions import Came
from rps.application.sign_in import SignIn
from rps.application.sign_in_records import SignInRecords
from rps.cli.session import open_session
from rps.cli.terminal import Exit, Failure, domain_option, output_option, say, show
from rps.domain.account import Account, Identity
from rps.domain.tenancy import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.cli.session import Session

SESSIONS = ("source", "by", "made_at", "seen_at", "agent")
SIGN_INS = (
    *("last_at", "domain", "account", "what", "count", "provider", "person"),
    "source",
)
CLAIM_CHARACTERS = 200
HERE = Came(source="command line", agent="")


@click.group()
def account() -> None:
    """Say how people sign in to the console, and see who did."""


@account.command()
@click.argument("name")
@click.option("--remove", is_flag=True, help="Take it away instead.")
@domain_option
def password(name: str, domain: str, *, remove: bool) -> None:
    """Set the password of the account NAME, asked for or read from stdin.

    All its sessions end.
    """
    with open_session() as session:
        found = session.account(domain, name)
        signing = _sign_in(session)
        if remove:
            had = signing.remove_password(found, session.actor, session.now)
            say(f"{name} {'has no password any more' if had else 'had no password'}")
            return
        signing.set_password(found, _asked(name), session.actor, session.now)
    say(f"{name} signs in with it from now on")


def _asked(name: str) -> str:
    """Never an argument, which others would see in the list of processes."""
    if sys.stdin.isatty():
        asked = f"New password of {name}"
        return str(click.prompt(asked, hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline(4 * CHARACTERS_MAX).rstrip("\r\n")
    if not line:
        raise Failure(
            "stdin holds no password: write it there, in one line", Exit.USAGE
        )
    return line


def identity_options(command: Callable[..., None]) -> Callable[..., None]:
    """Whom a provider has to vouch for."""
    for option in (
        click.option(
            "--claim",
            nargs=2,
            metavar="CLAIM VALUE",
            help="Or another claim that is, or lists, this value: groups operators.",
        ),
        click.option("--email", help="Or who has this address, verified there."),
        click.option("--subject", help="Who has this subject (sub) there."),
        click.option(
            "--provider",
            required=True,
            help="Its name in this domain or one above; else with its domain: top/it.",
        ),
    ):
        command = option(command)
    return command


@account.command()
@click.argument("name")
@identity_options
@domain_option
def link(name: str, domain: str, **given: Any) -> None:
    """Let whoever a provider vouches for sign in as the account NAME."""
    with open_session() as session:
        found = session.account(domain, name)
        identity = _identity(session, found, **given)
        session.application.change(
            Account,
            found.id,
            lambda each: each.link_identity(identity, session.actor, session.now),
        )
    say(f"{identity.claim} {identity.value} at {identity.provider} comes in as {name}")


@account.command()
@click.argument("name")
@identity_options
@domain_option
def unlink(name: str, domain: str, **given: Any) -> None:
    """Take such a link back. Sessions that the provider opened end."""
    with open_session() as session:
        found = session.account(domain, name)
        identity = _identity(session, found, **given)
        if identity not in found.identities:
            raise NotFound(f"{name} has no such link: rps account show {name}")
        session.application.change(
            Account,
            found.id,
            lambda each: each.unlink_identity(identity, session.actor, session.now),
        )
        _sign_in(session).sessions.end_vouched(identity.provider, found.id)
    say(f"{identity.claim} {identity.value} does not come in as {name} any more")


@account.command(name="show")
@click.argument("name")
@domain_option
@output_option
def show_account(name: str, domain: str, output: str) -> None:
    """Show how the account NAME can sign in."""
    with open_session() as session:
        found = session.account(domain, name)
        rows = [
            {"by": each.provider, "claim": each.claim, "value": each.value}
            for each in sorted(found.identities)
        ]
        if _sign_in(session).passwords.exists(found.id):
            rows.insert(0, {"by": "password", "claim": "", "value": ""})
    nothing = f"{name} cannot sign in: rps account password {name}"
    show(rows, ("by", "claim", "value"), output, empty=nothing)


@account.command()
@click.argument("name")
@domain_option
@output_option
def sessions(name: str, domain: str, output: str) -> None:
    """List where the account NAME is signed in."""
    with open_session() as session:
        found = session.account(domain, name)
        live = _sign_in(session).sessions.of_account(found.id, session.now)
    rows = [
        {
            "source": each.source,
            "by": f"{each.person} at {each.provider}" if each.provider else "password",
            "made_at": each.made_at,
            "seen_at": each.seen_at,
            "agent": each.agent,
        }
        for each in live
    ]
    show(rows, SESSIONS, output, empty=f"{name} is signed in nowhere")


@account.command(name="sign-out")
@click.argument("name")
@domain_option
def sign_out(name: str, domain: str) -> None:
    """End all sessions of the account NAME."""
    with open_session() as session:
        found = session.account(domain, name)
        ended = _sign_in(session).leave_everywhere(found, HERE, session.now)
    say(f"{ended} session(s) ended")


@account.command(name="sign-ins")
@click.argument("name", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@domain_option
@output_option
def sign_ins(name: str | None, limit: int, domain: str, output: str) -> None:
    """List who came in, failed to, and left: of the domain and those below it.

    Failures of one kind within an hour are one row. Names that are no account's are
    not kept: people type their password there.
    """
    with open_session() as session:
        paths = {each.path for each in session.configuration().domains()} | {domain}
        own = [domain] if name else [path for path in paths if within(path, domain)]
        # Names of nobody's belong to no domain: the whole node's operator sees them.
        nobodys = [] if name or domain != "top" else [""]
        records = SignInRecords(session.application.datastore)
        rows = records.latest([*own, *nobodys], limit, name)
    show(rows, SIGN_INS, output, empty="nobody yet")


def _sign_in(session: Session) -> SignIn:
    return SignIn(session.application, os.urandom, PasswordHasher())


def _identity(
    session: Session,
    account: Account,
    provider: str,
    subject: str | None,
    email: str | None,
    claim: tuple[str, str] | None,
) -> Identity:
    said = [
        pair
        for pair in (("sub", subject), ("email", email), claim or ("", None))
        if pair[1]
    ]
    if len(said) != 1:
        raise click.UsageError("say one of --subject, --email and --claim")
    [(what, value)] = said
    if not what or max(len(what), len(value or "")) > CLAIM_CHARACTERS:
        raise click.BadParameter(f"at most {CLAIM_CHARACTERS} characters")
    return Identity(_provider_key(session, account, provider), what, value or "")


def _provider_key(session: Session, account: Account, written: str) -> str:
    """With its domain; without one the nearest of the account's domain and those above
    it is meant. Raises NotFound."""
    reaching = [
        key
        for key, (domain, provider) in providers(session.configuration()).items()
        if written in (key, provider.name) and may_vouch(domain, account)
    ]
    if not reaching:
        raise NotFound(
            f"no provider {written} in {account.domain} or above: rps provider list"
        )
    return max(reaching, key=len)
