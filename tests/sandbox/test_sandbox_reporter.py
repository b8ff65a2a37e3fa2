"""How the ticket sandbox tells rps what its own users changed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_neighbours import Client, Listener, Node, message

from rps.sandbox.reporter import BATCH_MAX, Reporter
from rps.sandbox.tickets import TicketSystem, create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.sandbox.server import SandboxSettings


@pytest.fixture
def reporting(settings: SandboxSettings, listener: Listener) -> SandboxSettings:
    return replace(
        settings, report_url=listener.url, report_token="token", system="globex"
    )


@pytest.fixture
def system(reporting: SandboxSettings) -> TicketSystem:
    return TicketSystem.open(reporting)


@contextmanager
def reporter(system: TicketSystem, listener: Listener) -> Iterator[None]:
    """Report meanwhile; at the end the last report's outcome has been kept."""
    running = Reporter(system.outbox, listener.url, "token")
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield
    finally:
        running.stop()
        thread.join()


def edit(system: TicketSystem, number: int) -> None:
    system.edits.edit("incident", "INC0000001", {"n": number}, "ann")


def numbers(changes: list[dict[str, Any]]) -> list[object]:
    return [change["fields"].get("n") for change in changes]


def test_a_change_says_what_who_and_what_was_before(
    system: TicketSystem, listener: Listener
) -> None:
    system.edits.create("incident", {"n": 0, "state": "new"}, "ann", "Help")
    edit(system, 1)
    system.edits.comment("incident", "INC0000001", "On it", "bob")
    system.edits.delete("incident", "INC0000001", "bob")

    with reporter(system, listener):
        listener.wait_for(lambda heard: len(heard.heard) == 4)

    made, edited, commented, deleted = listener.heard
    assert made["fields"] == {"n": 0, "state": "new"}
    assert [entry["text"] for entry in made["entries"]] == ["Help"]
    assert len(edited.pop("change_id")) == 36
    assert edited.pop("changed_at").endswith("+00:00")
    assert edited == {
        "system": "globex",
        "table": "incident",
        "record_id": "INC0000001",
        "operation": "update",
        "revision": "2",
        "fields": {"n": 1},
        "before": {"n": 0},
        "changed_by": "ann",
        "external_id": None,
        "entries": [],
    }
    assert [entry["author"] for entry in commented["entries"]] == ["bob"]
    assert (deleted["operation"], deleted["revision"]) == ("delete", "4")
    assert listener.tokens == {"Bearer token"}
    assert system.outbox.entries() == []


def test_an_edited_or_removed_comment_is_reported_by_its_id(
    system: TicketSystem, listener: Listener
) -> None:
    made = system.edits.create("incident", {}, "ann", "Help")
    entry = made["comments"][0]["id"]
    about = ("incident", "INC0000001", entry)
    system.edits.edit_comment(*about, "Thanks", "ann")
    system.edits.edit_comment(*about, "Thanks", "ann")  # says nothing new
    system.edits.delete_comment(*about, "ann")

    with reporter(system, listener):
        listener.wait_for(lambda heard: len(heard.heard) == 3)

    _, edited, removed = (change["entries"][0] for change in listener.heard)
    assert (edited["id"], edited["text"], "deleted" in edited) == (
        entry,
        "Thanks",
        False,
    )
    assert (removed["id"], removed["deleted"]) == (entry, True)
    assert {"operation"} & (edited.keys() | removed.keys()) == set()


def test_edits_made_while_rps_was_down_are_reported_in_order_when_it_is_back(
    system: TicketSystem,
) -> None:
    down = Listener()
    down.close()
    system.edits.create("incident", {"n": 0}, "ann")

    with reporter(system, down):
        for number in range(1, 2 * BATCH_MAX):
            edit(system, number)
        back = Listener(down.port)
        edit(system, 2 * BATCH_MAX)
        back.wait_for(lambda heard: len(heard.heard) > 2 * BATCH_MAX)
    back.close()

    assert numbers(back.heard) == list(range(2 * BATCH_MAX + 1))
    assert max(map(len, back.requests)) <= BATCH_MAX
    assert system.outbox.entries() == []


@pytest.mark.parametrize("status", [302, 401, 429, 500, 503])
def test_what_is_not_the_changes_fault_is_reported_again_unaltered(
    system: TicketSystem, listener: Listener, status: int
) -> None:
    listener.judge = lambda _: status if len(listener.requests) == 0 else 202
    system.edits.create("incident", {"n": 0}, "ann")

    with reporter(system, listener):
        listener.wait_for(lambda heard: len(heard.requests) == 1)
        edit(system, 1)
        listener.wait_for(lambda heard: len(heard.heard) == 2)

    assert listener.requests[0][0] == listener.heard[0]
    assert numbers(listener.heard) == [0, 1]


def test_a_failed_attempt_shows_its_reason(
    system: TicketSystem, listener: Listener
) -> None:
    listener.judge = lambda _: 503
    system.edits.create("incident", {}, "ann")

    with reporter(system, listener):
        listener.wait_for(lambda heard: len(heard.requests) == 1)

    [entry] = system.outbox.entries()
    assert (entry.state, entry.reason) == ("waiting", "503 because")


def test_a_refused_edit_is_set_aside_alone_and_the_rest_goes_on(
    system: TicketSystem, listener: Listener, reporting: SandboxSettings
) -> None:
    listener.judge = lambda changes: 422 if 2 in numbers(changes) else 202
    system.edits.create("incident", {"n": 0}, "ann")
    for number in range(1, 5):
        edit(system, number)

    with reporter(system, listener):
        listener.wait_for(lambda heard: len(heard.heard) == 4)

    assert numbers(listener.heard) == [0, 1, 3, 4]
    client: Client = create_app(reporting).test_client()
    [refused] = client.get("/outbox").json
    assert (refused["state"], refused["reason"]) == ("refused", "422 because")
    assert refused["change"]["fields"] == {"n": 2}
    assert "422 because" in client.get("/").text


def test_an_edit_that_changes_nothing_is_not_put_out(system: TicketSystem) -> None:
    system.edits.create("incident", {"n": 1}, "ann")
    edit(system, 1)

    assert len(system.outbox.entries()) == 1


@pytest.mark.parametrize(("report_all", "reported"), [(False, []), (True, ["rps"])])
def test_writes_of_rps_are_reported_only_by_a_system_that_reports_all(
    reporting: SandboxSettings, report_all: bool, reported: list[str]
) -> None:
    client: Client = create_app(replace(reporting, report_all=report_all)).test_client()
    node = Node(client)
    node.write("m1", message(fields={"n": 1}))
    node.write("m1", message(fields={"n": 1}))
    node.write("m2", message("update", fields={"n": 1}))

    changes = [entry["change"] for entry in client.get("/outbox").json]

    assert [change["changed_by"] for change in changes] == reported
    assert [change["external_id"] for change in changes] == ["c1"] * len(reported)
