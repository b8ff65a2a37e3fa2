"""rps serve --workers: one command, one node; others attach to it meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import urllib3
from click.testing import CliRunner

from rps.cli import main
from rps.cli.demo.processes import free_port
from rps.postgres import EmbeddedServer
from rps.sandbox.roundup import tracker
from rps.sandbox.roundup.tracker import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    EmbeddedServer(tmp_path / "data" / "postgres").destroy()


def test_a_node_serves_lets_others_attach_and_leaves_nothing(data_dir: Path) -> None:
    environ = {
        "RPS_DATA_DIR": str(data_dir),
        "RPS_PORT": str(free_port()),
        "RPS_DATABASE_URL": "",
        "RPS_API_PROCESSES": "1",
    }
    token = CliRunner(env=environ).invoke(main, ["init"]).stdout.strip()
    node = subprocess.Popen(
        [sys.executable, "-m", "rps", "serve", "--workers"],
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert node.stderr
    url = next(
        found[1] for line in node.stderr if (found := re.search(r"serving (\S+)", line))
    )

    status = CliRunner(env=environ).invoke(main, ["status", "-o", "json"])
    answer = urllib3.request(
        "GET", f"{url}/v1/systems", headers={"Authorization": f"Bearer {token}"}
    )
    node.send_signal(signal.SIGTERM)
    _, said = node.communicate(timeout=60)

    assert json.loads(status.stdout)["log"]["head"] > 0
    assert (answer.status, answer.json()) == (200, {"systems": []})
    assert node.returncode == 0, said
    assert EmbeddedServer(data_dir / "postgres").pid is None


@pytest.mark.parametrize("kinds", [["postman"], ["receiver=0"], ["receiver=x"]])
def test_workers_that_are_none_are_wrong_usage(kinds: list[str]) -> None:
    assert CliRunner().invoke(main, ["work", *kinds]).exit_code == 2


def test_a_sandbox_listens_on_loopback_only(tmp_path: Path) -> None:
    database = str(tmp_path / "x.sqlite")

    result = CliRunner().invoke(
        main, ["sandbox", "x", "--database", database, "--host", "192.0.2.1"]
    )

    assert result.exit_code == 2


@pytest.mark.parametrize("kind", [[], ["push"]])
@pytest.mark.parametrize("first", [True, False])
def test_a_sandbox_without_a_kind_is_the_ticket_system(
    tmp_path: Path, kind: list[str], first: bool
) -> None:
    wrong = ["--host", "192.0.2.1", "--database", str(tmp_path / "x.sqlite")]
    words = ["desk", *wrong] if first else [*wrong, "desk"]

    result = CliRunner().invoke(main, ["sandbox", *kind, *words])

    assert "host '192.0.2.1': give a loopback address" in result.stderr
    assert result.exit_code == 2


def test_kinds_of_sandboxes_are_listed() -> None:
    result = CliRunner().invoke(main, ["sandbox", "--help"])
    for kind in ("push", "servicenow", "roundup"):
        assert kind in result.stdout


@pytest.mark.parametrize(
    "command", [["sandbox", "roundup", "desk", "--home"], ["demo", "--data-dir"]]
)
def test_without_the_tracker_it_says_how_to_get_it(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "find_spec", lambda _name: None)
    result = CliRunner().invoke(main, [*command, str(tmp_path / "new")])
    assert result.exit_code == 2
    assert "pip install 'rps[demo]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_is_set_up_once_and_moves_to_another_port(tmp_path: Path) -> None:
    """It is told where it is reached: it compares that with each write's Origin."""
    settings = TrackerSettings("desk", tmp_path / "desk", "a password", port=81)
    tracker.set_up(settings)
    before = (tmp_path / "desk" / "db" / "db").stat().st_mtime_ns
    tracker.set_up(replace(settings, port=82))
    config = (tmp_path / "desk" / "config.ini").read_text()
    assert "web = http://127.0.0.1:82/" in config
    assert (tmp_path / "desk" / "db" / "db").stat().st_mtime_ns == before
