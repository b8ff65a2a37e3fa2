"""rps notify: who is told of what happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from rps.application.channels import Channels
from rps.application.secret_store import SecretStore
from rps.application.subscriptions import Subscriptions
from rps.cli.session import open_session
from rps.cli.terminal import (
    Exit,
    Failure,
    domain_option,
    output_option,
    say,
    show,
    show_json,
)
from rps.config import MAIL_ADDRESS
from rps.connectors.addresses import url_refusal
from rps.connectors.announcing import Told
from rps.connectors.signature import Signer
from rps.connectors.transport import Transport
from rps.domain.document import REMOTE_NAME
from rps.domain.subscription import ABOUT, EMAIL, KINDS, TOPICS, WEBHOOK
from rps.projections.notice_questions import NOTHING, NoticeQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from rps.cli.session import Session
    from rps.domain.subscription import Subscription

LATEST = 50
ALL = "everything"
COLUMNS = ("domain", "name", "kind", "state", "to", "about", "waiting", "failed")
NOTICES = ("last_at", "topic", "what", "count", "parked", "state", "detail", "told")


@click.group()
def notify() -> None:
    """Say who is told of conflicts, parked messages, outages and the like."""


@notify.command(name="list")
@click.option("--domain", help="Only of this tenant.")
@output_option
def list_subscriptions(domain: str | None, output: str) -> None:
    """List all subscriptions, with what waits for them and what was given up."""
    with open_session() as session:
        rows = subscriptions(session)
    chosen = [row for row in rows if domain in (None, row["domain"])]
    show(chosen, COLUMNS, output, empty="no subscriptions: rps notify add NAME")


def subscriptions(session: Session) -> list[dict[str, Any]]:
    """All of the node, as plain data."""
    standing = NoticeQuestions(session.application.datastore).standing()
    return [
        {
            "domain": each.domain,
            "name": each.name,
            "kind": each.kind,
            "state": each.state,
            "to": _whither(each),
            "about": ALL if each.about == list(TOPICS) else ", ".join(each.about),
            "process_event": each.process_event,
            "system": each.system,
            **(standing.get(each.id) or NOTHING),
        }
        for each in subscriptions_of(session)
    ]


def wanted_options(command: Callable[..., None]) -> Callable[..., None]:
    """What may be said of a subscription that is made or changed."""
    for option in (
        click.option(
            "--secret-file",
            type=click.File("r"),
            help="File with the whsec_… secret of a webhook, or the apprise URL "
            "(- is stdin). A webhook without it gets one.",
        ),
        click.option("--system", help="Only what is about this remote system."),
        click.option("--process-event", help="Only what is about this definition."),
        click.option(
            "--about",
            multiple=True,
            type=click.Choice(ABOUT),
            help="What to tell; may be repeated. Without it: every notice.",
        ),
        click.option("--to", multiple=True, help="Mail address; may be repeated."),
        click.option("--url", help="Where a webhook goes."),
    ):
        command = option(command)
    return command


@notify.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="How they are told; follows from --url (webhook) or --to (email).",
)
@wanted_options
@domain_option
@output_option
def add(*, name: str, kind: str | None, domain: str, output: str, **given: Any) -> None:
    """Subscribe NAME to what happens in a domain.

    A signing secret that is made here goes to stdout this once: the receiver needs it.
    """
    kind = kind or _kind_of(given)
    if not REMOTE_NAME.fits(name):
        raise click.BadParameter(f"a name is {REMOTE_NAME.says}", param_hint="NAME")
    with open_session() as session:
        if _known(session).find(domain, name) is not None:
            raise Failure(f"{name} is subscribed already: rps notify change {name}")
        wanted = {
            "settings": _settings(kind, given),
            "about": list(given["about"]) or list(TOPICS),
            "process_event": given["process_event"] or "",
            "system": given["system"] or "",
        }
        _put(session, domain, name, kind, wanted, given["secret_file"], output)
    say(f"{name} is subscribed; try it: rps notify test {name}")


@notify.command()
@click.argument("name")
@wanted_options
@domain_option
@output_option
def change(*, name: str, domain: str, output: str, **given: Any) -> None:
    """Change what is given of the subscription NAME; the rest stays.

    --system '' and --process-event '' end a filter.
    """
    with open_session() as session:
        found = _known(session).get(domain, name)
        wanted: dict[str, Any] = {
            "settings": found.settings,
            "about": list(given["about"]) or found.about,
        }
        for key in ("process_event", "system"):
            said = given[key]
            wanted[key] = getattr(found, key) if said is None else said
        if given["url"] or given["to"]:
            wanted["settings"] = _settings(found.kind, given)
        _put(session, domain, name, found.kind, wanted, given["secret_file"], output)
    say(f"{name} is changed; try it: rps notify test {name}")


def _put(
    session: Session,
    domain: str,
    name: str,
    kind: str,
    wanted: dict[str, Any],
    secret_file: TextIO | None,
    output: str,
) -> None:
    secret = secret_file.read().strip() if secret_file else None
    if secret is not None and kind == EMAIL:
        raise click.UsageError("email has no secret")
    if secret is not None and kind == WEBHOOK:
        Signer([secret])  # raises SecretUnusable
    if refusal := channels_of(session).refusal(kind, secret):
        raise click.UsageError(refusal)
    _, made = _known(session).put(
        domain, name, kind, wanted, secret, session.actor, session.now
    )
    if output == "json":
        show_json({"domain": domain, "name": name, "secret": made})
    elif made:
        click.echo(made)


@notify.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
@output_option
def pause(name: str, reason: str, domain: str, output: str) -> None:
    """Tell NAME nothing for now; what happens meanwhile is not told later."""
    with open_session() as session:
        _known(session).pause(domain, name, reason, session.actor, session.now)
        _show(session, domain, name, output)


@notify.command()
@click.argument("name")
@domain_option
@output_option
def resume(name: str, domain: str, output: str) -> None:
    """Tell NAME what happens from now on."""
    with open_session() as session:
        _known(session).resume(domain, name, session.actor, session.now)
        _show(session, domain, name, output)


@notify.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; kept in the history.")
@domain_option
@output_option
def remove(name: str, reason: str, domain: str, output: str) -> None:
    """Tell NAME no more; what waits is dropped, its secret is forgotten."""
    with open_session() as session:
        _known(session).remove(domain, name, reason, session.actor, session.now)
    say(f"{name} is not subscribed any more")
    if output == "json":
        show_json({"domain": domain, "name": name, "state": "removed"})


@notify.command()
@click.argument("name")
@domain_option
@output_option
def test(name: str, domain: str, output: str) -> None:
    """Send a test notice to NAME at once, and say what became of it."""
    with open_session() as session:
        found = _known(session).get(domain, name)
        said = channels_of(session).try_out(found, uuid4(), session.now)
    if output == "json":
        outcome = type(said).__name__.lower()
        show_json({"name": name, "outcome": outcome, "detail": said.detail})
    if not isinstance(said, Told):
        raise Failure(f"{name} was not told: {said.detail}", Exit.UNREACHABLE)
    say(f"{name} was told: {said.detail}")


@notify.command()
@click.option("--topic", type=click.Choice(TOPICS), help="Only of this kind.")
@click.option("--system", help="Only about this remote system.")
@click.option("--process-event", help="Only about this definition.")
@domain_option
@output_option
def notices(
    *,
    topic: str | None,
    system: str | None,
    process_event: str | None,
    domain: str,
    output: str,
) -> None:
    """Show the latest notices, and what became of telling people."""
    wanted = {"topic": topic, "system": system, "process_event": process_event}
    with open_session() as session:
        names = {each.id: each.name for each in subscriptions_of(session)}
        questions = NoticeQuestions(session.application.datastore)
        rows = questions.notices(domain, wanted, LATEST)
    for row in rows:
        row["what"] = row["system"] or row["process_event"]
        row["told"] = _told(row["deliveries"], {str(k): n for k, n in names.items()})
    show(rows, NOTICES, output, empty="nothing happened that people may want to know")


def _told(deliveries: Sequence[dict[str, Any]], names: dict[str, str]) -> str:
    return ", ".join(
        f"{names.get(each['subscription_id'], 'somebody removed')}: {each['state']}"
        for each in deliveries
    )


def _kind_of(given: dict[str, Any]) -> str:
    if given["url"]:
        return WEBHOOK
    if given["to"]:
        return EMAIL
    raise click.UsageError(
        "say how they are told: --url, --to, or --kind apprise with --secret-file"
    )


def _settings(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    url, addresses = given["url"], list(given["to"])
    if url and kind != WEBHOOK:
        raise click.UsageError(f"--url is for webhooks, this is {kind}")
    if addresses and kind != EMAIL:
        raise click.UsageError(f"--to is for email, this is {kind}")
    if kind == WEBHOOK:
        if refusal := url_refusal(url or ""):
            raise click.BadParameter(refusal, param_hint="--url")
        return {"url": url}
    if kind == EMAIL:
        wrong = [each for each in addresses if MAIL_ADDRESS.fullmatch(each) is None]
        if wrong or not addresses:
            says = f"{wrong[0]!r} is no address" if wrong else "give an address"
            raise click.BadParameter(says, param_hint="--to")
        return {"addresses": addresses}
    return {}


def _whither(subscription: Subscription) -> str:
    """One of what its kind has."""
    settings = subscription.settings
    known = (settings.get(name) for name in ("url", "path", "system"))
    return next(filter(None, known), ", ".join(settings.get("addresses", ())))


def subscriptions_of(session: Session) -> list[Subscription]:
    """Of all domains."""
    return _known(session).everywhere()


def _known(session: Session) -> Subscriptions:
    store = SecretStore(session.application, os.urandom)
    return Subscriptions(session.application, store)


def channels_of(session: Session) -> Channels:
    store = SecretStore(session.application, os.urandom)
    transport = Transport.of(session.config)
    return Channels(session.config, transport, store)


def _show(session: Session, domain: str, name: str, output: str) -> None:
    rows = [
        row
        for row in subscriptions(session)
        if (row["domain"], row["name"]) == (domain, name)
    ]
    show(rows, COLUMNS, output)
