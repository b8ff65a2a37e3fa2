"""rps provider: who vouches for people by OpenID Connect."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from rps.application.operations import NotFound
from rps.application.rights import providers
from rps.application.secret_store import SECRET_MAX, SecretStore
from rps.application.sessions import Sessions
from rps.application.vouching import Vouching, secret_name
from rps.cli.session import open_session
from rps.cli.terminal import Exit, Failure, domain_option, output_option, say, show
from rps.connectors.addresses import url_refusal
from rps.connectors.transport import Transport
from rps.domain.tenancy import Domain, Provider
from rps.http.console.entrance import BACK

if TYPE_CHECKING:
    from typing import TextIO

    from rps.cli.session import Session

COLUMNS = ("provider", "issuer", "client_id", "scopes")
SCOPES = "openid email"
_NAME = re.compile(r"[a-z0-9-]{1,40}\Z")
_SCOPES = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*\Z")
_TEXT_MAX = 500


@click.group()
def provider() -> None:
    """Let people sign in at providers of identities (OpenID Connect)."""


@provider.command(name="set")
@click.argument("name")
@click.option("--issuer", required=True, help="Its address, exactly as it says it.")
@click.option("--client-id", required=True, help="What it calls this node.")
@click.option(
    "--secret-file",
    type=click.File("r"),
    help="File with the client's secret (- is stdin); without it the one there is.",
)
@click.option(
    "--scopes", default=SCOPES, show_default=True, help="What to ask it to tell."
)
@domain_option
def set_provider(
    name: str,
    issuer: str,
    client_id: str,
    secret_file: TextIO | None,
    scopes: str,
    domain: str,
) -> None:
    """Register the provider NAME for a domain and those below it, or change it.

    Nobody gets in by that alone: rps account link says who does.
    """
    wanted = _checked(Provider(name, issuer, client_id, scopes))
    with open_session() as session:
        secret = secret_file.read().strip() if secret_file else ""
        _keep(session, domain, name, secret)
        _change(session, domain, wanted)
        local = f"http://localhost:{session.config.port}"
        where = session.config.public_url.rstrip("/") or local
    say(f"{domain}/{name} is set; register {where}{BACK} there as redirect URI")
    say(f"then: rps provider check {name}, rps account link NAME --provider {name} …")


@provider.command(name="list")
@output_option
def list_providers(output: str) -> None:
    """List all providers."""
    with open_session() as session:
        rows = [
            {
                "provider": key,
                "issuer": each.issuer,
                "client_id": each.client_id,
                "scopes": each.scopes,
            }
            for key, (_, each) in sorted(providers(session.configuration()).items())
        ]
    show(rows, COLUMNS, output, empty="no providers: rps provider set NAME")


@provider.command()
@click.argument("name")
@domain_option
def check(name: str, domain: str) -> None:
    """Ask the provider NAME what it is and for its keys."""
    with open_session() as session:
        transport = Transport.of(session.config)
        secrets = SecretStore(session.application, os.urandom)
        vouching = Vouching(secrets, transport)
        try:
            key = f"{domain}/{name}"
            found = vouching.provider(key, session.configuration()).check()
        finally:
            transport.close()
    say(f"{name} answers; people are sent to {found['authorization_endpoint']}")


@provider.command()
@click.argument("name")
@domain_option
def remove(name: str, domain: str) -> None:
    """Let nobody in by the provider NAME any more. Sessions that it opened end."""
    with open_session() as session:
        if f"{domain}/{name}" not in providers(session.configuration()):
            raise NotFound(f"no provider {name} in {domain}: rps provider list")
        session.application.change(
            Domain,
            Domain.id_of(domain),
            lambda each: each.remove_provider(name, session.actor, session.now),
        )
        secrets = SecretStore(session.application, os.urandom)
        secrets.drop(domain, secret_name(name))
        sessions = Sessions(session.application.datastore, os.urandom)
        ended = sessions.end_vouched(f"{domain}/{name}")
    say(f"{domain}/{name} is removed; {ended} session(s) ended")


def _checked(wanted: Provider) -> Provider:
    """Raises BadParameter, which says what to change."""
    if not _NAME.match(wanted.name):
        raise click.BadParameter("1 to 40 of a-z, 0-9 and -", param_hint="NAME")
    if refusal := url_refusal(wanted.issuer):
        raise click.BadParameter(refusal, param_hint="--issuer")
    if not 0 < len(wanted.client_id) <= _TEXT_MAX or not wanted.client_id.isprintable():
        raise click.BadParameter("1 to 500 characters", param_hint="--client-id")
    scopes = wanted.scopes
    if not _SCOPES.match(scopes) or "openid" not in scopes.split(" "):
        raise click.BadParameter(
            "words apart by one space, openid among them", param_hint="--scopes"
        )
    return wanted


def _keep(session: Session, domain: str, name: str, secret: str) -> None:
    store = SecretStore(session.application, os.urandom)
    if len(secret) > SECRET_MAX:
        raise Failure(f"the secret is longer than {SECRET_MAX} characters", Exit.USAGE)
    if secret:
        store.keep(domain, secret_name(name), secret)
    elif not store.live(domain, [secret_name(name)]):
        raise Failure(
            f"{name} needs its client's secret: --secret-file FILE", Exit.USAGE
        )


def _change(session: Session, domain: str, wanted: Provider) -> None:
    if session.application.find(Domain, Domain.id_of(domain)) is None:
        raise NotFound(f"no domain {domain}")
    session.application.change(
        Domain,
        Domain.id_of(domain),
        lambda each: each.configure_provider(wanted, session.actor, session.now),
    )
