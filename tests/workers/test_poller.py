"""What changed at a system that does not call is taken in, all of it, once."""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from polling_place import PollingPlace

from rps.application import RemoteProcessSync
from rps.connectors.transport import Answer, Headers
from rps.domain.correlation import Correlation
from rps.domain.remote_system import RemoteSystem
from rps.projections.rebuild import Rebuild

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.connectors.transport import Request

SHOT = b"a screenshot" * 20_000


@pytest.fixture
def place(database: str) -> Iterator[PollingPlace]:
    made = PollingPlace(database)
    made.poll()  # from now on
    yield made
    made.close()


def zenith_of(place: PollingPlace) -> list[dict[str, str]]:
    return [record.fields for record in place.trackers["zenith"].records.values()]


def test_a_record_and_what_becomes_of_it_arrive_at_the_other_side(
    place: PollingPlace,
) -> None:
    record_id = place.there.insert(short_description="Fire", state="open")
    place.all_settled()
    assert zenith_of(place) == [{"subject": "Fire", "status": "1"}]
    place.there.edit(record_id, state="closed", comments="It is out")
    place.all_settled()
    assert zenith_of(place) == [{"subject": "Fire", "status": "2"}]
    assert place.said_to_zenith() == ["It is out"]
    place.there.delete(record_id)
    place.all_settled()
    assert place.trackers["zenith"].records["Z1"].deleted


def test_comments_of_one_poll_arrive_in_their_order_and_once(
    place: PollingPlace,
) -> None:
    record_id = place.there.insert(short_description="Fire", state="open")
    for text in ("one", "two", "three"):
        place.clock.ahead += 7
        place.there.edit(record_id, comments=text)
    place.all_settled()
    assert place.said_to_zenith() == ["one", "two", "three"]


def test_a_system_that_says_so_is_read_from_before_it_was_registered(
    database: str,
) -> None:
    place = PollingPlace(database)
    place.there.insert(short_description="Older than rps", state="open")
    place.clock.ahead += 3_600
    found = place.application.configuration.refresh().system("top", "acme")
    assert found is not None
    settings = {**found.settings, "poll_from": "2020-01-01T00:00:00Z"}
    place.application.change(
        RemoteSystem,
        found.id,
        lambda each: each.change("", settings, "tester", place.now()),
    )
    place.all_settled()
    assert [each["subject"] for each in zenith_of(place)] == ["Older than rps"]
    place.close()


def test_the_same_change_is_taken_once_however_often_it_is_read(
    place: PollingPlace,
) -> None:
    place.there.insert(short_description="Fire", state="open", comments="Smoke")
    for _ in range(3):
        place.poll(1.0)
    place.ask("UPDATE polls SET cursor = (SELECT cursor FROM polls LIMIT 1)")
    place.all_settled()
    assert len(place.captured()) == 1
    assert place.said_to_zenith() == ["Smoke"]


def test_a_poller_that_dies_before_its_cursor_is_saved_doubles_nothing(
    place: PollingPlace,
) -> None:
    cursor = place.ask("SELECT cursor::text FROM polls")[0][0]
    for number in range(30):
        place.there.insert(short_description=f"{number}", state="open")
    place.poll()
    place.ask("UPDATE polls SET cursor = %s::jsonb", cursor)  # it never was saved
    place.all_settled()
    assert len(place.captured()) == 30
    assert len(zenith_of(place)) == 30


def test_who_lost_its_lease_saves_no_cursor(place: PollingPlace) -> None:
    other = place.new_poller()
    place.there.insert(short_description="Fire", state="open")

    def overtaken(_request: Request) -> None:
        place.ask("UPDATE polls SET holder = 'somebody else'")

    place.there.instead = overtaken
    before = place.ask("SELECT cursor::text FROM polls")
    place.poll()
    place.there.instead = lambda _request: None
    assert place.ask("SELECT cursor::text, holder FROM polls") == [
        (before[0][0], "somebody else")
    ]
    place.ask("UPDATE polls SET leased_until = now()")
    place.poll(poller=other)
    other.close()
    assert len(place.captured()) == 1


def kept_shot(place: PollingPlace) -> dict[str, Any]:
    """A screenshot that the node holds, as a change offers it."""
    hashed = hashlib.sha256(SHOT).hexdigest()
    writing = place.application.blobs.begin("top", hashed, len(SHOT))
    assert writing is not None
    writing.take(SHOT)
    assert writing.finish()
    return {"id": "f1", "name": "shot.png", "size": len(SHOT), "sha256": hashed}


