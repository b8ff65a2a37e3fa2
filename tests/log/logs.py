"""A log to append to, and events as they come."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import psycopg
from examples import STREAM, example

from rps.application import SERVING_ROLE, RemoteProcessSync
from rps.log.append import NEXT, Append, Fence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.log.recorder import LogRecorder


@contextmanager
def opened(dsn: str, role: str = SERVING_ROLE) -> Iterator[LogRecorder]:
    """The log of a node, with its views."""
    application = RemoteProcessSync(dsn, role=role)
    try:
        yield application.recorder
    finally:
        application.close()


def stream(name: str) -> UUID:
    return uuid5(STREAM, name)


def captured(change_id: str, record: str = "R1", **changes: Any) -> Any:
    """A change of `record`, not yet recorded."""
    return example(
        "change.captured",
        **{
            "originator_id": stream(record),
            "originator_version": NEXT,
            "record_id": record,
            "change_id": change_id,
            "fingerprint": change_id,
            "idempotency_key": None,
            "sequence": 0,
            **changes,
        },
    )


def capture(*events: Any, configuration: int | None = None) -> Append:
    return Append(events, configuration=configuration, capture=True)


def linked(record: str, correlation: str, version: int = NEXT) -> Append:
    """Links `record` to a correlation: refused where it is linked to another one."""
    return Append(
        [
            example(
                "correlation.linked",
                originator_id=stream(correlation),
                originator_version=version,
                record_id=record,
            )
        ]
    )


def claimed(dsn: str, record: str) -> Fence:
    """The way in of the record's correlation, taken by a holder."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        row = conn.execute(
            "UPDATE lanes SET epoch = epoch + 1, holder = 'me',"
            " leased_until = now() + interval '1 minute'"
            " WHERE correlation_id = %s AND direction = 'in' RETURNING epoch",
            [stream(record)],
        ).fetchone()
    assert row is not None
    return Fence(stream(record), "in", "", row[0])


def ignored(record: str, sequence: int) -> Any:
    return example(
        "change.ignored",
        originator_id=stream(record),
        originator_version=NEXT,
        sequence=sequence,
    )
