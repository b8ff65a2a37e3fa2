"""rps definition init: asks a few questions and writes a definition file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rps.cli.definition_files import problem_row, tell
from rps.cli.definition_text import (
    JOURNALS,
    PROCESSES,
    Choices,
    Example,
    Place,
    written,
)
from rps.cli.errors import FORESEEN
from rps.cli.session import open_session
from rps.cli.terminal import Failure, domain_option, say
from rps.config import Config
from rps.domain.problem import DefinitionRefused
from rps.domain.yaml_document import definition_in

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS = 2
SCHEMA = "/v1/definitions/schema"
ALL = "all"

UNANSWERED: tuple[type[Exception], ...] = (*FORESEEN, Failure)
"""How asking a node for its systems may end without an answer."""

Answer = TypeVar("Answer")


class PlaceType(click.ParamType[Place]):
    """name=system:table; the system is called like the member where it is left out."""

    name = "NAME=SYSTEM:TABLE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Place:
        if isinstance(value, Place):
            return value
        member, _, rest = str(value).partition("=")
        system, _, table = rest.rpartition(":")
        if not member or not table:
            self.fail(f"{value!r}: write name=system:table", param, ctx)
        return Place(member, system or member, table)


@click.command(name="init")
@click.argument("file", required=False)
@click.option("--process", type=click.Choice(PROCESSES), help="What to begin with.")
@click.option("--process-event", help="The name both sides agree on.")
@click.option(
    "--member", "members", type=PlaceType(), multiple=True, help="Twice: each side."
)
@click.option("--fields", help="Shared fields, apart by commas; all if left out.")
@click.option("--comments/--no-comments", default=None, help="Share comments.")
@click.option("--work-notes/--no-work-notes", default=None, help="Share work notes.")
@click.option("--attachments/--no-attachments", default=None, help="Share files.")
@click.option("--schema", help="What editors check the file by: URL or path.")
@click.option("--yes", is_flag=True, help="Ask nothing; the defaults for the rest.")
@click.option("--force", is_flag=True, help="Write over FILE.")
@domain_option
def init_definition(
    *, file: str | None, schema: str | None, yes: bool, force: bool, **given: Any
) -> None:
    """Write a definition to begin with into FILE (- is stdout).

    Asks what no option says; without a terminal, or with --yes, the defaults count.
    FILE is called after the process if it is left out. The result passes
    rps definition check; look through it all the same: the names of your fields are
    yours.
    """
    ask = Asking(is_asked=not yes and sys.stdin.isatty())
    process = ask.which("Process", given.pop("process"), PROCESSES)
    path = file or f"{process}.yaml"
    _require_free(path, force=force)
    _write(path, _choose(ask, process, schema or _schema(), **given))


def _choose(
    ask: Asking,
    process: str,
    schema: str,
    *,
    process_event: str | None,
    members: tuple[Place, ...],
    fields: str | None,
    comments: bool | None,
    work_notes: bool | None,
    attachments: bool | None,
    domain: str,
) -> Choices:
    example = Example(process)
    document = example.document
    event = ask.text(
        "Name of the process, for both sides", process_event, document["process_event"]
    )
    places = ask.places(members, example, domain)
    chosen = ask.fields(fields, example)
    has_notes = "work_notes" in document["journals"]
    shared = {
        "comments": ask.whether("Share comments", comments, default=True),
        "work_notes": ask.whether(
            "Share work notes (internal)", work_notes, default=has_notes
        ),
    }
    journals = tuple(name for name in JOURNALS if shared[name])
    if attachments and not journals:
        raise click.UsageError(
            "--attachments needs a journal where people read of files that do not"
            " travel: share comments or work notes"
        )
    if journals:
        attachments = ask.whether("Share files", attachments, default=True)
    return Choices(
        *(process, event, domain, places, chosen, journals),
        attachments=bool(attachments),
        schema=schema,
    )


def _require_free(path: str, *, force: bool) -> None:
    if path != "-" and Path(path).exists() and not force:
        raise Failure(f"{path} is there already: name another file, or --force")


def _write(path: str, choices: Choices) -> None:
    text = written(choices)
    try:
        definition_in(text.encode())
    except DefinitionRefused as error:
        tell(problem_row(path, each) for each in error.problems)
        raise Failure("that makes no definition; nothing was written") from None
    if path == "-":
        click.echo(text, nl=False)
        return
    Path(path).write_text(text, encoding="utf-8")
    say(f"{path} is written; look through it, then: rps definition scan {path}")


def _schema() -> str:
    config = Config.from_environ()
    base = config.public_url or f"http://{config.host}:{config.port}"
    return base.rstrip("/") + SCHEMA


class Asking:
    """Questions for what no option says; where nobody is asked, the defaults."""

    def __init__(self, *, is_asked: bool) -> None:
        self._is_asked = is_asked

    def _said(
        self, given: Answer | None, default: Answer, ask: Callable[[], Answer]
    ) -> Answer:
        if given is not None:
            return given
        return ask() if self._is_asked else default

    def text(self, question: str, given: str | None, default: str) -> str:
        return self._said(
            given, default, lambda: str(click.prompt(question, default, err=True))
        )

    def which(self, question: str, given: str | None, of: tuple[str, ...]) -> str:
        return self._said(
            given,
            of[0],
            lambda: str(click.prompt(question, of[0], type=click.Choice(of), err=True)),
        )

    def whether(self, question: str, given: bool | None, *, default: bool) -> bool:
        return self._said(
            given, default, lambda: click.confirm(question, default, err=True)
        )

    def places(
        self, given: tuple[Place, ...], example: Example, domain: str
    ) -> tuple[Place, Place]:
        """Two members; what is not given is asked for, or the example's."""
        if len(given) > MEMBERS:
            raise click.UsageError("give --member twice: a definition has two to begin")
        registered = _registered(domain) if self._is_asked else []
        if registered and len(given) < MEMBERS:
            say(f"registered systems: {', '.join(registered)}")
        found = [*given]
        for index in range(len(given), MEMBERS):
            default = example.places()[index]
            if index < len(registered):
                default = Place(registered[index], registered[index], default.table)
            side = ("first", "second")[index]
            system = self.text(f"The {side} system", None, default.system)
            table = self.text("  its table", None, default.table)
            default_name = default.member if system == default.system else system
            member = self.text("  what it is called here", None, default_name)
            found.append(Place(member, system, table))
        return found[0], found[1]

    def fields(self, given: str | None, example: Example) -> tuple[str, ...]:
        known = list(example.fields)
        if self._is_asked and given is None:
            say(f"fields: {', '.join(known)}")
        said = self.text("Which of them, apart by commas", given, ALL)
        if said == ALL:
            return tuple(known)
        asked = {name.strip() for name in said.split(",")} - {""}
        if unknown := sorted(asked - set(known)):
            raise click.UsageError(
                f"no field {', '.join(unknown)} to begin with: {', '.join(known)}"
            )
        return tuple(name for name in known if name in asked)


def _registered(domain: str) -> list[str]:
    """Names of the node's systems; none where there is no node to ask."""
    try:
        config = Config.from_environ()
        if not config.database_url and not config.data_dir.exists():
            return []
        with open_session(config) as session:
            systems = session.configuration().systems()
            return sorted(each.name for each in systems if each.domain == domain)
    except UNANSWERED:
        return []
