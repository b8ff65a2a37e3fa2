"""What a case comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """`passed` None: it does not apply, and `says` why."""

    case: str
    passed: bool | None
    says: str = ""


class Failed(Exception):
    """The system, or what is said of it, does not do what it has to."""


class NotApplicable(Exception):
    """It is not claimed to do that."""


def said(outcome: object) -> str:
    """Its kind, and what it tells."""
    kind = type(outcome).__name__.lower()
    detail = getattr(outcome, "detail", "")
    return f"{kind}: {detail}" if detail else kind
