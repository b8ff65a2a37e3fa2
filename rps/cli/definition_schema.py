"""rps definition schema: what editors complete and check definition files by."""

from __future__ import annotations

import click

from rps.cli.terminal import show_json
from rps.domain.document_schema import schema


@click.command(name="schema")
def definition_schema() -> None:
    """Print the JSON Schema of definition files.

    Keep it in a file and name that file in the first line of a definition:

        # yaml-language-server: $schema=rps.schema.json
    """
    show_json(schema())
