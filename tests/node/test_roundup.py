"""Roundup as it is: the conformance suite, and two companies' trackers in step."""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from companies import QUIET
from processes import Running, a_moment
from trackers import PASSWORD, Tracker

from rps.connectors.conformance import suite, systems
from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.reading import chosen
from rps.connectors.transport import Transport
from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHARED = "issue.shared"
STATES = [
    "unread",
    "deferred",
    "chatting",
    "need-eg",
    "in-progress",
    "testing",
    "done-cbb",
    "resolved",
]
PRIORITIES = ["critical", "urgent", "bug", "feature", "wish"]


def test_the_preset_passes_the_conformance_suite(tmp_path: Path) -> None:
    transport = Transport((ipaddress.ip_network("127.0.0.0/8"),))
    _, description = presets.read_text(presets.text("roundup"))
    tracker = Tracker(tmp_path / "tracker")
    try:
        settings = chosen(description, {"user": "rps"})
        placed = Placed(description, tracker.url, settings, PASSWORD)
        results = list(suite.run(systems.described(transport, placed)))
    finally:
        tracker.close()
    assert [f"{r.case}: {r.says}" for r in results if r.passed is not True] == []
    assert [each.case for each in results] == list(suite.CASES)


class Shop(Running):
    """A company with a node of real processes, and a tracker."""

    def __init__(self, name: str, database: str, folder: Path) -> None:
        folder.mkdir()
        super().__init__(database, folder)
        self.name = name
        self.tracker = Tracker(folder / "tracker")
        self.application.ensure_domain("top", "", "test", clock())
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        self.start()
        while not self.answers():
            a_moment()
        self.rps(
            *("system", "add", "tracker", "--connector", "rest", "--preset", "roundup"),
            *("--url", self.tracker.url, "--set", "user=rps", "--poll-seconds", "1"),
            *("--secret-file", str(secret)),
        )
        self.rps("system", "activate", "tracker")

    def shares_with(self, other: str) -> None:
        everything = {"capture": ["create", "update"], "deliver": ["create", "update"]}
        names = {name: name for name in ("title", "status", "priority")}
        document = {
            "process_event": SHARED,
            "fields": {
                "title": {"type": "text"},
                "status": {"type": "choice", "values": STATES},
                "priority": {"type": "choice", "values": PRIORITIES},
            },
            "journals": {"comments": {"visibility": "public"}},
            "attachments": {"journal": "comments", "size_max": "1 MB"},
            "members": {
                "tracker": {
                    "table": "issue",
                    "fields": names,
                    "journals": {"comments": "messages"},
                    **everything,
                },
                other: {
                    "table": SHARED,
                    "fields": names,
                    "journals": {"comments": "comments"},
                    **everything,
                },
            },
        }
        self.application.apply_definition(document, "test", clock())

    def close(self) -> None:
        super().close()
        self.tracker.close()


@pytest.fixture
def shops(
    new_database: Callable[[], Any], tmp_path: Path
) -> Iterator[tuple[Shop, Shop]]:
    with ExitStack() as stack:
        made = []
        for name in ("acme", "zenith"):
            database = stack.enter_context(new_database())
            made.append(Shop(name, database, tmp_path / name))
            stack.callback(made[-1].close)
        acme, zenith = made
        token = acme.rps(
            *("system", "invite", "zenith", "--url", acme.url, "--as", "acme")
        )
        zenith.rps("system", "accept", token.strip(), "--url", zenith.url)
        acme.shares_with("zenith")
        zenith.shares_with("acme")
        yield acme, zenith


def test_two_trackers_are_kept_in_step_through_two_nodes(
    shops: tuple[Shop, Shop],
) -> None:
    """Issues, comments and a file both ways, both sides edited at once, and processes
    of a node and a tracker killed in between: each thing is there once."""
    acme, zenith = shops
    printer = acme.tracker.create("Printer on fire", priority="bug")
    zenith.tracker.create("No coffee", priority="wish")
    _agreed(acme, zenith, lambda issues: len(issues) == 2)

    acme.tracker.comment(printer, "It smells\nof toner")
    theirs = _number(zenith, "Printer on fire")
    zenith.tracker.comment(theirs, "We send someone")
    content = b"a photograph of it\n" * 1000
    acme.tracker.attach(printer, "photo.txt", content)
    _agreed(
        *(acme, zenith),
        lambda issues: (
            len(issues["Printer on fire"]["comments"]) == 2
            and len(issues["Printer on fire"]["files"]) == 1
        ),
    )

    for kind in ("deliverer", "poller"):
        zenith.processes[kind].kill()
    zenith.tracker.kill()
    acme.tracker.change(printer, title="Printer was on fire", priority="urgent")
    acme.tracker.comment(printer, "It is out")
    zenith.tracker.start()
    zenith.tracker.change(theirs, status="in-progress")
    zenith.tracker.comment(theirs, "On our way")
    for kind in ("deliverer", "poller"):
        zenith.processes[kind].revive()
    issues = _agreed(
        *(acme, zenith),
        lambda issues: (
            len(issues.get("Printer was on fire", {}).get("comments", ())) == 4
        ),
    )

    assert issues["Printer was on fire"] == {
        "status": issues["Printer was on fire"]["status"],
        "priority": "urgent",
        "comments": [
            "It is out",
            "It smells\nof toner",
            "On our way",
            "We send someone",
        ],
        "files": [hashlib.sha256(content).hexdigest()],
    }
    assert set(issues) == {"Printer was on fire", "No coffee"}


def _number(shop: Shop, title: str) -> str:
    _, found = shop.tracker.ask("GET", f"issue?title={title}")
    return str(found["collection"][0]["id"])


def _agreed(
    acme: Shop, zenith: Shop, fits: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What both trackers show, once it is the same, fits, and nothing is under way."""
    deadline = threading.Event()
    timer = threading.Timer(150, deadline.set)
    timer.start()
    try:
        while True:
            ours, theirs = acme.tracker.issues(), zenith.tracker.issues()
            quiet = all(shop.ask(QUIET)[0][0] for shop in (acme, zenith))
            if ours == theirs and quiet and fits(ours):
                return ours
            assert not deadline.is_set(), f"they differ: {ours} {theirs}"
            threading.Event().wait(0.5)
    finally:
        timer.cancel()
