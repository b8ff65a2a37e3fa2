"""What a definition would do, as trees on the terminal."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from rich.tree import Tree

from rps.cli.steps_shown import add_fault, add_steps, line, moment, value_said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELDS_SHOWN = 12
BODY_LINES = 40
PREFIX_CHARACTERS = 20
"""Of what two long texts have in common, before they part."""


def dry_run_tree(found: Mapping[str, Any]) -> Tree:
    """A change through a definition, up to the requests."""
    which = found["definition"]
    tree = Tree(
        line(
            (f"{which['process_event']}, {which['source']}", "bold"),
            ("  nothing is written", "dim"),
        )
    )
    if found["record"]:
        tree.add(line((f"the record {found['record']['detail']}", "")))
    state = "is shared" if found["shared"] else "is not shared yet"
    tree.add(line((f"the record {state} ({found['correlation_id']})", "")))
    for note in found["notes"]:
        tree.add(line((note, "yellow")))
    add_steps(tree, found["steps"])
    if not found["steps"]:
        tree.add(line((found["reason"], "bold")))
    add_fault(tree, found["error"])
    for message in found["messages"]:
        branch = tree.add(
            line((f"{message['operation']} to {message['member']}", "bold green"))
        )
        add_steps(branch, message["steps"])
        add_fault(branch, message["error"])
        if message["request"]:
            _request(branch, message["request"])
        if message["note"]:
            branch.add(line((message["note"], "yellow")))
    return tree


def what_if_tree(found: Mapping[str, Any]) -> Tree:
    """How many would differ, and the first of them field by field."""
    which = found["definition"]
    counts = ", ".join(
        f"{found[name]} {name}" for name in ("judged", "same", "different", "refused")
    )
    tree = Tree(
        line((f"{which['process_event']}, {which['source']}: ", "bold"), (counts, ""))
    )
    for each in found["differences"]:
        name = f"{each['member']} {each['record_id']} ({each['change_id']})"
        branch = tree.add(line((f"{moment(each['at'])} ", "dim"), (name, "bold")))
        was, would = each["recorded"], each["tried"]
        if was["kind"] != would["kind"]:
            branch.add(line((f"{_verdict(was)} -> {_verdict(would)}", "yellow")))
        _differences(branch, "shared ", each["shared"])
        for message in each["messages"]:
            _message_difference(branch, message)
    left = found["different"] - len(found["differences"])
    if left:
        tree.add(line((f"and {left} more", "dim")))
    return tree


# --- parts --------------------------------------------------------------------------


def _request(tree: Tree, request: Mapping[str, Any]) -> None:
    branch = tree.add(line((f"{request['method']} {request['url']}", "cyan")))
    for name, value in request["headers"].items():
        branch.add(line((f"{name}: {value}", "dim")))
    try:
        body = json.dumps(json.loads(request["body"]), indent=2, ensure_ascii=False)
    except ValueError:
        body = request["body"]
    lines = body.splitlines()
    left = len(lines) - BODY_LINES
    more = [f"… {left} more lines"] if left > 0 else []
    branch.add(line(("\n".join([*lines[:BODY_LINES], *more]), "")))


def _message_difference(tree: Tree, message: Mapping[str, Any]) -> None:
    was, would = message["recorded_operation"], message["tried_operation"]
    how = {
        "missing": f"no {was} any more",
        "extra": f"{would} beside",
        "operation": f"{was} -> {would}",
        "refused": f"{would} refused: {message['detail']}",
        "values": f"{would} with other values",
    }[message["kind"]]
    branch = tree.add(line((f"to {message['member']}: ", ""), (how, "yellow")))
    if message["kind"] != "missing":
        _differences(branch, "", message["fields"])


def _differences(tree: Tree, prefix: str, fields: Sequence[Mapping[str, Any]]) -> None:
    for each in fields[:FIELDS_SHOWN]:
        was, would = _both(each["recorded"], each["tried"])
        name = f"{prefix}{each['field']} "
        tree.add(line((name, ""), (was, "red"), (" -> ", "dim"), (would, "green")))
    if len(fields) > FIELDS_SHOWN:
        tree.add(line((f"and {len(fields) - FIELDS_SHOWN} more fields", "dim")))


def _both(was: Any, would: Any) -> tuple[str, str]:
    """Two values; of long texts what stands around where they part."""
    if not (isinstance(was, str) and isinstance(would, str)):
        return value_said(was), value_said(would)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(was, would, strict=False))
    start = sum(1 for _ in alike) - PREFIX_CHARACTERS
    if start <= PREFIX_CHARACTERS:
        return value_said(was), value_said(would)
    return f"…{value_said(was[start:])}", f"…{value_said(would[start:])}"


def _verdict(outcome: Mapping[str, Any]) -> str:
    reason = f" ({outcome['reason']})" if outcome["reason"] else ""
    return f"{outcome['kind']}{reason}"
