"""Measure rps, a hand-written baseline and the limits, one after the other, n times."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from bench.deployment import Deployment
from bench.measures import MEASURES
from bench.outcome import Outcome, Size
from bench.report import closing, document, faults_of, machine, table_of

WIDTH = 100


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 where a run lost, repeated or reordered something."""
    asked = _asked(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave nothing behind
    names = [
        name
        for name in MEASURES
        if not asked.only or any(name.startswith(only) for only in asked.only)
    ]
    if not names:
        print(f"no such measure; there are: {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    size = Size(asked.changes, asked.keys, asked.seconds)
    runs: dict[str, list[Outcome]] = {name: [] for name in names}
    try:
        facts = _facts_after(size, runs, asked.reps)
    except KeyboardInterrupt:
        print("interrupted; nothing was left running", file=sys.stderr)
        return 130
    out = Console(width=None if sys.stdout.isatty() else WIDTH)
    out.print(table_of(runs))
    for line in closing(runs, facts):
        out.print(line, highlight=False, soft_wrap=True)
    if asked.json:
        text = orjson.dumps(document(runs, facts), option=orjson.OPT_INDENT_2)
        asked.json.write_bytes(text)
    faults = faults_of(runs)
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)
    return 1 if faults else 0


def _facts_after(
    size: Size, runs: dict[str, list[Outcome]], reps: int
) -> dict[str, Any]:
    """Fill `runs`; what the machine was."""
    with Deployment() as deployment:
        with psycopg.connect(deployment.server.dsn()) as connection:
            version = str(connection.info.parameter_status("server_version"))
        facts = machine(version)
        measure(deployment, size, runs, reps)
    return facts


def measure(
    deployment: Deployment, size: Size, runs: dict[str, list[Outcome]], reps: int
) -> None:
    """Interleaved: what else the machine does meanwhile hits all of them alike."""
    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as bars:
        bar = bars.add_task("", total=reps * len(runs))
        for _ in range(reps):
            for name, outcomes in runs.items():
                bars.update(bar, description=name)
                outcome = MEASURES[name](deployment, size)
                outcomes.append(outcome)
                figures = " ".join(f"{k}={v:,.1f}" for k, v in outcome.values.items())
                bars.console.print(
                    name, figures, *outcome.faults, highlight=False, soft_wrap=True
                )
                bars.advance(bar)


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--changes", type=int, default=5000)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument(
        "--seconds", type=int, default=20, help="of the open loop for latency"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help=f"only what begins so, may be repeated: {', '.join(MEASURES)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write it there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
