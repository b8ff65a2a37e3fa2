"""rps init, rps migrate, and how every command meets a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from shared_tickets import now

from rps.application.tokens import authenticate
from rps.cli import COMMANDS, main

if TYPE_CHECKING:
    from conftest import Rps

    from rps.application import RemoteProcessSync


def test_init_prints_a_token_that_opens_the_api(
    rps: Rps, application: RemoteProcessSync
) -> None:
    token = rps("init").stdout.strip()

    principal = authenticate(token, application.configuration.refresh(), now())
    assert (principal.domain, principal.account) == ("top", "admin")
    assert principal.roles == {"admin"}


def test_init_shows_no_second_token(rps: Rps) -> None:
    first = json.loads(rps("init", "-o", "json").stdout)
    again = rps("init")

    assert first["token"].startswith("rps_")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "has a token already" in again.stderr


def test_migrate_names_what_it_applies_and_then_nothing(empty_database: str) -> None:
    runner = CliRunner(env={"RPS_DATABASE_URL": empty_database})

    first, second = runner.invoke(main, ["migrate"]), runner.invoke(main, ["migrate"])

    assert "0001_log.sql" in first.stdout.splitlines()
    assert (second.exit_code, second.stdout) == (0, "")


@pytest.mark.parametrize(
    "command", [["status"], ["audit", "verify"], ["system", "list"]]
)
def test_a_database_without_the_schema_is_told_how_to_get_it(
    empty_database: str, command: list[str]
) -> None:
    result = CliRunner(env={"RPS_DATABASE_URL": empty_database}).invoke(main, command)

    assert result.exit_code == 1
    assert "rps migrate" in result.stderr
    assert result.stdout == ""


def test_a_database_that_is_away_ends_with_4() -> None:
    away = {"RPS_DATABASE_URL": "postgresql://127.0.0.1:1/rps?connect_timeout=2"}

    result = CliRunner(env=away).invoke(main, ["status"])

    assert result.exit_code == 4
    assert result.stderr.startswith("rps: the database is away")


def test_a_wrong_setting_ends_with_2_and_names_all_of_them() -> None:
    wrong = {"RPS_PORT": "no", "RPS_API_THREADS": "0"}

    result = CliRunner(env=wrong).invoke(main, ["status"])

    assert result.exit_code == 2
    assert "RPS_PORT" in result.stderr
    assert "RPS_API_THREADS" in result.stderr


def test_every_command_explains_itself() -> None:
    helps = CliRunner().invoke(main, ["--help"])

    assert helps.exit_code == 0
    assert "Exit codes" in helps.stdout
    for name in COMMANDS:
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_a_command_that_is_not_there_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["resync"]).exit_code == 2
