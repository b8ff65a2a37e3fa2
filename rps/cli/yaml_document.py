"""YAML as definitions are written in it: plain data, each key once, and where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from rps.domain.problem import DefinitionRefused, Problem, pointer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

BYTES_MAX = 1024 * 1024
PLACED_MAX = 50_000

_MARK = re.compile(r"line (\d+), column (\d+)")
_OF_KEYS = ("unknown-key", "bad-name", "unknown-field", "unknown-journal")
"""Codes of problems that are about the key and not about what it holds."""


class Position(NamedTuple):
    """Both count from 1, as editors do."""

    line: int
    column: int


class Placed(NamedTuple):
    """Where a value stands, and the key (or the dash) that leads to it."""

    key: Position
    value: Position


@dataclass(slots=True)
class Located:
    """A document with the places of its parts; `problems` are those of the YAML."""

    document: Any
    problems: tuple[Problem, ...] = ()
    places: dict[str, Placed] = field(default_factory=dict)

    def position(self, problem: Problem) -> Position | None:
        """Where in the file `problem` is: at what it is about, else (a missing key) at
        what would hold it."""
        if found := _MARK.fullmatch(problem.place):
            return Position(int(found[1]), int(found[2]))
        place, is_whole = problem.place, True
        while place and place not in self.places:
            place, is_whole = place.rpartition("/")[0], False
        placed = self.places.get(place)
        if placed is None:
            return None
        at_value = is_whole and problem.code not in _OF_KEYS
        return placed.value if at_value else placed.key

    def line_of(self, place: str) -> int | None:
        """Where `place` stands, else what would hold it: a JSON pointer."""
        while place and place not in self.places:
            place = place.rpartition("/")[0]
        placed = self.places.get(place)
        return placed.key.line if placed else None


class _Loader(yaml.SafeLoader):
    """Refuses what YAML would take silently: a key twice, aliases that multiply."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.problems: list[Problem] = []

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        kept = []
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                self._refuse("key-type", key_node, "a key is not a word", "Quote it.")
            elif key in seen:
                cause = f"{key!r} stands here for the second time"
                remedy = "Keep one of the two; a key counts once."
                self._refuse("duplicate-key", key_node, cause, remedy)
            else:
                seen.add(key)
                kept.append((key_node, value_node))
        node.value = kept
        return super().construct_mapping(node, deep)

    def _refuse(self, code: str, node: Any, cause: str, remedy: str) -> None:
        self.problems.append(_problem(code, node, cause, remedy))

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            cause, remedy = "aliases (*name) are not read", "Write it out."
            raise DefinitionRefused((_problem("alias", event, cause, remedy),))
        return super().compose_node(parent, index)


def read_document(text: bytes) -> Any:
    """The one document in `text`; raises DefinitionRefused naming line and column."""
    located = read_located(text)
    if located.problems:
        raise DefinitionRefused(located.problems)
    return located.document


def read_located(text: bytes) -> Located:
    """The document with the places of its parts. Raises DefinitionRefused where there
    is none to read on; keys that stand twice are left out and told."""
    if len(text) > BYTES_MAX:
        raise DefinitionRefused(
            (Problem("too-large", "", "more than 1 MiB", "Split it."),)
        )
    try:
        return _located(_Loader(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        cause = f"not YAML: {error.problem or error.context}"
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, DefinitionRefused):
            raise
        place, cause = "", f"not YAML: {str(error) or 'nested too deep'}"
    raise DefinitionRefused((Problem("yaml", place, cause, "Correct the file."),))


def _located(loader: _Loader) -> Located:
    try:
        node = loader.get_single_node()
        if node is None:
            return Located(None)
        document = loader.construct_document(node)
        return Located(document, tuple(loader.problems), _places(node))
    finally:
        loader.dispose()


def _places(root: yaml.Node) -> dict[str, Placed]:
    start = _start(root)
    places = {"": Placed(start, start)}
    waiting = [("", root)]
    while waiting and len(places) < PLACED_MAX:
        place, node = waiting.pop()
        for name, key, value in _parts(node):
            at = place + pointer(name)
            # a block begins on the next line; its key is where people look
            own = _start(value)
            is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
            places.setdefault(at, Placed(_start(key), _start(key) if is_block else own))
            waiting.append((at, value))
    return places


def _parts(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, key, value
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield str(index), value, value


def _start(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _problem(code: str, node: Any, cause: str, remedy: str) -> Problem:
    mark = node.start_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    return Problem(code, place, cause, remedy)
