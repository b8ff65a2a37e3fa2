"""Raw figures in a file: of each measure its last runs, and of what run they are.

{"runs": {"1": {"at", "command", "size", "machine", "peers"}},
 "measures": {"drain-1": {"run": "1", "outcomes": [Outcome, …]}}}
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import orjson

from bench.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """A median, and where it comes from."""

    name: str
    value: float
    run: str


@dataclass(slots=True)
class Results:
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    run_of: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Results:
        """Empty where there is no file yet."""
        found = cls()
        if not file.exists():
            return found
        document = orjson.loads(file.read_bytes())
        found.runs = document["runs"]
        for name, entry in document["measures"].items():
            found.run_of[name] = entry["run"]
            found.outcomes[name] = [Outcome(**each) for each in entry["outcomes"]]
        return found

    def write(self, file: Path) -> None:
        """Whole or not at all."""
        measured = {
            name: {"run": self.run_of[name], "outcomes": [asdict(o) for o in outcomes]}
            for name, outcomes in self.outcomes.items()
        }
        named = set(self.run_of.values())
        runs = {key: run for key, run in self.runs.items() if key in named}
        document = {"runs": runs, "measures": measured}
        new = file.with_suffix(".new")
        new.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        new.replace(file)

    def begin(self, facts: dict[str, Any]) -> str:
        """The key of a new run."""
        key = str(max(map(int, self.runs), default=0) + 1)
        self.runs[key] = facts
        return key

    def add(self, run: str, name: str, outcome: Outcome) -> None:
        """What a former run says of the same measure is forgotten."""
        if self.run_of.get(name) != run:
            self.outcomes[name] = []
        self.run_of[name] = run
        self.outcomes[name].append(outcome)

    # --- questions ------------------------------------------------------------------

    def names(self, patterns: Iterable[str]) -> list[str]:
        """In the order of the patterns; one that ends with * is a beginning."""
        found: dict[str, None] = {}
        for pattern in patterns:
            for name in self.outcomes:
                wide = pattern.endswith("*") and name.startswith(pattern[:-1])
                if wide or name == pattern:
                    found[name] = None
        return list(found)

    def values(self, name: str, value: str) -> list[float]:
        """Of the runs without a fault."""
        return [
            outcome.values[value]
            for outcome in self.outcomes.get(name, [])
            if not outcome.faults and value in outcome.values
        ]

    def figure(self, name: str, value: str = "per_second") -> Figure | None:
        found = self.values(name, value)
        return Figure(name, median(found), self.run_of[name]) if found else None

    def best(
        self, patterns: Sequence[str], value: str = "per_second", *, least: bool = False
    ) -> Figure | None:
        found = [
            figure
            for name in self.names(patterns)
            if (figure := self.figure(name, value)) is not None
        ]
        pick = min if least else max
        return pick(found, key=lambda figure: figure.value) if found else None

    def in_python(self, names: Iterable[str]) -> list[str]:
        """Without those measures whose peer runs on something else."""
        return [
            name
            for name in names
            if self._peers_of(name).get(name.partition(":")[2], "Python") == "Python"
        ]

    def faults(self, names: Iterable[str] | None = None) -> list[str]:
        return [
            f"{name}, round {number}: {fault}"
            for name in (self.outcomes if names is None else names)
            for number, outcome in enumerate(self.outcomes[name], 1)
            for fault in outcome.faults
        ]

    def _peers_of(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.runs[self.run_of[name]].get("peers", {})
        return found
