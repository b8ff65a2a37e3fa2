"""rps audit: exported, verified, told."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from shared_tickets import change, now, share

from rps.application.captured import Poster
from rps.cli.timeline import WORDS
from rps.domain.events import EVENTS
from rps.log.chain import GENESIS, hash_of

if TYPE_CHECKING:
    from conftest import Rps

    from rps.application import RemoteProcessSync


def tamper(database: str, *statements: str) -> None:
    """What somebody with all rights on the database can do."""
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE rps_events DISABLE TRIGGER USER")
        for statement in statements:
            connection.execute(statement)
        connection.execute("ALTER TABLE rps_events ENABLE TRIGGER USER")


def test_an_edited_and_a_removed_comment_are_told_of(
    rps: Rps, application: RemoteProcessSync
) -> None:
    key = share(application)
    for number, entry in enumerate(({"text": "two"}, {"deleted": True}), start=2):
        said = {"id": "c1", "journal": "comments", **entry}
        application.intake.capture(
            Poster("top", "acme"), [{**change(number), "entries": [said]}], now()
        )
    shown = rps("audit", "timeline", key, "-o", "json").stdout
    assert "comments: two" in shown
    assert "comments: (removed)" in shown


def test_an_untouched_log_verifies_and_shows_where_it_ends(
    rps: Rps, application: RemoteProcessSync
) -> None:
    share(application, 5)
    position, digest = application.recorder.head()

    result = rps("audit", "verify")

    assert result.exit_code == 0
    assert result.stdout.strip() == f"{position}:{digest.hex()}"


@pytest.mark.parametrize(
    "statement",
    [
        (
            "UPDATE rps_events SET state = overlay(state PLACING '\\x58' FROM 20)"
            " WHERE notification_id = 4"
        ),
        "DELETE FROM rps_events WHERE notification_id = 4",
        "UPDATE rps_events SET topic = 'change.ignored' WHERE notification_id = 6",
        (
            "DELETE FROM rps_events"
            " WHERE notification_id = (SELECT max(notification_id) FROM rps_events)"
        ),
    ],
)
def test_a_log_that_was_tampered_with_is_found_out(
    rps: Rps, application: RemoteProcessSync, database: str, statement: str
) -> None:
    share(application, 3)
    tamper(database, statement)

    result = rps("audit", "verify", "-o", "json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["breaks"]


def test_a_log_rewritten_with_its_hashes_is_found_by_the_hash_that_was_kept(
    rps: Rps, application: RemoteProcessSync
) -> None:
    share(application, 3)
    kept = rps("audit", "verify").stdout.strip()
    position, _, digest = kept.partition(":")
    other = f"{position}:{hashlib.sha256(digest.encode()).hexdigest()}"

    assert rps("audit", "verify", "--against", kept).exit_code == 0
    assert rps("audit", "verify", "--against", other).exit_code == 1


@pytest.mark.parametrize("text", ["7", "x:00", "7:zz", "7:abcd"])
def test_a_checkpoint_that_is_none_is_wrong_usage(rps: Rps, text: str) -> None:
    assert rps("audit", "verify", "--against", text).exit_code == 2


def test_the_export_holds_every_event_with_its_hash(
    rps: Rps, application: RemoteProcessSync
) -> None:
    share(application, 3)
    head, digest = application.recorder.head()

    exported = rps("audit", "export").stdout.splitlines()
    lines = [json.loads(line) for line in exported]

    assert [line["position"] for line in lines] == list(range(1, head + 1))
    assert lines[-1]["hash"] == digest.hex()
    previous = GENESIS
    for text, line in zip(exported, lines, strict=True):
        stored = text.partition(',"event":')[2][:-1].encode()
        stream = UUID(line["stream"])
        previous = hash_of(
            *(previous, line["position"], stream, line["version"], line["topic"]),
            stored,
        )
        assert previous.hex() == line["hash"]


def test_the_export_goes_on_where_the_last_one_ended(
    rps: Rps, application: RemoteProcessSync
) -> None:
    share(application, 3)
    head, _ = application.recorder.head()

    lines = rps("audit", "export", "--after", str(head - 2)).stdout.splitlines()

    assert [json.loads(line)["position"] for line in lines] == [head - 1, head]


def test_a_timeline_is_found_by_record_and_by_correlation(
    rps: Rps, application: RemoteProcessSync
) -> None:
    correlation_id = share(application, 2)

    by_record = json.loads(rps("audit", "timeline", "INC1", "-o", "json").stdout)
    by_id = json.loads(rps("audit", "timeline", correlation_id, "-o", "json").stdout)

    assert by_record == by_id
    assert by_record[0]["text"].startswith("anna changed INC1: short_description")


def test_a_timeline_reads_as_words(rps: Rps, application: RemoteProcessSync) -> None:
    share(application)

    table = rps("audit", "timeline", "INC1").stdout

    assert "to be told: zenith" in table


def test_a_record_nobody_shares_is_not_found(rps: Rps) -> None:
    assert rps("audit", "timeline", "INC9").exit_code == 3


def test_every_event_of_a_correlation_has_words() -> None:
    assert set(WORDS) == set(EVENTS)
