"""A loop made on purpose ends in an open conflict; people at work are let be."""

from __future__ import annotations

from typing import Any

from shared_record import SharedRecord, shared

from rps.domain.events import ChangeAccepted, ConflictOpened
from rps.domain.oscillation import ANSWERS_MAX, RETURNS_MAX, WINDOW_SECONDS

TURNS = 50


def answers(record: SharedRecord, values: Any, seconds: int = 1) -> int:
    """`a` and `b` answer each other's change of the state, every so many seconds, each
    having heard of the one before; how often until nobody is told any more."""
    for turn in range(TURNS):
        member = "ab"[turn % 2]
        record.sequence += seconds - 1
        record.shows(member, 2 * turn + 3, state=values(turn))
        told = [e for e in record.followed if isinstance(e, ChangeAccepted)]
        if not any(e.messages for e in told):
            return turn
        record.acknowledges("ba"[turn % 2], 2 * turn + 4)
        record.acknowledges("c", turn + 2)
    return TURNS


def test_values_that_come_back_and_back_are_held() -> None:
    record = shared()
    turns = answers(record, lambda turn: ("on", "off")[turn % 2])
    assert turns <= 2 + RETURNS_MAX
    (opened,) = [e for e in record.followed if isinstance(e, ConflictOpened)]
    assert (opened.policy, opened.field) == ("oscillation", "state")
    assert {opened.mine, opened.theirs} == {"on", "off"}


def test_so_are_ever_new_values() -> None:
    record = shared()
    assert answers(record, str) <= ANSWERS_MAX + 1
    assert isinstance(record.followed[0], ConflictOpened)


def test_the_rest_of_the_record_goes_on() -> None:
    record = shared()
    turn = answers(record, lambda turn: ("on", "off")[turn % 2])
    record.shows("c", TURNS + 2, state="calm", title="two")
    (accepted,) = record.then(ChangeAccepted)
    told = {each["member"]: set(each["fields"]) for each in accepted.messages}
    held = "ab"[turn % 2]
    other = "ba"[turn % 2]
    assert told == {held: {"title"}, other: {"title", "state"}}


def test_once_decided_it_is_counted_anew() -> None:
    record = shared()
    turn = answers(record, lambda turn: ("on", "off")[turn % 2])
    member = "ab"[turn % 2]
    record.when(
        lambda each: each.resolve(
            *(member, "state", "other", "calm", record.definition, 1),
            *("the automation is off", "anna", record.now),
        )
    )
    assert not record.record.held
    record.shows("c", TURNS + 2, state="on")
    kinds = {type(each) for each in record.followed}
    assert ChangeAccepted in kinds
    assert ConflictOpened not in kinds


def test_one_member_may_go_back_and_forth() -> None:
    record = shared()
    for turn in range(TURNS):
        value = ("on", "off")[turn % 2]
        record.shows("a", 2 + turn, state=value).then(ChangeAccepted)


def test_so_may_two_that_take_their_time() -> None:
    record = shared()
    slowly = int(WINDOW_SECONDS / (RETURNS_MAX - 1)) + 1
    turns = answers(record, lambda turn: ("on", "off")[turn % 2], seconds=slowly)
    assert turns == TURNS
