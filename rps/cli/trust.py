"""rps system trust, and the option --ca: authorities of an operator's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rps.cli.session import open_session
from rps.cli.terminal import domain_option, say
from rps.connectors.authorities import AuthorityUnusable, read_authorities
from rps.domain.remote_system import RemoteSystem

if TYPE_CHECKING:
    from datetime import datetime

ca_option = click.option(
    "--ca",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="PEM file with the authorities that vouch for it, instead of the public ones.",
)


def authorities_in(file: Path | None, url: str, now: datetime) -> str:
    """The certificates of the file, "" where none is given. Raises BadParameter."""
    if file is None:
        return ""
    try:
        return read_authorities(file.read_text("latin-1"), url, now)
    except AuthorityUnusable as unusable:
        raise click.BadParameter(f"{file}: {unusable}", param_hint="--ca") from None


@click.command()
@click.argument("name")
@ca_option
@click.option("--public", is_flag=True, help="The public authorities again.")
@domain_option
def trust(*, name: str, ca: Path | None, public: bool, domain: str) -> None:
    """Say whose certificates prove that it is NAME that answers.

    All else that is set of it stays as it is.
    """
    if public == (ca is not None):
        raise click.UsageError("give either --ca FILE or --public")
    with open_session() as session:
        found = session.system(domain, name)
        pem = authorities_in(ca, found.settings["url"], session.now)
        session.application.change(
            RemoteSystem,
            found.id,
            lambda each: each.trust(pem, session.actor, session.now),
        )
    whom = "the public authorities" if public else f"the authorities in {ca}"
    say(f"{name} is verified against {whom}, within seconds: rps system check {name}")
