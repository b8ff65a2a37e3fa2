"""Measure rps, its rivals and the limits, one after the other, n times."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from bench import machine
from bench.deployment import Deployment
from bench.measures import chosen, measures
from bench.outcome import Outcome, Size
from bench.peers import STRONGEST, NoPeers, Peer, peers_in
from bench.report import verdicts, write_report
from bench.results import Results
from bench.sink import NoCompiler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measures import Measures

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
WRONG_USAGE, INTERRUPTED = 2, 130
OURS_NOT = ("peer-", "baseline-", "limit-")
"""What these names begin is not rps: its faults are told, and are not ours."""


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 where rps lost, repeated or reordered something, or did not answer."""
    asked = _asked(arguments)
    results = Results.read(asked.results)
    if asked.report:
        write_report(results, HERE)
        return 0
    try:
        peers = peers_in(asked.peers.resolve(), asked.peer) if asked.peers else []
    except NoPeers as error:
        return _told(error)
    every = measures(peers)
    names = chosen(every, asked.only, peers)
    if not names:
        print(f"no such measure; there are: {', '.join(every)}", file=sys.stderr)
        return WRONG_USAGE
    return _run(asked, results, {name: every[name] for name in names}, peers)


def _run(
    asked: argparse.Namespace,
    results: Results,
    wanted: Measures,
    peers: Sequence[Peer],
) -> int:
    size = Size(asked.changes, asked.keys, asked.seconds, asked.minutes)
    kept = None if asked.print_only else asked.results
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave nothing behind
    try:
        with Deployment() as deployment:
            key = results.begin(_facts(deployment, asked, size, peers))
            _measure(deployment, size, wanted, asked.reps, (results, key, kept))
    except NoCompiler as error:
        return _told(error)
    except KeyboardInterrupt:
        print("interrupted; nothing was left running", file=sys.stderr)
        return INTERRUPTED
    if kept:
        write_report(results, HERE)
    for line in verdicts(results, wanted):
        print(line)
    faults = results.faults(wanted)
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)
    return 1 if any(not fault.startswith(OURS_NOT) for fault in faults) else 0


def _facts(
    deployment: Deployment,
    asked: argparse.Namespace,
    size: Size,
    peers: Sequence[Peer],
) -> dict[str, object]:
    with psycopg.connect(deployment.server.dsn("postgres")) as connection:
        found = machine.facts(connection)
    return {
        "at": datetime.now(UTC).date().isoformat(),
        "command": _command(asked),
        "size": asdict(size) | {"reps": asked.reps},
        "machine": found,
        "peers": {peer.name: "Python" if peer.in_python else "Node" for peer in peers},
    }


def _measure(
    deployment: Deployment,
    size: Size,
    wanted: Measures,
    reps: int,
    where: tuple[Results, str, Path | None],
) -> None:
    """Interleaved: what else the machine does meanwhile hits all of them alike."""
    results, key, kept = where
    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as bars:
        bar = bars.add_task("", total=reps * len(wanted))
        for _ in range(reps):
            for name, measure in wanted.items():
                bars.update(bar, description=name)
                try:
                    outcome = measure(deployment, size)
                except Exception as error:  # noqa: BLE001 - the others are still to come
                    outcome = Outcome({}, [f"{type(error).__name__}: {error}"])
                results.add(key, name, outcome)
                if kept:
                    results.write(kept)
                figures = " ".join(f"{k}={v:,.1f}" for k, v in outcome.values.items())
                bars.console.print(
                    *(name, figures, *outcome.faults),
                    highlight=False,
                    soft_wrap=True,
                    markup=False,
                )
                bars.advance(bar)


def _told(error: Exception) -> int:
    print(error, file=sys.stderr)
    return WRONG_USAGE


def _command(asked: argparse.Namespace) -> str:
    """What was asked for, with the user's own folder left out."""
    words = ["--changes", asked.changes, "--keys", asked.keys, "--reps", asked.reps]
    words += ["--seconds", asked.seconds, "--minutes", asked.minutes]
    for name in asked.only:
        words += ["--only", name]
    if asked.peers:
        words += ["--peers", "DIR"]
        if tuple(asked.peer) != STRONGEST:
            words += [word for name in asked.peer for word in ("--peer", name)]
    return f'make bench BENCH="{shlex.join(map(str, words))}"'


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    add = parser.add_argument
    add("--changes", type=int, default=5000)
    add("--keys", type=int, default=500)
    add("--reps", type=int, default=1, help="rounds; medians want three")
    add("--seconds", type=int, default=20, help="of the open loop for latency")
    add("--minutes", type=float, default=10, help="of the run that looks at memory")
    add(
        "--only",
        action="append",
        metavar="NAME",
        default=[],
        help="only what begins so, may be repeated: "
        f"{', '.join(measures([]))}, and with --peers peer-intake-8, peer-drain, "
        "peer-latency, peer-faults, peer-slow",
    )
    add("--peers", type=Path, metavar="DIR", help="folder of peers to run beside")
    add(
        "--peer",
        action="append",
        metavar="NAME",
        help=f"which of them, may be repeated; else {', '.join(STRONGEST)}",
    )
    add("--results", type=Path, metavar="FILE", default=RESULTS)
    add("--print-only", action="store_true", help="keep nothing, write no report")
    add("--report", action="store_true", help="only write RESULTS.md anew")
    asked = parser.parse_args(arguments)
    asked.peer = asked.peer or list(STRONGEST)
    return asked


if __name__ == "__main__":
    sys.exit(main())
