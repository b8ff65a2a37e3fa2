"""rps connector: how systems are spoken to that are described in YAML."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from rps.cli.described import described, given_settings
from rps.cli.terminal import Failure, output_option, show, show_json
from rps.config import Config
from rps.connectors.addresses import url_refusal
from rps.connectors.conformance import CONTENT, Conformance, Subject, Unreliable
from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.rest.reading import chosen
from rps.connectors.transport import Transport
from rps.domain.problem import DefinitionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from rps.connectors.conformance import Result
    from rps.connectors.rest.description import Description, Sample

COLUMNS = ("preset", "class", "tables", "polls", "webhooks", "title")
PAGE = 2
WORDS = {True: "passed", False: "FAILED", None: "does not apply"}


@click.group()
def connector() -> None:
    """See, check and try descriptions of REST interfaces."""


@connector.command(name="list")
@output_option
def list_presets(output: str) -> None:
    """List the presets that are shipped."""
    rows = [
        _row(name, presets.read_text(presets.text(name))[1]) for name in presets.names()
    ]
    show(rows, COLUMNS, output)


@connector.command(name="show")
@click.argument("preset")
def show_preset(preset: str) -> None:
    """Print the file of PRESET: a description of your own begins best with one."""
    try:
        click.echo(presets.text(preset).decode(), nl=False)
    except presets.PresetUnknown as unknown:
        raise Failure(str(unknown)) from unknown


@connector.command()
@click.argument("source", metavar="FILE")
@output_option
def check(source: str, output: str) -> None:
    """Say what is wrong with FILE (or a preset), and what follows from it."""
    _, description = described(source)
    show([_row(description.name, description)], COLUMNS, output)


@connector.command()
@click.argument("source", metavar="FILE")
@click.option("--url", required=True, help="Where the system is.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE")
@click.option("--secret-file", type=click.File("r"), help="Its password, token or key.")
@output_option
def test(
    *,
    source: str,
    url: str,
    pairs: tuple[str, ...],
    secret_file: TextIO | None,
    output: str,
) -> None:
    """Run the conformance suite with FILE (or a preset) against a live system.

    It makes some records there and leaves them: take a project for tests. Exit 1 where
    a case failed.
    """
    if refusal := url_refusal(url):
        raise click.BadParameter(refusal, param_hint="--url")
    _, description = described(source)
    if description.sample is None:
        raise Failure(f"{source} has no 'sample': it says which record a test may make")
    try:
        settings = chosen(description, given_settings(pairs))
    except DefinitionRefused as refused:
        raise Failure("; ".join(p.cause for p in refused.problems)) from refused
    secret = secret_file.read().strip() if secret_file else ""
    placed = Placed(description, url, settings, secret)
    results = []
    for result in conformance_of(placed, description.sample).run():
        results.append(result)
        if output != "json":
            _tell(result)
    failed = sum(result.passed is False for result in results)
    if output == "json":
        show_json({"results": [asdict(each) for each in results]})
    if failed:
        raise Failure(f"{failed} of {len(results)} cases failed")


def conformance_of(placed: Placed, sample: Sample) -> Conformance:
    """The suite for a described system, over a transport of its own."""
    transport = Transport.of(Config.from_environ())
    files = HeldFiles()
    wire = Unreliable(transport)
    placed = replace(placed, description=_in_small_pages(placed.description))
    described_so = RestConnector(wire, placed, files)
    stranger = None
    if placed.description.auth.kind != "none":
        wrong = replace(placed, secret="wrong-" + uuid4().hex)
        stranger = RestConnector(transport, wrong, files)
    subject = Subject(
        *(sample.table, sample.fields, sample.field, sample.journal),
        hashlib.sha256(CONTENT).hexdigest(),
    )
    return Conformance(
        *(described_so, wire, stranger, subject),
        new_id=lambda: str(uuid4()),
        pause=time.sleep,
        # one that remembers nothing of what was written: it has to read the bytes
        shows=RestConnector(transport, placed, HeldFiles()).show,
    )


def _in_small_pages(description: Description) -> Description:
    """So that a few records are more than one page."""
    tables = {
        name: replace(table, changes=replace(table.changes, limit=PAGE))
        if table.changes
        else table
        for name, table in description.tables.items()
    }
    return replace(description, tables=tables)


@dataclass(frozen=True, slots=True)
class Held:
    """A file in memory."""

    sha256: str
    size: int


@dataclass(slots=True)
class HeldFiles:
    """Files in memory, for a run that has no node."""

    held: dict[str, bytes] = field(
        default_factory=lambda: {hashlib.sha256(CONTENT).hexdigest(): CONTENT}
    )

    def read(self, sha256: str) -> Iterator[bytes]:
        return iter([self.held[sha256]] if sha256 in self.held else [])

    def keep(self, pieces: Iterable[bytes], most: int) -> Held | None:
        content = b"".join(pieces)
        if len(content) > most:
            return None
        kept = Held(hashlib.sha256(content).hexdigest(), len(content))
        self.held[kept.sha256] = content
        return kept


def _tell(result: Result) -> None:
    words = f"{WORDS[result.passed]:15} {result.case}"
    click.echo(words + (f": {result.says}" if result.says else ""))


def _row(name: str, description: Description) -> dict[str, Any]:
    able = description.capabilities
    return {
        "preset": name,
        "class": able.grade,
        "tables": ", ".join(description.tables),
        "polls": able.polls,
        "webhooks": description.hook is not None,
        "title": description.title,
    }
