"""What was configured in another process counts for the very next change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rps.application.capture import SystemUnknown
from rps.domain.plan import message_id
from rps.domain.remote_system import RemoteSystemDisabled

if TYPE_CHECKING:
    from linked_node import LinkedNode


def test_a_system_registered_elsewhere_is_known(node: LinkedNode) -> None:
    with pytest.raises(SystemUnknown):
        node.capture()
    node.register("acme")
    assert node.capture().status == "not_captured"
    node.publish()
    assert node.capture().status == "captured"


def test_a_system_disabled_elsewhere_is_refused_until_it_is_active_again(
    node: LinkedNode,
) -> None:
    node.register("acme")
    node.publish()
    node.capture("before")
    node.tell("acme", lambda system: system.disable("moving", "eve", node.now))
    with pytest.raises(RemoteSystemDisabled):
        node.capture("meanwhile")
    node.tell("acme", lambda system: system.activate("eve", node.now))
    assert node.capture("after").status == "captured"


def test_a_change_is_captured_under_the_newest_revision(node: LinkedNode) -> None:
    node.register("acme")
    node.publish()
    node.capture("first")
    node.publish(description="another revision")
    node.capture("second")
    rows = node.here.recorder.read(0, 100)
    revisions = [
        node.here.event_mapper.transcoder.decode(row.state)["revision"]
        for row in rows
        if row.topic == "change.captured"
    ]
    assert revisions == [1, 2]


def test_whoever_may_no_longer_post_is_stopped_by_the_newer_configuration(
    node: LinkedNode,
) -> None:
    class NotAnyMore(Exception):
        pass

    def refuse(_configuration: Any) -> None:
        raise NotAnyMore

    node.register("acme")
    node.publish()
    node.capture("first")
    before = node.here.recorder.head()
    node.tell("acme", lambda system: system.pause("tokens changed", "eve", node.now))
    with pytest.raises(NotAnyMore):
        node.capture("second", allow=refuse)
    assert node.here.recorder.head()[0] == before[0] + 1


def test_a_reused_change_id_is_named_by_the_change_not_by_its_events(
    node: LinkedNode,
) -> None:
    from rps.log.append import ChangeIdReused  # noqa: PLC0415

    node.register("acme")
    node.register("north")
    node.register("south")
    for name in ("north", "south"):
        node.publish(
            process_event=name,
            members={
                "acme": {
                    "table": "incident",
                    "fields": {"title": "title"},
                    "deliver": [],
                },
                name: {
                    "table": "incident",
                    "fields": {"title": "title"},
                    "capture": [],
                },
            },
        )
    node.capture("c1")
    changes = [
        {
            "system": "acme",
            "table": "incident",
            "record_id": "A1",
            "operation": "update",
            "change_id": change_id,
            "fields": {"title": "other"},
            "external_id": "",
        }
        for change_id in ("new", "c1")
    ]
    with pytest.raises(ChangeIdReused) as reused:
        node.here.intake.capture(node.poster, changes, node.now)
    assert reused.value.index == 1


def test_a_message_has_its_id_from_the_change_never_from_a_position() -> None:
    from uuid import uuid4  # noqa: PLC0415

    key = uuid4()
    made = message_id(key, "acme", "c1", "zenith")
    assert made == message_id(key, "acme", "c1", "zenith")
    assert len({made, message_id(key, "acme", "c2", "zenith")}) == 2
    assert made != message_id(key, "other", "c1", "zenith")


def test_a_link_is_noticed_by_whoever_asks_about_records_in_use(
    node: LinkedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records used lately are asked about along with another: their time starts again
    with what the view says then, not with what was known before."""
    clock = [100.0]
    monkeypatch.setattr("rps.application.capture.monotonic", lambda: clock[0])
    node.register("acme")
    node.publish()

    def at(seconds: float, record_id: str) -> str:
        clock[0] = 100 + seconds
        change_id = f"{record_id} {seconds}"
        receipt = node.capture(change_id, record_id=record_id)
        return str(receipt.correlations[0]["correlation_id"])

    own = {name: at(0, name) for name in ("A1", "A2", "A3")}
    assert {name: at(1.5, name) for name in own} == own
    shared = node.link("A2")
    assert at(2.5, "A1") == own["A1"]
    assert at(2.5, "A2") == str(shared)
    moved = node.link("A3")
    assert at(4.4, "A3") == own["A3"]
    assert at(4.6, "A3") == str(moved)
