"""The command line. Data goes to stdout, talk to stderr."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "demo": "rps.cli.demo:demo",
    "init": "rps.cli.setup:init",
    "migrate": "rps.cli.setup:migrate",
    "serve": "rps.cli.serve:serve",
    "work": "rps.cli.work:work",
    "worker": "rps.cli.work:worker",
    "sandbox": "rps.cli.sandbox:sandbox",
    "doctor": "rps.cli.doctor:doctor",
    "status": "rps.cli.status:status",
    "rebuild": "rps.cli.rebuild:rebuild",
    "compare": "rps.cli.compare:compare",
    "correlation": "rps.cli.correlations:correlation",
    "problems": "rps.cli.problems:problems",
    "conflict": "rps.cli.conflicts:conflict",
    "replay": "rps.cli.replays:replay",
    "notify": "rps.cli.notify:notify",
    "audit": "rps.cli.audit:audit",
    "trace": "rps.cli.trace:trace",
    "definition": "rps.cli.definitions:definition",
    "system": "rps.cli.systems:system",
    "connector": "rps.cli.connectors:connector",
    "keys": "rps.cli.keys:keys",
    "token": "rps.cli.tokens:token",
    "account": "rps.cli.accounts:account",
    "provider": "rps.cli.providers:provider",
}
"""Imported when asked for: a worker starts without Flask, gunicorn and rich."""

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)

EPILOG = """
\b
Exit codes:
  0  done
  1  failed, or something was found that needs a person
  2  wrong usage or configuration
  3  no such thing
  4  the database or a remote system cannot be reached
  5  what was compared differs (rps compare, rps audit compare,
     rps definition what-if)

\b
Environment (all may be left out):
  RPS_DATABASE_URL        PostgreSQL to use; without it an embedded one is run
  RPS_DATA_DIR            where the embedded PostgreSQL lives      [.rps]
  RPS_HOST, RPS_PORT      where the API listens         [127.0.0.1, 8080]
  RPS_ALLOW_NETWORKS      private networks deliveries may go to
  RPS_CA_FILE             certificates to trust beside the public ones (PEM)
  RPS_PUBLIC_URL          where people and other nodes reach this one
  RPS_PROXIES             how many proxies of yours are before it         [0]
  RPS_API_PROCESSES, RPS_API_THREADS, RPS_DELIVERER_THREADS, RPS_BREAKER_SECONDS
  RPS_READS_KEPT_DAYS     who looked at what is kept so long        [365]
  RPS_SMTP_URL, RPS_SMTP_FROM, RPS_APPRISE   how people are notified
  RPS_KEY_FILE, RPS_KEY, RPS_KEY_COMMAND   where the keys are  [.rps/keys]
  RPS_VERBOSE             as -v: 1 or 2
  NO_COLOR                no colours on the terminal
"""


class Commands(click.Group):
    """Loads a command when it is asked for, and ends it as the table of errors says."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        from rps.cli.errors import FORESEEN, as_failure  # noqa: PLC0415 - see COMMANDS

        try:
            return super().invoke(ctx)
        except FORESEEN as error:
            raise as_failure(error) from error


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="rps")
@click.option(
    "-v",
    "--verbose",
    count=True,
    envvar="RPS_VERBOSE",
    help="Say more on stderr; twice for all.",
)
def main(verbose: int) -> None:
    """Keep tickets in step between companies: in order, with the whole history."""
    logging.basicConfig(
        stream=sys.stderr,
        level=LEVELS[min(verbose, len(LEVELS) - 1)],
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
