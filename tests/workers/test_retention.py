"""The bytes of files go once they were where they were to go for long enough."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from desk import Desk
from workplace import DEFINITION

from rps.application.blobs import CHUNK_BYTES
from rps.application.retention import PIECES_AT_ONCE, Retention
from rps.workers.sweeper import RETENTION_EVERY, Sweeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

SMALL = b"a screenshot"
DAYS = timedelta(days=90)
MOMENT = timedelta(minutes=1)


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    made = Desk(database)
    keep(made, "90 d")
    yield made
    made.close()


def keep(desk: Desk, days: str | None) -> None:
    document: dict[str, Any] = deepcopy(DEFINITION)
    document["attachments"] = {"journal": "comments", "size_max": "1 GB"}
    if days is not None:
        document["retention"] = {"attachments": days}
    desk.application.apply_definition(document, "tester", desk.now())


def later(desk: Desk, by: timedelta) -> datetime:
    return max(desk.now(), *[row[0] for row in desk.ask("SELECT now()")]) + by


def blobs(desk: Desk) -> int:
    (row,) = desk.ask("SELECT count(*) FROM blobs")
    return int(row[0])


def delivered(desk: Desk, content: bytes = SMALL, **more: Any) -> None:
    desk.offers(desk.acme.offer(content), **more)
    desk.fetched()


def test_a_file_is_kept_for_the_days_said_and_then_taken_away(desk: Desk) -> None:
    delivered(desk)
    retention = Retention(desk.application)

    assert retention.work(later(desk, DAYS - MOMENT)) == 0
    assert blobs(desk) == 1
    assert retention.work(later(desk, DAYS + MOMENT)) == 1
    assert (blobs(desk), desk.ask("SELECT count(*) FROM blob_chunks")[0][0]) == (0, 0)


def test_without_retention_everything_stays(desk: Desk) -> None:
    delivered(desk)
    keep(desk, None)
    assert Retention(desk.application).work(later(desk, 100 * DAYS)) == 0
    assert blobs(desk) == 1


def test_a_file_that_a_message_still_carries_stays(desk: Desk) -> None:
    delivered(desk)
    desk.offers(desk.acme.offer(SMALL), record_id="A2")
    desk.receive()
    desk.fetch()  # released, and not sent yet

    assert Retention(desk.application).work(later(desk, DAYS + MOMENT)) == 0
    assert blobs(desk) == 1


def test_the_last_message_counts_and_not_when_the_file_came(desk: Desk) -> None:
    delivered(desk)
    desk.ask("UPDATE blobs SET made_at = made_at - interval '100 days' RETURNING 1")
    retention = Retention(desk.application)

    assert retention.work(later(desk, MOMENT)) == 0
    assert retention.work(later(desk, DAYS + MOMENT)) == 1


def test_a_file_stays_where_another_definition_lets_nothing_go(desk: Desk) -> None:
    other: dict[str, Any] = deepcopy(DEFINITION)
    other["process_event"] = "problem.shared"
    other["attachments"] = {"journal": "comments"}
    for name, table in (("acme", "problem"), ("zenith", "defect")):
        other["members"][name]["table"] = table
    desk.application.apply_definition(other, "tester", desk.now())
    delivered(desk)
    delivered(desk, record_id="P1", table="problem")
    assert desk.written() == [["shot.png"], ["shot.png"]]

    assert Retention(desk.application).work(later(desk, DAYS + MOMENT)) == 0


def test_a_file_that_nobody_offered_yet_stays(desk: Desk) -> None:
    writing = desk.application.blobs.begin("top", "0" * 64, 3)
    assert writing is not None
    writing.take(b"abc")
    writing.flush()
    writing.leave()

    assert Retention(desk.application).work(later(desk, DAYS + MOMENT)) == 0
    assert blobs(desk) == 1


def test_another_domain_keeps_its_own_copy(desk: Desk) -> None:
    delivered(desk)
    sha256 = desk.ask("SELECT sha256 FROM blobs")[0][0]
    writing = desk.application.blobs.begin("top/else", sha256, len(SMALL))
    assert writing is not None
    writing.take(SMALL)
    assert writing.finish()

    assert Retention(desk.application).work(later(desk, DAYS + MOMENT)) == 1
    assert desk.ask("SELECT domain FROM blobs")[0][0] == "top/else"


def test_a_file_that_is_wanted_again_is_pulled_again(desk: Desk) -> None:
    delivered(desk)
    Retention(desk.application).work(later(desk, DAYS + MOMENT))

    delivered(desk, record_id="A2")

    assert desk.blob(SMALL) == SMALL
    assert len(desk.acme.asked) == 2
    assert desk.written() == [["shot.png"], ["shot.png"]]


def test_a_large_file_goes_piece_by_piece_and_is_whole_or_a_beginning(
    desk: Desk,
) -> None:
    content = bytes(range(256)) * (CHUNK_BYTES // 256) * (PIECES_AT_ONCE + 6)
    delivered(desk, content)
    retention = Retention(desk.application)
    seen: list[tuple[int, int]] = []
    ask = retention._ask

    def looked(sql: str, params: dict[str, Any]) -> list[Any]:
        seen.extend(
            desk.ask(
                "SELECT stored, (SELECT coalesce(sum(length(content)), 0)"
                " FROM blob_chunks) FROM blobs WHERE NOT complete"
            )
        )
        return ask(sql, params)

    retention._ask = looked  # type: ignore[method-assign]
    assert retention.work(later(desk, DAYS + MOMENT)) == 1

    assert [stored for stored, _ in seen] == [len(content), 6 * CHUNK_BYTES, 0]
    assert all(stored == there for stored, there in seen)
    assert blobs(desk) == 0


def test_a_removal_that_was_killed_is_gone_on_with(desk: Desk) -> None:
    delivered(desk)
    desk.ask(
        "UPDATE blobs SET complete = false, stored = 0, holder = %s,"
        " leased_until = now() + interval '1 minute' RETURNING 1",
        uuid4(),
    )
    desk.ask("DELETE FROM blob_chunks RETURNING 1")
    retention = Retention(desk.application)

    assert retention.work(later(desk, DAYS + MOMENT)) == 0  # it may be at it still
    desk.ask("UPDATE blobs SET leased_until = now() RETURNING 1")
    assert retention.work(later(desk, DAYS + MOMENT)) == 1
    assert blobs(desk) == 0


def test_the_sweeper_looks_after_it_every_few_minutes(desk: Desk) -> None:
    delivered(desk)
    now = later(desk, timedelta())
    sweeper = Sweeper(desk.application, lambda: now)

    assert sweeper.work() == 0
    now = later(desk, DAYS + MOMENT)
    assert sweeper.work() == 1
    assert sweeper.work() == 0
    delivered(desk, b"other", record_id="A2")
    assert sweeper.work() == 0
    now += RETENTION_EVERY
    assert sweeper.work() == 1
    assert blobs(desk) == 0


def test_the_views_are_rebuilt_as_they_were(desk: Desk) -> None:
    """Only bytes go: which message carried which file is the log's story."""
    delivered(desk)
    before = desk.ask("SELECT message_id, sha256, waits FROM message_attachments")
    Retention(desk.application).work(later(desk, DAYS + MOMENT))
    after = desk.ask("SELECT message_id, sha256, waits FROM message_attachments")
    assert before == after
