"""Pulls from rps the files that its messages brought, until they are here."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

import urllib3

from rps.sandbox import attachments
from rps.sandbox.files import READ_BYTES, Contradicted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.sandbox.attachments import File
    from rps.sandbox.database import Database
    from rps.sandbox.files import Files

log = logging.getLogger(__name__)

MOST = 20
_WAIT_SECONDS = 1.0
_WAIT_SECONDS_MAX = 30.0
_REASON_CHARACTERS_MAX = 500


class Puller:
    """Gets `{url}/v1/attachments/{sha256}`; `run` is its whole life."""

    def __init__(self, database: Database, files: Files, url: str, token: str) -> None:
        self._database = database
        self._files = files
        self._url = f"{url.rstrip('/')}/v1/attachments"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=2.0, read=30.0), retries=False
        )
        self.told = threading.Event()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Pull until stopped; a failure waits 1 s, doubling to 30 s, or a message."""
        wait = _WAIT_SECONDS
        while not self._stopping.is_set():
            self.told.clear()
            with self._database.transaction() as connection:
                missing = attachments.coming(connection, MOST)
            if not missing:
                self.told.wait()
            elif not [file for file in missing if not self._pull(file)]:
                wait = _WAIT_SECONDS
            else:
                self.told.wait(wait)
                wait = min(wait * 2, _WAIT_SECONDS_MAX)
        self._pool.clear()

    def stop(self) -> None:
        """Let `run` return after the piece it is reading."""
        self._stopping.set()
        self.told.set()

    def _pull(self, file: File) -> bool:
        """Whether it is here now."""
        try:
            if not self._files.has(file.sha256):
                self._get(file)
                self._files.finish(file.sha256)
        except (urllib3.exceptions.HTTPError, _Refused, Contradicted) as error:
            reason = f"{error}"[:_REASON_CHARACTERS_MAX]
            log.warning("sandbox.file_not_pulled %s %s", file.sha256, reason)
            with self._database.transaction() as connection:
                attachments.did_not_come(connection, file.sha256, reason)
            return False
        with self._database.transaction() as connection:
            attachments.came(connection, file.sha256)
        return True

    def _get(self, file: File) -> None:
        begun = self._files.begun(file.sha256)
        if begun >= file.size:
            return
        headers = {**self._headers, "Range": f"bytes={begun}-"}
        answer = self._pool.request(
            "GET",
            f"{self._url}/{file.sha256}",
            headers=headers if begun else self._headers,
            preload_content=False,
            redirect=False,
        )
        try:
            if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise _Refused(f"answered {answer.status}")
            start = begun if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
            self._files.go_on(file.sha256, self._pieces(answer), start)
        finally:
            answer.close()

    def _pieces(self, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        for piece in answer.stream(READ_BYTES):
            if self._stopping.is_set():
                raise _Refused("the sandbox was stopped")
            yield piece


class _Refused(Exception):
    """rps does not give it now."""
