"""A file's bytes from another system, from wherever we are with it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from rps.connectors import meaning
from rps.connectors.streaming import Opened
from rps.connectors.transport import Answer
from rps.domain.delivery import Exchange, Incoming, Missing, Moved, Refused, Unavailable

if TYPE_CHECKING:
    from rps.connectors.transport import Said
    from rps.domain.delivery import Fetched

_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)")
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def ranged(headers: dict[str, str], offset: int) -> dict[str, str]:
    """`headers` of a GET for what comes from byte `offset` on."""
    return {**headers, "Range": f"bytes={offset}-"} if offset else headers


def fetched(said: Said | Opened, offset: int, now: float) -> Fetched:
    """What the answer to such a GET means; `now` in seconds of the epoch."""
    if isinstance(said, Opened):
        return _incoming(said, offset)
    if not isinstance(said, Answer):
        return Unavailable(said.detail)
    if said.status in _GONE:
        return Missing(meaning.detail_of(said))
    if meaning.is_success(said.status):
        return Refused(f"answered {said.status}, which holds no file")
    outcome = meaning.classified(said, Exchange(), now)
    if isinstance(outcome, Moved):
        return Refused(outcome.detail)
    return outcome


def _incoming(said: Opened, offset: int) -> Incoming | Refused:
    if said.status == HTTPStatus.OK:
        length = said.headers.get("content-length", "")
        whole = int(length) if length.isdecimal() else None
        return Incoming(0, whole, said.pieces)
    found = _RANGE.fullmatch(said.headers.get("content-range", ""))
    if found is None or int(found[1]) > offset:
        said.pieces.close()
        return Refused("answered 206 with another range than the one asked for")
    size = None if found[2] == "*" else int(found[2])
    return Incoming(int(found[1]), size, said.pieces)
