"""A correlation that may be told what never happened, beside the one it was."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from rps.domain.correlation import Correlation
from rps.domain.pending import Unsettled
from rps.domain.state import Attached, Link, Shared

if TYPE_CHECKING:
    from collections.abc import Callable

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
    copying = _COPIES.get(type(value))
    return value if copying is None else copying(value)


def _dict(value: dict[Any, Any]) -> dict[Any, Any]:
    return {key: _copied(each) for key, each in value.items()}


def _unsettled(value: Unsettled) -> Unsettled:
    made = Unsettled()
    for key, message in value.items():
        made[key] = copy(message)
    return made


def _link(value: Link) -> Link:
    return Link(
        value.system,
        value.table,
        value.record_id,
        value.revision,
        dict(value.base),
        dict(value.agreed),
        dict(value.waived),
        dict(value.entries),
        value.since,
    )


def _shared(value: Shared) -> Shared:
    return Shared(value.value, value.version, value.stamp, value.origin, value.past)


def _attached(value: Attached) -> Attached:
    return Attached(value.shown, dict(value.held), dict(value.known_as))


# Spelled out: `copy` of objects with slots takes five times as long, and each judgement
# that is taken again begins with a branch.
_COPIES: dict[type, Callable[[Any], Any]] = {
    dict: _dict,
    set: set,
    list: list,
    Unsettled: _unsettled,
    Link: _link,
    Shared: _shared,
    Attached: _attached,
}
