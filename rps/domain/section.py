"""Asks a document's mappings for what should be there, and notes what is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rps.domain.problem import Findings, pointer, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

LIST_MAX = 500
LENGTH_MAX = 100_000
SIZE_MAX = 10_000_000_000
NUMBER_MAX = 2**53
SIZE: Final = r"([1-9][0-9]{0,10}) ?(kB|MB|GB)"
_SIZE = re.compile(SIZE)
_UNITS = {"kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of text: whether a text fits, how to say what would, and as much of that
    as JSON Schema can say."""

    fits: Callable[[str], bool]
    says: str
    schema: Mapping[str, Any]


def matching(pattern: str, says: str) -> Shape:
    compiled = re.compile(pattern)
    schema = {"pattern": f"^(?:{pattern})$"}
    return Shape(lambda text: compiled.fullmatch(text) is not None, says, schema)


def visible(length_max: int) -> Shape:
    return Shape(
        lambda text: (
            0 < len(text) <= length_max and text.isprintable() and text == text.strip()
        ),
        f"1 to {length_max} printable characters, no space at either end",
        {"maxLength": length_max, "pattern": r"^\S(?:.*\S)?$"},
    )


def prose(length_max: int) -> Shape:
    return Shape(
        lambda text: (
            len(text) <= length_max
            and all(char.isprintable() or char in "\n\t" for char in text)
        ),
        f"up to {length_max} printable characters",
        {"maxLength": length_max},
    )


def one_of(words: tuple[str, ...]) -> Shape:
    says = f"any of {', '.join(words)}"
    return Shape(lambda text: text in words, says, {"enum": list(words)})


MEMBER_NAME = matching(
    r"[a-z][a-z0-9_-]{0,39}", "a small letter, then up to 39 of a-z, 0-9, _ and -"
)
REMOTE_NAME = visible(120)


