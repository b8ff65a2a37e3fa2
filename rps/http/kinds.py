"""Kinds of JSON values: how to tell a good one, fast, and how to say what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.problem import Findings

Messages = Any
"""Nested as marshmallow nests them: {key: messages} down to lists of texts."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`says` completes "give …"; `faults` looks into what holds further values."""

    fits: Callable[[Any], bool]
    schema: Mapping[str, Any]
    says: str
    faults: Callable[[Any, Findings], Messages] | None = None

    def messages(self, value: Any, found: Findings) -> Messages:
        """What is wrong with `value`, empty where it fits."""
        if self.fits(value):
            return []
        inner = self.faults(value, found) if self.faults else None
        return inner or [f"give {self.says}"]


def text(most: int, least: int = 1) -> Kind:
    def fits(value: Any) -> bool:
        return type(value) is str and least <= len(value) <= most

    schema = {"type": "string", "minLength": least, "maxLength": most}
    return Kind(fits, schema, f"a text of {least} to {most} characters")


def is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


class Shape:
    """An object with the keys of `kinds`, no others; `required` must be there."""

    def __init__(self, kinds: Mapping[str, Kind], required: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._checks = {name: kind.fits for name, kind in kinds.items()}
        self._required = required
        self._needed = frozenset(required)

    def fits(self, value: Any) -> bool:
        if type(value) is not dict or not self._needed <= value.keys():
            return False
        checks = self._checks
        for name, each in value.items():
            check = checks.get(name)
            if check is None or not check(each):
                return False
        return True

    def faults(self, value: Any, found: Findings) -> Messages:
        if type(value) is not dict:
            return ["give an object"]
        wrong: dict[str, Messages] = {
            name: ["this field is missing"]
            for name in self._required
            if name not in value
        }
        for name, each in value.items():
            kind = self._kinds.get(name)
            if kind is None:
                hint = found.instead_of(name, self._kinds)
                wrong[name] = [f"there is no field of this name; {hint}"]
            elif messages := kind.messages(each, found):
                wrong[name] = messages
        return wrong

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": list(self._required),
            "additionalProperties": False,
            "properties": {n: dict(kind.schema) for n, kind in self._kinds.items()},
        }
