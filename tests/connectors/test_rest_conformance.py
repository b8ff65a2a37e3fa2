"""The conformance suite against a system that does all it should, and ones that do not:
it has to find each of them out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from loopback_server import LOOPBACK
from plain_desk import TOKEN, PlainDesk, serving

from rps.connectors.conformance import suite, systems, tried
from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.reading import chosen
from rps.connectors.transport import Transport

if TYPE_CHECKING:
    from rps.connectors.conformance.results import Result


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "LOOK_SECONDS", 0.0)


def run(desk: PlainDesk) -> dict[str, Result]:
    _, description = presets.read_text(presets.text("generic"))
    transport = Transport(LOOPBACK)
    with serving(desk) as url:
        placed = Placed(description, url, chosen(description, {}), TOKEN)
        results = suite.run(systems.described(transport, placed))
        return {each.case: each for each in results}


def test_a_system_that_does_what_its_description_says_passes_every_case() -> None:
    desk = PlainDesk()
    results = run(desk)
    assert [r for r in results.values() if r.passed is not True] == []
    assert results.keys() == suite.CASES.keys()
    external = [t["external_id"] for t in desk.tickets.values()]
    assert len(external) == len(set(external))


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off_loses_no_change(hours: int) -> None:
    """Where polling begins, and where it is, goes by the system's own clock."""
    results = run(PlainDesk(clock_off=timedelta(hours=hours)))
    assert [r for r in results.values() if r.passed is not True] == []


@pytest.mark.parametrize(
    ("quirk", "case"),
    [
        ("no conditions", "conditional-update"),
        ("loses comments", "comment"),
        ("spoils files", "attachment"),
        ("shows no news", "poll"),
    ],
)
def test_a_system_that_is_not_what_its_description_says_is_found_out(
    quirk: str, case: str
) -> None:
    assert run(PlainDesk(quirk))[case].passed is False


def test_a_field_that_is_taken_without_a_word_and_not_kept_is_told() -> None:
    result = run(PlainDesk("takes anything"))["unknown-field"]
    assert result.passed
    assert "shows no field rps_no_such_field: was it renamed" in result.says


def test_a_system_that_lists_more_than_it_is_asked_for_does_no_harm() -> None:
    results = run(PlainDesk("lists all", "forgets ids"))
    assert [r for r in results.values() if r.passed is False] == []
