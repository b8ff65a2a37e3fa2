"""rps conflict: what a person sees of a conflict, and deciding it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from shared_tickets import DOCUMENT, change, now, project, share

from rps.application.captured import Poster
from rps.domain.correlation import Correlation
from rps.domain.events import CorrelationLinked
from rps.workers.receiver import Receiver

if TYPE_CHECKING:
    from conftest import Rps

    from rps.application import RemoteProcessSync


@pytest.fixture
def disputed(rps: Rps, application: RemoteProcessSync) -> Rps:
    """Acme's title stands against one that zenith gave the same record."""
    share(application)
    document: dict[str, Any] = deepcopy(DOCUMENT)
    document["fields"]["title"]["policy"] = "manual"
    application.apply_definition(document, "test", now())
    theirs = {
        **change(2),
        "system": "zenith",
        "table": "case",
        "record_id": "CAS1",
        "fields": {"summary": "theirs"},
    }
    poster = Poster("top", "zenith")
    mine = change(3, short_description="mine")
    link_case(application)
    application.intake.capture(Poster("top", "acme"), [mine], now())
    judge(application)
    application.intake.capture(poster, [theirs], now())
    judge(application)
    project(application)
    return rps


def link_case(application: RemoteProcessSync) -> None:
    configuration = application.configuration.refresh()
    (definition,) = configuration.definitions()
    opener = (str(definition.id), "acme", "incident", "INC1")
    key = Correlation.id_of(*opener, application.recorder.genesis())
    found = application.find(Correlation, key)
    assert found is not None
    found.happened(
        CorrelationLinked,
        now(),
        definition=str(definition.id),
        member="zenith",
        system="zenith",
        table="case",
        record_id="CAS1",
        record_revision=None,
    )
    application.save(found)


def judge(application: RemoteProcessSync) -> None:
    receiver = Receiver(application, now)
    while receiver.work():
        pass


def listed(rps: Rps, *more: str) -> list[Any]:
    return list(json.loads(rps("conflict", "list", "-o", "json", *more).stdout))


def test_a_conflict_is_shown_and_decided(disputed: Rps) -> None:
    (found,) = listed(disputed)
    number = str(found["id"])
    shown = disputed("conflict", "show", number)
    assert (shown.exit_code, "theirs" in shown.stdout) == (0, True)
    assert "anna" in shown.stdout
    decision = ("--keep", "theirs", "--reason", "they know best")
    assert disputed("conflict", "resolve", number, *decision).exit_code == 0
    again = disputed("conflict", "resolve", number, *decision)
    assert (again.exit_code, "no open conflict" in again.stderr) == (1, True)


def test_the_doctor_tells_of_it(disputed: Rps) -> None:
    said = json.loads(disputed("doctor", "-o", "json").stdout)
    (finding,) = [each for each in said if each["check"] == "conflicts"]
    assert finding["level"] == "warning"
    assert "rps conflict list" in finding["remedy"]


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (("--keep", "mine", "--value", "x"), "say --keep"),
        (("--value", "["), "no JSON"),
        (("--value", '["a"]'), "is not a text"),
    ],
)
def test_an_unclear_decision_is_refused(
    disputed: Rps, decision: tuple[str, ...], why: str
) -> None:
    (found,) = listed(disputed)
    number = str(found["id"])
    refused = disputed("conflict", "resolve", number, *decision, "--reason", "r")
    assert (refused.exit_code, why in refused.stderr) == (2, True), refused.stderr
    assert listed(disputed)


def test_what_is_not_there_is_not_shown(disputed: Rps) -> None:
    assert disputed("conflict", "show", "999999").exit_code == 3
