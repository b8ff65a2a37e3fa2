"""What is kept for connectors is kept for all processes."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from rps.application import RemoteProcessSync
from rps.application.blobs import BlobContradicted
from rps.application.remote_parts import RemoteFiles, RemoteParts, RequestBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"0123456789" * 250_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def application(database: str) -> Iterator[RemoteProcessSync]:
    made = RemoteProcessSync(database, connections=8)
    yield made
    made.close()


def in_pieces() -> Iterator[bytes]:
    for at in range(0, len(CONTENT), 65536):
        yield CONTENT[at : at + 65536]


def test_a_part_that_was_begun_stays_begun_until_it_is_done(
    application: RemoteProcessSync,
) -> None:
    parts = RemoteParts(application.datastore, "top", "acme")
    assert parts.part("c", "entry 1") is None
    parts.begin("c", "entry 1", "ok", 1_700_000_000.5)
    parts.begin("c", "entry 1", "other", 1_800_000_000.0)
    begun = parts.part("c", "entry 1")
    assert begun is not None
    assert (begun.begun, begun.done) == (1_700_000_000.5, False)
    assert parts.twins("c", "ok", 0.0) == 0
    parts.done("c", "entry 1", "abc")
    assert parts.twins("c", "ok", 1_700_000_000.0) == 1
    assert parts.twins("c", "ok", 1_700_000_001.0) == 0
    done = parts.part("c", "entry 1")
    assert done is not None
    assert (done.done, done.remote_id) == (True, "abc")
    assert (
        RemoteParts(application.datastore, "top", "zenith").part("c", "entry 1") is None
    )


def test_a_budget_is_shared_by_all_who_ask(application: RemoteProcessSync) -> None:
    per_hour = 3600
    taken: list[float] = []

    def ask() -> None:
        budget = RequestBudget(application.datastore, "top", "acme", per_hour)
        taken.extend(budget.take() for _ in range(30))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 60 <= taken.count(0.0) <= 75  # a minute's worth, and what came meanwhile
    assert min(wait for wait in taken if wait) >= 1.0


def test_a_file_of_unknown_content_is_taken_in_once(
    application: RemoteProcessSync,
) -> None:
    for source in ("acme/1", "acme/2"):
        told = application.blobs.receive("top", source, len(CONTENT), in_pieces())
        assert told == SHA256
    standing = application.blobs.standing("top", SHA256)
    assert standing is not None
    assert standing.complete
    assert b"".join(application.blobs.read("top", SHA256)) == CONTENT
    with application.datastore.get_connection() as conn:
        rows = conn.execute("SELECT count(*) FROM blobs").fetchall()
    assert [
        tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in rows
    ] == [(1,)]


def test_of_a_file_that_ended_too_early_nothing_is_left(
    application: RemoteProcessSync,
) -> None:
    with pytest.raises(BlobContradicted):
        application.blobs.receive("top", "acme/1", len(CONTENT) + 1, in_pieces())
    told = application.blobs.receive("top", "acme/1", len(CONTENT), in_pieces())
    assert told == SHA256


def test_bytes_that_are_gone_are_no_file(application: RemoteProcessSync) -> None:
    files = RemoteFiles(application.datastore, "top", "acme")
    files.note("1" * 32, "r", SHA256, 3)
    assert files.id_of(SHA256) == "1" * 32
    assert files.sha256_of("1" * 32) == SHA256
    with pytest.raises(OSError, match="not here"):
        list(files.read(SHA256))
