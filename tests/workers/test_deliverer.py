"""The deliverer keeps order, isolates what fails, and wastes nothing."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING

import pytest
from workplace import ANSWERED, DEFINITION, DOWN, LOST, Tracker

from rps.connectors.signature import SecretUnusable
from rps.domain.delivery import (
    Gone,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
)
from rps.domain.remote_system import RemoteSystem
from rps.workers.lanes import ClaimedOut
from rps.workers.outbound import Lane, written
from rps.workers.scene import Message, Scene

if TYPE_CHECKING:
    from workplace import Workplace

    from rps.domain.delivery import Outcome, Write


def subjects(tracker: Tracker) -> list[str]:
    return [write.fields["subject"] for write in tracker.applied]


def test_a_change_arrives_as_a_record_and_later_ones_update_it(
    workplace: Workplace,
) -> None:
    workplace.title("one")
    workplace.title("two")
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    assert [w.operation for w in zenith.applied] == ["create", "update"]
    assert zenith.records["Z1"].fields == {"subject": "two"}
    assert workplace.topics() == [
        "change.captured",
        "change.captured",
        "correlation.opened",
        "correlation.linked",
        "change.accepted",
        "change.accepted",
        "message.transmitted",
        "correlation.linked",
        "message.acknowledged",
        "message.transmitted",
        "message.acknowledged",
    ]


def test_every_lane_is_sent_in_the_order_of_capture(workplace: Workplace) -> None:
    for number in range(20):
        for record in ("A1", "A2", "A3"):
            workplace.title(f"{record} {number:02}", record)
    workplace.settle()
    sent = subjects(workplace.trackers["zenith"])
    for record in ("A1", "A2", "A3"):
        mine = [subject for subject in sent if subject.startswith(record)]
        assert mine == [f"{record} {number:02}" for number in range(20)]


def test_what_one_record_refuses_holds_up_no_other(workplace: Workplace) -> None:
    def refuse(write: Write) -> Outcome | None:
        return Refused("no") if write.fields["subject"] == "bad" else None

    zenith = workplace.trackers["zenith"]
    zenith.before = refuse
    workplace.title("bad", "A1")
    workplace.title("after bad", "A1")
    workplace.title("good", "A2")
    workplace.settle()
    assert subjects(zenith) == ["good"]
    assert workplace.messages() == [
        ("error", 1, "no"),
        ("ready", 0, ""),
        ("processed", 1, ""),
    ]


def test_a_value_without_a_place_there_is_an_error_that_names_it(
    workplace: Workplace,
) -> None:
    document = copy.deepcopy(DEFINITION)
    workplace.title("x")
    workplace.receive()
    # published anew with a shorter title: what waits keeps its own revision
    document["fields"]["title"]["max_length"] = 3  # type: ignore[index]
    workplace.application.apply_definition(document, "tester", workplace.now())
    workplace.title("too long for it")
    workplace.settle()
    rows = workplace.ask(
        "SELECT status::text, detail FROM inbound_queue ORDER BY sequence"
    )
    assert rows[0] == ("processed", "accepted")
    assert rows[1][0] == "error"
    assert "short_description" in rows[1][1]
    assert "too long for it" in rows[1][1]
    assert subjects(workplace.trackers["zenith"]) == ["x"]


def test_an_outage_opens_the_breaker_and_waiting_uses_up_no_attempt(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    for record in range(30):
        workplace.title(f"t{record}", f"A{record}")
    workplace.receive()
    workplace.deliver()
    attempts = sum(row[1] for row in workplace.messages())
    assert 10 <= attempts <= 18  # those in flight when it opened
    workplace.make_due()
    workplace.deliver()
    assert sum(row[1] for row in workplace.messages()) == attempts
    assert workplace.ask("SELECT fault FROM remote_systems") == []
    system = workplace.application.configuration.refresh().system("top", "zenith")
    assert system is not None
    assert system.fault == "connection refused"


def test_a_failed_probe_uses_up_no_attempt_and_opens_for_longer(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    for record in range(20):
        workplace.title("t", f"A{record}")
    workplace.receive()
    workplace.deliver()
    attempts = sum(row[1] for row in workplace.messages())
    workplace.make_due()
    workplace.end_pause_of_breakers()
    assert workplace.deliver() == 1
    assert sum(row[1] for row in workplace.messages()) == attempts
    assert workplace.ask("SELECT trips, open_until > now() FROM breakers") == [
        (2, True)
    ]
    # It stays due: the next probe is not put off by a schedule of its own.
    assert workplace.ask(
        "SELECT count(*) FROM outbound_queue WHERE due_at <= now()"
    ) == [(20,)]


def test_after_an_outage_the_backlog_is_delivered_in_order(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    for number in range(12):
        workplace.title(f"{number:02}", "A1")
        workplace.title("x", f"B{number}")
    workplace.receive()
    workplace.deliver()
    zenith.before = lambda _write: None
    workplace.make_due()
    workplace.end_pause_of_breakers()
    workplace.settle()
    workplace.make_due()
    workplace.settle()
    sent = [s for s in subjects(zenith) if s != "x"]
    assert sent == [f"{number:02}" for number in range(12)]
    assert workplace.ask("SELECT 1 FROM breakers") == []
    system = workplace.application.configuration.refresh().system("top", "zenith")
    assert system is not None
    assert system.fault == ""


def test_a_write_whose_answer_was_lost_is_settled_before_anything_is_sent(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.after = lambda _write: LOST
    workplace.title("one")
    workplace.title("two")
    workplace.settle()
    assert workplace.messages()[0][0] == "uncertain"
    zenith.after = lambda _write: None
    workplace.make_due()
    workplace.settle()
    assert len(zenith.settled) == 1
    assert subjects(zenith) == ["one", "two"]
    assert len(zenith.received) == 2
    assert [row[0] for row in workplace.messages()] == ["processed", "processed"]


def test_an_uncertain_write_that_never_happened_is_sent_again_with_its_id(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    sent: list[str] = []

    def lose_request(write: Write) -> Outcome:
        sent.append(write.delivery_id)
        return LOST

    zenith.before = lose_request
    workplace.title("one")
    workplace.settle()
    zenith.before = lambda _write: None
    workplace.make_due()
    workplace.settle()
    assert [w.delivery_id for w in zenith.applied] == sent


def test_a_lane_whose_holder_died_is_settled_first_where_ids_are_not_deduped(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"] = Tracker(dedupe=False)
    workplace.title("one")
    workplace.receive()
    dead = workplace.new_deliverer()
    (lane,) = dead._read(dead.lanes.claim_out(dead._rooms()[0]))
    write = zenith_write(workplace, lane.messages[0])
    zenith.write(write)  # it was sent, and then the process was killed
    workplace.make_due()
    workplace.settle()
    assert zenith.settled == [write.delivery_id]
    assert len(zenith.received) == 1
    assert [row[0] for row in workplace.messages()] == ["processed"]


@pytest.mark.parametrize(
    "answer", [DOWN, NeedsCredentials("answered 401"), Unavailable("busy", 1.0)]
)
def test_what_a_dead_worker_may_have_made_is_nobody_elses_record(
    workplace: Workplace, answer: Outcome
) -> None:
    """It was made, the worker died, and the next one was turned away: whatever is
    reported of the record meanwhile belongs to the message that made it."""
    zenith = workplace.trackers["zenith"]
    workplace.title("one")
    workplace.receive()
    dead = workplace.new_deliverer()
    (lane,) = dead._read(dead.lanes.claim_out(dead._rooms()[0]))
    zenith.write(zenith_write(workplace, lane.messages[0]))
    workplace.make_due()
    zenith.before = lambda _write: answer
    workplace.deliver()
    assert [row[0] for row in workplace.messages()] == ["uncertain"]
    ((record_id, record),) = zenith.records.items()
    zenith.edit(record_id, subject="theirs")
    workplace.change(
        record_id, "zenith", fields=dict(record.fields), revision="2", external_id=None
    )
    workplace.receive()
    zenith.before = lambda _write: None
    workplace.application.activate_system(
        RemoteSystem.id_of("top", "zenith"), "ann", workplace.now()
    )
    workplace.end_pause_of_breakers()
    workplace.make_due()
    workplace.settle()

    assert workplace.ask("SELECT count(*) FROM links") == [(2,)]
    assert len(zenith.records) == 1
    assert workplace.trackers["acme"].applied[-1].fields == {
        "short_description": "theirs"
    }


def zenith_write(workplace: Workplace, message: Message) -> Write:
    configuration = workplace.application.configuration.current
    definition = configuration.definition_at(message.definition_id, 1)
    scene = Scene(
        message, definition, definition.members["zenith"], workplace.now(), 0, False
    )
    claimed = ClaimedOut(message.correlation_id, "zenith", 1, interrupted=False)
    return written(scene, Lane(claimed, [message], None, None))[0]


def test_the_outcome_of_a_lost_lease_is_refused(workplace: Workplace) -> None:
    zenith = workplace.trackers["zenith"]
    stolen = workplace.new_deliverer()

    def steal(_write: Write) -> Outcome | None:
        zenith.before = lambda _write: None
        workplace.make_due()
        assert len(stolen.lanes.claim_out(stolen._rooms()[0])) == 1
        return None

    zenith.before = steal
    workplace.title("one")
    workplace.receive()
    workplace.deliver()
    assert workplace.messages() == [("ready", 0, "")]
    workplace.make_due()
    workplace.settle()
    assert workplace.messages() == [("processed", 1, "")]
    assert subjects(zenith) == ["one"]


def test_a_record_that_moved_is_read_back_merged_and_written_anew(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    workplace.change(fields={"short_description": "one", "state": "open"})
    workplace.settle()
    zenith.edit("Z1", status="2")
    workplace.title("two")
    workplace.settle()
    assert zenith.records["Z1"].fields == {"subject": "two", "status": "2"}
    acme = workplace.trackers["acme"]
    assert acme.records["A1"].fields == {"state": "closed"}
    assert "message.revised" in workplace.topics()


def test_a_system_that_always_says_moved_is_not_asked_for_ever(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    workplace.title("one")
    workplace.settle()
    zenith.before = lambda _write: Moved("precondition failed", ANSWERED)
    workplace.title("two")
    workplace.settle()
    status, attempts, detail = workplace.messages()[1]
    assert (status, attempts) == ("error", 11)
    assert "made anew 10 times" in detail


def test_a_paused_system_gets_nothing_and_loses_nothing(workplace: Workplace) -> None:
    change_system(workplace, lambda s: s.pause("quiet hours", "me", workplace.now()))
    workplace.title("one")
    workplace.settle()
    assert workplace.messages() == [("ready", 0, "")]
    change_system(workplace, lambda s: s.resume("", "me", workplace.now()))
    workplace.settle()
    assert workplace.messages() == [("processed", 1, "")]


def change_system(workplace: Workplace, say: object) -> None:
    workplace.application.change(
        RemoteSystem,
        RemoteSystem.id_of("top", "zenith"),
        say,  # type: ignore[arg-type]
    )


def test_a_system_that_is_gone_is_disabled(workplace: Workplace) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: Gone("closed down", ANSWERED)
    workplace.title("one")
    workplace.settle()
    system = workplace.application.configuration.refresh().system("top", "zenith")
    assert system is not None
    assert system.state == "disabled"
    assert workplace.messages()[0][:2] == ("ready", 0)


def test_wrong_credentials_stop_the_system_and_cost_no_attempt(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: NeedsCredentials("who are you", ANSWERED)
    workplace.title("one")
    workplace.title("two", "A2")
    workplace.receive()
    workplace.deliver()
    system = workplace.application.configuration.refresh().system("top", "zenith")
    assert system is not None
    assert system.fault == "needs credentials: who are you"
    assert sum(row[1] for row in workplace.messages()) == 0


def test_a_system_that_asks_for_a_pause_gets_it_for_all_lanes(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: Unavailable("slow down", 60.0, ANSWERED)
    workplace.title("one", "A1")
    workplace.receive()
    workplace.deliver()
    workplace.title("two", "A2")
    workplace.receive()
    assert workplace.deliver() == 0
    assert workplace.messages()[1] == ("ready", 0, "")


def test_a_slow_system_does_not_hold_up_its_neighbour(workplace: Workplace) -> None:
    zenith, acme = workplace.trackers["zenith"], workplace.trackers["acme"]
    release = threading.Event()

    def hang(_write: Write) -> Outcome | None:
        release.wait(30)
        return None

    delivered = threading.Event()

    def tell(_write: Write) -> Outcome | None:
        delivered.set()
        return None

    zenith.before, acme.after = hang, tell
    for number in range(20):
        workplace.title("x", f"A{number}")
    workplace.receive()
    assert 0 < workplace.deliverer.work() < 8
    workplace.change("Q9", "zenith", fields={"subject": "for acme"})
    workplace.receive()
    assert workplace.deliverer.work() > 0
    assert delivered.wait(20)
    release.set()
    while any(status == "ready" for status, *_ in workplace.messages()):
        workplace.settle()
    assert len(zenith.applied) == 20


def test_a_lane_that_went_back_unsent_is_still_suspect(workplace: Workplace) -> None:
    """Who died with it may have sent its message; that is not forgotten when a breaker
    turns out to be open just after the lane was claimed."""
    zenith = workplace.trackers["zenith"] = Tracker(dedupe=False)
    workplace.title("one")
    workplace.receive()
    workplace.ask(
        "UPDATE lanes SET holder = 'dead', epoch = epoch + 1,"
        " leased_until = now() - interval '1 second' WHERE direction = 'out'"
    )
    workplace.ask(
        "INSERT INTO breakers (domain, system, trips, open_until, reason)"
        " VALUES ('top', 'zenith', 1, now() + interval '1 hour', 'down')"
    )
    assert workplace.deliver() == 0
    workplace.ask("DELETE FROM breakers")
    workplace.deliver()
    assert (len(zenith.settled), subjects(zenith)) == (1, ["one"])


@pytest.mark.parametrize("asked", [0, 1], ids=["at the claim", "as it is sent"])
def test_a_secret_that_cannot_be_read_opens_the_breaker_of_its_system_only(
    workplace: Workplace, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the worker, again and again, and with it every other system's way."""
    looks = iter(range(100))

    def unreadable(_system: RemoteSystem) -> Tracker:
        if next(looks) >= asked:
            raise SecretUnusable("'secrets' 'zenith' does not open")
        return workplace.trackers["zenith"]

    monkeypatch.setattr(workplace, "_connect", unreadable)
    workplace.title("one")
    workplace.receive()
    deliverer = workplace.new_deliverer()
    workplace.deliver(deliverer)
    assert workplace.messages() == [("ready", 0, "")]
    assert workplace.ask("SELECT system, reason FROM breakers") == [
        ("zenith", "needs credentials: 'secrets' 'zenith' does not open")
    ]
    monkeypatch.undo()
    workplace.end_pause_of_breakers()
    workplace.make_due()
    workplace.settle()
    assert subjects(workplace.trackers["zenith"]) == ["one"]
