"""Files of tickets, as the sandbox's own users attach, read and remove them."""

from __future__ import annotations

import re
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, redirect, request, send_file, url_for

from rps.sandbox.answers import answer
from rps.sandbox.attachments import AttachmentMissing, File
from rps.sandbox.server import FILE_BYTES_MAX
from rps.sandbox.shapes import UploadSchema
from rps.sandbox.user_side import refuse_other_sites

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

    from rps.sandbox.edits import Edits
    from rps.sandbox.files import Files, Stream

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UPLOAD = UploadSchema()
_OCTETS = "application/octet-stream"


def file_side(edits: Edits, files: Files) -> Blueprint:
    """Build the resources; a body is the file's bytes, the query says the rest."""
    blueprint = Blueprint("file_side", __name__)
    blueprint.before_request(refuse_other_sites)

    @blueprint.post("/records/<table>/<record_id>/attachments")
    def attach(table: str, record_id: str) -> Response:
        said = _UPLOAD.load(request.args.to_dict())
        edits.shown(table, record_id)  # before the bytes are read
        file = _kept(files, str(uuid.uuid4()), said["name"], said["type"], _body())
        shown = edits.attach(table, record_id, file, said["user"])
        return answer({**shown, "attachment": file.id}, HTTPStatus.CREATED)

    @blueprint.put("/records/<table>/<record_id>/attachments/<file_id>")
    def replace(table: str, record_id: str, file_id: str) -> Response:
        said = _UPLOAD.load(request.args.to_dict())
        edits.attachment(table, record_id, file_id)
        file = _kept(files, file_id, said["name"], said["type"], _body())
        return answer(edits.attach(table, record_id, file, said["user"]))

    @blueprint.delete("/records/<table>/<record_id>/attachments/<file_id>")
    def remove(table: str, record_id: str, file_id: str) -> Response:
        edits.attachment(table, record_id, file_id)
        user = request.args.get("user", "user")
        gone = File(file_id, deleted=True)
        return answer(edits.attach(table, record_id, gone, user))

    @blueprint.get("/records/<table>/<record_id>/attachments/<file_id>")
    def read(table: str, record_id: str, file_id: str) -> Response:
        file = edits.attachment(table, record_id, file_id)
        return file_answer(files, file.sha256, file.name)

    _page_routes(blueprint, edits, files)
    return blueprint


def _page_routes(blueprint: Blueprint, edits: Edits, files: Files) -> None:
    @blueprint.post("/tickets/<table>/<record_id>/attachments")
    def attach_by_form(table: str, record_id: str) -> AnyResponse:
        request.max_content_length = FILE_BYTES_MAX
        user = request.form.get("user") or "user"
        sent: Any = request.files.get("file")
        if sent is not None and sent.filename:
            kind = sent.mimetype or ""
            file = _kept(files, str(uuid.uuid4()), sent.filename, kind, sent.stream)
            edits.attach(table, record_id, file, user)
        return _back(table, record_id)

    @blueprint.post("/tickets/<table>/<record_id>/attachments/<file_id>/deletion")
    def remove_by_form(table: str, record_id: str, file_id: str) -> AnyResponse:
        edits.attachment(table, record_id, file_id)
        user = request.form.get("user") or "user"
        edits.attach(table, record_id, File(file_id, deleted=True), user)
        return _back(table, record_id)


def file_answer(files: Files, sha256: str, name: str) -> Response:
    """The bytes, or the range that is asked for; raises AttachmentMissing."""
    if not _SHA256.fullmatch(sha256) or not files.has(sha256):
        raise AttachmentMissing(f"there is no file {sha256}")
    made = send_file(
        files.path(sha256),
        mimetype=_OCTETS,
        as_attachment=True,
        download_name=name,
        conditional=True,
        etag=sha256,
    )
    made.headers["X-Content-Type-Options"] = "nosniff"
    return made


def _body() -> Stream:
    request.max_content_length = FILE_BYTES_MAX
    return request.stream


def _kept(files: Files, file_id: str, name: str, kind: str, stream: Stream) -> File:
    sha256, size = files.take(stream)
    return File(file_id, name, size, kind, sha256)


def _back(table: str, record_id: str) -> AnyResponse:
    target = url_for("page.ticket", table=table, record_id=record_id)
    return redirect(target, HTTPStatus.SEE_OTHER)
