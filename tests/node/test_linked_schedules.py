"""Random schedules on linked nodes as they are: real databases, workers and routes."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hubs import document, settle
from logs import opened

from rps.connectors.transport import NoAnswer, NotSent
from rps.domain.delivery import Uncertain
from rps.log.chain import verify
from rps.projections.inline import VIEWS
from rps.projections.rebuild import Rebuild

if TYPE_CHECKING:
    from hubs import Hub

    from rps.connectors.transport import Request, Said
    from rps.domain.delivery import Outcome, Write

SCHEDULES = 17
"""Each on a record of its own."""
STEPS = 14
FIELDS = ("title", "state", "note")
SHAPES = {
    "pair": [("acme", "globex")],
    "chain": [("acme", "globex"), ("initech", "globex")],
    "triangle": [("acme", "globex"), ("globex", "initech"), ("initech", "acme")],
}


class Schedule:
    """People, workers and mishaps around one ticket."""

    def __init__(self, hubs: list[Hub], seed: int) -> None:
        self.hubs, self.random, self.number = hubs, Random(seed), 0
        self.mark = f"ticket {seed}"
        self.said: set[str] = set()
        opener = self.random.choice(hubs)
        opener.edit(f"own-{seed}", title=self.mark, note=self.mark)
        settle(*hubs)
        self.tickets = {
            hub.name: next(
                key
                for key, each in hub.desk.records.items()
                if each.get("title") == self.mark
            )
            for hub in hubs
        }

    def run(self) -> None:
        for hub in self.hubs:
            hub.wire.fault, hub.wire.lost = self._fault, self._lost
            hub.desk.fails = self._fails
        for _ in range(STEPS):
            self._step()
        for hub in self.hubs:
            hub.is_down = False
            hub.wire.fault, hub.wire.lost = lambda _r: None, lambda _r: False
            hub.desk.fails = lambda _write: None
        settle(*self.hubs)

    def _step(self) -> None:
        hub = self.random.choice(self.hubs)
        ticket, draw = self.tickets[hub.name], self.random.random()
        self.number += 1
        if draw < 0.35:
            value = f"{self.mark}: {self.number}"
            hub.edit(ticket, **{self.random.choice(FIELDS): value})
        elif draw < 0.5:
            self.said.add(text := f"{self.mark}: {self.number}")
            hub.comment(ticket, text)
        elif draw < 0.6:
            hub.is_down = not hub.is_down
        elif draw < 0.7:
            hub.make_due()
        elif not hub.is_down:
            hub.work()

    def _fault(self, _request: Request) -> Said | None:
        draw = self.random.random()
        if draw < 0.1:
            return NotSent("connection refused")
        return NoAnswer("cut before it was read") if draw < 0.2 else None

    def _lost(self, _request: Request) -> bool:
        return self.random.random() < 0.15

    def _fails(self, _write: Write) -> Outcome | None:
        return Uncertain("no answer") if self.random.random() < 0.1 else None

    def check(self) -> None:
        records = [hub.desk.records[self.tickets[hub.name]] for hub in self.hubs]
        assert all(record == records[0] for record in records), records
        for hub in self.hubs:
            shown = list(hub.desk.comments.get(self.tickets[hub.name], {}).values())
            assert sorted(shown) == sorted(self.said), hub.name


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_happens_in_between_all_desks_agree(
    hubs: dict[str, Hub], shape: str
) -> None:
    links = SHAPES[shape]
    linked = [hub for hub in hubs.values() if any(hub.name in link for link in links)]
    for decider, other in links:
        hubs[decider].invites(hubs[other])
    for hub in linked:
        others = [(set(link) - {hub.name}).pop() for link in links if hub.name in link]
        hub.publish(document(*others))
    for seed in range(SCHEDULES):
        schedule = Schedule(linked, seed)
        schedule.run()
        try:
            schedule.check()
        except AssertionError as error:
            error.add_note(f"{shape}, seed {seed}")
            raise
    for hub in linked:
        recorder = hub.application.recorder
        assert verify(recorder.read(0, 100_000), head=recorder.head()).breaks == ()
        with opened(hub.database, role="") as owner:  # as who may rebuild them
            assert Rebuild(owner, owner.mapper).compare(VIEWS) == []
        for sent in _delivered(hub):
            assert sent in _arrived(hubs[sent[0]], hub)


def _delivered(hub: Hub) -> set[tuple[str, str]]:
    """(node, id) of what other nodes have of ours."""
    rows = hub.ask(
        "SELECT member, CASE generation WHEN 0 THEN message_id::text"
        " ELSE message_id || '-' || generation END"
        " FROM outbound_queue WHERE member <> 'desk' AND status = 'processed'"
    )
    return {(row[0], row[1]) for row in rows}


def _arrived(hub: Hub, sender: Hub) -> set[tuple[str, str]]:
    rows = hub.ask("SELECT change_id FROM inbound_queue WHERE system = %s", sender.name)
    return {(hub.name, row[0]) for row in rows}
