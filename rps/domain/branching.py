"""A correlation that may be told what never happened, beside the one it was."""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar

from rps.domain.correlation import Correlation
from rps.domain.state import Attached, Link, Pending, Shared, Unsettled

C = TypeVar("C", bound=Correlation)


def branched(correlation: C) -> C:
    """The same correlation once more: what happens to one leaves the other as it is.

    What events replace as a whole, values and entries above all, both share.
    """
    made = object.__new__(type(correlation))
    for name, value in vars(correlation).items():
        made.__dict__[name] = _copied(value)
    made.pending_events.clear()
    return made


def _copied(value: Any) -> Any:
    match value:
        case Unsettled():
            unsettled = Unsettled()
            for key, message in value.items():
                unsettled[key] = copy(message)
            return unsettled
        case dict():
            return {key: _copied(each) for key, each in value.items()}
        case set() | list():
            return copy(value)
        case Link():
            link = copy(value)
            link.base, link.agreed = dict(link.base), dict(link.agreed)
            link.waived, link.entries = dict(link.waived), dict(link.entries)
            return link
        case Attached():
            return Attached(value.shown, dict(value.held), dict(value.known_as))
        case Shared() | Pending():
            return copy(value)
        case _:
            return value
