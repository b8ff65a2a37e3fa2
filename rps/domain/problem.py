"""What is wrong with a document, said so that its author can put it right."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN_MAX = 60
LISTED_MAX = 12
SUGGESTIONS_MAX = 100  # comparing words is slow; a hostile document has thousands
CLOSE_ENOUGH = 0.6


@dataclass(frozen=True, slots=True)
class Problem:
    """`place` is a JSON pointer into the document, `code` never changes its meaning."""

    code: str
    place: str
    cause: str
    remedy: str


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By place, so that the same document always reads the same."""
    return tuple(sorted(problems, key=lambda p: (p.place, p.code, p.cause)))


class DefinitionRefused(ValueError):
    """The definition cannot be used; `problems` says everything that is wrong."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{p.place or '/'}: {p.cause}" for p in problems))
        self.problems = problems


def printable(text: str) -> str:
    """`text` cut and escaped, so that any encoder and any terminal can take it."""
    cut = text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in cut
    )


def shown(value: object) -> str:
    """A short, safe picture of anything a parser may hand us."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{printable(value)}'"
        case int():
            # a number of more than 4,300 digits raises when it is printed
            return str(value) if value.bit_length() <= 128 else "a huge number"  # noqa: PLR2004 - any bound below 4,300 digits
        case float():
            return str(value)
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def listed(words: Iterable[str]) -> str:
    found = list(words)
    more = f" and {len(found) - LISTED_MAX} more" if len(found) > LISTED_MAX else ""
    return ", ".join(shown(word) for word in found[:LISTED_MAX]) + more


def pointer(*parts: str) -> str:
    """A JSON pointer (RFC 6901); parts beyond 60 characters are cut."""
    return "".join(
        "/" + printable(part).replace("~", "~0").replace("/", "~1") for part in parts
    )


class Findings:
    """Problems as they are met, and the places whose content is not to be trusted.

    `written` has the places whose content stands somewhere else in the document.
    """

    def __init__(self) -> None:
        self._problems: set[Problem] = set()
        self._suggestions_left = SUGGESTIONS_MAX
        self.broken: set[str] = set()
        self.written: dict[str, str] = {}

    def add(self, code: str, place: str, cause: str, remedy: str) -> None:
        self._problems.add(Problem(code, self.where(place), cause, remedy))

    def __len__(self) -> int:
        return len(self._problems)

    def where(self, place: str) -> str:
        """Where in the document the content of `place` stands."""
        above = place
        while self.written and above:
            if above in self.written:
                return self.written[above] + place[len(above) :]
            above = above.rpartition("/")[0]
        return place

    def instead_of(self, word: str, known: Iterable[str]) -> str:
        """A remedy for an unknown `word`: the closest known one, or all of them."""
        words = list(known)
        if self._suggestions_left > 0 and len(word) <= SHOWN_MAX:
            self._suggestions_left -= 1
            close = difflib.get_close_matches(word, words, 1, CLOSE_ENOUGH)
            if close:
                return f"did you mean {shown(close[0])}?"
        return f"known here: {listed(words)}" if words else "nothing is known here"

    def in_order(self) -> tuple[Problem, ...]:
        return in_order(self._problems)

    def unsure(self, *parts: str) -> bool:
        """Whether this place, or one that contains it, could not be read."""
        return any(
            pointer(*parts[:length]) in self.broken
            for length in range(1, len(parts) + 1)
        )
