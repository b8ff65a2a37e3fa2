"""rps system, rps token."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import make_server

from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Rps

    from rps.application import RemoteProcessSync

AWAY = "http://127.0.0.1:1/rps"


def state_of(rps: Rps, name: str) -> str:
    rows = json.loads(rps("system", "list", "-o", "json").stdout)
    return str(next(row["state"] for row in rows if row["name"] == name))


@pytest.fixture
def receiver(rps: Rps, tmp_path: Path) -> Iterator[str]:
    """The system `acme`, registered and disabled, with a sandbox behind it."""
    secret = rps("system", "add", "acme", "--url", AWAY).stdout.strip()
    flask_app = create_app(SandboxSettings("acme", tmp_path / "acme.sqlite", (secret,)))
    server = make_server("127.0.0.1", 0, flask_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/rps"
    rps("system", "add", "acme", "--url", url)
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_new_system_is_disabled_and_its_secret_shown_once(rps: Rps) -> None:
    first = rps("system", "add", "acme", "--url", AWAY)
    again = rps("system", "add", "acme", "--url", AWAY)

    assert first.stdout.startswith("whsec_")
    assert again.stdout == ""
    assert state_of(rps, "acme") == "disabled"


def test_a_secret_that_is_given_is_not_shown(rps: Rps) -> None:
    secret = "whsec_" + "QUFB" * 10

    result = rps(
        *("system", "add", "acme", "--url", AWAY, "--secret-file", "-"), stdin=secret
    )

    assert (result.exit_code, result.stdout) == (0, "")
    assert "QUFB" not in result.stderr


def test_a_system_may_take_many_messages_in_a_request(
    rps: Rps, application: RemoteProcessSync
) -> None:
    rps("system", "add", "acme", "--url", AWAY, "--batch", "100")

    system = application.configuration.refresh().system("top", "acme")
    assert system is not None
    assert system.settings["batch"] == 100
    result = rps("system", "add", "acme", "--url", AWAY, "--batch", "501")
    assert result.exit_code == 2


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://u:p@127.0.0.1/"])
def test_an_address_that_is_none_is_wrong_usage(rps: Rps, url: str) -> None:
    assert rps("system", "add", "acme", "--url", url).exit_code == 2


def test_a_secret_that_is_none_is_wrong_usage(rps: Rps) -> None:
    result = rps(
        *("system", "add", "acme", "--url", AWAY, "--secret-file", "-"), stdin="hello"
    )

    assert result.exit_code == 2


def test_a_system_that_does_not_answer_is_not_activated(rps: Rps) -> None:
    rps("system", "add", "acme", "--url", AWAY)

    result = rps("system", "activate", "acme")

    assert result.exit_code == 4
    assert state_of(rps, "acme") == "disabled"


def test_a_system_that_answers_is_activated(rps: Rps, receiver: str) -> None:
    result = rps("system", "activate", "acme", "-o", "json")

    shown: dict[str, Any] = json.loads(result.stdout)[0]
    assert (shown["state"], shown["url"]) == ("active", receiver)


def test_a_system_is_paused_resumed_and_disabled(rps: Rps) -> None:
    rps("system", "add", "acme", "--url", AWAY)
    rps("system", "activate", "acme", "--unchecked")

    states = []
    for command in (
        ("pause", "--reason", "x"),
        ("resume",),
        ("disable", "--reason", "x"),
    ):
        rps("system", command[0], "acme", *command[1:])
        states.append(state_of(rps, "acme"))

    assert states == ["paused", "active", "disabled"]


def test_a_disabled_system_cannot_be_paused(rps: Rps) -> None:
    rps("system", "add", "acme", "--url", AWAY)

    result = rps("system", "pause", "acme", "--reason", "x")

    assert result.exit_code == 1
    assert "rps system activate acme" in result.stderr


def test_a_system_nobody_registered_is_not_found(rps: Rps) -> None:
    assert rps("system", "resume", "acme").exit_code == 3


def test_a_token_is_issued_listed_and_revoked(rps: Rps) -> None:
    made = json.loads(
        rps(
            "token", "issue", "acme", "--role", "ih_process_sync_api", "-o", "json"
        ).stdout
    )

    listed = json.loads(rps("token", "list", "-o", "json").stdout)
    rps("token", "revoke", "acme", made["token_id"])
    after = json.loads(rps("token", "list", "-o", "json").stdout)

    assert [row["token_id"] for row in listed] == [made["token_id"]]
    assert made["token"] not in json.dumps(listed)
    assert [row["token_id"] for row in after] == [None]


def test_a_third_token_is_refused(rps: Rps) -> None:
    codes = [
        rps("token", "issue", "acme", "--role", "operator").exit_code for _ in range(3)
    ]

    assert codes == [0, 0, 1]


def test_a_token_for_nobody_is_not_found(rps: Rps) -> None:
    assert rps("token", "issue", "nobody").exit_code == 3


# --- ServiceNow ---------------------------------------------------------------------


def test_an_instance_is_added_with_its_password_from_a_file(
    rps: Rps, tmp_path: Path, application: RemoteProcessSync
) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    add = (
        "system",
        "add",
        "now",
        "--connector",
        "servicenow",
        "--url",
        "http://127.0.0.1:1",
    )
    made = rps(
        *(
            *add,
            "--username",
            "rps.sync",
            "--password-file",
            str(tmp_path / "password"),
        ),
        *("--display-value", "assignment_group", "--requests-per-hour", "5000"),
        *("--poll-from", "2026-01-31"),
    )
    assert made.exit_code == 0
    assert "correct horse" not in made.output
    system = application.configuration.refresh().system("top", "now")
    assert system is not None
    assert system.settings == {
        "url": "http://127.0.0.1:1",
        "secrets": ["now"],
        "auth": "basic",
        "username": "rps.sync",
        "display_values": ["assignment_group"],
        "requests_per_hour": 5000,
        "poll_from": "2026-01-31T00:00:00+00:00",
    }


def test_what_is_missing_or_out_of_place_names_its_option(rps: Rps) -> None:
    add = ("system", "add", "now", "--url", "http://127.0.0.1:1")
    for more, says in (
        (("--connector", "servicenow"), "--username: basic needs the account's name"),
        (
            ("--connector", "servicenow", "--username", "x"),
            "--password-file: basic needs",
        ),
        (("--poll-seconds", "5"), "--poll-seconds is for --connector servicenow"),
        (("--poll-from", "2026-01-31"), "--poll-from is for --connector servicenow"),
        (("--poll-from", "yesterday"), "'yesterday': give a time like"),
        (
            ("--connector", "servicenow", "--batch", "9"),
            "--batch is for --connector push",
        ),
        (
            ("--connector", "servicenow", "--no-dedupe"),
            "--no-dedupe is for --connector",
        ),
    ):
        refused = rps(*add, *more)
        assert refused.exit_code == 2
        assert says in refused.output


def test_a_check_tells_what_does_not_work_and_what_to_do(
    rps: Rps, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    add = (
        "system",
        "add",
        "now",
        "--connector",
        "servicenow",
        "--url",
        "http://127.0.0.1:1",
    )
    rps(*add, "--username", "x", "--password-file", str(tmp_path / "password"))
    told = rps("system", "check", "now", "-o", "json")
    assert told.exit_code == 4
    [row] = json.loads(told.stdout)
    assert (row["what"], row["result"]) == ("system", "error")
    assert "is the URL right?" in row["said"]
