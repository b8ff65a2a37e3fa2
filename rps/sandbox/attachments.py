"""Files of tickets as rows; the bytes are elsewhere, by their SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from rps.sandbox.answers import SandboxRefusal

if TYPE_CHECKING:
    import sqlite3


class AttachmentMissing(SandboxRefusal):
    """The ticket has no such file, or its bytes are not here yet."""

    status = HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True)
class File:
    """`state`: here, or coming from rps; `deleted`: no part of the ticket any more."""

    id: str
    name: str = ""
    size: int = 0
    type: str = ""
    sha256: str = ""
    version: int = 1
    deleted: bool = False
    state: str = "here"
    reason: str = ""

    def offered(self) -> dict[str, Any]:
        """As rps is told of it."""
        if self.deleted:
            return {"id": self.id, "deleted": True}
        return {
            "id": self.id,
            "name": self.name,
            "size": self.size,
            "type": self.type,
            "sha256": self.sha256,
        }


_COLUMNS = "id, name, size, type, sha256, version, deleted, state, reason"


class Attachments:
    """Those of one ticket, within one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, table: str, record_id: str
    ) -> None:
        self._connection = connection
        self._record = {"table": table, "record_id": record_id}

    def all(self) -> list[File]:
        """Those that are not deleted, in the order they came."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM attachments WHERE table_name = :table"  # noqa: S608 - our columns
            " AND record_id = :record_id AND NOT deleted ORDER BY n",
            self._record,
        )
        return [_file(row) for row in rows]

    def get(self, file_id: str) -> File:
        """Raises AttachmentMissing."""
        for file in self.all():
            if file.id == file_id:
                return file
        raise AttachmentMissing(f"{self._record['record_id']} has no file {file_id}")

    def put(self, file: File) -> bool:
        """Attach it, or new content of it, or remove it; whether that was news."""
        if file.deleted:
            sql = (
                "UPDATE attachments SET deleted = 1 WHERE table_name = :table"
                " AND record_id = :record_id AND id = :id AND NOT deleted"
            )
        else:
            sql = (
                "INSERT INTO attachments (table_name, record_id, id, name, size, type,"
                " sha256, version, state) VALUES (:table, :record_id, :id, :name,"
                " :size, :type, :sha256, :version, :state)"
                " ON CONFLICT (table_name, record_id, id) DO UPDATE SET"
                " name = excluded.name, size = excluded.size, type = excluded.type,"
                " sha256 = excluded.sha256, state = excluded.state, deleted = 0,"
                " version = max(excluded.version, version + 1), reason = ''"
                " WHERE deleted OR sha256 <> excluded.sha256"
            )
        done = self._connection.execute(sql, {**self._record, **_row(file)})
        return done.rowcount == 1


def coming(connection: sqlite3.Connection, most: int) -> list[File]:
    """Files that are to be pulled, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM attachments WHERE state = 'coming' AND NOT deleted"  # noqa: S608 - our columns
        " ORDER BY n LIMIT :most",
        {"most": most},
    )
    return [_file(row) for row in rows]


def came(connection: sqlite3.Connection, sha256: str) -> None:
    """The bytes with this content are here."""
    connection.execute(
        "UPDATE attachments SET state = 'here', reason = '' WHERE sha256 = :sha256",
        {"sha256": sha256},
    )


def did_not_come(connection: sqlite3.Connection, sha256: str, reason: str) -> None:
    """Note why an attempt failed that will be made again."""
    connection.execute(
        "UPDATE attachments SET reason = :reason"
        " WHERE sha256 = :sha256 AND state = 'coming'",
        {"sha256": sha256, "reason": reason},
    )


def _row(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "size": file.size,
        "type": file.type,
        "sha256": file.sha256,
        "version": file.version,
        "state": file.state,
    }


def _file(row: sqlite3.Row) -> File:
    values = dict(row)
    return File(**{**values, "deleted": bool(values["deleted"])})
