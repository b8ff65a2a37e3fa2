"""Files: handed out by their SHA-256, and handed in by systems that nobody can call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from flask import request
from werkzeug.exceptions import LengthRequired

from rps.application.blobs import BlobTaken
from rps.domain.attachments import said_size
from rps.http.access import principal
from rps.http.answers import answer
from rps.http.file_answers import OCTETS, SHA256, FileRefused, file_answer
from rps.http.inputs import HeaderRefused
from rps.http.routes import READERS, allowed, looks_at, route
from rps.projections.attachment_questions import AttachmentQuestions

if TYPE_CHECKING:
    from flask import Response

    from rps.application.blobs import Blob, Writing
    from rps.http.parts import Parts

READ_BYTES = 256 * 1024
_PART = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_NONE_OF = re.compile(r"bytes \*/([0-9]{1,15})")


class Part(NamedTuple):
    """What a request brings of a file of `size` bytes; nothing where it only asks."""

    start: int
    length: int
    size: int


class Attachments:
    def __init__(self, parts: Parts) -> None:
        self._configuration = parts.application.configuration
        self._blobs = parts.application.blobs
        self._questions = AttachmentQuestions(parts.application.datastore)

    @route(
        "GET",
        "/attachments/<digest>",
        "The bytes of a file of the domain, or a range of them; HEAD asks for it only",
        answer="Bytes",
        media_type=OCTETS,
        headers=("Range", "If-Range", "If-None-Match"),
    )
    @allowed("ih_process_sync_api", *READERS)
    @looks_at("attachment")
    def get_attachment(self, digest: str) -> Response:
        domain = principal().domain
        name = self._questions.name_of(domain, digest)
        return file_answer(self._blobs, domain, digest, name)

    @route(
        "PUT",
        "/attachments/<digest>",
        "Hand in a file's bytes, whole or from where they were cut (Content-Range)",
        status=201,
        or_status=202,
        body={"type": "string", "format": "binary"},
        answer="AttachmentStanding",
        headers=("Content-Range",),
    )
    @allowed("ih_process_sync_api", "ih_process_sync")
    def put_attachment(self, digest: str) -> Response:
        if not SHA256.fullmatch(digest):
            raise FileRefused(
                (400, "sha256-refused", "A file is named by its SHA-256"),
                "Put the 64 of 0-9 and a-f into the path, in small letters.",
            )
        part, domain = _part(), principal().domain
        self._refuse_large(domain, part.size)
        blob = self._blobs.standing(domain, digest)
        if blob is not None and blob.complete:
            return _shown(digest, blob.size, blob, 200)
        if not part.length:
            return _shown(digest, part.size, blob, 202)
        writing = self._blobs.begin(domain, digest, part.size)
        if writing is None:
            raise BlobTaken(digest)
        complete = _written(writing, part)
        standing = {"size": part.size, "stored": writing.stored, "complete": complete}
        return answer({"sha256": digest, **standing}, 201 if complete else 202)

    def _refuse_large(self, domain: str, size: int) -> None:
        """Nothing is kept that no definition of the domain would share."""
        limits = [
            definition.attachments.size_max
            for definition in self._configuration.current.in_force(domain)
            if definition.attachments is not None
        ]
        if not limits:
            raise FileRefused(
                (409, "attachments-not-shared", "No definition shares files here"),
                "Give a published definition the section 'attachments' first.",
            )
        if not 0 < size <= max(limits):
            raise FileRefused(
                (413, "attachment-size", "No definition shares a file of this size"),
                f"It has {size} bytes; 1 byte to {said_size(max(limits))} are taken.",
            )


def _shown(sha256: str, size: int, blob: Blob | None, status: int) -> Response:
    stored = blob.stored if blob is not None else 0
    complete = blob is not None and blob.complete
    return answer(
        {"sha256": sha256, "size": size, "stored": stored, "complete": complete}, status
    )


def _part() -> Part:
    """What the request's headers say that it brings."""
    length = request.content_length or 0
    if "Transfer-Encoding" in request.headers:
        raise LengthRequired("say how many bytes come: Content-Length")
    written = request.headers.get("Content-Range")
    if written is None:
        return Part(0, length, length)
    if found := _NONE_OF.fullmatch(written):
        part = Part(0, 0, int(found[1]))
    elif found := _PART.fullmatch(written):
        start, last, size = map(int, found.groups())
        part = Part(start, last + 1 - start, size)
    else:
        raise HeaderRefused("Content-Range", "write 'bytes 0-999/5000', or '*/5000'")
    if part.length != length or part.start + part.length > part.size:
        detail = f"it does not fit the body, which has {length} bytes"
        raise HeaderRefused("Content-Range", detail)
    return part


def _written(writing: Writing, part: Part) -> bool:
    """Write what comes; whether the file is whole now. What came before a cut stays."""
    try:
        _read(writing, part)
    except BaseException:
        writing.flush()
        writing.leave()
        raise
    complete = writing.finish()
    if not complete:
        writing.leave()
    return complete


def _read(writing: Writing, part: Part) -> None:
    # Instead of what a body of JSON may have; to read up to the very limit is too much.
    request.max_content_length = part.length + 1
    left = part.length
    known = writing.stored - part.start
    if known < 0:
        raise FileRefused(
            (409, "attachment-gap", "There are bytes missing before these"),
            f"{writing.stored} bytes are here: go on from there.",
            extra={"stored": writing.stored},
        )
    while data := request.stream.read(min(READ_BYTES, left)):
        left -= len(data)
        fresh = data[known:]
        known = max(known - len(data), 0)
        if fresh:
            writing.take(fresh)
