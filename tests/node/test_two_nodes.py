"""Nodes of several companies in real processes: whatever is killed, they agree."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from companies import FIELDS, MANUAL, Company, wait_until_quiet
from processes import Killer, a_moment

from rps.domain.between_nodes import NODE
from rps.log.chain import verify
from rps.projections.rebuild import Rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20261124
TICKETS, OPERATIONS = 5, 160
"""Of each side; the tickets are made first."""
KILLS, KILL_SECONDS, LINK_DOWN_SECONDS = 2, 5.0, 4.0
KILLED = ("receiver", "deliverer", "herald", "projector", "fetcher")
PAUSE_SECONDS = 0.11


class People:
    """Who works at a desk: on any ticket there is, whatever comes to their minds."""

    def __init__(self, company: Company, seed: int) -> None:
        self._company, self._desk = company, company.desk
        self._chance = random.Random(seed)
        self.comments: dict[str, list[str]] = defaultdict(list)
        self.files: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.last: dict[tuple[str, str], str] = {}
        self.done = 0

    def open_tickets(self) -> None:
        for number in range(TICKETS):
            self._desk.create(self._company.name, **self._values({"title"}, number))

    def run(self) -> None:
        for number in range(OPERATIONS):
            ticket = self._chance.choice(self._desk.tickets())
            choice = self._chance.random()
            if choice < 0.1:
                self._attach(ticket, number)
            elif choice < 0.4:
                text = f"{self._company.name} says {number}"
                self._desk.comment(ticket, self._company.name, text)
                self.comments[ticket].append(text)
            else:
                names = self._chance.sample(FIELDS, self._chance.randint(1, 3))
                values = self._values(set(names), number)
                self._desk.edit(ticket, self._company.name, **values)
                self.last |= {(ticket, own): text for own, text in values.items()}
            self.done += 1
            threading.Event().wait(PAUSE_SECONDS * 2 * self._chance.random())

    def last_of(self, ticket: str) -> dict[str, str | None]:
        """What they said last of each field; an older value of theirs must not win."""
        words = self._company.words
        return {name: self.last.get((ticket, words[name])) for name in FIELDS}

    def _attach(self, ticket: str, number: int) -> None:
        content = self._chance.randbytes(self._chance.randint(1, 40_000))
        name = f"{self._company.name} {number}.bin"
        self._desk.attach(
            ticket, self._company.name, name, "application/octet-stream", content
        )
        self.files[ticket].append((name, hashlib.sha256(content).hexdigest()))

    def _values(self, names: set[str], number: int) -> dict[str, str]:
        words = self._company.words
        return {
            words[name]: f"{name} of {self._company.name} {number}"
            for name in FIELDS
            if name in names
        }


def test_two_nodes_agree_whatever_is_killed(
    companies: Callable[..., list[Company]],
) -> None:
    acme, globex = linked = companies("acme", "globex")
    acme.invites(globex)
    acme.shares_with("globex")
    globex.shares_with("acme")
    people = [People(company, SEED + n) for n, company in enumerate(linked)]
    for each in people:
        each.open_tickets()
    work = [threading.Thread(target=each.run) for each in people]
    for thread in work:
        thread.start()
    victims = [c.processes[kind] for c in linked for kind in KILLED]
    victims.append(acme.processes["api"])
    killer = Killer(victims, times=KILLS, seed=SEED, pause=KILL_SECONDS)
    cut_the_link(globex)
    for thread in work:
        thread.join()
    killer.join()
    wait_until_quiet(linked)

    assert sum(each.done for each in people) >= 300
    assert all(process.kills == KILLS for process in victims)
    assert_they_agree(acme, globex, people)
    for company in linked:
        assert_its_audit_is_whole(company)
    assert_both_audits_name_the_same_messages(acme, globex)
    assert_both_audits_name_the_same_messages(globex, acme)


def cut_the_link(company: Company) -> None:
    """For some seconds nobody reaches its node; then it serves again."""
    api = company.processes["api"]
    api.kill()
    threading.Event().wait(LINK_DOWN_SECONDS)
    api.revive()


def assert_they_agree(acme: Company, globex: Company, people: list[People]) -> None:
    ours, theirs = acme.tickets(), globex.tickets()
    assert len(ours) == 2 * TICKETS
    assert ours.keys() == theirs.keys()
    undecided = acme.open_conflicts() | globex.open_conflicts()
    assert {field for _, field in undecided} <= {MANUAL}
    for shared, ticket in ours.items():
        copy = theirs[shared]
        here, there = acme.fields_of(ticket), globex.fields_of(copy)
        apart = {(shared, name) for name in FIELDS if here[name] != there[name]}
        assert apart <= undecided, (ticket, copy, here, there)
        last = [people[0].last_of(ticket), people[1].last_of(copy)]
        for name in set(FIELDS) - {MANUAL}:
            edits = {each[name] for each in last} - {None}
            assert not edits or here[name] in edits, (ticket, name, here, edits)
        written = people[0].comments[ticket] + people[1].comments[copy]
        assert sorted(acme.desk.comments(ticket)) == sorted(written)
        assert sorted(globex.desk.comments(copy)) == sorted(written)
        attached = people[0].files[ticket] + people[1].files[copy]
        assert files_of(acme, ticket) == sorted(attached)
        assert files_of(globex, copy) == sorted(attached)


def files_of(company: Company, ticket: str) -> list[tuple[str, str]]:
    """Names and hashes, once the bytes of all are here."""
    while any(file["state"] == "coming" for file in company.desk.files(ticket)):
        a_moment()
    found = company.desk.files(ticket)
    return sorted((f["name"], f["sha256"]) for f in found if f["state"] == "here")


def assert_its_audit_is_whole(company: Company) -> None:
    rows, position = [], 0
    recorder = company.application.recorder
    while page := recorder.read(position, 5000):
        rows += page
        position = page[-1].position
    assert verify(rows).breaks == ()
    company.wait_until(
        "SELECT min(t.notification_id) = max(h.notification_id)"
        " FROM rps_tracking t, rps_log_head h"
    )
    assert Rebuild(recorder, company.application.event_mapper).compare([]) == []


def assert_both_audits_name_the_same_messages(sender: Company, taker: Company) -> None:
    """What one says it acknowledged the other took in, and nothing else came in."""
    sent = sender.told("message.transmitted", taker.name, "message_id")
    settled = sender.told("message.acknowledged", taker.name, "message_id")
    taken = taker.told("change.captured", sender.name, "change_id", NODE)
    assert settled
    assert settled <= taken <= sent


def test_in_a_chain_an_edit_at_each_end_reaches_all_three_in_one_write(
    companies: Callable[..., list[Company]],
) -> None:
    acme, globex, initech = chain = companies("acme", "globex", "initech")
    acme.invites(globex)
    globex.invites(initech)
    acme.shares_with("globex")
    globex.shares_with("acme", "initech")
    initech.shares_with("globex")
    ticket = acme.desk.create("ann", **{acme.words["title"]: "Printer"})
    wait_until_quiet(chain)
    initech.desk.edit(of(initech), "ira", **{initech.words["state"]: "on it"})
    wait_until_quiet(chain)
    acme.desk.edit(ticket, "ann", **{acme.words["note"]: "third floor"})
    wait_until_quiet(chain)

    for company in chain:
        assert company.fields_of(of(company)) == {
            "title": "Printer",
            "state": "on it",
            "note": "third floor",
            "owner": None,
        }
    assert [len(company.desk.applied()) for company in chain] == [1, 3, 2]


def of(company: Company) -> str:
    (ticket,) = company.tickets().values()
    return ticket
