"""rps work: the workers, each a process, under a supervisor that restarts them."""

from __future__ import annotations

import click

from rps.cli.keys import require_keys
from rps.cli.lifetime import end_with, parent_option
from rps.cli.session import require_migrated
from rps.config import Config
from rps.postgres import open_server
from rps.workers.supervisor import Supervisor
from rps.workers.worker import KINDS, run

COUNT_MAX = 64


class WorkerCount(click.ParamType[tuple[str, int]]):
    """NAME or NAME=COUNT."""

    name = "NAME[=COUNT]"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Override click's."""
        kind, _, count = value.partition("=")
        if kind not in KINDS:
            self.fail(f"{kind!r} is not one of {', '.join(KINDS)}", param, ctx)
        if not (count or "1").isdecimal() or not 1 <= int(count or 1) <= COUNT_MAX:
            self.fail(f"{value}: give a number 1 to {COUNT_MAX}", param, ctx)
        return kind, int(count or 1)


@click.command()
@click.argument("kinds", nargs=-1, type=WorkerCount(), metavar="[NAME[=COUNT]]...")
@parent_option
def work(kinds: tuple[tuple[str, int], ...], parent: int | None) -> None:
    """Run workers until SIGTERM or Ctrl-C.

    One of each kind where none is named.

    Kinds: projector, receiver, deliverer, inquirer, fetcher, poller, sweeper, herald,
    notifier.

    For example:
    rps work deliverer=2
    """
    end_with(parent)
    wanted = dict(kinds) or dict.fromkeys(KINDS, 1)
    config = Config.from_environ()
    with open_server(config) as database_url:
        require_migrated(database_url)
        require_keys(config, database_url)
        Supervisor(wanted, lambda kind: run(kind, config, database_url)).run()


@click.command(hidden=True)
@click.argument("kind", type=click.Choice(KINDS))
def worker(kind: str) -> None:
    """Run one worker, where something else starts it again when it dies."""
    config = Config.from_environ()
    if not config.database_url:
        raise click.UsageError("RPS_DATABASE_URL is not set: use rps work")
    run(kind, config, config.database_url)
