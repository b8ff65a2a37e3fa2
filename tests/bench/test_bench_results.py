"""Figures kept, joined and judged: no server, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from bench.client import _complete
from bench.figures import MISSED, NOT_MEASURED, REACHED, judgements
from bench.outcome import Outcome
from bench.plot import Plot, svg
from bench.report import write_report
from bench.results import Results
from bench.workload import Workload

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = {
    "cores": 2,
    "processor": "x",
    "memory": "1 GiB",
    "system": "Linux",
    "Python": "3.11",
    "PostgreSQL": "18",
    "settings": {},
    "load before": 0.1,
}
FACTS: dict[str, Any] = {
    "at": "2026-01-01",
    "command": "make bench",
    "machine": MACHINE,
    "size": {"minutes": 10},
    "peers": {"quick": "Node", "steady": "Python"},
}


def measured(**rates: float) -> Results:
    """One run; `_` stands for - in names, `__` for a colon."""
    results = Results()
    run = results.begin(FACTS)
    for name, rate in rates.items():
        outcome = Outcome({"per_second": rate})
        results.add(run, name.replace("__", ":").replace("_", "-"), outcome)
    return results


def verdict(results: Results, title: str) -> tuple[str, str]:
    found = next(j for j in judgements(results) if title in j.title)
    return found.verdict, found.reached


def test_a_ratio_is_against_the_best_rival() -> None:
    results = measured(
        capture_32=600, peer_intake_8__quick=1000, peer_intake_8__steady=900
    )
    assert verdict(results, "single posts")[0] == REACHED
    results = measured(capture_32=599, peer_intake_8__quick=1000)
    assert verdict(results, "single posts")[0] == MISSED
    assert verdict(measured(capture_32=600), "single posts")[0] == NOT_MEASURED


def test_only_python_peers_count_where_that_is_asked() -> None:
    results = measured(drain_1=100, peer_drain__quick=5000, peer_drain__steady=90)
    assert verdict(results, "backlog accepted / best Python")[0] == REACHED


def test_a_rival_that_broke_order_is_none() -> None:
    results = measured(slow_1=100, peer_slow__steady=90, peer_slow__quick=5000)
    results.outcomes["peer-slow:quick"][0].faults.append("1 out of order")
    assert verdict(results, "20 ms, one deliverer")[0] == REACHED


def test_rivals_of_another_run_are_marked(tmp_path: Path) -> None:
    measured(peer_intake_8__quick=1000, capture_32=1).write(tmp_path / "r.json")
    results = Results.read(tmp_path / "r.json")
    results.add(results.begin(FACTS), "capture-32", Outcome({"per_second": 700.0}))
    assert "†" in verdict(results, "single posts")[1]
    results.write(tmp_path / "r.json")
    assert set(Results.read(tmp_path / "r.json").runs) == {"1", "2"}


def test_growth_is_the_worst_against_the_first() -> None:
    rates = {"growth_drain_10000": 100, "growth_drain_100000": 130}
    assert verdict(measured(**rates), "drain: growth")[0] == NOT_MEASURED
    flat = measured(**rates, growth_drain_1000000=85)
    assert verdict(flat, "drain: growth")[0] == REACHED
    steep = measured(**rates, growth_drain_1000000=79)
    assert verdict(steep, "drain: growth")[0] == MISSED


def test_the_report_tells_all(tmp_path: Path) -> None:
    results = measured(drain_1=100, growth_drain_10000=90, growth_drain_100000=80)
    results.add("1", "memory", Outcome({"growth": 0.0}, series={"serve 1": [(0, 9)]}))
    results.add("1", "drain-2", Outcome({}, ["RuntimeError: no"]))
    (tmp_path / "profile.md").write_text("## Where it goes\n")
    write_report(results, tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    for part in ("`drain-1`", "## Where it goes", "(growth.svg)", "(memory.svg)"):
        assert part in text
    assert "drain-2, round 1: RuntimeError: no" in text
    for file in ("growth.svg", "memory.svg"):
        assert ET.parse(tmp_path / file).getroot().tag.endswith("svg")


def test_a_plot_names_its_axes_and_lines() -> None:
    lines = {"a <b>": [(1.0, 5.0), (100.0, 7.0)], "c": [(1.0, 5.0)]}
    text = svg(Plot("title", "across", "up", lines, log_x=True, band=(4.0, 6.0)))
    words = {element.text for element in ET.fromstring(text).iter()}
    assert {"title", "across", "up", "a <b>", "c"} <= words


def test_a_record_changes_in_order_whatever_the_pattern() -> None:
    for burst in (False, True):
        work = Workload(1000, 100, burst=burst)
        at: dict[int, int] = {}
        for change in work.all():
            assert change.number == at.get(change.key, 0) + 1
            at[change.key] = change.number
        assert set(at.values()) == {10}
    shares = work.shares(8)
    assert sum(map(len, shares)) == 1000


def test_an_answer_is_complete_with_its_last_byte() -> None:
    plain = b"HTTP/1.1 202 X\r\nContent-Length: 2\r\n\r\n{}"
    chunked = (
        b"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    for answer in (plain, chunked):
        assert _complete(answer)
        assert not _complete(answer[:-1])
