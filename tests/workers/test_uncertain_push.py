"""Connections that end at any moment of a write, on the wire as it is: no record,
comment or file is there twice, whatever class of system it is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from desk import Desk
from ticketing import CUTS, Ticketing

from rps.domain.delivery import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

GRADES = {
    Capabilities(dedupe, conditional, read_back=True).grade: (dedupe, conditional)
    for dedupe in (True, False)
    for conditional in (True, False)
}


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    made = Desk(database)
    yield made
    made.close()


@pytest.mark.parametrize("at", [1, 2], ids=["create", "update"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("grade", sorted(GRADES))
def test_a_connection_that_ends_doubles_nothing(
    desk: Desk, grade: str, cut: str, at: int
) -> None:
    dedupe, conditional = GRADES[grade]
    with closing(
        Ticketing(dedupe=dedupe, conditional=conditional, cut=cut, at=at)
    ) as zenith:
        desk.trackers["zenith"] = zenith.connector  # type: ignore[assignment]
        for number, title in enumerate(("Printer", "Printer on fire", "Burnt down")):
            said = {"journal": "comments", "author": "Ann", "text": title}
            desk.offers(
                desk.acme.offer(f"picture {number}".encode(), name=f"{number}.png"),
                fields={"short_description": title},
                entries=[{"id": f"e{number}", **said}],
            )
            desk.fetched()
            for _ in range(3):
                desk.make_due()
                desk.end_pause_of_breakers()
                desk.fetched()

        assert zenith.cut == ""  # it happened
        (record,) = zenith.records.values()
        assert record["fields"]["subject"] == "Burnt down"
        assert zenith.said == {"acme:e0": 1, "acme:e1": 1, "acme:e2": 1}
        assert sorted(zenith.files.values()) == [1, 1, 1]
        assert {status for status, *_ in desk.messages()} == {"processed"}
