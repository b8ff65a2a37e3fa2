"""Why a message looked as it did, as a tree on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.tree import Tree

from rps.cli.steps_shown import add_fault, add_steps, line, moment, value_said

if TYPE_CHECKING:
    from collections.abc import Mapping


def execution_tree(found: Mapping[str, Any]) -> Tree:
    """Why a message looked as it did; also a change without any message."""
    if "message_id" not in found:
        tree = Tree(line(("change ", ""), (_change_name(found["change"]), "bold")))
        _change_branch(tree, found)
        add_fault(tree, found["error"])
        return tree
    about = f"{found['process_event']} to {found['member']}"
    tree = Tree(line((f"message {found['message_id']}", "bold"), (f"  {about}", "")))
    _change_branch(tree, found)
    if found["change"] is None:
        made = found["made_by"]
        who = f" by {made['actor']}: {made['reason']}" if made["actor"] else ""
        tree.add(line((f"{moment(made['at'])} {made['topic']}{who}", "")))
    for delivery in found["deliveries"]:
        _delivery_branch(tree, delivery)
    outcome = found["outcome"]
    style = "green" if outcome["state"] == "delivered" else "yellow"
    said = f" {outcome['detail']}" if outcome["detail"] else ""
    tree.add(
        line(
            (f"{moment(outcome['at'])} ", "dim"), (outcome["state"], style), (said, "")
        )
    )
    add_fault(tree, found["error"])
    waits = [
        f"{name.replace('_', ' ')} {seconds:.3f} s"
        for name, seconds in found["seconds"].items()
        if seconds is not None
    ]
    tree.add(line((f"recorded: {', '.join(waits) or 'nothing yet'}", "dim")))
    return tree


def _change_branch(tree: Tree, found: Mapping[str, Any]) -> None:
    change, judgement = found["change"], found["judgement"]
    if change is None:
        return
    who = f" by {change['changed_by']}" if change["changed_by"] else ""
    branch = tree.add(
        line((f"{moment(change['at'])} ", "dim"), (_change_name(change) + who, ""))
    )
    if judgement is None:
        branch.add(line(("not judged yet", "yellow")))
        return
    said = f"judged under revision {judgement['revision']}: {judgement['outcome']}"
    reason = f" ({judgement['reason']})" if judgement["reason"] else ""
    judged = branch.add(
        line((f"{moment(judgement['at'])} ", "dim"), (said + reason, "cyan"))
    )
    add_steps(judged, judgement["steps"])
    for made in judgement["messages"]:
        judged.add(line((f"message {made['message_id']} to {made['member']}", "")))
    if not judgement["as_recorded"]:
        text = "judged again it comes out otherwise: see docs/operating.md"
        judged.add(line((text, "yellow")))


def _change_name(change: Mapping[str, Any]) -> str:
    return f"{change['member']} {change['operation']} of {change['record_id']}"


def _delivery_branch(tree: Tree, delivery: Mapping[str, Any]) -> None:
    why = f": {delivery['why']}" if delivery["why"] else ""
    again = (
        f"made anew, {delivery['generation']}." if delivery["generation"] else "made"
    )
    branch = tree.add(
        line(
            (f"{moment(delivery['made_at'])} ", "dim"),
            (f"{again} as {delivery['operation']}", "green"),
            (f" under revision {delivery['revision']}{why}", ""),
        )
    )
    add_steps(branch, delivery["steps"])
    for attempt in delivery["attempts"]:
        outcome = attempt["outcome"] or {"kind": "", "detail": ""}
        status = attempt["status"] or "no answer"
        text = (
            f"sent (attempt {attempt['attempt']}) as {attempt['operation']}, "
            f"{attempt['seconds'] * 1000:.0f} ms, {status} {outcome['kind']}"
        )
        sent = branch.add(line((f"{moment(attempt['at'])} ", "dim"), (text, "")))
        sent.add(line((f"fields {value_said(attempt['fields'])}", "")))
        if attempt["if_match"]:
            sent.add(line((f"if at revision {attempt['if_match']}", "")))
        if outcome["detail"]:
            sent.add(line((outcome["detail"], "")))
        if not attempt["as_sent"]:
            sent.add(line(("made again it is another write", "yellow")))
