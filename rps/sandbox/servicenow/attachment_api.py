"""The Attachment API: `/api/now[/v1]/attachment`."""

from __future__ import annotations

import json
import mimetypes
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, request, send_file

from rps.sandbox.server import FILE_BYTES_MAX
from rps.sandbox.servicenow.answers import (
    NotAllowed,
    NotUnderstood,
    TooLarge,
    result,
)
from rps.sandbox.servicenow.door import guard
from rps.sandbox.servicenow.listing import Listing, read_manner, read_page
from rps.sandbox.servicenow.shapes import Shapes
from rps.sandbox.servicenow.table_api import VERSIONS, table_named
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    from rps.sandbox.files import Stream
    from rps.sandbox.servicenow.access import Actor
    from rps.sandbox.servicenow.instance import Instance
    from rps.sandbox.servicenow.records import Records, Row

LIST_LIMIT = 1000
TABLE = TABLES["sys_attachment"]
OCTETS = "application/octet-stream"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be attached: to which record, under which name."""

    table: str
    sys_id: str
    file_name: str

    @classmethod
    def of(cls, given: Any, file_name: str) -> Wanted:
        """Raises NotUnderstood where a parameter is missing."""
        wanted = {
            "table_name": given.get("table_name", ""),
            "table_sys_id": given.get("table_sys_id", ""),
            "file_name": file_name,
        }
        for name, value in wanted.items():
            if not value:
                raise NotUnderstood(None, f"Missing required parameter {name}")
        return cls(*wanted.values())


class Uploads:
    """Attaches files to records and takes them off again."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def check(self, actor: Actor, wanted: Wanted) -> None:
        """Before bytes are read; raises NoRecord, NotAllowed, NoSuchTable."""
        behaviour = self._instance.behaviour
        table = table_named(wanted.table)
        with self._instance.records(actor) as records:
            row = records.get(table, wanted.sys_id)
            if not records.access.updates(table, row):
                raise NotAllowed(
                    "ACL Exception Insert Failed due to security constraints"
                )
        extension = wanted.file_name.rpartition(".")[2].lower()
        allowed = behaviour.attachment_extensions
        if allowed and extension not in allowed:
            raise NotUnderstood(
                said := "Failed to create the attachment. File type is not allowed"
                " or does not match the content of the file.",
                said,
            )

    def attach(
        self, actor: Actor, wanted: Wanted, content_type: str, stream: Stream
    ) -> Row:
        """Keep the bytes and the row about them; raises TooLarge, NoRecord."""
        sha256, size = self._instance.files.take(stream)
        self.check_size(size)
        table = table_named(wanted.table)
        with self._instance.records(actor) as records:
            records.get(table, wanted.sys_id)  # it may be gone meanwhile
            row = {
                **records.new_row(TABLE),
                "table_name": wanted.table,
                "table_sys_id": wanted.sys_id,
                "file_name": wanted.file_name,
                "content_type": content_type,
                "size_bytes": str(size),
                "size_compressed": str(size),
                "hash": sha256,
                "chunk_size_bytes": "734003",
                "state": "pending",
            }
            records.add(TABLE, row)
            if self._instance.behaviour.attachments_touch_record:
                records.touch(table, wanted.sys_id)
        return row

    def remove(self, actor: Actor, sys_id: str) -> None:
        """Raises NoRecord, NotAllowed. The bytes stay: others may have the same."""
        with self._instance.records(actor) as records:
            row = records.get(TABLE, sys_id)
            records.delete(TABLE, sys_id)
            if self._instance.behaviour.attachments_touch_record:
                records.touch(table_named(row["table_name"]), row["table_sys_id"])

    def check_size(self, size: int) -> None:
        """Raises TooLarge."""
        most = self._instance.behaviour.attachment_bytes_max
        if size > most:
            raise TooLarge(f"Attachment is larger than {most} bytes")


def attachment_api(instance: Instance, uploads: Uploads) -> list[Blueprint]:
    """Build the resources, once for each version."""
    return [_version(instance, uploads, version) for version in VERSIONS]


