"""Nothing is lost, doubled or reordered while every process is killed at random."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from processes import Killer, Node

from rps.log.chain import verify
from rps.projections.rebuild import Rebuild

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CORRELATIONS, CHANGES = 200, 20
KILLS, SEED = 5, 20261124

DEFINITION = {
    "process_event": "incident",
    "fields": {"title": {"type": "text"}, "note": {"type": "text"}},
    "members": {
        "acme": {
            "table": "incident",
            "fields": {"title": "short_description", "note": "note"},
            "deliver": [],
        },
        "zenith": {
            "table": "case",
            "fields": {"title": "subject", "note": "remark"},
            "capture": [],
        },
    },
}


@pytest.fixture
def node(database: str, tmp_path: Path) -> Iterator[Node]:
    made = Node(database, tmp_path, DEFINITION)
    yield made
    made.close()


def post_all(node: Node, poster: int, posters: int) -> None:
    """Each poster has records of its own and reports their changes in order."""
    mine = [r for r in range(CORRELATIONS) if r % posters == poster]
    for number in range(CHANGES):
        for start in range(0, len(mine), 25):
            node.post([change(r, number) for r in mine[start : start + 25]])


def change(record: int, number: int) -> dict[str, Any]:
    return {
        "system": "acme",
        "table": "incident",
        "record_id": f"R{record:03}",
        "operation": "update",
        "change_id": f"R{record:03}-{number:02}",
        "revision": number + 1,
        "fields": {"short_description": f"{number:02}", "note": f"{record}"},
        "external_id": None,
    }


def test_killing_every_process_loses_doubles_and_reorders_nothing(node: Node) -> None:
    processes = [
        process for name, process in node.processes.items() if name != "sweeper"
    ]
    posters = [
        threading.Thread(target=post_all, args=(node, poster, 4)) for poster in range(4)
    ]
    for poster in posters:
        poster.start()
    killer = Killer(processes, times=KILLS, seed=SEED)
    for poster in posters:
        poster.join()
    killer.join()
    total = CORRELATIONS * CHANGES
    node.wait_until(
        f"SELECT count(*) FILTER (WHERE status = 'processed') = {total}"
        " FROM outbound_queue"
    )
    assert all(process.kills >= KILLS for process in processes)
    assert_each_lane_arrived_once_and_in_order(node)
    assert_the_audit_is_complete(node, total)
    assert_views_are_what_the_log_says(node)


def assert_each_lane_arrived_once_and_in_order(node: Node) -> None:
    lanes = defaultdict(list)
    arrived = node.arrived()
    for entry in arrived:
        lanes[entry["record_id"]].append(entry["fields"]["subject"])
    assert len({entry["webhook_id"] for entry in arrived}) == len(arrived)
    assert len(lanes) == CORRELATIONS
    in_order = [f"{number:02}" for number in range(CHANGES)]
    assert [lane for lane in lanes.values() if lane != in_order] == []


def assert_the_audit_is_complete(node: Node, total: int) -> None:
    rows, position = [], 0
    while page := node.application.recorder.read(position, 5000):
        rows += page
        position = page[-1].position
    result = verify(rows)
    assert result.breaks == ()
    assert (result.position, result.hash) == node.application.recorder.head()
    counted = dict(
        node.ask(
            "SELECT topic, count(*) FROM rps_events WHERE topic IN"
            " ('change.captured', 'change.accepted', 'message.acknowledged')"
            " GROUP BY topic"
        )
    )
    assert counted == {
        "change.captured": total,
        "change.accepted": total,
        "message.acknowledged": total,
    }


def assert_views_are_what_the_log_says(node: Node) -> None:
    node.wait_until(
        "SELECT min(t.notification_id) = max(h.notification_id)"
        " FROM rps_tracking t, rps_log_head h"
    )
    rebuild = Rebuild(node.application.recorder, node.application.event_mapper)
    assert rebuild.compare([]) == []