def test_what_rps_wrote_comes_back_as_echo_also_entries_and_files(
    place: PollingPlace,
) -> None:
    file = kept_shot(place)
    place.change(
        "C1",
        "zenith",
        fields={"subject": "Fire", "status": "1"},
        entries=[
            {"id": "c1", "journal": "comments", "text": "Smoke"},
            {"id": "c2", "journal": "comments", "text": "Smoke"},
        ],
        attachments=[{**file, "type": "image/png"}],
    )
    place.all_settled()
    [record_id] = place.there.tables["incident"]
    assert place.there.texts(record_id) == ["Smoke", "Smoke"]
    assert place.there.files_of(record_id) == [("shot.png", SHOT)]
    place.all_settled()
    assert place.trackers["zenith"].applied == []
    assert place.there.texts(record_id) == ["Smoke", "Smoke"]
    place.there.edit(record_id, comments="Smoke")  # a third, which somebody there said
    place.all_settled()
    assert place.said_to_zenith() == ["Smoke"]


def test_entries_that_were_written_with_a_prefix_are_known_again(
    database: str,
) -> None:
    place = PollingPlace(database, prefix="{author} (zenith): ")
    place.poll()
    said = {"id": "c1", "journal": "comments", "text": "Smoke", "author": "Zoe"}
    fields = {"subject": "Fire", "status": "1"}
    place.change("C1", "zenith", fields=fields, entries=[said])
    place.all_settled()
    [record_id] = place.there.tables["incident"]
    assert place.there.texts(record_id) == ["Zoe (zenith): Smoke"]
    place.there.edit(record_id, comments="Smoke")
    place.all_settled()
    assert place.said_to_zenith() == ["Smoke"]
    place.close()


def test_a_lost_answer_and_a_poll_in_between_double_no_comment(
    place: PollingPlace,
) -> None:
    """The poll shows the entry before anybody knows that it is ours."""
    record_id = place.there.insert(short_description="Fire", state="open")
    place.all_settled()
    lost = [1]
    place.there.lose = lambda r: b"Smoke" in r.body and bool(lost) and bool(lost.pop())
    said = {"id": "c1", "journal": "comments", "text": "Smoke"}
    place.change("Z1", "zenith", external_id=None, entries=[said])
    place.receive()
    place.deliver()
    assert ("uncertain",) in {row[:1] for row in place.messages()}
    place.poll()
    place.make_due()
    place.all_settled()
    assert place.there.texts(record_id) == ["Smoke"]
    assert place.said_to_zenith() == []


def test_a_file_is_read_once_and_offered_with_its_content(place: PollingPlace) -> None:
    record_id = place.there.insert(short_description="Fire", state="open")
    place.all_settled()
    place.there.attach(record_id, "shot.png", SHOT)
    place.there.attach(record_id, "film.mov", b"x" * 2_000_000)  # too large here
    place.all_settled()
    asked = [r.url for r in place.there.asked if r.url.endswith("/file")]
    assert len(asked) == 1
    files = [f for w in place.trackers["zenith"].applied for f in w.attachments]
    assert [(f.name, f.sha256) for f in files] == [
        ("shot.png", hashlib.sha256(SHOT).hexdigest())
    ]
    kept = b"".join(place.application.blobs.read("top", files[0].sha256))
    assert kept == SHOT
    assert any("film.mov" in text for text in place.there.texts(record_id))


def removed_of(place: PollingPlace) -> list[str]:
    return [
        f.name
        for w in place.trackers["zenith"].applied
        for f in w.attachments
        if f.deleted
    ]


def test_a_file_that_was_removed_there_is_removed_here(place: PollingPlace) -> None:
    record_id = place.there.insert(short_description="Fire", state="open")
    place.all_settled()
    key = place.there.attach(record_id, "shot.png", SHOT)
    place.there.attach(record_id, "plan.png", SHOT + b"2")
    place.all_settled()
    del place.there.tables["sys_attachment"][key]
    place.there.edit(record_id, short_description="Fire!")
    place.all_settled()
    assert removed_of(place) == ["shot.png"]
    place.there.edit(record_id, short_description="Fire?")
    place.all_settled()
    assert removed_of(place) == ["shot.png"]


def test_a_file_that_rps_wrote_and_somebody_removed_there_is_removed_here(
    place: PollingPlace,
) -> None:
    file = kept_shot(place)
    fields = {"subject": "Fire", "status": "1"}
    place.change("C1", "zenith", fields=fields, attachments=[file])
    place.all_settled()
    [record_id] = place.there.tables["incident"]
    [key] = place.there.tables["sys_attachment"]
    del place.there.tables["sys_attachment"][key]
    place.there.edit(record_id, short_description="Fire!")
    place.all_settled()
    assert removed_of(place) == ["shot.png"]


def test_a_file_that_may_not_be_seen_is_not_taken_for_removed(
    place: PollingPlace,
) -> None:
    """A right that was taken away would delete all files of all records elsewhere."""
    record_id = place.there.insert(short_description="Fire", state="open")
    place.all_settled()
    key = place.there.attach(record_id, "shot.png", SHOT)
    place.all_settled()
    place.there.hidden.add(key)
    place.there.edit(record_id, short_description="Fire!")
    place.all_settled()
    assert removed_of(place) == []


