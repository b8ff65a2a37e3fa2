"""Steps of a definition on the terminal, and what else trees of them are made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.tree import Tree

VALUE_CHARACTERS = 60
QUIET = ("merge", "verdict", "condition")
"""Kinds of steps that say all in their line."""


def add_steps(tree: Tree, steps: Sequence[Mapping[str, Any]]) -> None:
    for step in steps:
        branch = tree.add(line(*_said(step)))
        if step["kind"] not in QUIET:
            _values(branch, "<", step["input"])
            _values(branch, ">", step["output"])


def _said(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    style = "red" if step["error"] or step["held"] is False else ""
    held = {None: "", True: " holds", False: " does not hold"}[step["held"]]
    detail = step["detail"]
    if step["kind"] == "merge":
        detail = f"{value_said(step['input']['shown'])}, {detail}"
    elif step["kind"] == "verdict":
        detail = f"{step['output']}, {detail}" if detail else step["output"]
    seconds = step["seconds"]
    took = "to be answered" if step["answer"] else "measured"
    return [
        (step["name"], style or "bold"),
        (f" {step['condition']}" if step["condition"] else "", ""),
        (held, style),
        (f": {detail}" if detail else "", ""),
        (f": {step['error']}" if step["error"] else "", "red"),
        (f"  {step['place']}", "dim"),
        ("" if seconds is None else f"  {seconds * 1e6:.0f} µs {took}", "dim"),
    ]


def _values(tree: Tree, mark: str, value: Any) -> None:
    if value not in (None, {}, []):
        tree.add(line((f"{mark} ", "dim"), (value_said(value), "")))


def add_fault(tree: Tree, error: Mapping[str, Any] | None) -> None:
    if error is None:
        return
    where = f"{error['place']}"
    if error["line"]:
        where += f", line {error['line']}"
    tree.add(
        line((f"{error['step']}: {error['detail']}", "red"), (f"  {where}", "dim"))
    )


def moment(at: datetime) -> str:
    return at.isoformat(" ", "milliseconds")[:23]


def value_said(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    most = VALUE_CHARACTERS * (4 if isinstance(value, dict) else 1)
    return text if len(text) <= most else f"{text[:most]}…"


def line(*parts: tuple[str, str]) -> Text:
    """What came from outside is never read as markup, nor by the terminal."""
    line = Text()
    for text, style in parts:
        safe = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
        line.append(safe, style)
    return line
