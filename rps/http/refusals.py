"""What the API itself refuses, apart from what the product's parts do."""

from __future__ import annotations


class CheckFailed(Exception):
    """The remote system cannot be used as it is; the text is what it said."""


class NotTakenNow(Exception):
    """The system is paused or disabled on this side: its messages wait over there."""

    def __init__(self, state: str, seconds: int) -> None:
        super().__init__(state, seconds)
        self.state = state
        self.seconds = seconds


class ChangeIdRepeated(ValueError):
    """One request names the same change twice, at the places given."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first, second)
        self.first = first
        self.second = second
