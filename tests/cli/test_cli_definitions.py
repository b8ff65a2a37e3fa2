"""rps definition: YAML in, problems with place, cause and remedy out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from shared_tickets import DOCUMENT

from rps.domain.problem import DefinitionRefused
from rps.domain.yaml_document import read_document

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT))
    return str(file)


def test_apply_publishes_and_said_twice_changes_nothing(rps: Rps, good: str) -> None:
    first = json.loads(rps("definition", "apply", good, "-o", "json").stdout)
    again = json.loads(rps("definition", "apply", good, "-o", "json").stdout)

    assert first["applied"][0]["result"] == "published"
    assert again["applied"][0]["result"] == "unchanged"
    assert again["applied"][0]["revision"] == 1


def test_apply_reads_standard_input(rps: Rps) -> None:
    result = rps("definition", "apply", "-", stdin=yaml.safe_dump(DOCUMENT))

    assert (result.exit_code, "ticket.shared" in result.stdout) == (0, True)


def test_a_bad_file_is_refused_with_its_problems_and_a_good_one_applied(
    rps: Rps, good: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump({**DOCUMENT, "feilds": {}, "process_event": 7}))

    result = rps("definition", "apply", str(bad), good, "-o", "json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [row["process_event"] for row in found["applied"]] == ["ticket.shared"]
    assert {"/feilds", "/process_event"} <= {p["place"] for p in found["problems"]}
    assert all(p["cause"] and p["remedy"] for p in found["problems"])


def test_problems_are_talk_and_go_to_stderr(rps: Rps) -> None:
    result = rps("definition", "apply", "-", stdin="process_event: x")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "/members" in result.stderr


def test_what_is_shown_can_be_applied_again(rps: Rps, good: str) -> None:
    rps("definition", "apply", good)

    shown = rps("definition", "show", "ticket.shared").stdout

    again = rps("definition", "apply", "-", "-o", "json", stdin=shown)
    assert json.loads(again.stdout)["applied"][0]["result"] == "unchanged"


def test_a_definition_nobody_made_is_not_found(rps: Rps) -> None:
    assert rps("definition", "show", "nothing.shared").exit_code == 3


def test_the_list_is_data(rps: Rps, good: str) -> None:
    rps("definition", "apply", good)

    rows = json.loads(rps("definition", "list", "-o", "json").stdout)

    assert [(r["process_event"], r["state"]) for r in rows] == [
        ("ticket.shared", "published")
    ]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (b"a: 1\nb: 2\na: 3\n", "duplicate-key", "line 3, column 1"),
        (b"a:\n  b: 1\n  b: 1\n", "duplicate-key", "line 3, column 3"),
        (b"a: &x [1]\nb: *x\n", "alias", "line 2, column 4"),
        (b"? [a]\n: 1\n", "key-type", "line 1, column 3"),
        (b"a: [", "yaml", "line 1, column 5"),
        (b"a: !!python/object:os.system x", "yaml", "line 1, column 4"),
        (b"a: 1\n---\nb: 2\n", "yaml", "line 2, column 1"),
        (b"\xff\xfe\x00", "yaml", ""),
        (b"[" * 100_000, "yaml", ""),
        (b"#" * 1_100_000, "too-large", ""),
    ],
)
def test_yaml_that_says_something_else_than_it_seems_is_refused(
    text: bytes, code: str, place: str
) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        read_document(text)

    problem = refused.value.problems[0]
    assert (problem.code, problem.place) == (code, place)


def test_plain_yaml_is_read_as_plain_data() -> None:
    assert read_document(b"a: {b: [1, x, true, null]}") == {
        "a": {"b": [1, "x", True, None]}
    }


BAD = """\
process_event: x.y
feilds: {}
fields:
  title: {type: txet}
  title: {type: text}
members:
  a:
    table: 7
    capture_when: "titleFOO1"
    fields:
      title: short
  b: {fields: {title: t}, capture: [create, read]}
"""
WRONG = [
    (2, 1, "unknown-key"),
    (4, 17, "unknown-word"),
    (5, 3, "duplicate-key"),
    (8, 12, "wrong-type"),
    (9, 19, "condition-syntax"),
    (12, 3, "missing-key"),
    (12, 45, "bad-text"),
]


@pytest.mark.parametrize("command", ["check", "apply"])
def test_all_that_is_wrong_with_a_file_is_told_at_once_with_line_and_column(
    rps: Rps, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)

    result = rps("definition", command, str(file), "-o", "json")
    told = rps("definition", command, str(file)).stderr

    found = json.loads(result.stdout)["problems"]
    assert result.exit_code == 1
    assert [(p["line"], p["column"], p["code"]) for p in found] == WRONG
    assert f"{file}:2:1: /feilds\n  there is no key 'feilds' here" in told
    assert f"{file}:5:3: duplicate-key\n" in told


def test_check_publishes_nothing(rps: Rps, good: str) -> None:
    result = rps("definition", "check", good, "-o", "json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["checked"][0]["process_event"] == "ticket.shared"
    assert json.loads(rps("definition", "list", "-o", "json").stdout) == []


def test_what_is_missing_is_told_where_it_would_be(tmp_path: Path, rps: Rps) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("fields: {}\nmembers:\n  a:\n    fields: {}\n  b: {table: t}\n")

    result = rps("definition", "check", str(file), "-o", "json")

    found = json.loads(result.stdout)["problems"]
    places = {p["place"]: (p["line"], p["column"]) for p in found}
    assert places["/process_event"] == (1, 1)
    assert places["/members/a/table"] == (3, 3)
