"""Two nodes that share tickets: what one desk does, the other has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hubs import document, settle

if TYPE_CHECKING:
    from hubs import Hub


@pytest.fixture
def linked(hubs: dict[str, Hub]) -> tuple[Hub, Hub]:
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(document("globex"))
    globex.publish(document("acme"))
    return acme, globex


def test_a_ticket_and_its_changes_reach_the_other_desk_and_come_back(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    acme.edit("T1", title="Printer", state="new")
    settle(acme, globex)
    (copy,) = globex.desk.records
    assert globex.desk.records[copy] == {"title": "Printer", "state": "new"}
    globex.edit(copy, state="open")
    globex.comment(copy, "on it")
    acme.edit("T1", note="third floor")
    settle(acme, globex)
    expected = {"title": "Printer", "state": "open", "note": "third floor"}
    assert acme.desk.records["T1"] == expected
    assert globex.desk.records[copy] == expected
    assert list(acme.desk.comments["T1"].values()) == ["on it"]
    assert {status for status, _ in acme.messages("globex")} == {"processed"}
    assert {status for status, _ in globex.messages("acme")} == {"processed"}
