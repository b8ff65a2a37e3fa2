"""Presets of systems that no test can start, against exchanges as their documentation
has them: what is asked, word for word, and what is made of the answers.

They prove that a preset says what we mean; not that the system does what its
documentation says. `rps connector test` does that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import yaml
from described import CORRELATION, SHA256, connector, write
from loopback_server import LoopbackServer, answer

from rps.domain.delivery import Attachment, JournalEntry

if TYPE_CHECKING:
    from rps.connectors.rest.connector import RestConnector
    from rps.connectors.transport import Transport

RECORDINGS = sorted(Path(__file__).with_name("recordings").glob("*.yaml"))
FILE = Attachment("acme:att1", "shot.txt", 5, "text/plain", SHA256)


def steps() -> list[Any]:
    found = []
    for path in RECORDINGS:
        recording = yaml.safe_load(path.read_text())
        for step in recording["steps"]:
            case = (path.stem, recording["settings"], step)
            found.append(pytest.param(*case, id=f"{path.stem}: {step['name']}"))
    return found


def test_there_is_a_recording_of_every_preset_that_cannot_be_run() -> None:
    assert {path.stem for path in RECORDINGS} == {
        *("github", "gitlab", "jira-cloud", "jira-server", "redmine"),
        *("request-tracker", "zammad"),
    }


@pytest.mark.parametrize(("preset", "settings", "step"), steps())
def test_it_is_asked_as_documented(
    patient: Transport, preset: str, settings: dict[str, str], step: dict[str, Any]
) -> None:
    exchanges = step["exchanges"]
    answers = [
        answer(
            each["status"],
            b"" if each.get("answer") is None else json.dumps(each["answer"]).encode(),
            [(n, str(v)) for n, v in each.get("headers", {}).items()],
        )
        for each in exchanges
    ]
    with LoopbackServer(*answers) as server:
        system = connector(patient, server.url, preset, **settings)
        came = done(system, step)
    asked = [f"{each.method} {unquote(each.target)}" for each in server.received]
    assert asked == [" ".join(each["ask"].split()) for each in exchanges]
    for received, each in zip(server.received, exchanges, strict=True):
        if "body" in each:
            assert json.loads(received.body) == each["body"]
    assert told(came) == step["gives"]


def done(system: RestConnector, step: dict[str, Any]) -> Any:
    match step["do"], step.get("with", {}):
        case "write", given:
            entries = tuple(JournalEntry(**each) for each in given.pop("entries", []))
            files = (FILE,) if given.pop("file", False) else ()
            return system.write(write(entries=entries, attachments=files, **given))
        case "settle", given:
            return system.settle(write(**given))
        case "changes", given:
            return system.changes_since(given["table"], given["cursor"])
        case what, _:
            raise ValueError(what)


def told(came: Any) -> dict[str, Any]:
    """The kind of outcome, and what is worth comparing of it."""
    known: dict[str, Any] = {"kind": type(came).__name__}
    if hasattr(came, "record_id"):
        known["record_id"] = came.record_id
        shown = came.record.fields if came.record is not None else came.stored
        known["shows"] = dict(shown)
    if hasattr(came, "records"):
        known["records"] = [
            {
                "id": each.record.record_id,
                "fields": dict(each.record.fields),
                "by": each.changed_by,
                "entries": [
                    {n: e[n] for n in ("id", "journal", "text")} for e in each.entries
                ],
                **_files(each.attachments),
            }
            for each in came.records
        ]
    if hasattr(came, "detail"):
        known["detail"] = came.detail
    if getattr(came, "retry_after", None) is not None:
        known["retry_after"] = came.retry_after
    return known


def _files(shown: Any) -> dict[str, Any]:
    files = [{n: f[n] for n in ("id", "name", "type")} for f in shown]
    return {"files": files} if files else {}


assert CORRELATION == "2d2dca26-b83f-5c8a-bbe0-9b20553b194f", "the recordings have it"
