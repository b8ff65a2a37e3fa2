"""rps system add --connector servicenow, and rps system check."""

from __future__ import annotations

import os
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click
from marshmallow import ValidationError

from rps.application.connections import Connections
from rps.application.secret_store import SecretStore
from rps.cli.session import open_session
from rps.cli.terminal import Exit, Failure, Moment, domain_option, output_option, show
from rps.connectors.servicenow.checking import Checked
from rps.connectors.servicenow.settings import (
    AUTHS,
    CORRELATION_FIELD,
    SECRET_NAMES,
)
from rps.connectors.transport import Transport
from rps.http import servicenow_settings
from rps.projections.poll_questions import PollQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from typing import TextIO

    from rps.cli.session import Session
    from rps.domain.remote_system import RemoteSystem

COLUMNS = ("what", "result", "said", "remedy")


def _as_text(_: object, __: object, moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


_LOGIN = (
    click.option(
        "--auth", type=click.Choice(AUTHS), help="How to log in to ServiceNow."
    ),
    click.option("--username", help="ServiceNow: the account that rps works as."),
    click.option("--client-id", help="ServiceNow: id of the OAuth client."),
    click.option("--password-file", type=click.File("r"), help="ServiceNow."),
    click.option("--client-secret-file", type=click.File("r"), help="ServiceNow."),
    click.option("--refresh-token-file", type=click.File("r"), help="ServiceNow."),
    click.option(
        "--display-value",
        "display_values",
        multiple=True,
        help="ServiceNow: a field that is read and written as people see it.",
    ),
    click.option(
        "--correlation-field",
        help=f"ServiceNow: where records keep our id.  [default: {CORRELATION_FIELD}]",
    ),
)
_POLLING = (
    click.option(
        "--poll-seconds",
        type=click.IntRange(0, 86_400),
        help="ServiceNow, rest: between two polls; 0: it reports itself. [default: 15]",
    ),
    click.option(
        "--poll-from",
        type=Moment(),
        callback=_as_text,
        help="ServiceNow, rest: share what changed since, where nothing was polled yet."
        " [default: from now on]",
    ),
    click.option(
        "--overlap-seconds",
        type=click.IntRange(2, 3_600),
        help="ServiceNow: how long a transaction may take to show.  [default: 5]",
    ),
    click.option(
        "--requests-per-hour",
        type=click.IntRange(1),
        help="ServiceNow: what all workers together may ask.",
    ),
)


def servicenow_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that only an instance has."""
    for option in reversed((*_LOGIN, *_POLLING)):
        command = option(command)
    return command


def login_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those of them that tell how an instance is spoken to."""
    for option in reversed(_LOGIN):
        command = option(command)
    return command


def kept(
    session: Session,
    domain: str,
    name: str,
    url: str,
    given: dict[str, Any],
) -> dict[str, Any]:
    """Keep the credentials; answers the settings. Raises click.UsageError."""
    store = SecretStore(session.application, os.urandom)
    live = store.live(domain, [name])
    settings, value = of_options(url, [name], given, live[0] if live else None)
    if value is not None:
        store.keep(domain, name, value)
    return settings


def of_options(
    url: str, names: list[str], given: dict[str, Any], known: str | None
) -> tuple[dict[str, Any], str | None]:
    """The settings of an instance, and the secret that is to be kept, where it is
    another than what is `known`. Raises click.UsageError."""
    told = {k: v for k, v in given.items() if v not in (None, ()) and k[-5:] != "_file"}
    if "display_values" in told:
        told["display_values"] = list(told["display_values"])
    files: dict[str, TextIO | None] = {n: given[f"{n}_file"] for n in SECRET_NAMES}
    secrets = {name: file.read().strip() for name, file in files.items() if file}
    try:
        settings = servicenow_settings.checked({"url": url, "secrets": names, **told})
        value = servicenow_settings.kept(settings["auth"], secrets, known)
    except ValidationError as error:
        raise click.UsageError(_said(error)) from None
    return settings, value


def _said(error: ValidationError) -> str:
    """With the options that are meant."""
    [place] = error.messages_dict
    ending = "-file" if place == "credentials" else ""
    wrong = error.messages_dict[place]
    return "; ".join(
        f"--{name.replace('_', '-')}{ending}: {texts[0]}"
        for name, texts in wrong.items()
    )


@click.command()
@click.argument("name")
@domain_option
@output_option
def check(*, name: str, domain: str, output: str) -> None:
    """Ask the system NAME whether it does what is needed, right by right."""
    with open_session() as session:
        session.application.configuration.refresh()
        found = session.system(domain, name)
        checked = list(_checked(session, found))
    rows = [
        {"what": e.what, "result": e.result, "said": e.said, "remedy": e.remedy}
        for e in checked
    ]
    show(rows, COLUMNS, output)
    if any(each.result == "error" for each in checked):
        raise Failure(
            f"{name} does not do all that is needed: see the errors above",
            Exit.UNREACHABLE,
        )


def _checked(session: Session, found: RemoteSystem) -> Iterator[Checked]:
    application = session.application
    transport = Transport.of(session.config)
    connections = Connections(application, transport, application.configuration)
    connector = connections.connect(found)
    examine = getattr(connector, "examine", None)
    if examine is None:
        fine, said = connector.check()
        result, remedy = ("ok", "") if fine else ("error", "as it says")
        yield Checked("system", result, said or "answers", remedy)
    else:
        routes = application.configuration.current.routes
        tables = sorted(
            table
            for of, system, table in routes
            if (of, system) == (found.domain, found.name)
        )
        yield from examine(tables)
    yield from _polls(session, found)


def _polls(session: Session, found: RemoteSystem) -> Iterator[Checked]:
    """How polling went the last time."""
    questions = PollQuestions(session.application.datastore)
    for row in questions.standing(found.domain, found.name):
        what = f"last poll of {row['record_table']}"
        if row["detail"]:
            said = f"failed {row['attempts']} times: {row['detail']}"
            yield Checked(what, "warning", said, "as the cause says")
        elif row["polled_at"] is not None:
            said = f"{row['polled_at']:%Y-%m-%d %H:%M:%S}, {row['told']} changes so far"
            yield Checked(what, "ok", said)
