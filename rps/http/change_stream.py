"""Changes as NDJSON: a receipt line for each line, committed chunk by chunk.

The receipts are written to a temporary file until the request is read to its end: a
client that sends everything before it reads anything would otherwise wait for us while
we wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, cast

import orjson
from eventsourcing.persistence import InterfaceError, OperationalError
from marshmallow import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from rps.application.capture import Receipt, SystemUnknown
from rps.domain.remote_system import RemoteSystemDisabled
from rps.http import json_body, problems
from rps.http.change_schema import checked
from rps.http.errors import TABLE
from rps.http.refusals import ChangeIdRepeated
from rps.log.append import ChangeIdReused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CHUNK_LINES = 500
LINES_MAX = 50_000
_MEMORY_BYTES = 1024 * 1024

Change = dict[str, Any]
Numbered = tuple[int, Any]


class TooManyLines(json_body.BodyRefused):
    """The stream goes on; from this line on nothing was read."""

    def __init__(self) -> None:
        detail = f"a request has at most {LINES_MAX} lines: send the rest in another"
        super().__init__(413, "too-many-lines", "", detail)


@dataclass
class ChangeStream:
    """One request's lines on their way in.

    `capture` commits changes together or raises; `identify` gives a change of that line
    number the id it lacks.
    """

    capture: Callable[[Sequence[Change]], list[Receipt]]
    identify: Callable[[Change, int], None]
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _committed: bool = False
    _away: Exception | None = None

    def receive(self, lines: Iterator[Numbered]) -> IO[bytes]:
        """Take everything in; answers the receipts, to be read from their start.

        Raises what `capture` raises as long as nothing has been committed: the
        database is away, or the whole request is refused.
        """
        receipts = SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - the response closes it
        numbered = _until_too_many(lines)
        while chunk := list(islice(numbered, CHUNK_LINES)):
            receipts.writelines(self._chunk(chunk))
        receipts.seek(0)
        return cast("IO[bytes]", receipts)

    def _chunk(self, chunk: Sequence[Numbered]) -> Iterable[bytes]:
        judged = [(number, self._judged(number, value)) for number, value in chunk]
        good = [change for _, change in judged if not isinstance(change, Exception)]
        outcomes = iter(self._captured(good) if good else [])
        return [
            _line(number, value if isinstance(value, Exception) else next(outcomes))
            for number, value in judged
        ]

    def _judged(self, number: int, value: Any) -> Change | Exception:
        if isinstance(value, Exception):
            return value
        try:
            change = checked(value)
        except ValidationError as refused:
            return refused
        self.identify(change, number)
        key = (change["system"], change["change_id"])
        first = self._seen.setdefault(key, number)
        if first != number:
            return ChangeIdRepeated(f"line {first}", f"line {number}")
        return change

    def _captured(self, changes: Sequence[Change]) -> Sequence[Receipt | Exception]:
        """Commit what can be: where one change spoils the others, halve and go on."""
        if self._away is not None:
            return [self._away] * len(changes)
        try:
            receipts = self.capture(changes)
        except (OperationalError, InterfaceError) as away:
            if not self._committed:
                raise
            self._away = away
            return [away] * len(changes)
        except (SystemUnknown, RemoteSystemDisabled, ChangeIdReused) as refused:
            whole = isinstance(refused, ChangeIdReused) and refused.index is None
            if whole and not self._committed:
                raise
            if whole or len(changes) == 1:
                return [refused] * len(changes)
            middle = len(changes) // 2
            before = self._captured(changes[:middle])
            return [*before, *self._captured(changes[middle:])]
        self._committed = True
        return receipts


def shown(receipt: Receipt) -> dict[str, Any]:
    """A receipt as its JSON has it."""
    made: dict[str, Any] = {
        "change_id": receipt.change_id,
        "status": receipt.status,
        "correlations": receipt.correlations,
    }
    if receipt.reason:
        made["reason"] = receipt.reason
    return made


def _until_too_many(lines: Iterator[Numbered]) -> Iterator[Numbered]:
    number = 0
    try:
        for number, value in lines:
            if number > LINES_MAX:
                yield number, TooManyLines()
                return
            yield number, value
    except RequestEntityTooLarge as too_large:
        yield number + 1, too_large


def _line(number: int, outcome: Receipt | Exception) -> bytes:
    if isinstance(outcome, Receipt):
        return orjson.dumps({"line": number, **shown(outcome)}) + b"\n"
    problem = problems.document(problems.problem_of(outcome, TABLE))
    return orjson.dumps({"line": number, "problem": problem}) + b"\n"
