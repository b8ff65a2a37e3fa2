"""How a notice reaches people: what is sent, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Announcement:
    """`key` is the same for every attempt. `about` names what it is about, `at` (ISO
    8601) when that happened last."""

    key: str
    topic: str
    subject: str
    text: str
    about: str
    at: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """It was taken."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """It was not, and may be later; `retry_after` in seconds, where they said so."""

    detail: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """It was refused for good."""

    detail: str


Announced = Told | Again | Never


class Channel(Protocol):
    def announce(self, said: Announcement) -> Announced:
        """Never raises for what the other side or the network does."""
        ...


class ChannelUnusable(Exception):
    """The subscription cannot be told anything as it is; the text says what to mend."""