def _version(instance: Instance, uploads: Uploads, version: str) -> Blueprint:
    name = f"attachment_api{version.replace('/', '_')}"
    blueprint = Blueprint(name, __name__, url_prefix=f"/api/now{version}/attachment")
    guard(blueprint, instance)
    _reading(blueprint, instance)
    _uploading(blueprint, instance, uploads)

    @blueprint.delete("/<sys_id>")
    def delete(sys_id: str) -> Response:
        uploads.remove(g.actor, sys_id)
        return Response(status=HTTPStatus.NO_CONTENT)

    return blueprint


def _reading(blueprint: Blueprint, instance: Instance) -> None:
    @blueprint.get("")
    def listed() -> Response:
        with instance.records(g.actor) as records:
            listing = Listing(records, TABLE, instance.behaviour)
            found = listing.read(read_page(LIST_LIMIT), read_manner())
        for each in found.records:
            _with_link(each)
        return found.answer()

    @blueprint.get("/<sys_id>")
    def shown(sys_id: str) -> Response:
        with instance.records(g.actor) as records:
            records.get(TABLE, sys_id)
            return result(_metadata(records, sys_id))

    @blueprint.get("/<sys_id>/file")
    def read(sys_id: str) -> Response:
        with instance.records(g.actor) as records:
            row = records.get(TABLE, sys_id)
            about = _metadata(records, sys_id)
        return file_answer(instance, row, about)


def _uploading(blueprint: Blueprint, instance: Instance, uploads: Uploads) -> None:
    @blueprint.post("/file")
    def upload() -> Response:
        request.max_content_length = FILE_BYTES_MAX
        if not request.content_type:
            raise NotUnderstood(None, "Header Content-Type is missing")
        wanted = Wanted.of(request.args, request.args.get("file_name", ""))
        uploads.check(g.actor, wanted)
        uploads.check_size(request.content_length or 0)
        kind, stream = request.content_type, request.stream
        return _made(instance, uploads.attach(g.actor, wanted, kind, stream))

    @blueprint.post("/upload")
    def upload_form() -> Response:
        request.max_content_length = FILE_BYTES_MAX
        if request.mimetype != "multipart/form-data" or not request.mimetype_params.get(
            "boundary"
        ):
            raise NotUnderstood(None, "the request was rejected: no multipart boundary")
        sent: Any = next(iter(request.files.values()), None)
        if sent is None:
            raise NotUnderstood(None, "Missing file part in the request")
        wanted = Wanted.of(request.form, sent.filename)
        uploads.check(g.actor, wanted)
        guessed = mimetypes.guess_type(wanted.file_name)[0]
        kind = sent.content_type or guessed or OCTETS
        return _made(instance, uploads.attach(g.actor, wanted, kind, sent.stream))


def _made(instance: Instance, row: Row) -> Response:
    with instance.records(g.actor) as records:
        built = result(_metadata(records, row["sys_id"]), HTTPStatus.CREATED)
    collection = request.base_url.rpartition("/")[0]
    built.headers["Location"] = f"{collection}/{row['sys_id']}"
    return built


def _metadata(records: Records, sys_id: str) -> dict[str, Any]:
    shapes = Shapes(records.connection, records.access, TABLE, read_manner())
    rows = records.connection.execute(
        f"SELECT {shapes.columns} FROM sys_attachment WHERE sys_id = ?",  # noqa: S608 - our names
        (sys_id,),
    ).fetchall()
    return _with_link(shapes.shown(rows)[0])


def _with_link(shown: dict[str, Any]) -> dict[str, Any]:
    """The metadata with where the bytes are."""
    sys_id = shown.get("sys_id", "")
    if isinstance(sys_id, dict):
        sys_id = sys_id["value"]
    if sys_id:
        api = read_manner().api
        shown["download_link"] = f"{api}/attachment/{sys_id}/file"
    return shown


def file_answer(instance: Instance, row: Row, about: dict[str, Any]) -> Response:
    """The bytes as they come from the disk."""
    made = send_file(
        instance.files.path(row["hash"]),
        mimetype=row["content_type"].partition(";")[0] or OCTETS,
        as_attachment=True,
        download_name=_UNPRINTABLE.sub("_", row["file_name"]),
        conditional=True,
        etag=row["hash"],
    )
    made.headers["X-Attachment-Metadata"] = json.dumps(about)  # in ASCII
    made.headers["X-Content-Type-Options"] = "nosniff"
    return made
