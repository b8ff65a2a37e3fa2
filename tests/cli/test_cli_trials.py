"""rps trace, rps definition try and what-if: looked at, and nothing written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from shared_tickets import DOCUMENT, change, now, share

from rps.application.captured import Poster
from rps.application.secret_store import SecretStore
from rps.cli.terminal import Exit
from rps.workers.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps

    from rps.application import RemoteProcessSync

OTHER = {
    **DOCUMENT,
    "members": {
        **DOCUMENT["members"],  # type: ignore[dict-item]
        "zenith": {"table": "case", "fields": {"title": "subject"}},
    },
}


@pytest.fixture
def shared(application: RemoteProcessSync) -> RemoteProcessSync:
    """Three changes of one ticket, judged; zenith is not reachable."""
    share(application, 3)
    for name in ("acme", "zenith"):
        SecretStore(application, lambda n: b"s" * n).make("top", name)
    return application


def written(folder: Path, name: str, document: Any) -> str:
    file = folder / name
    file.write_text(yaml.safe_dump(document) if name.endswith("yaml") else document)
    return str(file)


def position(application: RemoteProcessSync) -> int:
    return application.recorder.head()[0]


# --- trace --------------------------------------------------------------------------


def test_trace_takes_a_change_and_the_messages_it_made(
    rps: Rps, shared: RemoteProcessSync
) -> None:
    before = position(shared)
    found = json.loads(rps("trace", "change-1", "-o", "json").stdout)
    message_id = found["judgement"]["messages"][0]["message_id"]
    message = json.loads(rps("trace", message_id, "-o", "json").stdout)

    assert found["judgement"]["as_recorded"] is True
    assert message["change"]["change_id"] == "change-1"
    assert message["outcome"]["state"] == "waiting"
    assert message["deliveries"][0]["write"]["fields"] == {"summary": "text 1"}
    assert position(shared) == before


def test_trace_reads_as_a_tree(rps: Rps, shared: RemoteProcessSync) -> None:
    found = json.loads(rps("trace", "change-2", "-o", "json").stdout)
    message_id = found["judgement"]["messages"][0]["message_id"]
    told = rps("trace", message_id).stdout

    assert "ticket.shared to zenith" in told
    assert "acme update of INC1 by anna" in told
    assert "judged under revision 1: accepted" in told
    assert 'title: "text 2", accepted: version 2  /fields/title' in told
    assert "made as update under revision 1" in told
    assert position(shared) > 0


def test_trace_tells_why_a_change_failed(rps: Rps, shared: RemoteProcessSync) -> None:
    poster = Poster("top", "acme")
    shared.intake.capture(poster, [change(9, short_description=["x"])], now())
    receiver = Receiver(shared, now)
    while receiver.work():
        pass
    told = rps("trace", "change-9").stdout
    found = json.loads(rps("trace", "change-9", "-o", "json").stdout)

    assert found["error"]["place"] == "/members/acme/fields/title"
    assert "'short_description': a list" in told
    assert "/members/acme/fields/title" in told


@pytest.mark.parametrize("name", ["nothing", "5f1f2f0e-93a1-4a35-b0a3-06f0c31e4f10"])
def test_trace_of_nothing_is_not_found(
    rps: Rps, shared: RemoteProcessSync, name: str
) -> None:
    result = rps("trace", name)

    assert (result.exit_code, result.stdout) == (Exit.NOT_FOUND, "")
    assert f"no message and no change {name}" in result.stderr
    assert rps("trace", "change-1", "--domain", "top/else").exit_code == Exit.NOT_FOUND
    assert position(shared) > 0


# --- try ----------------------------------------------------------------------------


def test_try_shows_the_request_that_a_change_would_become(
    rps: Rps, shared: RemoteProcessSync, tmp_path: Path
) -> None:
    before = position(shared)
    posted = written(tmp_path, "change.json", json.dumps(change(4)))
    file = written(tmp_path, "other.yaml", OTHER)

    found = json.loads(
        rps("definition", "try", file, "--change", posted, "-o", "json").stdout
    )
    told = rps("definition", "try", "ticket.shared", "--change", posted).stdout

    body = json.loads(found["messages"][0]["request"]["body"])
    assert body["fields"] == {"subject": "text 4"}
    assert found["messages"][0]["note"].startswith("a message that makes the record")
    assert '"summary": "text 4"' in told
    assert "webhook-signature: (left out)" in told
    assert position(shared) == before


def test_try_of_a_record_says_where_it_was_read(
    rps: Rps, shared: RemoteProcessSync
) -> None:
    found = json.loads(
        rps(
            *("definition", "try", "ticket.shared", "--record", "acme:incident:INC1"),
            *("--as-new", "-o", "json"),
        ).stdout
    )

    assert found["record"]["read"] == "log"
    assert found["messages"][0]["fields"] == {"title": "text 3"}
    assert position(shared) > 0


def test_try_ends_with_1_where_a_step_is_refused(
    rps: Rps, shared: RemoteProcessSync
) -> None:
    posted = json.dumps(change(5, short_description=["x"]))
    result = rps("definition", "try", "ticket.shared", "--change", "-", stdin=posted)

    assert result.exit_code == Exit.FAILED
    assert "/members/acme/fields/title" in result.stderr
    assert position(shared) > 0


def test_try_of_a_file_names_the_line_at_which_it_stopped(
    rps: Rps, shared: RemoteProcessSync, tmp_path: Path
) -> None:
    file = written(tmp_path, "other.yaml", OTHER)
    posted = json.dumps(change(5, short_description=["x"]))
    result = rps(
        *("definition", "try", file, "--change", "-", "-o", "json"), stdin=posted
    )

    line = json.loads(result.stdout)["error"]["line"]
    lines = yaml.safe_dump(OTHER).splitlines()
    assert lines[line - 1].strip() == "title: short_description"
    assert position(shared) > 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "says"),
    [
        ((), "", Exit.USAGE, "give --change or --record"),
        (("--change", "-", "--record", "a:b:c"), "{}", Exit.USAGE, "one of them"),
        (("--record", "acme:INC1"), "", Exit.USAGE, "give SYSTEM:TABLE:RECORD_ID"),
        (("--record", "acme::INC1"), "", Exit.USAGE, "give SYSTEM:TABLE:RECORD_ID"),
        (
            ("--record", "acme:task:1"),
            "",
            Exit.NOT_FOUND,
            "no member that is acme.task",
        ),
        (("--record", "acme:incident:X"), "", Exit.NOT_FOUND, "nothing is known"),
        (("--change", "-"), "{", Exit.FAILED, "not taken"),
        (("--change", "-"), "[]", Exit.FAILED, "not one"),
        (("--change", "-"), '{"system": 4}', Exit.FAILED, '"system"'),
        (("--change", "-", "--revision", "7"), "{}", Exit.FAILED, "not one"),
    ],
)
def test_try_of_nonsense_says_what_to_change(
    rps: Rps,
    shared: RemoteProcessSync,
    arguments: tuple[str, ...],
    stdin: str,
    code: Exit,
    says: str,
) -> None:
    before = position(shared)
    result = rps("definition", "try", "ticket.shared", *arguments, stdin=stdin)

    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert position(shared) == before


def test_a_file_that_is_no_definition_is_refused_with_line_and_column(
    rps: Rps, shared: RemoteProcessSync, tmp_path: Path
) -> None:
    file = written(tmp_path, "bad.yaml", {**DOCUMENT, "feilds": {}})
    posted = json.dumps(change(4))
    tried = rps("definition", "try", file, "--change", "-", stdin=posted)
    what_if = rps("definition", "what-if", "ticket.shared", "--file", file)

    for result in (tried, what_if):
        assert result.exit_code == Exit.FAILED
        assert f"{file}:1:1: /feilds" in result.stderr
    assert position(shared) > 0


# --- what-if ------------------------------------------------------------------------


def test_what_if_ends_with_0_where_all_is_the_same(
    rps: Rps, shared: RemoteProcessSync
) -> None:
    before = position(shared)
    for arguments in ((), ("--draft",), ("--revision", "1")):
        result = rps("definition", "what-if", "ticket.shared", *arguments)
        assert result.exit_code == 0
        assert "3 judged, 3 same, 0 different, 0 refused" in result.stdout
    assert position(shared) == before


def test_what_if_ends_with_5_where_something_differs_and_shows_it(
    rps: Rps, shared: RemoteProcessSync, tmp_path: Path
) -> None:
    file = written(tmp_path, "other.yaml", OTHER)
    asked = ("definition", "what-if", "ticket.shared", "--file", file)
    told = rps(*asked, "--show", "1")
    found = json.loads(rps(*asked, "-o", "json").stdout)

    assert told.exit_code == Exit.DIFFERENT == 5
    assert 'subject null -> "text 1"' in told.stdout
    assert "and 2 more" in told.stdout
    assert "3 of 3 changes would differ" in told.stderr
    assert (found["judged"], found["different"]) == (3, 3)
    assert len(found["differences"]) == 3
    assert position(shared) > 0


def test_what_if_keeps_to_its_limit_and_range(
    rps: Rps, shared: RemoteProcessSync
) -> None:
    def judged(*arguments: str) -> int:
        result = rps("definition", "what-if", "ticket.shared", *arguments, "-o", "json")
        assert result.exit_code == 0, result.stderr
        return int(json.loads(result.stdout)["judged"])

    assert judged("--limit", "2") == 2
    assert judged("--until", "2020-01-01T00:00:00Z") == 0
    assert judged("--since", "2020-01-01T00:00:00Z") == 3
    assert position(shared) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nothing.shared",), Exit.NOT_FOUND, "no definition nothing.shared"),
        (("ticket.shared", "--revision", "9"), Exit.NOT_FOUND, "no revision 9"),
        (("ticket.shared", "--since", "now"), Exit.USAGE, "'now'"),
        (("ticket.shared", "--draft", "--revision", "1"), Exit.USAGE, "give one of"),
        (("ticket.shared", "--file", "none.yaml"), Exit.USAGE, "none.yaml"),
        (("ticket.shared", "--limit", "0"), Exit.USAGE, "limit"),
    ],
)
def test_what_if_of_nonsense_says_what_to_change(
    rps: Rps,
    shared: RemoteProcessSync,
    arguments: tuple[str, ...],
    code: Exit,
    says: str,
) -> None:
    result = rps("definition", "what-if", *arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert position(shared) > 0


def test_a_file_of_another_definition_is_refused(
    rps: Rps, shared: RemoteProcessSync, tmp_path: Path
) -> None:
    file = written(tmp_path, "other.yaml", {**OTHER, "process_event": "case.shared"})
    result = rps("definition", "what-if", "ticket.shared", "--file", file)

    assert result.exit_code == Exit.FAILED
    assert "is of case.shared in top, not of ticket.shared" in result.stderr
    assert position(shared) > 0
