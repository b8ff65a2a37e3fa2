"""A file as an answer: whole or a range of it, never as something a browser runs."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response, request

from rps.application.operations import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.application.blobs import Blobs

SHA256 = re.compile(r"[0-9a-f]{64}")
OCTETS = "application/octet-stream"
_PLAIN = re.compile(r"[^A-Za-z0-9 !#$&+.^_`|~()\[\]{}=,@'-]")


class FileRefused(Exception):
    """`about` is status, code and title; `extra` and `headers` go into the answer."""

    def __init__(
        self,
        about: tuple[int, str, str],
        detail: str,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.about = about
        self.detail = detail
        self.extra = extra or {}
        self.headers = headers or {}


def file_answer(blobs: Blobs, domain: str, sha256: str, name: str) -> Response:
    """The file of the domain with this content, as the request's headers want it.

    Streamed out of the store. Raises NotFound, FileRefused.
    """
    blob = blobs.standing(domain, sha256) if SHA256.fullmatch(sha256) else None
    if blob is None or not blob.complete:
        raise NotFound(f"no file {sha256}")
    if request.if_none_match.contains(sha256):
        made = Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        start, end = _wanted(blob.size, sha256)
        pieces = blobs.read(domain, sha256, start, end)
        made = Response(pieces, content_type=OCTETS, direct_passthrough=True)
        made.content_length = end - start
        if end - start < blob.size:
            made.status_code = HTTPStatus.PARTIAL_CONTENT
            made.headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
    made.headers["Accept-Ranges"] = "bytes"
    made.headers["Content-Disposition"] = disposition(name or sha256)
    made.headers["X-Content-Type-Options"] = "nosniff"
    made.set_etag(sha256)
    return made


def disposition(name: str) -> str:
    """To be saved under `name` (RFC 6266), in letters that every client knows too."""
    plain = _PLAIN.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _wanted(size: int, sha256: str) -> tuple[int, int]:
    """First byte, and the one behind the last."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size
    condition = request.if_range
    if condition.date is not None or condition.etag not in (None, sha256):
        return 0, size  # of another file
    found = asked.range_for_length(size)
    if found is None:
        raise FileRefused(
            (416, "range-not-satisfiable", "The file has no such bytes"),
            f"It has {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return found
