"""docs/definition.md names every code a definition can be told, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import rps

PACKAGE = Path(rps.__file__).parent
PAGE = PACKAGE.parent / "docs" / "definition.md"
NODE_CODES_MIN = 25

TELLING = {
    *("add", "_wrong", "refuse", "refuse_all", "Problem"),  # of Findings, Section
    "_add",  # of steps
    *("_problem", "_refuse"),  # of YAML
    *("Flaw", "_Flawed"),  # of conditions
}
READERS = [
    *("document", "section", "scan", "map_scan", "condition_scan", "reach_scan"),
    *("name_scan", "loops", "beside_scan", "advice", "node_scan", "yaml_document"),
    *("condition", "step_reading", "step_scan"),
]
WORDS = re.compile(r"[a-z]+(-[a-z]+)*")
KINDS = ("field", "journal")


def codes_of(module: Path) -> set[str]:
    """The codes that the calls in `module` tell."""
    found: set[str] = set()
    tree = ast.parse(module.read_text())
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and call.args:
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in TELLING:
                found |= written(call.args[0], tree)
    return found


def written(code: ast.expr, tree: ast.Module) -> set[str]:
    match code:
        case ast.Constant(value=str(said)) if WORDS.fullmatch(said):
            return {said}
        case ast.JoinedStr():
            ends = {"{code}": endings(tree)}
            text = ast.unparse(code)[2:-1]
            found = {text.replace("{kind}", kind) for kind in KINDS}
            for hole, words in ends.items():
                found = {each.replace(hole, word) for each in found for word in words}
            return found
    return set()


def endings(tree: ast.Module) -> set[str]:
    """What `code` is in `_arrives`, the one place where it is put together."""
    found: set[str] = {""}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "_arrives":
            found = {
                value.value
                for assigned in ast.walk(node)
                if isinstance(assigned, ast.Assign)
                and "code" in ast.unparse(assigned.targets[0])
                for value in ast.walk(assigned.value)
                if isinstance(value, ast.Constant) and WORDS.fullmatch(str(value.value))
            }
    return found


def told() -> set[str]:
    modules = [PACKAGE / "domain" / f"{name}.py" for name in READERS]
    return set().union(*map(codes_of, [*modules, PACKAGE / "http" / "definitions.py"]))


def documented(heading: str) -> set[str]:
    """Codes in the first column of the table below `heading`."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}


def test_the_page_names_every_code_that_can_be_told_and_no_other() -> None:
    assert documented("What is refused") | documented("What is warned of") == told()


def test_no_code_is_both_refused_and_warned_of() -> None:
    assert not documented("What is refused") & documented("What is warned of")


def test_the_reader_of_this_test_sees_codes_that_are_put_together() -> None:
    assert {"journal-goes-nowhere", "unknown-field", "condition-value"} <= told()


def test_there_are_many_warnings() -> None:
    assert len(documented("What is warned of")) >= NODE_CODES_MIN


def test_every_code_has_a_test() -> None:
    tests = Path(__file__).parents[1]
    text = "".join(
        file.read_text()
        for file in tests.rglob("test_*.py")
        if file.name != Path(__file__).name
    )
    missing = {code for code in told() if f'"{code}"' not in text}
    assert missing == set()
