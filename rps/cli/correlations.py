"""rps correlation: who takes part in a shared record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rps.cli.session import identifier, open_session
from rps.cli.terminal import domain_option, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.application.operations import Operations

reason_option = click.option(
    "--reason", required=True, help="Why; kept in the history."
)


@click.group()
def correlation() -> None:
    """Take a member out of a shared record, or the whole record out of sharing.

    CORRELATION is the id of the shared record: rps audit timeline takes it too.
    """


@correlation.command()
@click.argument("correlation")
@click.argument("member")
@reason_option
@domain_option
def unlink(correlation: str, member: str, reason: str, domain: str) -> None:
    """Let MEMBER take no part any more; its record stays as it is."""
    _tell(lambda o: o.unlink, domain, correlation, member, reason)
    say(f"{member} is unlinked")


@correlation.command()
@click.argument("correlation")
@click.argument("member")
@reason_option
@domain_option
def relink(correlation: str, member: str, reason: str, domain: str) -> None:
    """Let MEMBER take part again, and send it what it lacks."""
    _tell(lambda o: o.relink, domain, correlation, member, reason)
    say(f"{member} takes part again")


@correlation.command()
@click.argument("correlation")
@reason_option
@domain_option
def deactivate(correlation: str, reason: str, domain: str) -> None:
    """Share nothing of it any more; what waits is still sent."""
    _tell(lambda o: o.deactivate, domain, correlation, reason)
    say("deactivated")


@correlation.command()
@click.argument("correlation")
@reason_option
@domain_option
def reactivate(correlation: str, reason: str, domain: str) -> None:
    """Share it again."""
    _tell(lambda o: o.reactivate, domain, correlation, reason)
    say("reactivated")


def _tell(
    command: Callable[[Operations], Any], domain: str, key: str, *about: str
) -> None:
    correlation_id = identifier(key)
    with open_session() as session:
        say_it = command(session.operations)
        say_it(domain, correlation_id, *about, session.actor, session.now)
