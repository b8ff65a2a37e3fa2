"""Who looked at what: recorded once a minute, chained, kept as long as it has to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from eventsourcing.persistence import ProgrammingError
from logs import capture, captured

from rps.application.checkpoints import Checkpoints
from rps.application.reads import Reads
from rps.log.checkpoint import Checkpoint
from rps.log.reads import GENESIS, ReadsVerified, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.application import RemoteProcessSync

ANNA = ("top/acme", "anna", "api", "192.0.2.7", "correlation")


@pytest.fixture
def seconds() -> list[float]:
    """The clock, which a test sets."""
    return [0.0]


@pytest.fixture
def reads(application: RemoteProcessSync, seconds: list[float]) -> Reads:
    return Reads(application.datastore, lambda: seconds[0])


def checked(reads: Reads, kept: Mapping[int, bytes] | None = None) -> ReadsVerified:
    after = reads.forgotten()
    return verify(reads.all(after[0]), after, kept or {})


def tamper(database: str, statement: str) -> None:
    with psycopg.connect(database) as conn:
        conn.execute("ALTER TABLE reads DISABLE TRIGGER USER")
        conn.execute(statement)  # type: ignore[arg-type]


def test_each_look_is_recorded_and_the_same_again_within_a_minute_is_not(
    reads: Reads, seconds: list[float]
) -> None:
    reads.note(*ANNA, "one")
    reads.note(*ANNA, "one")
    reads.note(*ANNA, "two")
    seconds[0] = 61.0
    reads.note(*ANNA, "one")
    assert [row.object for row in reads.all(0)] == ["one", "two", "one"]
    assert reads.forgotten() == (0, GENESIS)
    assert checked(reads) == ReadsVerified(3, 3, ())


def test_text_of_any_kind_is_hashed_alike_here_and_there(reads: Reads) -> None:
    for about in ("", "Grüße 世界 🎈", "a'b\"c\\", "line\nline", "x" * 500):
        reads.note("top", "ann|b", "command", "host", "what-if", about)
    assert checked(reads).breaks == ()
    assert len(list(reads.all(0))[-1].object) == 300


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE reads SET reader = 'bob' WHERE number = 2", 2),
        ("UPDATE reads SET at = at + interval '1 hour' WHERE number = 3", 3),
        ("DELETE FROM reads WHERE number = 2", 3),
        ("UPDATE reads SET what = 'x', object = 'y' || object WHERE number = 1", 1),
    ],
)
def test_a_read_that_was_changed_is_named(
    reads: Reads, database: str, statement: str, position: int
) -> None:
    for about in ("one", "two", "three", "four"):
        reads.note(*ANNA, about)
    tamper(database, statement)
    assert checked(reads).breaks[0].position == position


def test_a_checkpoint_covers_the_reads_before_it(
    application: RemoteProcessSync, reads: Reads, database: str
) -> None:
    application.recorder.append([capture(captured("c1"))])
    reads.note(*ANNA, "one")
    reads.note(*ANNA, "two")
    note = Checkpoints(application).make("ada", datetime.now(UTC))
    number, digest = Checkpoint.of(note.text).reads or (0, b"")
    assert number == 2
    assert checked(reads, {number: digest}).breaks == ()
    tamper(database, "DELETE FROM reads WHERE number = 2")
    assert checked(reads).breaks == ()
    assert "they end at 1" in checked(reads, {number: digest}).breaks[0].detail
    reads.note(*ANNA, "another")
    [wrong] = checked(reads, {number: digest}).breaks
    assert "a checkpoint was signed for" in wrong.detail


def test_reads_go_when_they_were_kept_long_enough_and_the_rest_still_verifies(
    reads: Reads, database: str
) -> None:
    reads.note(*ANNA, "old")
    reads.note(*ANNA, "older than that")
    tamper(database, "UPDATE reads SET at = now() - interval '400 days'")
    rehash(database)
    reads.note(*ANNA, "new")
    assert checked(reads).breaks == ()
    now = datetime.now(UTC)
    with pytest.raises(ProgrammingError, match="thirty days"):
        reads.forget(now - timedelta(days=29))
    assert reads.forget(now - timedelta(days=365)) == 2
    assert reads.forget(now - timedelta(days=365)) == 0
    assert [row.object for row in reads.all(0)] == ["new"]
    assert checked(reads) == ReadsVerified(1, 3, ())


def rehash(database: str) -> None:
    """As if they had been written then."""
    tamper(
        database,
        """
        DO $$ DECLARE r record; last bytea := sha256('rps reads'); BEGIN
        FOR r IN SELECT * FROM reads ORDER BY number LOOP
            last := rps_read_hash(last, r.number, r.at, r.domain, r.reader, r.via,
                                  r.place, r.what, r.object);
            UPDATE reads SET hash = last WHERE number = r.number;
        END LOOP; END $$
        """,
    )


def test_they_are_found_by_domain_reader_and_object(reads: Reads) -> None:
    reads.note(*ANNA, "one")
    reads.note("top/else", "ben", "api", "", "conflict", "7")
    reads.note("top/acme", "ben", "api", "", "correlation", "one/two")
    found = reads.found("top/acme", 2**62, 10)
    assert [row["number"] for row in found] == [3, 1]
    assert [r["number"] for r in reads.found(None, 2**62, 10, reader="ben")] == [3, 2]
    assert [r["number"] for r in reads.found(None, 2**62, 10, about="one")] == [3, 1]
    assert [r["number"] for r in reads.found("top/acme", 3, 1)] == [1]