class Section:
    """One mapping of the document; each question asked of it may leave a problem.

    An answer is always of the right type. Where the document is wrong it is a stand-in,
    and the place is marked broken so that later checks do not judge it.
    """

    def __init__(self, raw: object, place: str, found: Findings) -> None:
        self.place = place
        self._found = found
        self._raw: dict[Any, Any] = raw if isinstance(raw, dict) else {}
        self._readable = isinstance(raw, dict)
        if not self._readable:
            self._wrong("wrong-type", place, raw, "write a mapping of key: value")

    def _wrong(self, code: str, place: str, value: object, remedy: str) -> None:
        self._found.broken.add(place)
        self._found.add(code, place, f"{shown(value)} cannot be used here", remedy)

    def _absent(self, key: str) -> None:
        place = self.place + pointer(key)
        self._found.broken.add(place)
        if self._readable:
            cause = f"the key '{key}' is missing"
            self._found.add("missing-key", place, cause, f"add '{key}:'")

    def only(self, *known: str) -> None:
        """Every key must be one of `known`."""
        for key in self._raw:
            if not isinstance(key, str):
                self._wrong("wrong-type", self.place, key, "put the key in quotes")
            elif key not in known:
                self._found.add(
                    "unknown-key",
                    self.place + pointer(key),
                    f"there is no key {shown(key)} here",
                    self._found.instead_of(key, known),
                )

    def names(self, shape: Shape, most: int) -> list[str]:
        """The keys of a mapping whose keys its author chose."""
        if len(self._raw) > most:
            cause = f"{len(self._raw)} entries are more than the {most} allowed"
            self._found.add("too-many", self.place, cause, "split the definition")
            self._found.broken.add(self.place)
            return []
        names = []
        for key in self._raw:
            if not isinstance(key, str):
                self._wrong("bad-name", self.place, key, "put the name in quotes")
                continue
            if not shape.fits(key):
                place = self.place + pointer(key)
                self._wrong("bad-name", place, key, f"a name is {shape.says}")
            names.append(key)
        return names

    def section(self, key: str, short_for: str | None = None) -> Section:
        """The mapping at `key`, empty where there is none.

        With `short_for`, a text there is short for a mapping with just that key.
        """
        raw = self._raw.get(key, {})
        if short_for is not None and isinstance(raw, str):
            raw = {short_for: raw}
        return Section(raw, self.place + pointer(key), self._found)

    def beside(
        self, common: Section, known: tuple[str, ...], by_name: tuple[str, ...]
    ) -> Section:
        """The same mapping with what it does not say itself taken from `common`; of the
        mappings `by_name`, name by name. What is wrong with it is told over there."""
        if not self._readable:
            return self
        raw = self._taken(self._raw, self.place, common._raw, common.place, known)
        for key in by_name:
            own, shared = self._raw.get(key), common._raw.get(key)
            if isinstance(own, dict) and isinstance(shared, dict):
                places = self.place + pointer(key), common.place + pointer(key)
                raw[key] = self._taken(own, places[0], shared, places[1], shared)
        return Section(raw, self.place, self._found)

    def _taken(
        self,
        own: dict[Any, Any],
        place: str,
        common: dict[Any, Any],
        elsewhere: str,
        known: Container[str],
    ) -> dict[Any, Any]:
        taken = {
            key: value
            for key, value in common.items()
            if isinstance(key, str) and key in known and key not in own
        }
        for key in taken:
            self._found.written[place + pointer(key)] = elsewhere + pointer(key)
        return {**own, **taken}

    def text(self, key: str, shape: Shape, default: str | None = None) -> str:
        """The text at `key`; without `default` it must be there."""
        if key not in self._raw and default is not None:
            return default
        return self.optional_text(key, shape, required=True) or ""

    def optional_text(
        self, key: str, shape: Shape, *, required: bool = False
    ) -> str | None:
        if key not in self._raw:
            if required:
                self._absent(key)
            return None
        value = self._raw[key]
        place = self.place + pointer(key)
        if not isinstance(value, str):
            remedy = "write a text; numbers, dates, yes and no need quotes"
            self._wrong("wrong-type", place, value, remedy)
            return None
        if not shape.fits(value):
            self._wrong("bad-text", place, value, f"write {shape.says}")
        return value

    def word(
        self, key: str, words: tuple[Word, ...], default: Word | None = None
    ) -> Word:
        """One of `words`."""
        if key not in self._raw:
            if default is None:
                self._absent(key)
            return default or words[0]
        value = self._raw[key]
        for each in words:
            if isinstance(value, str) and value == each:
                return each
        place = self.place + pointer(key)
        self._wrong("unknown-word", place, value, f"write one of {', '.join(words)}")
        return words[0]

    def optional_word(self, key: str, words: tuple[Word, ...]) -> Word | None:
        return self.word(key, words) if key in self._raw else None

    def literal(self, key: str, shape: Shape, *, lists: bool = False) -> Any:
        """A text, number, true or false; with `lists` also texts (then a tuple).
        None where there is none."""
        if key not in self._raw:
            return None
        value = self._raw[key]
        if lists and isinstance(value, list):
            return self.texts(key, shape)
        if isinstance(value, str):
            return self.optional_text(key, shape)
        is_number = isinstance(value, int | float) and abs(value) <= NUMBER_MAX
        if isinstance(value, bool) or is_number:
            return value
        kinds = "a text, a number, true or false" + (", or a list" if lists else "")
        self._wrong("wrong-type", self.place + pointer(key), value, f"write {kinds}")
        return None

    def length(self, key: str) -> int | None:
        """A number of characters, if the key is there."""
        if key not in self._raw:
            return None
        value = self._raw[key]
        # a bool is an int to isinstance
        if type(value) is int and 1 <= value <= LENGTH_MAX:
            return value
        remedy = f"write a whole number from 1 to {LENGTH_MAX}"
        self._wrong("out-of-range", self.place + pointer(key), value, remedy)
        return None

    def count(self, key: str, least: int, most: int, default: int) -> int:
        """A whole number within bounds."""
        value = self._raw.get(key, default)
        # a bool is an int to isinstance
        if type(value) is int and least <= value <= most:
            return value
        remedy = f"write a whole number from {least} to {most}"
        self._wrong("out-of-range", self.place + pointer(key), value, remedy)
        return default

    def has(self, key: str) -> bool:
        return key in self._raw

    def raw(self, key: str, default: object = None) -> Any:
        """What stands there, of whatever kind."""
        return self._raw.get(key, default)

    def is_null(self, key: str) -> bool:
        return key in self._raw and self._raw[key] is None

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self._raw.get(key, default)
        if type(value) is bool:
            return value
        place = self.place + pointer(key)
        self._wrong("wrong-type", place, value, "write true or false, without quotes")
        return default

    def size(self, key: str, default: int) -> int:
        """A number of bytes, plain or like `25 MB`."""
        value = self._raw.get(key, default)
        if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
            value = int(found[1]) * _UNITS[found[2]]
        # a bool is an int to isinstance
        if type(value) is int and 1 <= value <= SIZE_MAX:
            return value
        remedy = f"write a number of bytes from 1 to {SIZE_MAX}, or like '25 MB'"
        self._wrong("out-of-range", self.place + pointer(key), value, remedy)
        return default

    def texts(
        self, key: str, shape: Shape, default: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """A list of different texts, in the order written."""
        if key not in self._raw:
            return default
        value = self._raw[key]
        place = self.place + pointer(key)
        if not isinstance(value, list) or len(value) > LIST_MAX:
            remedy = f"write a list of at most {LIST_MAX} texts, [] for none"
            self._wrong("wrong-type", place, value, remedy)
            return default
        seen: dict[str, None] = {}
        for index, item in enumerate(value):
            at = f"{place}/{index}"
            if not isinstance(item, str) or not shape.fits(item):
                self._wrong("bad-text", at, item, f"write {shape.says}, in quotes")
            elif item in seen:
                self._wrong("repeated", at, item, "name it once")
            else:
                seen[item] = None
        if len(seen) < len(value):
            self._found.broken.add(place)
        return tuple(seen)

    def listed(
        self, key: str, most: int, words: tuple[str, ...]
    ) -> Iterator[Section | str]:
        """A list of mappings, among which some `words` may stand."""
        value = self._raw.get(key)
        place = self.place + pointer(key)
        if not isinstance(value, list) or len(value) > most:
            remedy = f"write a list of at most {most}"
            self._wrong("wrong-type", place, value, remedy)
            return
        for index, item in enumerate(value):
            if isinstance(item, str) and item in words:
                yield item
            else:
                yield Section(item, f"{place}/{index}", self._found)

    def refuse_all(self, code: str, cause: str, remedy: str) -> None:
        """As `refuse`, of the mapping itself; where it is none, that was said."""
        self._found.broken.add(self.place)
        if self._readable:
            self._found.add(code, self.place, cause, remedy)

    def refuse(self, code: str, key: str, cause: str, remedy: str) -> None:
        """The reader knows better than the words: `key` cannot be used."""
        place = self.place + pointer(key)
        self._found.broken.add(place)
        self._found.add(code, place, cause, remedy)

    def says(self, key: str, *texts: str) -> bool:
        value = self._raw.get(key)
        return isinstance(value, str) and value in texts
