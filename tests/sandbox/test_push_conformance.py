"""The conformance suite against a ticket system in a process of its own, by `push`."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from sandbox_neighbours import SECRET, SandboxProcess

from rps.cli.conformance import SAMPLES
from rps.connectors.conformance import suite, systems
from rps.connectors.transport import Transport
from rps.domain.delivery import Capabilities, Shown, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rps.connectors.conformance.results import Result

FULL = Capabilities(dedupe=True, conditional_write=True, read_back=True)
INAPPLICABLE = {"attachment", "poll", "poll-pages", "poll-edits", "unknown-field"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[str]:
    """Its address."""
    process = SandboxProcess(tmp_path / "desk.sqlite")
    yield process.url
    process.kill()


@pytest.fixture
def wire() -> Iterator[Transport]:
    transport = Transport((ipaddress.ip_network("127.0.0.0/8"),))
    yield transport
    transport.close()


def run(
    wire: Transport, url: str, capabilities: Capabilities = FULL, **more: Any
) -> dict[str, Result]:
    system = systems.receiver(
        *(wire, f"{url}/rps", SECRET, capabilities, SAMPLES["push"])
    )
    return {each.case: each for each in suite.run(replace(system, **more))}


def test_the_connector_passes_what_the_protocol_has(wire: Transport, desk: str) -> None:
    """Comments are looked at where the desk's own people see them."""

    def shows(table: str, record_id: str) -> Shown:
        answer = urllib3.request("GET", f"{desk}/records/{table}/{record_id}")
        record = json.loads(answer.data)
        return Shown(Snapshot(record_id, None, {}), entries=tuple(record["comments"]))

    results = run(wire, desk, shows=shows)
    assert results.keys() == suite.CASES.keys()
    assert {n for n, each in results.items() if each.passed is None} == INAPPLICABLE
    assert [each for each in results.values() if each.passed is False] == []


def test_without_a_look_at_the_desk_a_comment_is_said_to_be_taken(
    wire: Transport, desk: str
) -> None:
    said = run(wire, desk)["comment"]
    assert said.passed
    assert "its own page tells" in said.says


def test_what_cannot_be_asked_leaves_a_lost_answer_to_a_person(
    wire: Transport, desk: str
) -> None:
    bare = Capabilities(dedupe=False, conditional_write=False, read_back=False)
    results = run(wire, desk, bare)
    assert results["uncertain-create"].passed is None
    assert "a person must look" in results["uncertain-create"].says


def test_a_receiver_with_another_secret_fails_at_the_first_case(
    wire: Transport, desk: str
) -> None:
    system = systems.receiver(
        *(wire, f"{desk}/rps", "whsec_" + "b" * 40, FULL, SAMPLES["push"])
    )
    [only] = suite.run(system)
    assert (only.case, only.passed) == ("check", False)
    assert "401" in only.says
