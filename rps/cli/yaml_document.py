"""YAML as definitions are written in it: plain data, each key once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from rps.domain.problem import DefinitionRefused, Problem

if TYPE_CHECKING:
    from collections.abc import Hashable

BYTES_MAX = 1024 * 1024


class _Loader(yaml.SafeLoader):
    """Refuses what YAML would take silently: a key twice, aliases that multiply."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise _refused("key-type", key_node, "a key is not a word", "Quote it.")
            if key in seen:
                raise _refused(
                    "duplicate-key",
                    key_node,
                    f"{key!r} stands here for the second time",
                    "Keep one of the two; a key counts once.",
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _refused(
                "alias", event, "aliases (*name) are not read", "Write it out."
            )
        return super().compose_node(parent, index)


def read_document(text: bytes) -> Any:
    """The one document in `text`; raises DefinitionRefused naming line and column."""
    if len(text) > BYTES_MAX:
        raise DefinitionRefused(
            (Problem("too-large", "", "more than 1 MiB", "Split it."),)
        )
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        cause = f"not YAML: {error.problem or error.context}"
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, DefinitionRefused):
            raise
        place, cause = "", f"not YAML: {str(error) or 'nested too deep'}"
    raise DefinitionRefused((Problem("yaml", place, cause, "Correct the file."),))


def _refused(code: str, node: Any, cause: str, remedy: str) -> DefinitionRefused:
    mark = node.start_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    return DefinitionRefused((Problem(code, place, cause, remedy),))
