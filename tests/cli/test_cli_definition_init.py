"""rps definition init: whatever is answered, the file is a definition."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_tickets import link

from rps.cli.definition_text import (
    JOURNALS,
    PROCESSES,
    Choices,
    Example,
    Place,
    written,
)
from rps.domain.yaml_document import definition_in

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps

    from rps.application import RemoteProcessSync

NAMES = st.sampled_from(["ours", "theirs", "on", "null", "a-1", "acme"])
WORDS = st.sampled_from(
    ["acme", "no", "1", "2026-01-01", "Ünser System", "x: y", "#1", "- a", "{b}", "'"]
)
PROCESS_EVENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}", fullmatch=True)


@st.composite
def choices(draw: st.DrawFn) -> Choices:
    process = draw(st.sampled_from(PROCESSES))
    known = sorted(Example(process).fields)
    fields = draw(st.sets(st.sampled_from(known)))
    journals = draw(st.sets(st.sampled_from(sorted(JOURNALS)), min_size=not fields))
    one, other = draw(st.lists(NAMES, min_size=2, max_size=2, unique=True))
    systems = draw(st.lists(WORDS, min_size=2, max_size=2, unique=True))
    return Choices(
        process=process,
        process_event=draw(PROCESS_EVENTS.filter(lambda name: name != "schema")),
        domain=draw(st.sampled_from(["top", "top/acme"])),
        members=(
            Place(one, systems[0], draw(WORDS)),
            Place(other, systems[1], draw(WORDS)),
        ),
        fields=tuple(name for name in known if name in fields),
        journals=tuple(name for name in JOURNALS if name in journals),
        attachments=bool(journals) and draw(st.booleans()),
        schema="rps.schema.json",
    )


@settings(max_examples=150, deadline=None)
@given(choices())
def test_every_choice_makes_a_definition_that_says_what_was_chosen(
    chosen: Choices,
) -> None:
    text = written(chosen)

    made = definition_in(text.encode())
    assert (made.process_event, made.domain) == (chosen.process_event, chosen.domain)
    members = [Place(m.name, m.system, m.table) for m in made.members.values()]
    assert tuple(members) == chosen.members
    assert tuple(made.fields) == chosen.fields
    assert {n: j.visibility for n, j in made.journals.items()} == {
        name: JOURNALS[name] for name in chosen.journals
    }
    assert (made.attachments is not None) == chosen.attachments
    assert text.startswith("# yaml-language-server: $schema=rps.schema.json\n")


@pytest.mark.parametrize("process", PROCESSES)
def test_without_a_terminal_the_defaults_count_and_pass_the_check(
    rps: Rps, tmp_path: Path, process: str
) -> None:
    file = tmp_path / "made.yaml"

    made = rps("definition", "init", str(file), "--process", process)

    assert (made.exit_code, made.stdout) == (0, "")
    assert rps("definition", "check", str(file)).exit_code == 0
    assert "ann " not in file.read_text()
    assert file.read_text().count("#") > 10


def test_each_question_is_an_option(rps: Rps) -> None:
    result = rps(
        *("definition", "init", "-", "--process", "incident"),
        *("--process-event", "Tickets", "--domain", "top/acme", "--schema", "x.json"),
        *("--member", "ours=snow prod:incident", "--member", "theirs=:case"),
        *("--fields", "state, title", "--no-work-notes", "--no-attachments"),
    )

    document = yaml.safe_load(result.stdout)
    assert (document["process_event"], document["domain"]) == ("Tickets", "top/acme")
    assert list(document["fields"]) == ["title", "state"]
    assert list(document["journals"]) == ["comments"]
    assert "attachments" not in document
    places = {n: (m["system"], m["table"]) for n, m in document["members"].items()}
    assert places == {"ours": ("snow prod", "incident"), "theirs": ("theirs", "case")}


def test_owners_are_called_as_the_members_are(rps: Rps) -> None:
    members = ["--member", "one=:change_request", "--member", "two=:rfc"]

    text = rps("definition", "init", "-", "--process", "change", *members).stdout

    owners = {f.get("owner") for f in yaml.safe_load(text)["fields"].values()}
    assert owners == {None, "one", "two"}
    assert "initech" not in text.casefold()


def test_a_file_that_is_there_is_written_over_with_force_only(
    rps: Rps, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")

    refused = rps("definition", "init", str(file), "--yes")

    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert "--force" in refused.stderr
    assert rps("definition", "init", str(file), "--yes", "--force").exit_code == 0
    assert file.read_text() != "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fields", "titel"], "no field titel"),
        (["--member", "acme"], "name=system:table"),
        (["--attachments", "--no-comments", "--no-work-notes"], "needs a journal"),
        (["--member", "a=:t"] * 3, "--member twice"),
    ],
)
def test_an_option_that_makes_no_sense_is_told(
    rps: Rps, options: list[str], said: str
) -> None:
    result = rps("definition", "init", "-", *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--member", "a=x:t", "--member", "b=x:t"],
        ["--member", "A=x:t"],
        ["--process-event", "-"],
        ["--fields", "", "--no-comments", "--no-work-notes"],
    ],
)
def test_choices_that_make_no_definition_write_nothing(
    rps: Rps, tmp_path: Path, options: list[str]
) -> None:
    file = tmp_path / "none.yaml"

    result = rps("definition", "init", str(file), *options)

    assert (result.exit_code, file.exists()) == (1, False)
    assert "nothing was written" in result.stderr


def test_on_a_terminal_it_asks_and_offers_the_systems_there_are(
    application: RemoteProcessSync,
    environ: dict[str, str | None],
    tmp_path: Path,
) -> None:
    link(application)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rps", "definition", "init", "made.yaml"]
    env = {**os.environ, **{k: v for k, v in environ.items() if v is not None}}
    answers = ["blank", "Work", "", "task", "", "", "case", "z", "title", "y", "n", "n"]
    os.write(ours, "".join(f"{each}\n" for each in answers).encode())
    ended = subprocess.run(
        command,
        stdin=theirs,
        capture_output=True,
        cwd=tmp_path,
        env=env,
        timeout=60,
        check=False,
    )
    os.close(ours)
    os.close(theirs)

    asked = ended.stderr.decode()
    assert "registered systems: acme, zenith" in asked
    assert ended.returncode == 0, asked
    made = definition_in((tmp_path / "made.yaml").read_bytes())
    members = [Place(m.name, m.system, m.table) for m in made.members.values()]
    assert members == [Place("acme", "acme", "task"), Place("z", "zenith", "case")]
    assert (list(made.fields), list(made.journals)) == (["title"], ["comments"])
    assert made.attachments is None
