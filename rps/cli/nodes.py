"""rps system invite, accept, moved, rotate: linking with another node."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from rps.application.invitation import Invitation
from rps.application.neighbours import Neighbours, known_to
from rps.application.secret_store import SecretStore
from rps.cli.session import open_session
from rps.cli.terminal import (
    Exit,
    Failure,
    domain_option,
    output_option,
    say,
    show_json,
)
from rps.cli.trust import authorities_in, ca_option
from rps.connectors.addresses import url_refusal
from rps.connectors.transport import Transport
from rps.domain.document import REMOTE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from rps.cli.session import Session
    from rps.domain.remote_system import RemoteSystem

url_option = click.option(
    "--url",
    default="",
    help="Where the other node reaches our API. [RPS_PUBLIC_URL]",
)


@click.command()
@click.argument("name")
@url_option
@click.option(
    "--as",
    "called",
    default="",
    help="What the other side is to call us. [the host of --url]",
)
@ca_option
@domain_option
@output_option
def invite(
    *, name: str, url: str, called: str, ca: Path | None, domain: str, output: str
) -> None:
    """Make an invitation for the node that is to be NAME here.

    It goes to stdout as one word, serves once and for seven days, and is a secret
    until then: hand it over as you would a password. Over there: rps system accept.
    Where both nodes change a field at once, the one that invites decides.
    """
    _require_name(name, "NAME")
    with open_session() as session:
        base = _public_url(session, url)
        called = called or urlsplit(base).hostname or ""
        _require_name(called, "--as")
        pem = authorities_in(ca, "", session.now)
        token = _neighbours(session).invite(
            domain, name, base, called, session.actor, session.now, pem
        )
    say(f"{name} is invited; on the other node: rps system accept TOKEN --url ITS_URL")
    if output == "json":
        show_json({"domain": domain, "name": name, "invitation": token})
    else:
        click.echo(token)


@click.command()
@click.argument("token")
@click.option("--name", default="", help="What to call the other node here.")
@url_option
@ca_option
@domain_option
@output_option
def accept(
    *, token: str, name: str, url: str, ca: Path | None, domain: str, output: str
) -> None:
    """Accept the invitation TOKEN (- reads it from stdin) and link both nodes.

    Run it again where an answer was lost, or with another --url or --ca where that was
    wrong.
    """
    if token == "-":  # noqa: S105 - where to read it
        token = sys.stdin.read()
    invitation = Invitation.of(token)
    name = name or invitation.name
    _require_name(name, "--name")
    with open_session() as session:
        base = _public_url(session, url)
        system, unreached = _neighbours(session).accept(
            domain,
            invitation,
            name,
            base,
            Transport.of(session.config),
            session.actor,
            session.now,
            authorities_in(ca, invitation.url, session.now),
        )
        known = known_to(session.configuration(), system)
    _say_linked(system, known)
    if output == "json":
        show_json({"domain": domain, "name": name, "process_events": sorted(known)})
    _require_reached(name, base, unreached)


@click.command()
@click.argument("name")
@url_option
@domain_option
def moved(name: str, url: str, domain: str) -> None:
    """Tell the linked node NAME that this one is reached at another URL now."""
    with open_session() as session:
        base = _public_url(session, url)
        transport = Transport.of(session.config)
        system = session.system(domain, name)
        unreached = _neighbours(session).moved(system, base, transport)
    _require_reached(name, base, unreached)
    say(f"{name} reaches this node at {base}")


@click.command()
@click.argument("name")
@domain_option
def rotate(name: str, domain: str) -> None:
    """Sign what goes to the linked node NAME with a new secret.

    The other side learns it first and takes the old one for another day, so no message
    is lost. For both directions, run it on both nodes.
    """
    with open_session() as session:
        system = session.system(domain, name)
        transport = Transport.of(session.config)
        _neighbours(session).rotate(system, transport)
    say(f"{name} knows the new secret; it is used from now on")


def _say_linked(system: RemoteSystem, known: dict[str, dict[str, object]]) -> None:
    say(f"linked with {system.name}, which decides where both change a field at once")
    if known:
        say(f"shared with it: {', '.join(sorted(known))}")
    else:
        say(f"nothing is shared with it yet: make {system.name} a member's system")


def _require_reached(name: str, base: str, unreached: str) -> None:
    if unreached:
        raise Failure(
            f"{name} does not reach this node at {base}: {unreached}. Does rps serve"
            f" run here? Where the URL is wrong: rps system moved {name} --url URL",
            Exit.UNREACHABLE,
        )


def _neighbours(session: Session) -> Neighbours:
    store = SecretStore(session.application, os.urandom)
    return Neighbours(session.application, store)


def _public_url(session: Session, given: str) -> str:
    url = given or session.config.public_url
    if not url:
        raise click.UsageError(
            "say where the other node reaches this one: --url, or RPS_PUBLIC_URL"
        )
    if refusal := url_refusal(url):
        raise click.BadParameter(refusal, param_hint="--url")
    return url


def _require_name(name: str, hint: str) -> None:
    if not REMOTE_NAME.fits(name):
        raise click.BadParameter(f"a name is {REMOTE_NAME.says}", param_hint=hint)