def test_a_file_that_is_cut_off_is_read_again(place: PollingPlace) -> None:
    record_id = place.there.insert(short_description="Fire", state="open")
    place.all_settled()
    key = place.there.attach(record_id, "shot.png", SHOT)
    place.there.contents[key] = SHOT[:1000]
    place.poll()
    assert "not read to its end" in place.ask("SELECT detail FROM polls")[0][0]
    place.there.contents[key] = SHOT
    place.all_settled()
    files = [f for w in place.trackers["zenith"].applied for f in w.attachments]
    assert [f.name for f in files] == ["shot.png"]


def test_a_pause_that_is_asked_for_is_kept_by_all_workers(place: PollingPlace) -> None:
    told = Answer(429, Headers({"retry-after": "60"}), b'{"error":"limit"}', 0.0)
    place.there.instead = lambda _request: told
    place.poll()
    asked = len(place.there.asked)
    place.change("C1", "zenith", fields={"subject": "Fire"})
    place.receive()
    assert place.deliver() == 0
    place.poll()
    assert len(place.there.asked) == asked
    place.there.instead = lambda _request: None
    place.end_pause_of_breakers()
    place.poll()
    assert place.ask("SELECT 1 FROM breakers") == []
    place.deliver()
    assert len(place.there.tables["incident"]) == 1


def test_wrong_credentials_are_the_systems_fault_and_recover(
    place: PollingPlace,
) -> None:
    place.there.instead = lambda _request: place.there.error(
        401, "User Not Authenticated"
    )
    place.poll()
    key = RemoteSystem.id_of("top", "acme")
    system = place.application.find(RemoteSystem, key)
    assert system is not None
    assert "needs credentials" in system.fault
    place.there.instead = lambda _request: None
    place.there.insert(short_description="Fire", state="open")
    place.end_pause_of_breakers()
    place.all_settled()
    system = place.application.find(RemoteSystem, key)
    assert system is not None
    assert system.fault == ""
    assert len(zenith_of(place)) == 1


def test_only_what_is_mapped_is_kept(place: PollingPlace) -> None:
    place.there.insert(
        short_description="Fire",
        state="open",
        assignment_group="secret",
        work_notes="internal",
    )
    place.poll()
    [(state,)] = place.ask(
        "SELECT convert_from(state, 'UTF8') FROM rps_events"
        " WHERE topic = 'change.captured'"
    )
    assert "secret" not in state
    assert "internal" not in state


def test_ten_thousand_records_edited_while_they_are_polled_are_all_taken_none_twice(
    place: PollingPlace,
) -> None:
    """Of these 2,000 share a second."""
    chance = Random(9)
    ids = []
    for number in range(10_000):
        if not 3_000 <= number < 5_000:
            place.clock.ahead += 0.02
        key = f"{chance.getrandbits(128):032x}"
        ids.append(
            place.there.insert(sys_id=key, short_description="new", state="open")
        )
    left = [60]

    def edited(request: Request) -> None:
        if "incident?" in request.url and left[0]:
            left[0] -= 1
            place.clock.ahead += 0.7
            for key in chance.sample(ids, 5):
                place.there.edit(key, short_description=f"edited {left[0]}")

    place.there.instead = edited
    for _ in range(4):
        place.poll()
    taken = place.ask(
        "SELECT state->>'record_id', state->>'record_revision' FROM ("
        " SELECT convert_from(state, 'UTF8')::jsonb AS state FROM rps_events"
        " WHERE topic = 'change.captured') each"
    )
    assert len(taken) == len(set(taken))
    now = {
        (key, row["sys_mod_count"])
        for key, row in place.there.tables["incident"].items()
    }
    assert now <= set(taken)


def test_what_came_back_is_known_again_when_all_is_read_from_the_log(
    place: PollingPlace,
) -> None:
    said = {"id": "c1", "journal": "comments", "text": "Smoke"}
    fields = {"subject": "Fire", "status": "1"}
    place.change("C1", "zenith", fields=fields, entries=[said])
    place.all_settled()
    [(correlation_id,)] = place.ask("SELECT DISTINCT correlation_id FROM links")
    correlation = place.application.find(Correlation, correlation_id)
    assert correlation is not None
    [row] = place.there.tables["sys_journal_field"]
    assert correlation.entries_as == {("acme", row): "zenith:c1"}
    owner = RemoteProcessSync(place.application.database_url, role="")
    rebuild = Rebuild(owner.recorder, owner.event_mapper)
    assert rebuild.compare(["links", "inbound_queue", "outbound_queue"]) == []
    owner.close()
