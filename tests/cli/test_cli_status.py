"""rps status, rebuild, replay, doctor: what a node says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from shared_tickets import change, now, project, share

from rps.application.captured import Poster

if TYPE_CHECKING:
    from conftest import Rps

    from rps.application import RemoteProcessSync


def run_sql(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(statement)


def findings(rps: Rps) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rps("doctor", "-o", "json").stdout)
    return [finding for finding in found if finding["level"] != "ok"]


@pytest.fixture
def sound(rps: Rps, application: RemoteProcessSync) -> str:
    """A node with nothing wrong: two systems, one message waiting. The correlation."""
    correlation_id = share(application)
    for name in ("acme", "zenith"):
        rps("system", "add", name, "--url", "http://127.0.0.1:9/rps")
    project(application)
    return correlation_id


def test_status_counts_what_waits_by_system(
    rps: Rps, application: RemoteProcessSync, sound: str
) -> None:
    application.intake.capture(Poster("top", "acme"), [change(7)], now())

    found = json.loads(rps("status", "-o", "json").stdout)

    assert sound
    inbound, outbound = found["inbound_queue"], found["outbound_queue"]
    assert [(r["system"], r["status"], r["changes"]) for r in inbound] == [
        ("acme", "ready", 1)
    ]
    assert [(r["system"], r["status"], r["messages"]) for r in outbound] == [
        ("zenith", "ready", 1)
    ]
    assert {view["behind"] for view in found["log"]["views"]} == {1}


def test_status_reads_as_a_table(rps: Rps, sound: str) -> None:
    table = rps("status").stdout

    assert sound
    assert "zenith" in table
    assert "inbound queue: empty" in table


def test_a_sound_node_has_no_findings(rps: Rps, sound: str) -> None:
    assert sound
    assert rps("doctor").exit_code == 0
    assert findings(rps) == []


@pytest.mark.parametrize(
    ("statement", "check", "level"),
    [
        (
            "ALTER TABLE rps_events DISABLE TRIGGER rps_events_append_only",
            "schema",
            "error",
        ),
        ("UPDATE outbound_queue SET status = 'error'", "parked", "error"),
        ("DELETE FROM secrets WHERE name = 'acme'", "secrets", "error"),
        (
            "INSERT INTO breakers VALUES ('top', 'zenith', 1, now(), NULL, 'refused')",
            "breakers",
            "warning",
        ),
        (
            (
                "UPDATE inbound_queue SET status = 'ready',"
                " captured_at = now() - interval '1 hour'"
            ),
            "receivers",
            "error",
        ),
        ("UPDATE rps_tracking SET notification_id = -20000", "views", "warning"),
        (
            (
                "INSERT INTO polls (domain, system, record_table, attempts, detail)"
                " VALUES ('top', 'acme', 'incident', 3, 'answered 500')"
            ),
            "polls",
            "error",
        ),
        ("DELETE FROM rps_migrations WHERE name LIKE '0004%'", "schema", "error"),
    ],
)
def test_the_doctor_finds_it_and_says_what_to_do(
    rps: Rps, database: str, sound: str, statement: str, check: str, level: str
) -> None:
    run_sql(database, statement)

    found = findings(rps)

    assert sound
    assert {(f["check"], f["level"]) for f in found} == {(check, level)}
    assert all(f["cause"] and f["remedy"] for f in found)
    assert rps("doctor").exit_code == (1 if level == "error" else 0)


def test_the_doctor_finds_messages_that_wait_for_a_paused_system(
    rps: Rps, sound: str
) -> None:
    rps("system", "pause", "zenith", "--reason", "x")

    assert sound
    assert [f["remedy"] for f in findings(rps)] == ["rps system resume zenith"]


def test_the_doctor_finds_systems_that_deliveries_may_not_go_to(
    rps: Rps, environ: dict[str, str | None], sound: str
) -> None:
    environ["RPS_ALLOW_NETWORKS"] = "10.0.0.0/8"

    assert sound
    assert {f["check"] for f in findings(rps)} == {"addresses"}


def test_the_doctor_finds_tokens_that_end_soon(rps: Rps, sound: str) -> None:
    rps("token", "issue", "acme", "--role", "operator", "--days", "3")

    assert sound
    assert [(f["check"], f["level"]) for f in findings(rps)] == [("tokens", "warning")]


def test_the_doctor_says_when_the_database_is_away(
    rps: Rps, environ: dict[str, str | None]
) -> None:
    environ["RPS_DATABASE_URL"] = "postgresql://127.0.0.1:1/rps?connect_timeout=2"

    assert [f["check"] for f in findings(rps)] == ["database"]


def test_a_rebuilt_view_is_the_live_one(rps: Rps, sound: str) -> None:
    assert sound
    assert rps("rebuild").exit_code == 0
    assert rps("rebuild", "--check").exit_code == 0


def test_a_view_that_lost_a_row_is_found_and_mended(
    rps: Rps, database: str, sound: str
) -> None:
    run_sql(database, "DELETE FROM links")

    assert sound
    check = rps("rebuild", "--check", "links", "-o", "json")
    assert check.exit_code == 1
    assert {row["table"] for row in json.loads(check.stdout)} == {"links"}
    assert rps("rebuild", "links").exit_code == 0
    assert rps("rebuild", "--check", "links").exit_code == 0


def test_a_view_that_is_none_is_wrong_usage(rps: Rps) -> None:
    assert rps("rebuild", "nothing").exit_code == 2


def test_a_replay_is_planned_started_and_cancelled(rps: Rps, sound: str) -> None:
    plan = json.loads(
        rps(
            *("replay", "plan", "--correlation", sound, "--reason", "lost a disk"),
            *("-o", "json"),
        ).stdout
    )

    started = json.loads(rps("replay", "start", plan["id"], "-o", "json").stdout)
    rps("replay", "cancel", plan["id"], "--reason", "found it")
    latest = json.loads(rps("replay", "status", "-o", "json").stdout)

    assert [lane["member"] for lane in plan["planned"]] == ["zenith"]
    assert started[0]["state"] == "started"
    assert [(r["id"], r["state"]) for r in latest] == [(plan["id"], "cancelled")]


def test_a_replay_of_everything_by_mistake_is_wrong_usage(rps: Rps) -> None:
    assert rps("replay", "plan", "--reason", "x").exit_code == 2


@pytest.mark.parametrize("name", ["x", "00000000-0000-0000-0000-000000000000"])
def test_a_replay_nobody_planned_is_not_found(rps: Rps, name: str) -> None:
    assert rps("replay", "start", name).exit_code == 3
