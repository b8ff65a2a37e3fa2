"""rps definition draft, diff, scan, publish, rollback, retire, revisions, show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from shared_tickets import DOCUMENT, link

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps

    from rps.application import RemoteProcessSync

NAME = DOCUMENT["process_event"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "ticket.yaml"
    write(made)
    return made


def write(file: Path, **fields: str) -> None:
    """Another field of acme's behind the title, or another policy."""
    document = json.loads(json.dumps(DOCUMENT))
    document["members"]["acme"]["fields"] |= fields
    file.write_text(f"# ours\n{yaml.safe_dump(document)}")


def data(rps: Rps, *arguments: str) -> Any:
    result = rps("definition", *arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_draft_changes_nothing_until_it_is_published(rps: Rps, file: Path) -> None:
    data(rps, "apply", str(file))
    write(file, title="subject")

    drafted = data(rps, "draft", str(file))["drafted"][0]
    assert (drafted["result"], drafted["revision"]) == ("drafted", 1)
    assert data(rps, "diff", NAME) == [
        {
            "kind": "changed",
            "place": "/members/acme/fields/title/field",
            "before": "short_description",
            "after": "subject",
        }
    ]
    assert data(rps, "publish", NAME)["revision"] == 2
    assert data(rps, "publish", NAME)["result"] == "unchanged"
    assert data(rps, "diff", NAME) == []


def test_a_refused_draft_is_not_kept(rps: Rps, file: Path) -> None:
    file.write_text("process_event: 7\n")

    result = rps("definition", "draft", str(file))

    assert result.exit_code == 1
    assert f"{file}:1:16: /process_event" in result.stderr
    assert data(rps, "list") == []


def test_a_file_is_compared_with_what_is_in_force_or_was(rps: Rps, file: Path) -> None:
    new = rps("definition", "diff", str(file))
    assert new.stdout.startswith("+ /process_event: ticket.shared\n")
    data(rps, "apply", str(file))
    write(file, title="subject")

    now = rps("definition", "diff", str(file)).stdout
    data(rps, "apply", str(file))
    earlier = rps("definition", "diff", str(file), "--revision", "1").stdout

    line = "~ /members/acme/fields/title/field: short_description → subject\n"
    assert (now, earlier) == (line, line)
    assert rps("definition", "diff", str(file)).stdout == ""
    assert rps("definition", "diff", NAME, "--revision", "9").exit_code == 3


def test_a_bad_file_is_refused_and_not_compared(rps: Rps, file: Path) -> None:
    file.write_text("process_event: 7\n")
    result = rps("definition", "diff", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "/process_event" in result.stderr


def test_a_rollback_is_listed_with_who_and_why(rps: Rps, file: Path) -> None:
    data(rps, "apply", str(file))
    write(file, title="subject")
    data(rps, "apply", str(file))

    rolled = data(rps, "rollback", NAME, "--reason", "wrong field")
    data(rps, "retire", NAME, "--reason", "over")

    assert (rolled["result"], rolled["revision"]) == ("rolled back", 3)
    rows = data(rps, "revisions", NAME)
    assert [(r["revision"], r["kind"], r["rolled_back_to"]) for r in rows] == [
        (1, "published", None),
        (2, "published", None),
        (3, "rolled back", 1),
        (3, "retired", None),
    ]
    assert [r["reason"] for r in rows[2:]] == ["wrong field", "over"]
    assert all(r["actor"] and r["at"] for r in rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rollback", NAME, "--reason", "x"], 3),
        (["rollback", NAME, "--revision", "7", "--reason", "x"], 3),
        (["rollback", NAME], 2),
        (["rollback", "nobody", "--reason", "x"], 3),
        (["publish", "nobody"], 3),
        (["retire", "nobody", "--reason", "x"], 3),
        (["revisions", "nobody"], 3),
        (["scan", "nobody"], 3),
        (["show", NAME, "--draft", "--revision", "1"], 2),
        (["show", NAME, "--revision", "7"], 3),
    ],
)
def test_what_is_not_there_ends_with_its_code(
    rps: Rps, file: Path, arguments: list[str], code: int
) -> None:
    data(rps, "apply", str(file))
    result = rps("definition", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")


def test_the_file_comes_back_comments_and_all(rps: Rps, file: Path) -> None:
    first = file.read_text()
    data(rps, "apply", str(file))
    write(file, title="subject")
    second = file.read_text()
    data(rps, "draft", str(file))

    assert rps("definition", "show", NAME, "--source").stdout == first
    assert rps("definition", "show", NAME, "--source", "--draft").stdout == second
    data(rps, "publish", NAME)
    assert rps("definition", "show", NAME, "--source").stdout == second
    shown = rps("definition", "show", NAME, "--source", "--revision", "1")
    assert shown.stdout == first


def test_what_came_as_data_has_no_file(
    rps: Rps, application: RemoteProcessSync
) -> None:
    link(application)
    result = rps("definition", "show", NAME, "--source")
    assert (result.exit_code, result.stdout) == (3, "")


def test_a_scan_tells_warnings_with_their_lines_and_does_not_fail(
    rps: Rps, file: Path
) -> None:
    rows = data(rps, "scan", str(file))

    assert {row["severity"] for row in rows} == {"warning"}
    codes = {row["code"] for row in rows}
    assert codes == {"system-unregistered", "both-create"}
    assert all(row["line"] and row["column"] for row in rows)
    told = rps("definition", "scan", str(file))
    assert f"{file}:6:3: warning: /members/acme/system\n" in told.stderr
    assert "3 warning(s): it can be published" in told.stderr


def test_a_scan_that_refuses_fails_and_publishing_does_too(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path
) -> None:
    link(application)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**DOCUMENT, "process_event": "other.shared"}))
    data(rps, "draft", str(other))

    scanned = rps("definition", "scan", "other.shared", "-o", "json")
    published = rps("definition", "publish", "other.shared")

    refused = {
        row["code"]
        for row in json.loads(scanned.stdout)
        if row["severity"] == "refused"
    }
    assert (scanned.exit_code, refused) == (1, {"loop"})
    assert published.exit_code == 1
    assert "nothing was changed" in published.stderr


def test_a_scan_that_reaches_asks_each_system(
    rps: Rps, application: RemoteProcessSync, file: Path
) -> None:
    link(application)

    codes = {row["code"] for row in data(rps, "scan", str(file), "--reach")}
    silent = {row["code"] for row in data(rps, "scan", str(file))}

    assert "system-unreachable" in codes
    assert "system-unreachable" not in silent
