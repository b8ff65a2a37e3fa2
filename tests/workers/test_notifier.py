"""People are told once what happened, in groups, whatever dies in between."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hearing import Hearing, Receiver
from loopback_server import answer

from rps.projections.rebuild import Rebuild

if TYPE_CHECKING:
    from collections.abc import Iterator

EXHAUSTED = "tried 14 times: connection refused"


@pytest.fixture
def hearing(database: str) -> Iterator[Hearing]:
    made = Hearing(database)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answer(204)) as made:
        yield made


def test_an_outage_with_a_thousand_parked_messages_is_told_once(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url)
    shared = hearing.share(1000)
    hearing.trip()
    for correlation_id in shared:
        hearing.park(correlation_id, EXHAUSTED)
    hearing.notify()
    assert receiver.received == []  # it waits for what belongs to it
    hearing.later(seconds=11)
    hearing.notify()
    hearing.later(hours=3)
    hearing.notify()
    [told] = receiver.told(secret)
    assert told["type"] == "rps.system.tripped"
    assert told["subject"] == "zenith"
    assert told["data"]["outage"]["parked"] == 1000
    assert told["data"]["link"] == "https://rps.acme.example/v1/systems/zenith"
    assert "wait for a person: 1,000" in told["data"]["text"]
    hearing.recover()
    hearing.later(seconds=11)
    hearing.notify()
    recovery = receiver.told(secret)[1]
    assert recovery["type"] == "rps.system.recovered"
    assert recovery["data"]["outage"]["parked"] == 1000
    assert recovery["data"]["outage"]["seconds"] == 3 * 3600 + 11
    assert "away for 3 h" in recovery["data"]["text"]


def test_what_steps_of_flows_tell_is_one_notice_a_step_and_a_rollback_is_told(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url)
    flows = {"inbound": [{"name": "tell", "notify": "{title} came in"}]}
    hearing.redefine(flows=flows)
    hearing.share(3)
    hearing.later(seconds=11)
    hearing.notify()
    told = {each["type"]: each["data"] for each in receiver.told(secret)}
    notice = told["rps.flow.notified"]
    assert notice["text"].startswith("3 times tell: incident at acme.\n")
    for number in range(3):
        assert f"ticket {number} came in" in notice["text"]
    hearing.later(hours=1)
    hearing.roll_back()
    hearing.later(seconds=11)
    hearing.notify()
    last = receiver.told(secret)[-1]["data"]
    assert "rolled back to revision 1, as revision 3, by eve: it was" in str(last)


def test_messages_that_waited_are_told_with_the_recovery(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url, ["system.recovered"])
    arrived, *_ = hearing.share(5)
    hearing.acknowledge(arrived)
    hearing.trip()
    hearing.share(7)
    hearing.later(seconds=90)
    hearing.recover()
    hearing.share(2)
    hearing.later(seconds=11)
    hearing.notify()
    [told] = receiver.told(secret)
    assert told["data"]["outage"]["waited"] == 4 + 7
    assert told["data"]["outage"]["seconds"] == 90.0


def test_what_follows_within_the_window_is_one_summary(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url, ["conflict.opened"])
    shared = hearing.share(9)
    hearing.conflict(shared[0])
    hearing.conflict(shared[1])
    for correlation_id in shared[2:]:
        hearing.later(seconds=11)
        hearing.notify()
        hearing.conflict(correlation_id)
    hearing.notify()
    assert receiver.texts(secret) == ["[rps] 2 conflicts about title of incident (top)"]
    hearing.later(minutes=15)
    hearing.notify()
    counts = [(t["data"]["count"], t["data"]["new"]) for t in receiver.told(secret)]
    assert counts == [(2, 2), (9, 7)]
    assert b"secret value" not in b"".join(each.body for each in receiver.received)


def test_a_loop_and_a_definition_that_changed_are_told(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe(
        "ops", receiver.url, ["oscillation", "definition.changed"]
    )
    [correlation_id] = hearing.share()
    hearing.oscillate(correlation_id)
    hearing.retire()
    hearing.later(seconds=11)
    hearing.notify()
    assert sorted(receiver.texts(secret)) == [
        "[rps] a loop about title of incident (top)",
        "[rps] incident: retired by eve: contract ended (top)",
    ]


def test_a_subscription_of_another_domain_hears_nothing(
    hearing: Hearing, receiver: Receiver
) -> None:
    with Receiver(answer(204)) as others:
        secret = hearing.subscribe("ops", receiver.url)
        hearing.subscribe("ops", others.url, domain="top/else")
        hearing.trip()
        hearing.conflict(hearing.share()[0])
        hearing.later(seconds=11)
        hearing.notify()
        assert len(receiver.told(secret)) == 2
        assert others.received == []


def test_nothing_of_before_is_told_and_nothing_of_a_pause(
    hearing: Hearing, receiver: Receiver
) -> None:
    hearing.trip("acme")
    hearing.later(seconds=1)
    secret = hearing.subscribe("ops", receiver.url, ["system.tripped"])
    hearing.trip()
    hearing.project()
    hearing.notifier.work()  # planned, not due yet
    hearing.subscriptions.pause("top", "ops", "holiday", "ada", hearing.clock)
    hearing.later(seconds=11)
    hearing.notify()
    hearing.recover("acme")
    hearing.later(minutes=20)
    hearing.subscriptions.resume("top", "ops", "ada", hearing.clock)
    hearing.notify()
    assert receiver.received == []
    hearing.trip("acme")
    hearing.later(seconds=11)
    hearing.notify()
    assert [t["subject"] for t in receiver.told(secret)] == ["acme"]


def test_who_is_removed_is_told_no_more_and_the_secret_is_forgotten(
    hearing: Hearing, receiver: Receiver
) -> None:
    hearing.subscribe("ops", receiver.url)
    hearing.trip()
    hearing.project()
    hearing.notifier.work()
    hearing.subscriptions.remove("top", "ops", "", "ada", hearing.clock)
    hearing.later(seconds=11)
    hearing.notify()
    assert receiver.received == []
    assert hearing.deliveries() == [("dropped", 0, 1)]
    assert hearing.secrets.live("top", ["ops\tnotify"]) == []


def test_a_refusal_is_tried_again_with_the_same_id_and_content(
    hearing: Hearing,
) -> None:
    with Receiver(answer(500), answer(503), answer(204)) as receiver:
        secret = hearing.subscribe("ops", receiver.url, ["system.tripped"])
        hearing.trip()
        for seconds in (11, 6, 31):
            hearing.later(seconds=seconds)
            hearing.notify()
        assert hearing.deliveries() == [("sent", 3, 1)]
        first, second, third = [each.body for each in receiver.received]
        assert first == second == third
        assert len({told["id"] for told in receiver.told(secret)}) == 1


def test_after_the_last_attempt_it_is_given_up_and_people_can_see_it(
    hearing: Hearing,
) -> None:
    with Receiver(answer(500)) as receiver:
        hearing.subscribe("ops", receiver.url, ["system.tripped"])
        hearing.trip()
        hearing.later(seconds=11)
        for _ in range(20):
            hearing.notify()
            hearing.later(days=2)
        assert hearing.deliveries() == [("failed", 14, 1)]
        [standing] = hearing.questions.standing().values()
        assert (standing["failed"], standing["detail"]) == (1, "answered 500")


def test_a_receiver_that_is_gone_is_given_up_at_once(hearing: Hearing) -> None:
    with Receiver(answer(410)) as receiver:
        hearing.subscribe("ops", receiver.url, ["system.tripped"])
        hearing.trip()
        hearing.later(seconds=11)
        hearing.notify()
        assert hearing.deliveries() == [("failed", 1, 1)]


def test_two_notifiers_tell_each_notice_once(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url)
    other = hearing.new_notifier()
    hearing.trip()
    hearing.conflict(hearing.share()[0])
    hearing.later(seconds=11)
    for notifier in (other, hearing.notifier, other, hearing.notifier):
        hearing.notify(notifier)
    other.close()
    ids = [told["id"] for told in receiver.told(secret)]
    assert len(ids) == len(set(ids)) == 2


def test_what_a_notifier_that_died_had_claimed_is_sent_by_another(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url, ["system.tripped"])
    hearing.trip()
    hearing.later(seconds=11)
    dying = hearing.new_notifier()
    dying._tell = lambda _: None  # type: ignore[assignment]  # it never gets to it
    hearing.notify(dying)
    dying.close()
    hearing.notify()
    assert receiver.received == []  # still its own
    hearing.later(minutes=3)
    hearing.notify()
    assert len(receiver.told(secret)) == 1
    assert hearing.deliveries() == [("sent", 1, 1)]


def test_who_comes_back_after_its_lease_changes_nothing_any_more(
    hearing: Hearing, receiver: Receiver
) -> None:
    hearing.subscribe("ops", receiver.url, ["system.tripped"])
    hearing.trip()
    hearing.later(seconds=11)
    late: list[Any] = []
    slow = hearing.new_notifier()
    slow._tell = late.append  # type: ignore[assignment]  # still sending
    hearing.notify(slow)
    hearing.later(minutes=3)
    slow.work()  # as another one: claimed anew, and again being sent
    first, second = late
    slow._deliveries.failed(first, "too late", None, hearing.clock)
    assert hearing.deliveries() == [("waiting", 0, 1)]
    slow._deliveries.sent(second, "taken", hearing.clock)
    slow.close()
    assert hearing.deliveries() == [("sent", 1, 1)]


def test_secrets_are_in_no_event_row_answer_or_log_line(
    hearing: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(answer(500)) as receiver:
        secret = hearing.subscribe("ops", receiver.url)
        wanted = {"settings": {}, "about": ["system.tripped"]}
        wanted |= {"process_event": "", "system": ""}
        apprise = "json://user:hunter2@127.0.0.1/"
        hearing.subscriptions.put(
            "top", "chat", "apprise", wanted, apprise, "ada", hearing.clock
        )
        hearing.trip()
        hearing.later(seconds=11)
        hearing.notify()
    said = caplog.text + str([each.body for each in receiver.received])
    with psycopg.connect(hearing.application.database_url) as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 'secrets'"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            rows = conn.execute(f"SELECT t::text FROM {table} t").fetchall()  # type: ignore[arg-type]
            said += str(rows)
        events = conn.execute("SELECT convert_from(state, 'utf8') FROM rps_events")
        said += str(events.fetchall())
    assert "subscription" in said
    assert secret.removeprefix("whsec_") not in said
    assert "hunter2" not in said


def test_the_rebuilt_view_is_the_live_one_and_tells_nothing_again(
    hearing: Hearing, receiver: Receiver
) -> None:
    secret = hearing.subscribe("ops", receiver.url)
    shared = hearing.share(6)
    hearing.park(shared[0], "answered 422: no such assignee")
    hearing.park(shared[1], EXHAUSTED)
    hearing.trip()
    hearing.park(shared[2], EXHAUSTED)
    hearing.conflict(shared[3])
    hearing.share(3)
    hearing.later(minutes=4)
    hearing.recover()
    hearing.later(seconds=11)
    hearing.notify()
    told = receiver.told(secret)
    assert len(told) == 4
    rebuild = Rebuild(hearing.owner.recorder, hearing.owner.event_mapper)
    assert rebuild.compare(["notices"]) == []
    rebuild.run(["notices"])
    assert rebuild.compare(["notices"]) == []
    hearing.later(minutes=20)
    hearing.notify()
    assert receiver.told(secret) == told
