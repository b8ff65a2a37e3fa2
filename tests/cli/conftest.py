"""The command line as its users meet it: arguments in, two streams and a code out."""

from __future__ import annotations

from typing import Protocol

import pytest
from click.testing import CliRunner, Result

from rps.cli import main


class Rps(Protocol):
    def __call__(self, *arguments: str, stdin: str = "") -> Result: ...


@pytest.fixture
def environ(database: str) -> dict[str, str | None]:
    """What the commands see; everything else named RPS_ is taken away."""
    return {
        "RPS_DATABASE_URL": database,
        "RPS_DATA_DIR": None,
        "RPS_ALLOW_NETWORKS": "127.0.0.0/8",
        "NO_COLOR": "1",
    }


@pytest.fixture
def rps(environ: dict[str, str | None]) -> Rps:
    """Runs a command on the test's own database."""

    def run(*arguments: str, stdin: str = "") -> Result:
        runner = CliRunner(env=environ)
        return runner.invoke(main, list(arguments), input=stdin)

    return run
