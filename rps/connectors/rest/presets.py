"""The descriptions that are shipped, by name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from rps.connectors.rest.reading import read_description
from rps.domain.problem import DefinitionRefused, Problem
from rps.domain.yaml_document import read_located

if TYPE_CHECKING:
    from typing import Any

    from rps.connectors.rest.description import Description

_FOLDER = "rps.connectors.presets"
_EXT = ".yaml"


class PresetUnknown(LookupError):
    """There is no such preset; the text names those there are."""


@cache
def names() -> tuple[str, ...]:
    found = (each.name for each in files(_FOLDER).iterdir())
    return tuple(sorted(n.removesuffix(_EXT) for n in found if n.endswith(_EXT)))


def text(name: str) -> bytes:
    """The file as it is shipped; raises PresetUnknown."""
    if name not in names():
        raise PresetUnknown(f"no preset {name!r}; there are {', '.join(names())}")
    return (files(_FOLDER) / f"{name}{_EXT}").read_bytes()


def read_text(written: bytes) -> tuple[Any, Description]:
    """The document and what it describes. Raises DefinitionRefused with line and
    column of everything that is wrong."""
    problems: list[Problem] = []
    located = read_located(written)
    problems += located.problems
    try:
        described = read_description(located.document)
    except DefinitionRefused as refused:
        problems += refused.problems
    if problems:
        raise DefinitionRefused(located.placed(problems))
    return located.document, described
