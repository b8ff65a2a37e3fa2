"""rps connector: how systems are spoken to, and whether they do what that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rps.cli.conformance import test
from rps.cli.described import described
from rps.cli.terminal import Failure, output_option, show
from rps.connectors.rest import presets

if TYPE_CHECKING:
    from rps.connectors.rest.description import Description

COLUMNS = ("preset", "class", "tables", "polls", "webhooks", "title")


@click.group()
def connector() -> None:
    """See and check descriptions of REST interfaces; try systems of every kind."""


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


connector.add_command(test)


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
