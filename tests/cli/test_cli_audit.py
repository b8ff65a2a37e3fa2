"""rps audit: exported, verified, told."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner
from shared_tickets import change, link, now, share

from rps.application.captured import Poster
from rps.application.channels import Channels
from rps.application.secret_store import SecretStore
from rps.cli import main
from rps.cli.timeline import WORDS
from rps.config import Config
from rps.connectors.transport import Transport
from rps.domain.correlation import Correlation
from rps.domain.events import EVENTS
from rps.log.chain import GENESIS, hash_of
from rps.log.checkpoint import notes_in
from rps.workers.notifier import Notifier

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
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

    told = [line for line in lines if "position" in line]
    assert [line["position"] for line in told] == list(range(1, head + 1))
    assert lines[-1] == {"head": {"position": head, "hash": digest.hex()}}
    previous = GENESIS
    for text, line in zip(exported[-head - 1 : -1], told, strict=True):
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

    said = [json.loads(line) for line in lines]
    assert [line["position"] for line in said if "position" in line] == [head - 1, head]


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


# --- checkpoints, proofs, witnesses ---------------------------------------------------


def written(rps: Rps, path: Path, *arguments: str) -> Path:
    path.write_bytes(rps("audit", *arguments).stdout_bytes)
    return path


def offline(*arguments: str) -> Result:
    """Without a database to ask."""
    runner = CliRunner(env={"RPS_DATABASE_URL": "postgresql://nowhere.invalid/x"})
    return runner.invoke(main, ["audit", *arguments])


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_an_export_is_verified_without_the_node_against_what_a_witness_kept(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path, form: str
) -> None:
    share(application, 3)
    kept = written(rps, tmp_path / "kept.txt", "checkpoint")
    key = rps("audit", "key", "show").stdout.strip()
    path = written(rps, tmp_path / f"log.{form}", "export", "--format", form)

    found = offline(
        "verify", str(path), "--checkpoint", str(kept), "--key", key, "-o", "json"
    )
    [said] = json.loads(found.stdout)
    assert found.exit_code == 0
    assert said["seen_to"] == said["head"] == application.recorder.head()[0]
    assert (said["unproven"], said["keys"]) == ([], [key])

    path.write_bytes(path.read_bytes().replace(b"text 2", b"text 3"))
    found = offline("verify", str(path), "--checkpoint", str(kept))
    assert found.exit_code == 1
    assert "the event is not what was written" in found.stderr


def test_without_anything_from_outside_verify_says_what_is_not_proven(
    rps: Rps, application: RemoteProcessSync
) -> None:
    share(application)
    rps("audit", "checkpoint")
    found = rps("audit", "verify")
    assert found.exit_code == 0
    assert "not proven: no checkpoint from outside was given" in found.stderr
    assert "not proven: no key and no checkpoint" in found.stderr


def test_a_message_is_proven_in_a_file_of_its_own(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path
) -> None:
    key = share(application, 2)
    message = messages_of(application, key)[0]
    path = tmp_path / "proof.ndjson"
    assert rps("audit", "prove", message, "-o", str(path)).exit_code == 0

    kept = written(rps, tmp_path / "kept.txt", "checkpoint")
    found = offline("verify", str(path), "--checkpoint", str(kept))
    assert found.exit_code == 0, found.stderr
    assert f"message {message}" in found.stdout
    assert "seen by a witness" in found.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    topics = [line["topic"] for line in lines if "topic" in line]
    assert topics == ["change.captured", "change.accepted"]
    assert b"text 2" not in path.read_bytes()  # nothing of other changes

    path.write_text(path.read_text().replace("text 1", "text 9"))
    assert offline("verify", str(path)).exit_code == 1
    assert rps("audit", "prove", "nosuch").exit_code == 3
    assert rps("audit", "prove", message, "--at", "7777").exit_code == 3


def test_a_selection_is_proven_too(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path
) -> None:
    key = share(application, 2)
    for number, given in enumerate(
        (
            ("--domain", "top"),
            ("--correlation", key),
            ("--definition", "ticket.shared"),
            ("--since", "2020-01-01", "--until", "2100-01-01"),
        )
    ):
        path = written(rps, tmp_path / f"{number}.ndjson", "export", *given)
        found = offline("verify", str(path), "-o", "json")
        [said] = json.loads(found.stdout)
        assert (found.exit_code, said["breaks"]) == (0, []), given
        assert said["events"] > 3
    every = offline("verify", str(tmp_path))
    assert every.exit_code == 0
    assert every.stderr.count("event(s) read") == 4
    assert rps("audit", "export", "--definition", "no.such").exit_code == 3
    assert rps("audit", "export", "--domain", "top", "--after", "3").exit_code == 2


def test_a_witness_in_a_file_gets_the_checkpoints(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path
) -> None:
    share(application)
    path = tmp_path / "kept.txt"
    assert rps("audit", "witness", "add", "vault", "--file", str(path)).exit_code == 0
    [row] = json.loads(rps("audit", "witness", "list", "-o", "json").stdout)
    assert (row["name"], row["kind"], row["waiting"]) == ("vault", "file", 1)
    config = Config.from_environ({})
    secrets = SecretStore(application, os.urandom)
    channels = Channels(config, Transport(()), secrets)
    with closing(Notifier(application, channels.channel, now, lambda: 0.5)) as notifier:
        notifier.work()
    assert rps("audit", "verify", "--checkpoint", str(path)).exit_code == 0
    (note,) = notes_in(path.read_text())
    assert str(note) == rps("audit", "checkpoint").stdout
    assert rps("audit", "witness", "remove", "vault").exit_code == 0
    assert json.loads(rps("audit", "witness", "list", "-o", "json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("witness", "add", "w"), "one of --file, --url, --to, --node"),
        (("witness", "add", "w", "--file", "/nosuch/x"), "No such file"),
        (("witness", "add", "w", "--node", "acme"), "no linked node"),
        (("witness", "add", "w", "--to", "x"), "no address"),
        (("witness", "add", "w", "--url", "ftp://x"), "--url"),
        (("witness", "add", "w w\t", "--file", "/tmp/x"), "NAME"),
        (("verify", "--checkpoint", "/nosuch"), "No such file"),
        (("verify", "--checkpoint", "/dev/null"), "holds no checkpoint"),
        (("verify", "--key", "rps/x+00+AA"), "a key is written"),
        (("verify", "/nosuch"), "does not exist"),
    ],
)
def test_what_cannot_be_used_is_said(
    rps: Rps, application: RemoteProcessSync, arguments: tuple[str, ...], says: str
) -> None:
    link(application)
    found = rps("audit", *arguments)
    assert found.exit_code == 2
    assert says in found.stderr


def test_a_key_that_is_rotated_stays_listed(
    rps: Rps, application: RemoteProcessSync
) -> None:
    share(application)
    old = rps("audit", "key", "show").stdout.strip()
    new = rps("audit", "key", "rotate").stdout.strip()
    assert rps("audit", "key", "show").stdout.split() == [old, new]
    assert rps("audit", "verify", "--key", old).exit_code == 0


def test_who_looked_at_what_is_shown(rps: Rps, application: RemoteProcessSync) -> None:
    key = share(application)
    rps("audit", "timeline", "INC1")
    rps("trace", messages_of(application, key)[0])
    rps("audit", "export")
    rows = json.loads(rps("audit", "reads", "-o", "json").stdout)
    assert [row["what"] for row in rows] == ["export", "execution", "timeline"]
    assert {row["via"] for row in rows} == {"command"}
    assert [r["object"] for r in rows] == [
        "the log",
        messages_of(application, key)[0],
        "INC1",
    ]
    assert "nobody" not in rps("audit", "reads", "--about", "INC1").stderr
    assert "nobody" in rps("audit", "reads", "--reader", "no one").stderr


def test_exports_that_share_no_message_are_not_compared(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path
) -> None:
    share(application)
    path = str(written(rps, tmp_path / "log.ndjson", "export"))
    found = offline("compare", path, path)
    assert found.exit_code == 1
    assert "no message is in both" in found.stderr


def messages_of(application: RemoteProcessSync, key: str) -> list[str]:
    found = application.find(Correlation, UUID(key))
    assert found is not None
    return list(found.pending)
