"""Tells rps what the sandbox's own users changed, in order, until it has heard."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, assert_never

import orjson
import urllib3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rps.sandbox.outbox import Outbox, Unreported

log = logging.getLogger(__name__)

BATCH_MAX = 100
_WAIT_SECONDS = 1.0
_WAIT_SECONDS_MAX = 30.0
_REASON_CHARACTERS_MAX = 500

# 4xx answers that judge us or the moment, not the changes: they are sent again.
_NOT_THE_CHANGES = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """rps has committed the changes."""


@dataclass(frozen=True, slots=True)
class NotHeard:
    """rps is away or not willing now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """rps will not take these changes as they are."""

    reason: str


Report = Heard | NotHeard | Rejected


class Reporter:
    """Posts the outbox to `{url}/v1/changes`; `run` is its whole life.

    A report that was heard but whose answer was lost is made again: each change keeps
    its `change_id`, so rps takes it once.
    """

    def __init__(self, outbox: Outbox, url: str, token: str) -> None:
        self._outbox = outbox
        self._url = f"{url.rstrip('/')}/v1/changes"
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=5.0, connect=2.0), retries=False
        )
        self._stopping = threading.Event()

    def run(self) -> None:
        """Report until stopped; a failure waits 1 s, doubling to 30 s, or an edit."""
        wait = _WAIT_SECONDS
        while not self._stopping.is_set():
            self._outbox.filled.clear()
            changes = self._outbox.waiting(BATCH_MAX)
            if not changes:
                self._outbox.filled.wait()
            elif self._report(changes):
                wait = _WAIT_SECONDS
            else:
                self._outbox.filled.wait(wait)
                wait = min(wait * 2, _WAIT_SECONDS_MAX)
        self._pool.clear()

    def stop(self) -> None:
        """Let `run` return after the report it is making, within about 5 s."""
        self._stopping.set()
        self._outbox.filled.set()

    def _report(self, changes: Sequence[Unreported]) -> bool:
        """Report `changes` in order; false as soon as rps does not hear us."""
        match self._post(changes):
            case Heard():
                self._outbox.reported(changes)
            case NotHeard(reason):
                self._outbox.not_reported(changes, reason)
                return False
            case Rejected() if len(changes) > 1:  # find out which one it was
                return all(self._report([change]) for change in changes)
            case Rejected(reason):
                log.warning("sandbox.edit_refused n=%d %s", changes[0].n, reason)
                self._outbox.refused(changes, reason)
            case report:
                assert_never(report)
        return True

    def _post(self, changes: Sequence[Unreported]) -> Report:
        body = orjson.dumps([change.change for change in changes])
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=self._headers,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return NotHeard(f"{self._url}: {error}"[:_REASON_CHARACTERS_MAX])
        return _judged(answer.status, answer.data)


def _judged(status: int, text: bytes) -> Report:
    reason = f"{status} {_detail(text)}"[:_REASON_CHARACTERS_MAX]
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Heard()
    refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if refusal and status not in _NOT_THE_CHANGES:
        return Rejected(reason)
    return NotHeard(reason)


def _detail(text: bytes) -> str:
    """Return the detail of a problem document, or the text if it is none."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("detail"), str):
        return str(document["detail"])
    return text.decode(errors="replace")


class Silence:
    """Stands in for a Reporter where nobody is to be told."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def run(self) -> None:
        """Do nothing until stopped."""
        self._stopped.wait()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()
