"""Two nodes that share tickets: what one desk does, the other has."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

from hubs import document, settle
from peers import message, post

from rps.application import RemoteProcessSync
from rps.domain.delivery import Missing, Unavailable
from rps.domain.remote_system import RemoteSystem

if TYPE_CHECKING:
    from hubs import Hub


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


def test_a_screenshot_travels_with_its_ticket_and_goes_when_it_is_removed(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    acme.edit("T1", title="Printer")
    first = acme.attach("T1", "screen.png", b"pixels" * 1000)
    settle(acme, globex)
    (copy,) = globex.desk.records
    assert globex.desk.files == {copy: {"screen.png": first}}
    blob = b"".join(globex.application.blobs.read("top", first, 0, 6000))
    assert blob == b"pixels" * 1000
    other = globex.attach(copy, "notes.txt", b"on third floor")
    settle(acme, globex)
    assert acme.desk.files == {"T1": {"screen.png": first, "notes.txt": other}}
    acme.detach("T1", "screen.png")
    globex.detach(copy, "notes.txt")
    settle(acme, globex)
    assert (acme.desk.files, globex.desk.files) == ({"T1": {}}, {copy: {}})


def test_a_node_is_given_no_file_that_it_was_not_told_of(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    content = b"of another matter"
    sha256 = hashlib.sha256(content).hexdigest()
    writing = acme.application.blobs.begin("top", sha256, len(content))
    assert writing is not None
    writing.take(content)
    assert writing.finish()
    system = globex.application.configuration.refresh().system("top", "acme")
    assert system is not None
    assert isinstance(globex.connect(system).fetch(sha256, 0), Missing)


def test_automations_that_answer_each_other_end_in_an_open_conflict(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    acme.edit("T1", title="Printer", state="new")
    settle(acme, globex)
    (copy,) = globex.desk.records
    answers = {"new": "open", "open": "new"}
    acme.edit("T1", state="open")
    for _ in range(40):
        settle(acme, globex)
        before = len(acme.desk.writes) + len(globex.desk.writes)
        for hub, ticket in ((globex, copy), (acme, "T1")):
            state = hub.desk.records[ticket]["state"]
            hub.edit(ticket, state=answers[state])
            settle(acme, globex)
        if len(acme.desk.writes) + len(globex.desk.writes) == before:
            break
    else:
        raise AssertionError("they answer each other without end")
    policies = [
        policy
        for hub in linked
        for policy in hub.ask(
            "SELECT convert_from(state, 'UTF8')::jsonb ->> 'policy' FROM rps_events"
            " WHERE topic = 'conflict.opened'"
        )
    ]
    assert policies
    assert set(policies) == {("oscillation",)}
    acme.edit("T1", note="all else goes on")
    settle(acme, globex)
    assert globex.desk.records[copy]["note"] == "all else goes on"


def test_records_of_one_number_at_desks_of_one_name_are_two_records(
    linked: tuple[Hub, Hub],
) -> None:
    """Both opened the same correlation; each node took the other's for one it had."""
    acme, globex = linked
    acme.edit("T1", title="Printer")
    globex.edit("T1", title="Lamp")
    settle(acme, globex)
    for hub in linked:
        titles = [record["title"] for record in hub.desk.records.values()]
        assert sorted(titles) == ["Lamp", "Printer"]


def test_a_message_that_was_asked_after_often_has_its_attempts_left(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    globex.desk.fails = lambda _write: Unavailable("the desk is away")
    acme.edit("T1", title="Printer on fire")
    for _ in range(20):
        acme.work()
        acme.make_due()
    globex.is_down = True
    acme.work()
    ((status, _),) = [m for m in acme.messages("globex") if m[0] != "processed"]
    assert status != "error"
    globex.is_down = False
    globex.desk.fails = lambda _write: None
    settle(acme, globex)
    ((record,),) = [hub.desk.records.values() for hub in (globex,)]
    assert record["title"] == "Printer on fire"


def test_a_pause_that_was_said_to_another_process_holds_at_once(
    hubs: dict[str, Hub],
) -> None:
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    said = {"protocol": 1, "messages": [message()]}
    assert post(globex, acme, "messages", said).status_code == 200
    with closing(RemoteProcessSync(acme.database)) as beside:
        beside.change(
            RemoteSystem,
            RemoteSystem.id_of("top", "globex"),
            lambda link: link.pause("quiet hours", "anna", acme.now()),
        )
    refused = post(globex, acme, "messages", said)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
