"""What happened becomes notices: one a story, however much belongs to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from rps.domain.audience import concerned
from rps.domain.fingerprint import Fault
from rps.domain.notice import (
    FOLDED,
    GATHER,
    OPEN,
    OVER,
    SAMPLES_MAX,
    WINDOW,
    Grouping,
    Happening,
    Notice,
    Part,
    is_owed,
    next_part,
)
from rps.domain.subscription import TOPICS, Subscription
from rps.domain.telling import data_of, lasting, subject_of, text_of

START = datetime(2026, 3, 4, 10, tzinfo=UTC)


class Story:
    """Happenings in order, folded in batches of any size."""

    def __init__(self, batch: int = 1000) -> None:
        self._numbers = count(1)
        self._batch = batch
        self._waiting: list[Any] = []
        self._notices: dict[Any, Notice] = {}

    def happens(self, topic: str, seconds: float = 0, **about: Any) -> None:
        at = START + timedelta(seconds=seconds)
        position = next(self._numbers)
        domain = about.pop("domain", "top")
        self._do(lambda g: g.take(Happening(topic, domain, position, at, **about)))

    def parked(self, seconds: float, number: int = 0, **about: Any) -> None:
        given = {
            "system": "zenith",
            "process_event": "incident",
            "fingerprint": "f" * 16,
            "owed": True,
            "detail": "tried 14 times: connection refused",
            "subject": {"message_id": str(number)},
        }
        self.happens("message.parked", seconds, **{**given, **about})

    def made(self, messages: int, system: str = "zenith") -> None:
        position = next(self._numbers)
        self._do(lambda g: g.made("top", system, messages, position))

    def _do(self, act: Any) -> None:
        self._waiting.append(act)
        if len(self._waiting) >= self._batch:
            self._fold()

    def _fold(self) -> None:
        grouping = Grouping(self._notices.values())
        for act in self._waiting:
            act(grouping)
        self._waiting.clear()
        for notice in grouping.changed:
            self._notices[notice.notice_id] = notice

    @property
    def notices(self) -> list[Notice]:
        self._fold()
        return sorted(self._notices.values(), key=lambda n: n.opened)

    def told(self) -> list[Notice]:
        return [each for each in self.notices if each.state != FOLDED]


@pytest.fixture(params=[1, 7, 5000])
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param)


def down(story: Story, seconds: float = 0, system: str = "zenith") -> None:
    story.happens("system.tripped", seconds, system=system, detail="refused")


def up(story: Story, seconds: float, system: str = "zenith") -> None:
    story.happens("system.recovered", seconds, system=system)


def test_an_outage_with_a_thousand_parked_messages_is_one_notice(story: Story) -> None:
    down(story)
    for number in range(1000):
        story.parked(1 + number, number, fingerprint=f"{number % 40:016}")
    [outage] = story.told()
    assert (outage.state, outage.count, outage.parked) == (OPEN, 1, 1000)
    assert len(outage.samples) == SAMPLES_MAX
    assert next_part(outage, Part(1, START, 1, fixed=True), START) is None


def test_what_was_parked_just_before_the_system_tripped_belongs_to_it(
    story: Story,
) -> None:
    for number in range(30):
        story.parked(number / 10, number, fingerprint=f"{number % 3:016}")
    story.parked(3, 99, system="acme", fingerprint="a" * 16)
    down(story, 4)
    assert [(n.topic, n.system, n.parked) for n in story.told()] == [
        ("message.parked", "acme", 0),
        ("system.tripped", "zenith", 30),
    ]


def test_what_was_parked_long_before_or_for_another_reason_stays_apart(
    story: Story,
) -> None:
    story.parked(0)
    story.parked(55, fingerprint="b" * 16, owed=False)
    down(story, 60)
    story.parked(61, fingerprint="c" * 16, owed=False)
    assert [(n.topic, n.count, n.parked) for n in story.told()] == [
        ("message.parked", 1, 0),
        ("message.parked", 1, 0),
        ("system.tripped", 1, 0),
        ("message.parked", 1, 0),
    ]


def test_a_recovery_says_how_long_it_was_and_what_it_held_up(story: Story) -> None:
    story.happens("system.tripped", system="zenith", detail="refused", waiting=40)
    story.made(1200)
    story.made(3, system="acme")
    story.parked(30)
    story.parked(31, 1)
    up(story, 7500)
    story.made(5)
    outage, recovery = story.told()
    assert (outage.state, outage.waited, outage.parked) == (OVER, 1240, 2)
    assert data_of(recovery, 1)["outage"] == {
        "began": START.isoformat(),
        "over": True,
        "seconds": 7500.0,
        "waited": 1240,
        "parked": 2,
    }
    text = text_of(recovery, 1, "")
    assert "away for 2 h 5 min" in text
    assert "1,240" in text
    assert subject_of(recovery) == "[rps] zenith takes messages again (top)"


def test_a_system_that_comes_and_goes_is_one_story_with_a_sum(story: Story) -> None:
    for turn in range(5):
        down(story, turn * 120)
        story.made(10)
        up(story, turn * 120 + 60)
    outage, recovery = story.told()
    assert (outage.count, recovery.count) == (5, 5)
    assert (recovery.seconds, recovery.waited) == (300.0, 50)


def test_after_a_quiet_time_the_same_group_is_news_again(story: Story) -> None:
    for minutes in (0, 10, 20):
        story.parked(minutes * 60, owed=False)
    story.parked(20 * 60 + WINDOW.total_seconds() + 1, owed=False)
    first, second = story.told()
    assert (first.count, second.count) == (3, 1)
    assert first.notice_id != second.notice_id


def test_an_outage_goes_on_until_the_system_answers_however_long(story: Story) -> None:
    down(story)
    story.parked(100_000)
    story.happens("system.tripped", 200_000, system="zenith", detail="another reason")
    [outage] = story.told()
    assert (outage.count, outage.parked, outage.detail) == (1, 1, "another reason")


def test_conflicts_of_one_field_are_one_story_and_loops_another(story: Story) -> None:
    about = {"process_event": "incident", "field": "title"}
    for number in range(12):
        story.happens("conflict.opened", number, member=f"m{number % 3}", **about)
    story.happens("conflict.opened", 1, process_event="incident", field="state")
    story.happens("oscillation", 1, **about)
    story.happens("conflict.opened", 1, domain="top/else", **about)
    counted = [(n.domain, n.topic, n.field, n.count) for n in story.told()]
    assert counted == [
        ("top", "conflict.opened", "title", 12),
        ("top", "conflict.opened", "state", 1),
        ("top", "oscillation", "title", 1),
        ("top/else", "conflict.opened", "title", 1),
    ]


def test_how_events_are_batched_makes_no_difference() -> None:
    def played(batch: int) -> list[Notice]:
        story = Story(batch)
        for turn in range(40):
            story.parked(turn * 50, turn, fingerprint=f"{turn % 3:016}")
            if turn % 7 == 3:
                down(story, turn * 50 + 2)
            story.made(turn)
            if turn % 7 == 5:
                up(story, turn * 50 + 30)
        return story.notices

    assert played(1) == played(7) == played(1000)


# --- when it is told ----------------------------------------------------------------


def notice(times: int = 1) -> Notice:
    story = Story()
    for _ in range(times):
        story.parked(0, owed=False)
    return story.notices[0]


def test_the_first_notice_waits_for_what_belongs_to_it() -> None:
    assert next_part(notice(), None, START) == (1, START + GATHER)
    late = START + timedelta(hours=1)
    assert next_part(notice(), None, late) == (1, late)


def test_what_follows_is_one_summary_a_window() -> None:
    due = START + GATHER
    told = Part(1, due, 1, fixed=True)
    assert next_part(notice(1), told, due) is None
    assert next_part(notice(2), told, due) == (2, due + WINDOW)
    waiting = Part(2, due + WINDOW, 0, fixed=False)
    assert next_part(notice(9), waiting, due) is None
    assert "9 times, 8 of them new" in text_of(notice(9), 8, "")


@pytest.mark.parametrize(
    ("status", "detail", "more", "owed"),
    [
        (0, "tried 14 times: connection refused", {}, True),
        (503, "tried 14 times: answered 503", {}, True),
        (401, "answered 401", {}, True),
        (422, "answered 422: no such assignee", {}, False),
        (0, "the record is not there any more", {}, False),
        (0, "tried 5 times to get 'film.mp4' of acme: not there", {}, False),
        (0, "tried 14 times: x", {"field": "title"}, False),
    ],
)
def test_only_what_the_systems_silence_explains_is_owed_to_an_outage(
    status: int, detail: str, more: dict[str, str], owed: bool
) -> None:
    fault = Fault(
        **{
            **dict.fromkeys(("domain", "queue", "state", "kind"), "x"),
            **dict.fromkeys(("process_event", "system", "member", "step"), ""),
            "field": "",
            "status": status,
            "pattern": "",
            **more,
        }
    )
    assert is_owed(fault, detail) is owed


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7500, "2 h 5 min"), (90061, "1 d 1 h")],
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


# --- whom it concerns ---------------------------------------------------------------


def subscribed(about: list[str], domain: str = "top", **only: str) -> Subscription:
    made = Subscription.blank(Subscription.id_of(domain, "ops"), START)
    made.create(
        *(domain, "ops", "email", {}, about),
        only.get("process_event", ""),
        only.get("system", ""),
        "ada",
        START - timedelta(hours=1),
    )
    return made


def hears(subscription: Subscription, notice: Notice) -> bool:
    parts = {"incident": {"acme", "zenith"}, "change": {"globex"}}
    return concerned(subscription, notice, lambda e: parts.get(e, set()))


def test_only_topics_of_ones_own_domain_are_heard() -> None:
    everything = list(TOPICS)
    assert hears(subscribed(everything), notice())
    assert not hears(subscribed(everything, "top/else"), notice())
    assert not hears(subscribed(everything, "top/else/below"), notice())
    assert not hears(subscribed(["conflict.opened"]), notice())


def test_who_asked_for_parked_messages_hears_of_the_outage_that_parked_them() -> None:
    story = Story()
    down(story)
    asked = subscribed(["message.parked"])
    assert not hears(asked, story.told()[0])
    story.parked(5)
    assert hears(asked, story.told()[0])


@pytest.mark.parametrize(
    ("only", "heard"),
    [
        ({"process_event": "incident"}, True),
        ({"process_event": "change"}, False),
        ({"system": "zenith"}, True),
        ({"system": "globex"}, False),
        ({"process_event": "incident", "system": "acme"}, False),
    ],
)
def test_a_filter_chooses_process_event_and_system(
    only: dict[str, str], heard: bool
) -> None:
    story = Story()
    down(story)
    story.parked(5, owed=False)
    for each in story.told():
        assert hears(subscribed(list(TOPICS), **only), each) is heard


def test_what_is_older_than_the_subscription_or_came_in_a_pause_is_not_told() -> None:
    asked = subscribed(list(TOPICS))
    asked.pause("holiday", "ada", START)
    assert not hears(asked, notice())
    asked.resume("ada", START + timedelta(minutes=1))
    assert not hears(asked, notice())
    story = Story()
    story.parked(120, owed=False)
    assert hears(asked, story.told()[0])


def test_a_subject_is_one_line_whatever_it_tells_of() -> None:
    story = Story()
    story.happens(
        "definition.changed", process_event="x", detail="retired by a: b\r\nBcc: c@d"
    )
    subject = subject_of(story.told()[0])
    assert subject.isprintable()
