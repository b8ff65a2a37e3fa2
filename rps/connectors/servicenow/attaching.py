"""The Attachment API, both ways; bytes are never held as a whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from rps.connectors.fetching import fetched, ranged
from rps.connectors.servicenow.answers import Good, NotThere, understood
from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.words import SYS_ID
from rps.connectors.streaming import Opened
from rps.connectors.transport import Answer, NoAnswer, NotSent
from rps.domain.delivery import (
    CutOff,
    Exchange,
    Incoming,
    Missing,
    Refused,
    Unavailable,
    Uncertain,
)
from rps.domain.problem import shown

if TYPE_CHECKING:
    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.instance import Instance, Row
    from rps.connectors.servicenow.keeping import Files
    from rps.domain.delivery import Attachment, Fetched, FilesListed

TABLE = "sys_attachment"
PATH = "attachment"
FIELDS = (
    *("sys_id", "file_name", "content_type", "size_bytes", "table_name"),
    *("table_sys_id", "sys_created_on", "sys_created_by"),
)
_ROWS_MAX = 1_000


def offered(row: Row) -> dict[str, Any] | None:
    """A file as a posted change has it, its SHA-256 left out: the API does not tell."""
    size = row.get("size_bytes", "")
    if not size.isdecimal() or len(size) > 15:  # noqa: PLR2004
        return None
    return {
        "id": row["sys_id"],
        "name": row.get("file_name", ""),
        "size": int(size),
        "type": row.get("content_type", ""),
    }


def opened(instance: Instance, file_id: str, offset: int = 0) -> Fetched:
    """The bytes of a file."""
    if SYS_ID.fullmatch(file_id) is None:
        return Missing(f"{shown(file_id)} is no sys_id")
    said = instance.stream(f"{PATH}/{file_id}/file", ranged({}, offset))
    match said:
        case Opened() if _is_page(said):
            said.pieces.close()
            return Unavailable("answered with a web page instead of a file")
        case Answer():
            return _no_file(said, instance.clock())
        case Opened() | NotSent() | NoAnswer():
            return fetched(said, offset, instance.clock())
        case _:
            kept: Fetched = said
            return kept


def _is_page(said: Opened) -> bool:
    """A log-in page, say: a file comes with what it is."""
    is_html = "html" in said.headers.get("content-type", "")
    return is_html and "x-attachment-metadata" not in said.headers


def _no_file(said: Answer, now: float) -> Fetched:
    found = understood(said, Exchange(), now, wrote=False)
    match found:
        case NotThere(detail):
            return Missing(detail)
        case Good():
            return Refused(f"answered {said.status}, which holds no file")
        case Uncertain(detail):
            return Unavailable(detail)
        case _:
            return found


def put(
    instance: Instance, files: Files, table: str, record_id: str, file: Attachment
) -> str | Trouble:
    """Attach it; answers its sys_id."""
    query = {
        "table_name": table,
        "table_sys_id": record_id,
        "file_name": file.name,
    }
    done = instance.upload(
        f"{PATH}/file", query, file.type, file.size, lambda: files.read(file.sha256)
    )
    if isinstance(done, NotThere):
        return Refused(f"{done.detail}: the record is not there", done.exchange)
    if not isinstance(done, Good):
        return done
    told = done.result if isinstance(done.result, dict) else {}
    file_id = str(told.get("sys_id", ""))
    if SYS_ID.fullmatch(file_id) is None:
        return Uncertain("the answer names no attachment", done.exchange)
    files.note(file_id, record_id, file.sha256, file.size)
    return file_id


def find(
    instance: Instance, files: Files, table: str, record_id: str, file: Attachment
) -> str | Trouble | None:
    """The sys_id of the file at the record, by its name, size and content."""
    query = f"table_name={table}^table_sys_id={record_id}^ORDERBYsys_created_on"
    came = instance.rows(TABLE, query, fields=FIELDS, limit=_ROWS_MAX, path=PATH)
    if not isinstance(came, Rows):
        return came
    for row in came.rows:
        if (row.get("file_name"), row.get("size_bytes"), row.get("table_sys_id")) != (
            file.name,
            str(file.size),
            record_id,
        ):
            continue
        sha256 = files.sha256_of(row["sys_id"]) or hash_of(instance, row["sys_id"])
        if not isinstance(sha256, str):
            return sha256
        files.note(row["sys_id"], record_id, sha256, file.size)
        if sha256 == file.sha256:
            return row["sys_id"]
    return None


def listed(instance: Instance, table: str, record_id: str) -> FilesListed:
    """Names of all files of the record. An instance leaves out what the account may not
    see, so they are all only where as many came as it has counted."""
    query = f"table_name={table}^table_sys_id={record_id}^ORDERBYsys_created_on"
    came = instance.rows(TABLE, query, fields=FIELDS, limit=_ROWS_MAX, path=PATH)
    match came:
        case Rows() if came.total != len(came.rows):
            return Refused("not all of its attachments may be seen")
        case Rows() if any(row.get("table_sys_id") != record_id for row in came.rows):
            return Refused("the list of its attachments shows those of others")
        case Rows():
            return {row["sys_id"]: row.get("file_name", "") for row in came.rows}
        case Uncertain(detail):
            return Unavailable(detail)
        case _:
            return came


def hash_of(instance: Instance, file_id: str) -> str | Trouble:
    came = opened(instance, file_id)
    if isinstance(came, Missing):
        return ""
    if not isinstance(came, Incoming):
        return came
    made = hashlib.sha256()
    try:
        for piece in came.pieces:
            made.update(piece)
    except CutOff as cut:
        return Unavailable(f"the file was cut off: {cut}")
    finally:
        came.pieces.close()
    return made.hexdigest()


def remove(instance: Instance, file_id: str) -> Trouble | None:
    done = instance.tell("DELETE", f"{PATH}/{file_id}")
    return None if isinstance(done, Good | NotThere) else done
