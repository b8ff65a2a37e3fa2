"""How one member says a shared field, and what else is written to its records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as attribute
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from rps.domain.canonical import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

Written = Literal["seconds", "iso8601", "servicenow"]
"""How a duration is written to a member."""

VALUE: Final = "{value}"

Literals = str | int | float | bool
_MARK = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]{0,39})\}")


@dataclass(frozen=True, slots=True)
class FieldMap:
    """How one member says one shared field, both ways.

    `values` turns shared choices into remote ones, `shared_values` turns them back;
    empty means they are the same. `truncate` (characters, with what `format` puts
    round) cuts texts on the way out. `format` goes round a text on the way out and is
    taken off where it is there; `default` is what an empty remote value is read as.
    """

    shared: str
    field: str
    values: Mapping[str, str] = attribute(default_factory=dict)
    truncate: int | None = None
    default: Any = None
    format: str = ""
    written_as: Written = "seconds"
    shared_values: Mapping[str, str] = attribute(init=False, repr=False, compare=False)
    around: tuple[str, str] = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        back = {remote: shared for shared, remote in self.values.items()}
        before, _, after = self.format.partition(VALUE)
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "shared_values", MappingProxyType(back))
        object.__setattr__(self, "around", (before, after))

    @property
    def is_plain(self) -> bool:
        """Whether a text is written and read back as it is."""
        return not (self.values or self.truncate or self.format or self.has_default)

    @property
    def has_default(self) -> bool:
        return self.default is not None

    @property
    def room(self) -> int | None:
        """How many characters of a text fit; None: all."""
        if self.truncate is None:
            return None
        return self.truncate - sum(map(len, self.around))

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"field": self.field}
        if self.values:
            document["values"] = dict(self.values)
        if self.truncate is not None:
            document["truncate"] = self.truncate
        if self.has_default:
            is_list = isinstance(self.default, tuple)
            document["default"] = list(self.default) if is_list else self.default
        if self.format:
            document["format"] = self.format
        if self.written_as != "seconds":
            document["as"] = self.written_as
        return document


@dataclass(frozen=True, slots=True)
class Constant:
    """What a remote field is given that nobody maps: a value, or a text with shared
    fields in it, `{title} / {note}`; a brace is written twice.

    Written where a record is made, and whenever one of its `fields` is.
    """

    value: Literals
    fields: frozenset[str] = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = self.value if isinstance(self.value, str) else ""
        named = (found[1] for found in _MARK.finditer(text) if found[1])
        object.__setattr__(self, "fields", frozenset(named))

    def said(self, values: Mapping[str, Any]) -> Literals:
        """With the shared `values` in it; one that is not known is left empty."""
        if not isinstance(self.value, str):
            return self.value
        return _MARK.sub(
            lambda found: plain_text(values.get(found[1])) if found[1] else found[0][0],
            self.value,
        )


def is_template(text: str) -> bool:
    """Whether each brace of `text` is one of a shared field's, or written twice."""
    return not {"{", "}"}.intersection(_MARK.sub("", text))
