"""Each record beside what the log says that it holds: what nobody reported is found."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from polling_place import PollingPlace

from rps.application import tried
from rps.application.comparing import Compared, Comparing, Unreachable, Within
from rps.connectors.transport import Answer, Headers
from rps.domain.delivery import Capabilities, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOT = b"\x89PNG of a printer"


class Compares(PollingPlace):
    """`paused`: for how long it waited."""

    def __init__(self, database: str) -> None:
        super().__init__(database)
        self.paused: list[float] = []

    def comparing(self, **within: Any) -> Comparing:
        which = tried.of_definition(
            *(self.application, "top", "incident", tried.PUBLISHED, self.now())
        )
        return Comparing(
            *(self.application, which, Within(**within), self._connect),
            clock=self.now,
            pause=self.paused.append,
        )

    def compare(self, repairer: str = "", **within: Any) -> list[Compared]:
        """All but those that are as known."""
        comparing = self.comparing(**within)
        found = list(comparing.compared(repairer))
        assert len(found) == comparing.count()
        return [each for each in found if each.found != "same"]

    def shared(self, text: str = "Fire") -> str:
        """A record of acme's, by now at both, and settled."""
        record_id = self.there.insert(short_description=text, state="open")
        self.all_settled()
        return record_id

    def unseen_edit(self, record_id: str, **fields: str) -> None:
        """As a script does that moves no stamp and counts no modification."""
        self.there.tables["incident"][record_id].update(fields)


@pytest.fixture
def place(database: str) -> Iterator[Compares]:
    made = Compares(database)
    made.poll()
    yield made
    made.close()


def told(compared: Compared) -> dict[str, tuple[Any, Any]]:
    return {each.field: (each.known, each.there) for each in compared.fields}


def zenith_of(place: Compares) -> dict[str, Any]:
    [record] = place.trackers["zenith"].records.values()
    return record.fields


def test_what_is_in_step_does_not_differ(place: Compares) -> None:
    place.shared()
    place.shared("Smoke")
    assert place.compare() == []


def test_an_edit_that_moves_no_stamp_is_found_and_travels_once_it_is_taken_in(
    place: Compares,
) -> None:
    record_id = place.shared()
    place.unseen_edit(record_id, short_description="Flood")
    place.all_settled()
    assert zenith_of(place)["subject"] == "Fire"
    [found] = place.compare()
    assert (found.member, found.record_id, found.found, found.repair) == (
        *("acme", record_id, "different"),
        "",
    )
    assert told(found) == {"title": ("Fire", "Flood")}
    [repaired] = place.compare("ops")
    assert repaired.repair == "captured"
    assert place.compare()[0].found == "waiting"
    place.all_settled()
    assert zenith_of(place)["subject"] == "Flood"
    assert place.compare() == []


def test_an_edit_that_was_never_reported_is_found_in_shared_words(
    place: Compares,
) -> None:
    record_id = place.shared()
    [key] = place.trackers["zenith"].records
    place.trackers["zenith"].edit(key, status="2")
    [found] = place.compare("ops")
    assert (found.member, told(found)) == ("zenith", {"state": ("open", "closed")})
    place.all_settled()
    assert place.there.tables["incident"][record_id]["state"] == "closed"
    assert place.compare() == []


def test_the_policies_decide_about_what_is_taken_in(place: Compares) -> None:
    """Both sides were edited, and only one told of it: no edit gets lost silently."""
    record_id = place.shared()
    [key] = place.trackers["zenith"].records
    place.trackers["zenith"].before = lambda _: Unavailable("not now", 3600.0)
    place.trackers["zenith"].edit(key, subject="Flood")
    place.there.edit(record_id, short_description="Smoke")
    place.all_settled()
    [found] = place.compare("ops", member="zenith")
    assert told(found) == {"title": ("Fire", "Flood")}
    place.receive()
    conflicts = place.ask(
        "SELECT convert_from(state, 'UTF8')::jsonb ->> 'field' FROM rps_events"
        " WHERE topic LIKE 'conflict.%%'"
    )
    assert conflicts == [("title",)]


def test_a_value_that_is_on_its_way_does_not_differ(place: Compares) -> None:
    record_id = place.shared()
    place.trackers["zenith"].before = lambda _: Unavailable("not now", 3600.0)
    place.there.edit(record_id, short_description="Smoke")
    place.all_settled()
    assert zenith_of(place)["subject"] == "Fire"
    assert place.compare() == []
    [key] = place.trackers["zenith"].records
    place.trackers["zenith"].edit(key, subject="Smoke")  # somebody was faster
    assert place.compare() == []


def test_a_record_that_is_gone_is_found_and_its_deletion_travels(
    place: Compares,
) -> None:
    record_id = place.shared()
    del place.there.tables["incident"][record_id]
    [found] = place.compare("ops")
    assert (found.found, found.fields) == ("gone", [])
    place.all_settled()
    assert [w.operation for w in place.trackers["zenith"].applied] == [
        *("create", "delete")
    ]
    assert place.compare() == []


def test_a_removed_file_is_found(place: Compares) -> None:
    """To remove one moves no stamp of its record."""
    record_id = place.shared()
    key = place.there.attach(record_id, "shot.png", SHOT)
    place.all_settled()
    del place.there.tables["sys_attachment"][key]
    place.all_settled()
    [found] = place.compare("ops")
    assert (found.found, found.files) == ("different", {key: "shot.png"})
    place.all_settled()
    files = [f for w in place.trackers["zenith"].applied for f in w.attachments]
    assert [f.deleted for f in files] == [False, True]
    assert place.compare() == []


def test_it_may_be_narrowed(place: Compares) -> None:
    first, second = place.shared(), place.shared("Smoke")
    for record_id in (first, second):
        place.unseen_edit(record_id, short_description="Flood")
    assert {each.record_id for each in place.compare()} == {first, second}
    assert [e.record_id for e in place.compare(record=second)] == [second]
    assert place.compare(member="zenith") == []
    place.project()
    assert len(place.compare(since=place.now() - timedelta(hours=1))) == 2
    assert place.compare(since=place.now()) == []


def test_who_asks_for_a_pause_is_given_it(place: Compares) -> None:
    record_id = place.shared()
    place.unseen_edit(record_id, short_description="Flood")
    busy = [Answer(429, Headers({"retry-after": "7"}), b'{"error":"limit"}', 0.0)]
    place.there.instead = lambda _request: busy.pop() if busy else None
    assert len(place.compare()) == 1
    assert place.paused == [7.0]


def test_who_cannot_be_read_ends_it(place: Compares) -> None:
    place.shared()
    place.there.instead = lambda _request: Answer(401, Headers({}), b"", 0.0)
    with pytest.raises(Unreachable, match="acme: "):
        place.compare()
    place.trackers["zenith"].capabilities = Capabilities(
        dedupe=True, conditional_write=True, read_back=False
    )
    with pytest.raises(Unreachable, match="compare the others with --member"):
        place.compare(member="zenith")


def test_a_value_that_the_definition_does_not_know_is_told(place: Compares) -> None:
    record_id = place.shared()
    place.unseen_edit(record_id, state="on fire")
    [found] = place.compare("ops")
    assert (found.found, found.repair) == ("unread", "")
    assert "on fire" in found.detail
