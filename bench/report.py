"""RESULTS.md: written from the raw figures, and from two texts kept beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import machine
from bench.figures import judgements, number, other_run, relative
from bench.measures import DEPTHS, LOGS
from bench.plot import Plot, svg
from bench.sections import SECTIONS, Section

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.results import Results

PROFILE, NOTES = "profile.md", "notes.md"
"""Written by people: where the microseconds go, and why what is missed is missed."""

GROWTH = (
    ("capture", "growth-capture-{}", "per_second"),
    ("drain", "growth-drain-{}", "per_second"),
    ("latency p50", "growth-latency-{}", "arrived_p50_ms"),
    ("latency p99", "growth-latency-{}", "arrived_p99_ms"),
)
LANES = (
    ("capture", "lanes-capture-{}", "per_second"),
    ("drain", "lanes-drain-{}", "per_second"),
)
BAND = (80.0, 120.0)


def write_report(results: Results, folder: Path) -> None:
    pictures = _pictures(results, folder)
    parts = ["# How fast: results", _opening(), _runs(results), _summary(results)]
    parts += [_included(folder / NOTES), _included(folder / PROFILE)]
    for section in SECTIONS:
        if found := results.names(section.names):
            parts += [f"## {section.title}", section.says]
            parts += [_table(results, section, found)]
            parts += pictures if section.title == "Cost growth" else []
    parts += [_memory(results), _failed(results)]
    text = "\n\n".join(part for part in parts if part)
    (folder / "RESULTS.md").write_text(text + "\n")


def verdicts(results: Results, measured: Iterable[str]) -> list[str]:
    """For the terminal: what the measures of this run say about the targets."""
    touched = set(measured)
    return [
        f"{j.number}  {j.verdict.strip('*'):12} {j.title}: wanted {j.wanted}, "
        f"{j.reached or 'nothing'}"
        for j in judgements(results)
        if any(f"`{name}`" in j.reached or name in j.title for name in touched)
    ]


def _opening() -> str:
    return (
        "Written by `make bench` from the figures it measured; what each line means is "
        "in [README.md](README.md). Medians, with the least and the greatest in "
        "brackets. µs: processor time for each change, of the side's own processes, "
        "of PostgreSQL and of the sink; the clients' is not counted. † marks a ratio "
        "whose two sides were measured in different runs."
    )


def _runs(results: Results) -> str:
    lines = ["| run | on | command | machine |", "|---|---|---|---|"]
    for key in sorted(set(results.run_of.values()), key=int):
        run = results.runs[key]
        words = machine.in_words(run["machine"])
        lines.append(f"| {key} | {run['at']} | `{run['command']}` | {words} |")
    return "\n".join(lines)


def _summary(results: Results) -> str:
    lines = ["| | figure | wanted | measured | |", "|---|---|---|---|---|"]
    lines += [
        f"| {j.number} | {j.title} | {j.wanted} | {j.reached} | {j.verdict} |"
        for j in judgements(results)
    ]
    return "## What was to be reached\n\n" + "\n".join(lines)


def _table(results: Results, section: Section, names: list[str]) -> str:
    columns = [
        (title, value)
        for title, value in section.columns
        if any(results.values(name, value) for name in names)
    ]
    best = results.best(section.rivals) if section.rivals else None
    heads = ["measure", "run", *(title for title, _ in columns)]
    lines = [*([*heads, "ratio"] if best else heads)]
    rows = ["| " + " | ".join(lines) + " |", "|---" * len(lines) + "|"]
    for name in names:
        cells = [f"`{name}`", results.run_of[name]]
        cells += [_spread(results.values(name, value)) for _, value in columns]
        figure = results.figure(name)
        if best:
            ratio = f"{figure.value / best.value:.2f}" if figure else ""
            cells.append(ratio + (other_run(figure, best) if figure else ""))
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    ordered = sorted(values)
    middle = number(_median(ordered))
    if len(ordered) == 1:
        return middle
    return f"{middle} ({number(ordered[0])} to {number(ordered[-1])})"


def _median(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else sum(ordered[half - 1 : half + 1]) / 2


def _pictures(results: Results, folder: Path) -> list[str]:
    """Those that can be drawn, as Markdown."""
    found = []
    for file, title, x_label, lines, places in (
        ("growth.svg", "Cost as the log grows", "events in the log", GROWTH, LOGS),
        ("lanes.svg", "Cost as lanes deepen", "messages waiting", LANES, DEPTHS),
    ):
        drawn = {
            name: _points(results, [pattern.format(x) for x in places], value, places)
            for name, pattern, value in lines
        }
        drawn = {name: points for name, points in drawn.items() if len(points) > 1}
        if drawn:
            label = f"% of the value at {places[0]:,}"
            plot = Plot(title, x_label, label, drawn, log_x=True, band=BAND)
            (folder / file).write_text(svg(plot))
            found.append(f"![{title}]({file})")
    if memory := _memory_lines(results):
        title = "Memory of each process"
        plot = Plot(title, "minutes", "resident MB", memory)
        (folder / "memory.svg").write_text(svg(plot))
    return found


def _memory_lines(results: Results) -> dict[str, list[tuple[float, float]]]:
    outcomes = results.outcomes.get("memory", [])
    series = outcomes[-1].series if outcomes else {}
    return {name: [(x, y) for x, y in points] for name, points in series.items()}


def _points(
    results: Results, names: list[str], value: str, places: tuple[int, ...]
) -> list[tuple[float, float]]:
    shares = relative(results, names, value)
    return [
        (float(x), share * 100)
        for x, share in zip(places, shares, strict=True)
        if share is not None
    ]


def _memory(results: Results) -> str:
    lines = _memory_lines(results)
    if not lines:
        return ""
    rows = ["| process | MB after a minute | at the end |", "|---|---|---|"]
    for name, points in lines.items():
        warm = next((held for at, held in points if at >= 1), points[0][1])
        rows.append(f"| {name} | {warm:.1f} | {points[-1][1]:.1f} |")
    says = "Resident memory under a steady load, a sample every five seconds."
    return "\n\n".join(["## Memory", says, "![Memory](memory.svg)", "\n".join(rows)])


def _failed(results: Results) -> str:
    faults = results.faults()
    if not faults:
        return ""
    told = "\n".join(f"- {' '.join(fault.split())[:300]}" for fault in faults)
    return f"## What failed\n\n{told}"


def _included(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""
