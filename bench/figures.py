"""What is to be reached, and whether it was.

The numbers are those of the issue this benchmark answers; a ratio is always ours
against the best rival of the same kind of work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measures import DEPTHS, LOGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.results import Figure, Results

INTAKE_RIVALS = ("peer-intake-8:*", "baseline-intake-8")
DRAIN_RIVALS = ("peer-drain:*", "baseline-drain-*")
FAULT_RIVALS = ("peer-faults:*",)
SLOW_RIVALS = ("peer-slow:*", "baseline-slow-32")
BATCHES = ("capture-batch-1", "capture-batch-4", "capture-batch-8", "capture-stream-1")
ONE_PROCESS = ("limit-requests-1x1", "limit-requests-1x8")
FLAT = 0.2
MEMORY_FLAT = 0.1

REACHED, MISSED, NOT_MEASURED = "reached", "**missed**", "not measured"


@dataclass(frozen=True, slots=True)
class Target:
    """`least` of ours (or of ours / rival, where there are rivals); or `most`."""

    number: int
    title: str
    ours: tuple[str, ...]
    least: float = 0.0
    most: float = 0.0
    rivals: tuple[str, ...] = ()
    value: str = "per_second"
    ambition: float = 0.0
    python: bool = False
    unit: str = "/s"


@dataclass(frozen=True, slots=True)
class Judged:
    number: int
    title: str
    wanted: str
    reached: str
    verdict: str


TARGETS = (
    Target(
        *(1, "batches of 100 over HTTP / strongest rival's intake, 8 producers"),
        BATCHES,
        least=3,
        ambition=5,
        rivals=INTAKE_RIVALS,
    ),
    *(
        Target(
            *(1, f"batches of 100 over HTTP / psycopg alone in groups of 100, {what}"),
            BATCHES,
            least=0.4,
            rivals=(rivals,),
        )
        for what, rivals in (
            ("`executemany`", "limit-commit-many-*"),
            ("one `unnest` a group", "limit-commit-group-*"),
        )
    ),
    Target(
        *(1, "single posts from 32 clients / strongest rival's intake, 8 producers"),
        ("capture-32",),
        least=0.6,
        rivals=INTAKE_RIVALS,
    ),
    *(
        Target(
            *(2, f"drain, one request a message, backlog {what} / best Python rival"),
            (name,),
            least=1,
            ambition=1.5,
            rivals=DRAIN_RIVALS,
            python=True,
        )
        for what, name in (
            ("accepted", "drain-1"),
            ("captured (the receiver judges meanwhile)", "drain-captured-1"),
        )
    ),
    *(
        Target(
            *(2, f"drain, one request a message / `requests` alone, {processes}"),
            (ours,),
            least=0.8,
            rivals=rivals,
        )
        for processes, ours, rivals in (
            ("1 process (better of 1 and 8 threads)", "drain-1", ONE_PROCESS),
            ("2 processes", "drain-2", ("limit-requests-2x1",)),
        )
    ),
    *(
        Target(
            *(3, f"drain in batches, backlog {what} / graphile-worker, local queue"),
            (name,),
            least=1,
            rivals=("peer-drain:graphile-worker-local",),
        )
        for what, name in (
            ("accepted", "drain-batched-1"),
            ("captured", "drain-batched-captured-1"),
        )
    ),
    Target(
        *(9, "between nodes, batches of 100 / one request a message"),
        ("nodes-batched",),
        least=1,
        rivals=("nodes-one",),
    ),
    *(
        Target(4, title, ("latency",), most=most, value=value, unit=" ms")
        for title, value, most in (
            ("100 changes/s, due to arrived, p50", "arrived_p50_ms", 7),
            ("100 changes/s, due to arrived, p99", "arrived_p99_ms", 15),
            ("100 changes/s, due to acknowledged, p99", "acknowledged_p99_ms", 25),
        )
    ),
    Target(6, "all views rebuilt, events", ("rebuild",), least=20_000),
    Target(6, "`rps audit verify`, events", ("verify",), least=50_000),
    *(
        Target(
            *(8, f"one in 20 refused: drain {what} / best that keeps order"),
            ("faults",),
            least=1,
            rivals=FAULT_RIVALS,
            value=value,
        )
        for what, value in (
            ("of the first 70 %, which wait for no retry", "early_per_second"),
            ("to the end, waits for retries included", "per_second"),
        )
    ),
    Target(
        *(8, "receiver takes 20 ms, one deliverer / best rival"),
        ("slow-1",),
        least=1,
        rivals=SLOW_RIVALS,
    ),
    Target(
        *(8, "receiver takes 20 ms, in batches / best rival"),
        ("slow-batched-1",),
        least=1,
        rivals=SLOW_RIVALS,
    ),
)


def judgements(results: Results) -> list[Judged]:
    every = [_judged(results, target) for target in TARGETS]
    every += [*_growth(results), _memory(results)]
    return sorted(every, key=lambda judged: judged.number)


def _judged(results: Results, target: Target) -> Judged:
    wanted = _wanted(target)
    faults = results.faults(results.names(target.ours))
    ours = results.best(target.ours, target.value, least=bool(target.most))
    if ours is None:
        why = "failed" if faults else NOT_MEASURED
        return Judged(target.number, target.title, wanted, "; ".join(faults[:2]), why)
    told = f"{number(ours.value)}{target.unit} (`{ours.name}`)"
    figure = ours.value
    if target.rivals:
        rival = _rival(results, target)
        if rival is None:
            return Judged(target.number, target.title, wanted, told, NOT_MEASURED)
        figure = ours.value / rival.value
        told += f" against {number(rival.value)}{target.unit} (`{rival.name}`)"
        told = f"{figure:.2f} x{other_run(ours, rival)}: {told}"
    good = figure >= target.least if target.least else figure <= target.most
    return Judged(
        *(target.number, target.title, wanted, told), REACHED if good else MISSED
    )


def _rival(results: Results, target: Target) -> Figure | None:
    names = results.names(target.rivals)
    return results.best(
        results.in_python(names) if target.python else names, target.value
    )


def _wanted(target: Target) -> str:
    if target.most:
        return f"≤ {target.most:g}{target.unit}"
    if not target.rivals:
        return f"≥ {target.least:,.0f}{target.unit}"
    ambition = f" (ambition {target.ambition:g} x)" if target.ambition else ""
    return f"≥ {target.least:g} x{ambition}"


def _growth(results: Results) -> list[Judged]:
    found = []
    for title, names, value, worse in (
        ("capture", [f"growth-capture-{n}" for n in LOGS], "per_second", -1),
        ("drain", [f"growth-drain-{n}" for n in LOGS], "per_second", -1),
        ("latency p50", [f"growth-latency-{n}" for n in LOGS], "arrived_p50_ms", 1),
        ("latency p99", [f"growth-latency-{n}" for n in LOGS], "arrived_p99_ms", 1),
        ("capture, deep lanes", [f"lanes-capture-{n}" for n in DEPTHS], "", -1),
        ("drain, deep lanes", [f"lanes-drain-{n}" for n in DEPTHS], "", -1),
    ):
        change = relative(results, names, value or "per_second")
        worst = max((worse * (x - 1) for x in change[1:] if x), default=None)
        complete = worst is not None and None not in change
        told = ", ".join("-" if x is None else f"{x:.0%}" for x in change)
        verdict = REACHED if worst is not None and worst <= FLAT else MISSED
        found.append(
            Judged(
                5,
                f"{title}: {names[0]} … {names[-1].rsplit('-', 1)[1]}",
                "within 20 % of the first",
                told if worst is not None else "",
                verdict if complete else NOT_MEASURED,
            )
        )
    return found


def relative(results: Results, names: Iterable[str], value: str) -> list[float | None]:
    """Each as a share of the first."""
    figures = [results.figure(name, value) for name in names]
    first = figures[0].value if figures and figures[0] else None
    return [x.value / first if x and first else None for x in figures]


def _memory(results: Results) -> Judged:
    title, wanted = "memory of each process", "grows by ≤ 10 % in ten minutes"
    figure = results.figure("memory", "growth")
    if figure is None:
        return Judged(5, title, wanted, "", NOT_MEASURED)
    minutes = results.runs[figure.run]["size"]["minutes"]
    told = f"{figure.value:+.1%} the one that grew most, in {minutes:g} minutes"
    verdict = REACHED if figure.value <= MEMORY_FLAT else MISSED
    return Judged(5, title, wanted, told, verdict)


def other_run(ours: Figure, rival: Figure) -> str:
    return "" if ours.run == rival.run else " †"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
