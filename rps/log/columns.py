"""Columns of rows on their way to PostgreSQL: binary arrays, encoded as a whole.

psycopg encodes arrays an element at a time in Python; these take a sixth of that, which
was the largest part of an append.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct, error
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Connection

Kind = Literal[
    "uuid",
    "uuid_text",
    "text",
    "bytea",
    "smallint",
    "integer",
    "bigint",
    "bool",
    "float8",
    "moment",
]

_HEAD = Struct(">iiIii")
_SIZE = Struct(">i").pack
_NULL = _SIZE(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BIGINT = Struct(">q").pack


class _Encoding(NamedTuple):
    oid: int
    encode: Callable[[Any], bytes]
    size: int | None


def _moment(value: datetime) -> bytes:
    return _BIGINT((value - _EPOCH) // _MICROSECOND)


def _uuid_text(value: str) -> bytes:
    encoded = bytes.fromhex(value.replace("-", ""))
    if len(encoded) != 16:  # noqa: PLR2004 - a UUID's bytes
        raise ValueError(f"{value!r} is no UUID")
    return encoded


_ENCODINGS: dict[Kind, _Encoding] = {
    "uuid": _Encoding(2950, lambda value: value.bytes, 16),
    "uuid_text": _Encoding(2950, _uuid_text, 16),
    "text": _Encoding(25, str.encode, None),
    "bytea": _Encoding(17, bytes, None),
    "smallint": _Encoding(21, Struct(">h").pack, 2),
    "integer": _Encoding(23, Struct(">i").pack, 4),
    "bigint": _Encoding(20, _BIGINT, 8),
    "bool": _Encoding(16, {False: b"\0", True: b"\1"}.__getitem__, 1),
    "float8": _Encoding(701, Struct(">d").pack, 8),
    "moment": _Encoding(1184, _moment, 8),
}


@dataclass(frozen=True, slots=True)
class Column:
    """An array as PostgreSQL's array_recv takes it."""

    encoded: bytes


def column(kind: Kind, values: Sequence[Any]) -> Column:
    """`values` as an array parameter; None is NULL, moments are aware datetimes."""
    oid, encode, size = _ENCODINGS[kind]
    if not values:
        return Column(_HEAD.pack(0, 0, oid, 0, 0)[:12])
    if size is not None:
        prefix = _SIZE(size)
        try:
            body = prefix + prefix.join(map(encode, values))
        except (AttributeError, KeyError, TypeError, error):  # there are NULLs
            body = b"".join(
                [_NULL if each is None else prefix + encode(each) for each in values]
            )
    else:
        body = b"".join([_sized(encode, each) for each in values])
    return Column(_HEAD.pack(1, 1, oid, len(values), 1) + body)


def _sized(encode: Callable[[Any], bytes], value: Any) -> bytes:
    if value is None:
        return _NULL
    encoded = encode(value)
    return _SIZE(len(encoded)) + encoded


def columns(kinds: Sequence[Kind], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """Rows turned into one array a column."""
    turned: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return [column(kind, values) for kind, values in zip(kinds, turned, strict=True)]


class _ColumnDumper(Dumper):
    """Without a type of its own: the statement's cast names it."""

    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return obj.encoded


def register(conn: Connection[Any]) -> None:
    """Let `conn` take Column parameters."""
    conn.adapters.register_dumper(Column, _ColumnDumper)
