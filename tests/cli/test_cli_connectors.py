"""rps connector, and rps system add for systems that are described."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from rps.application.secret_store import SecretStore
from rps.connectors.rest import presets

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps

    from rps.application import RemoteProcessSync

AWAY = "http://127.0.0.1:1"
ADD = ("system", "add", "desk", "--connector", "rest", "--url", AWAY)
GITLAB = ("--preset", "gitlab", "--set", "project=acme/desk")


@pytest.fixture
def secret(tmp_path: Path) -> str:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    return str(file)


def test_presets_are_listed_shown_and_checked_without_a_node(rps: Rps) -> None:
    rows = json.loads(rps("connector", "list", "-o", "json").stdout)
    assert {row["preset"]: row["class"] for row in rows}["roundup"] == "B"
    shown = rps("connector", "show", "generic")
    assert shown.stdout.encode() == presets.text("generic")
    assert rps("connector", "check", "generic").exit_code == 0
    missing = rps("connector", "show", "nobody")
    assert missing.exit_code == 1
    assert "there are generic, github" in missing.stderr


def test_a_file_with_mistakes_is_refused_with_all_of_them(
    rps: Rps, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    text = presets.text("generic").decode()
    file.write_text(text.replace("get: /ping", "get: ping").replace("detail:", "dtl:"))
    result = rps("connector", "check", str(file))
    assert result.exit_code == 1
    assert "did you mean 'detail'?" in result.stderr
    assert "a path that begins with one slash" in result.stderr
    assert "2 problem(s)" in result.stderr


def test_a_described_system_is_added_with_its_description_and_no_secret_in_it(
    rps: Rps, application: RemoteProcessSync, secret: str, database: str
) -> None:
    hook = ("--hook-secret-file", secret)
    polled = ("--poll-seconds", "9", "--poll-from", "2026-01-31T10:00:00+02:00")
    result = rps(*ADD, *GITLAB, "--secret-file", secret, *hook, *polled)
    assert result.exit_code == 0, result.stderr
    assert "of class D, asked for its changes" in result.stderr
    assert result.stdout == ""
    with psycopg.connect(database) as conn:
        names = conn.execute("SELECT name FROM secrets ORDER BY name").fetchall()
        events = conn.execute(
            "SELECT convert_from(state, 'UTF8') FROM rps_events"
            " WHERE topic = 'system.registered'"
        ).fetchall()
    assert names == [("desk",), ("desk.hook",)]
    store = SecretStore(application, os.urandom)
    assert store.live("top", ["desk", "desk.hook"]) == ["s3cret", "s3cret"]
    said: dict[str, Any] = json.loads(events[0][0])["settings"]
    assert said["described"]["name"] == "gitlab"
    assert (said["set"], said["poll_seconds"]) == ({"project": "acme/desk"}, 9)
    assert said["poll_from"] == "2026-01-31T08:00:00+00:00"
    assert "s3cret" not in events[0][0]
    away = rps("system", "activate", "desk")
    assert away.exit_code == 4
    assert "nothing listens there: is it running, and is the URL right?" in away.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--preset", "gitlab"), 1, "the setting 'project' is missing"),
        (GITLAB, 2, "desk needs its password, token or key: --secret-file FILE"),
        (("--preset", "nobody"), 3, "neither a file nor one of the presets"),
        ((*GITLAB, "--set", "x=y"), 1, "gitlab has no setting 'x'"),
        ((*GITLAB, "--set", "x"), 2, "write key=value"),
        ((), 2, "--connector rest and --preset go together"),
        ((*GITLAB, "--username", "x"), 2, "--username is for --connector"),
        ((*GITLAB, "--no-dedupe"), 2, "--no-dedupe is for --connector push"),
    ],
)
def test_what_is_missing_is_said(
    rps: Rps, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = rps(*ADD, *arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr


def test_a_live_test_of_a_system_that_is_away_fails_at_its_first_case(
    rps: Rps, secret: str
) -> None:
    result = rps(
        *("connector", "test", "generic", "--url", AWAY, "--secret-file", secret)
    )
    assert result.exit_code == 1
    assert "FAILED          check: " in result.stdout
    assert "1 of 1 cases failed" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("servicenow", "--username", "rps"), "--password-file: basic needs it"),
        (("servicenow", "--set", "a=b"), "--set is of no use with servicenow"),
        (("servicenow", "--no-dedupe"), "--no-dedupe is of no use with servicenow"),
        (("push", "--username", "rps"), "--username is of no use with push"),
        (("push",), "a secret has 24 to 64 bytes"),
        (("generic", "--table", "x"), "--table is of no use with generic"),
        (("generic", "--display-value", "x"), "--display-value is of no use"),
        (("generic", "--ca", "no-such-file"), "does not exist"),
    ],
)
def test_an_option_that_is_missing_or_of_another_kind_is_named(
    rps: Rps, arguments: tuple[str, ...], says: str
) -> None:
    result = rps("connector", "test", *arguments, "--url", AWAY)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_an_instance_and_a_receiver_that_are_away_say_so(
    rps: Rps, secret: str, tmp_path: Path
) -> None:
    login = ("--username", "rps", "--password-file", secret)
    instance = rps("connector", "test", "servicenow", "--url", AWAY, *login)
    signs = tmp_path / "whsec"
    signs.write_text(f"whsec_{'b' * 40}")
    receiver = rps(
        *("connector", "test", "push", "--url", AWAY, "--secret-file", str(signs)),
        *("-o", "json"),
    )
    assert "FAILED          check: " in instance.stdout
    [only] = json.loads(receiver.stdout)["results"]
    for result, says in ((instance, instance.stdout), (receiver, only["says"])):
        assert result.exit_code == 1
        assert "nothing listens there: is it running" in says
