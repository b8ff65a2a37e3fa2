"""rps problems: what a person sees of what fails, and treating a group at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from shared_tickets import change, link, now, project

from rps.application.captured import Poster
from rps.workers.receiver import Receiver
from rps.workers.sweeper import Sweeper

if TYPE_CHECKING:
    from conftest import Rps

    from rps.application import RemoteProcessSync


@pytest.fixture
def failing(rps: Rps, application: RemoteProcessSync) -> Rps:
    """Two tickets whose title is no text."""
    link(application)
    for number in (1, 2):
        bad = {**change(number, short_description=number), "record_id": f"INC{number}"}
        application.intake.capture(Poster("top", "acme"), [bad], now())
    receiver = Receiver(application, now)
    while receiver.work():
        pass
    project(application)
    return rps


def listed(rps: Rps, *more: str) -> list[Any]:
    return list(json.loads(rps("problems", *more, "-o", "json").stdout))


def test_problems_are_listed_shown_and_skipped_at_once(
    failing: Rps, application: RemoteProcessSync
) -> None:
    (found,) = listed(failing)
    assert (found["entries"], found["waits_for"]) == (2, "a person")
    assert found["fingerprint"] in failing("problems").stdout
    shown = failing("problems", "show", found["fingerprint"])
    assert shown.exit_code == 0
    assert "is not of the field's type" in shown.stderr
    assert "is not a text" in shown.stdout
    told = ("skip", found["fingerprint"], "--reason", "test data", "-o", "json")
    (planned,) = json.loads(failing("problems", *told).stdout)
    assert (planned["state"], planned["entries"]) == ("planned", 2)
    assert failing("problems", "start", planned["id"]).exit_code == 0
    sweeper = Sweeper(application, now)
    assert sweeper.work() == 2
    sweeper.work()
    project(application)
    (done,) = json.loads(failing("problems", "progress", "-o", "json").stdout)
    assert (done["state"], done["done"]) == ("completed", 2)
    assert listed(failing) == []
    assert "no problems" in failing("problems").stderr


def test_a_retry_is_started_at_once_where_asked(failing: Rps) -> None:
    (found,) = listed(failing, "--parked")
    told = ("retry", found["fingerprint"], "--reason", "mended", "--start")
    (begun,) = json.loads(failing("problems", *told, "-o", "json").stdout)
    assert begun["state"] == "started"
    ended = failing("problems", "cancel", begun["id"], "--reason", "not yet")
    assert (ended.exit_code, "cancelled" in ended.stdout) == (0, True)


def test_what_is_not_there_and_no_reason_are_told(failing: Rps) -> None:
    unknown = failing("problems", "show", "0123456789abcdef")
    assert (unknown.exit_code, "no problem 0123" in unknown.stderr) == (3, True)
    assert failing("problems", "retry", "x").exit_code == 2
    assert failing("problems", "progress", "x").exit_code == 3
