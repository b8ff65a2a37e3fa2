"""The figures as a table: medians, ratios, and how close to the limits."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from bench.outcome import Outcome

LOG_LEFT = "every event hash-chained in the log, with views of it"
ROW_LEFT = "one row a change, with its body, attempts and time"
ONE_BY_ONE = ("baseline-drain-8", "baseline-drain-32")
BY_16 = ("baseline-drain-8-by-16", "baseline-drain-32-by-16")
BASELINES = {
    1: (ONE_BY_ONE, BY_16),
    2: (("baseline-drain-2x8",), ("baseline-drain-2x8-by-16",)),
}
"""By processes, as rps has deliverers: delivered one by one, and 16 at a time."""


@dataclass(frozen=True, slots=True)
class Line:
    """Of several baselines or limits the best median counts."""

    title: str
    rps: str
    baseline: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    value: str = "per_second"


def _latency(what: str, quantile: str) -> Line:
    return Line(
        f"due to {what}, {quantile} (ms)",
        *("latency", ("baseline-latency",), ()),
        f"{what}_{quantile}_ms",
    )


LINES = (
    Line(
        "capture, 1 client (changes/s)",
        *("capture-1", ("baseline-intake-1",), ("limit-commit-1",)),
    ),
    *(
        Line(
            f"capture, {clients} clients",
            *(f"capture-{clients}", ("baseline-intake-8",)),
            (f"limit-commit-{clients}",),
        )
        for clients in (8, 32)
    ),
    *(
        Line(
            f"capture in 100s, {clients}",
            *(f"capture-batch-{number}", ("baseline-intake-8",)),
            ("limit-commit-group",),
        )
        for number, clients in ((1, "1 client"), (4, "4 clients"), (8, "8 clients"))
    ),
    *(
        Line(
            f"drain{what}, {n} deliverer{'s' if n > 1 else ''}",
            *(f"drain-{measure}{n}", BASELINES[n][0], (f"limit-requests-{n}",)),
        )
        for what, measure in ((" (messages/s)", ""), (" from captured", "captured-"))
        for n in (1, 2)
    ),
    *(
        Line(f"drain, {n}; baseline by 16", f"drain-{n}", BASELINES[n][1])
        for n in (1, 2)
    ),
    *(
        _latency(what, quantile)
        for what in ("arrived", "acknowledged")
        for quantile in ("p50", "p99", "max")
    ),
)


def table_of(runs: dict[str, list[Outcome]]) -> Table:
    table = Table(title="medians; ratio = rps / baseline", title_justify="left")
    table.add_column("measure")
    for name in ("rps", "baseline", "ratio", "limit", "share of the limit"):
        table.add_column(name, justify="right")
    for line in LINES:
        ours = _best(runs, (line.rps,), line.value)
        theirs = _best(runs, line.baseline, line.value)
        limit = _best(runs, line.limit, line.value)
        if ours is theirs is limit is None:
            continue
        table.add_row(
            line.title,
            _figure(ours),
            _figure(theirs),
            f"{ours / theirs:.2f}" if ours and theirs else "",
            _figure(limit),
            f"{ours / limit:.0%}" if ours and limit else "",
        )
    return table


def closing(runs: dict[str, list[Outcome]], facts: dict[str, Any]) -> list[str]:
    """Facts, what is left behind, and each variant that the table leaves out."""
    said = [", ".join(f"{name} {value}" for name, value in facts.items())]
    single = _best(runs, ("limit-commit-1",), "per_second")
    batch = _best(runs, tuple(f"capture-batch-{n}" for n in (1, 4, 8)), "per_second")
    if single and batch:
        said.append(f"capture in 100s is {batch / single:.2f} x single-row commits")
    said.append(_costs(runs))
    events = _best(runs, ("drain-1", "drain-2"), "events_a_change")
    count = f"{events:.1f} events a change: " if events else ""
    said.append(f"left behind: rps {count}{LOG_LEFT}; baseline {ROW_LEFT}")
    behind = _best(runs, ("drain-1", "drain-2"), "views_behind")
    if behind is not None:
        said.append(f"views were at most {behind:.0f} events behind when drained")
    return said


def _costs(runs: dict[str, list[Outcome]]) -> str:
    """Load does not change these much, so they compare where rates do not."""
    costs = {name: _best(runs, (name,), "cpu_us") for name in runs}
    shown = ", ".join(f"{name} {cost:.0f}" for name, cost in costs.items() if cost)
    return f"processor time, us a change, PostgreSQL not counted: {shown or 'none'}"


def faults_of(runs: dict[str, list[Outcome]]) -> list[str]:
    return [
        f"{name}, run {number}: {fault}"
        for name, outcomes in runs.items()
        for number, outcome in enumerate(outcomes, 1)
        for fault in outcome.faults
    ]


def machine(postgres: str) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "Python": platform.python_version(),
        "PostgreSQL": postgres,
        "load before": round(os.getloadavg()[0], 1),
    }


def document(runs: dict[str, list[Outcome]], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": facts,
        "faults": faults_of(runs),
        "medians": {name: _medians(outcomes) for name, outcomes in runs.items()},
        "runs": {name: [o.values for o in outcomes] for name, outcomes in runs.items()},
    }


def _medians(outcomes: list[Outcome]) -> dict[str, float]:
    """Of the runs without a fault."""
    good = [outcome.values for outcome in outcomes if not outcome.faults]
    return {name: median(v[name] for v in good) for name in (good or [{}])[0]}


def _best(
    runs: dict[str, list[Outcome]], names: tuple[str, ...], value: str
) -> float | None:
    found = [
        figure
        for name in names
        if (figure := _medians(runs.get(name, [])).get(value)) is not None
    ]
    return max(found) if found else None


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
