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


def test_the_node_that_invited_decides_and_what_loses_is_recorded(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    (copy,) = globex.desk.records
    acme.is_down = globex.is_down = True
    globex.edit(copy, title="theirs")
    acme.edit("T1", title="ours, later")
    acme.work()
    globex.work()
    acme.is_down = globex.is_down = False
    settle(acme, globex)
    assert acme.desk.records["T1"] == globex.desk.records[copy]
    assert acme.desk.records["T1"]["title"] == "ours, later"
    conflicts = acme.ask(
        "SELECT count(*) FROM rps_events WHERE topic = 'conflict.recorded'"
    )
    assert conflicts == [(1,)]


def test_what_the_other_node_does_not_share_waits_alone_until_it_does(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    narrow = document("acme")
    del narrow["fields"]["note"]
    for member in narrow["members"].values():
        del member["fields"]["note"]
    globex.publish(narrow)
    acme.herald.work()
    acme.edit("T1", title="Printer", note="third floor")
    acme.edit("T2", title="Lamp")
    for _ in range(3):
        acme.work()
    assert [r["title"] for r in globex.desk.records.values()] == ["Lamp"]
    ((status, detail),) = [m for m in acme.messages("globex") if m[0] != "processed"]
    assert (status, "does not share 'note'" in detail) == ("ready", True)
    globex.publish(document("acme"))
    globex.herald.work()
    acme.work()
    titles = sorted(r["title"] for r in globex.desk.records.values())
    assert titles == ["Lamp", "Printer"]


def test_in_a_triangle_a_record_comes_one_way_and_is_written_once(
    hubs: dict[str, Hub],
) -> None:
    acme, globex, initech = hubs.values()
    acme.invites(globex)
    acme.invites(initech)
    globex.invites(initech)
    acme.publish(document("globex", "initech"))
    globex.publish(document("acme", "initech"))
    initech.publish(document("acme", "globex"))
    acme.edit("T1", title="Printer")
    settle(*hubs.values())
    for number, hub in enumerate(hubs.values()):
        (ticket,) = hub.desk.records
        hub.edit(ticket, state=f"state {number}")
        settle(*hubs.values())
    for hub in hubs.values():
        (record,) = hub.desk.records.values()
        assert record == {"title": "Printer", "state": "state 2"}
        writes = [w.fields for w in hub.desk.writes]
        assert len(writes) == len({str(w) for w in writes}), writes
    assert [len(hub.desk.writes) for hub in hubs.values()] == [2, 3, 3]
