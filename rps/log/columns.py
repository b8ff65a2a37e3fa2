"""Columns of rows on their way to PostgreSQL: binary arrays, encoded as a whole.

psycopg encodes arrays an element at a time in Python; these take a sixth of that, which
was the largest part of an append.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from operator import attrgetter
from struct import Struct, error
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

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
    encode: Callable[[Iterable[Any]], Iterable[bytes]]
    size: int | None


def _uuids(values: Iterable[UUID]) -> Iterable[bytes]:
    return [number.to_bytes(16) for number in map(attrgetter("int"), values)]


def _uuid_texts(values: Iterable[str]) -> Iterable[bytes]:
    encoded = [bytes.fromhex(value.replace("-", "")) for value in values]
    if encoded and set(map(len, encoded)) != {16}:
        raise ValueError("not every one of these is a UUID")
    return encoded


def _moments(values: Iterable[datetime]) -> Iterable[bytes]:
    return [_BIGINT((value - _EPOCH) // _MICROSECOND) for value in values]


_ENCODINGS: dict[Kind, _Encoding] = {
    "uuid": _Encoding(2950, _uuids, 16),
    "uuid_text": _Encoding(2950, _uuid_texts, 16),
    "text": _Encoding(25, partial(map, str.encode), None),
    "bytea": _Encoding(17, partial(map, bytes), None),
    "smallint": _Encoding(21, partial(map, Struct(">h").pack), 2),
    "integer": _Encoding(23, partial(map, Struct(">i").pack), 4),
    "bigint": _Encoding(20, partial(map, _BIGINT), 8),
    "bool": _Encoding(16, partial(map, {False: b"\0", True: b"\1"}.__getitem__), 1),
    "float8": _Encoding(701, partial(map, Struct(">d").pack), 8),
    "moment": _Encoding(1184, _moments, 8),
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
    try:
        encoded = list(encode(values))
    except (AttributeError, KeyError, TypeError, error):
        body = _with_nulls(encode, values)
    else:
        body = _sized(encoded) if size is None else _joined(_SIZE(size), encoded)
    return Column(_HEAD.pack(1, 1, oid, len(values), 1) + body)


def _joined(size: bytes, encoded: Sequence[bytes]) -> bytes:
    return size + size.join(encoded)


def _sized(encoded: Sequence[bytes]) -> bytes:
    return b"".join(
        chain.from_iterable(zip(map(_SIZE, map(len, encoded)), encoded, strict=True))
    )


def _with_nulls(
    encode: Callable[[Iterable[Any]], Iterable[bytes]], values: Sequence[Any]
) -> bytes:
    encoded = iter(encode([value for value in values if value is not None]))
    return b"".join(
        [_NULL if value is None else _sized((next(encoded),)) for value in values]
    )


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
