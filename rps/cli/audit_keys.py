"""rps audit key: what signs the checkpoints."""

from __future__ import annotations

import click

from rps.application.checkpoints import Checkpoints
from rps.cli.session import open_session
from rps.cli.terminal import output_option, say, show_json


@click.group()
def key() -> None:
    """Show the public keys that sign checkpoints, or sign with another one."""


@key.command(name="show")
@output_option
def show_keys(output: str) -> None:
    """Print all keys there ever were, oldest first; the last one signs.

    Hand them to whoever is to verify: rps audit verify --key.
    """
    with open_session() as session:
        checkpoints = Checkpoints(session.application)
        checkpoints.current_key(session.actor, session.now)
        kept = checkpoints.public_keys()
    if output == "json":
        show_json(
            [
                {
                    "key": str(each.key.public),
                    "succession": each.key.succession,
                    "made_by": each.made_by,
                    "made_at": each.made_at,
                }
                for each in kept
            ]
        )
        return
    for each in kept:
        click.echo(str(each.key.public))
        say(f"  since {each.made_at:%Y-%m-%d %H:%M}Z, by {each.made_by}")


@key.command()
@click.option(
    "--lost",
    is_flag=True,
    help="The old key cannot sign any more: whoever trusts it has to be told.",
)
def rotate(*, lost: bool) -> None:
    """Sign with a new key from now on; the old one vouches for it and stays listed."""
    with open_session() as session:
        checkpoints = Checkpoints(session.application)
        checkpoints.rotate(session.actor, session.now, lost=lost)
        new = checkpoints.public_keys()[-1].key
    click.echo(str(new.public))
    if lost:
        say("the key before does not vouch for it: hand it to everybody who verifies")
