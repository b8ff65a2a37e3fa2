"""A member that wants the latest catches up with one message after an outage."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from workplace import DEFINITION, DOWN, LOST

from rps.workers.latest import READ_AHEAD

if TYPE_CHECKING:
    from workplace import Workplace

    from rps.domain.delivery import Outcome

MANY = 40


@pytest.fixture
def catching_up(workplace: Workplace) -> Workplace:
    document: dict[str, Any] = deepcopy(DEFINITION)
    document["members"]["zenith"]["delivery"] = "latest"
    workplace.application.apply_definition(document, "tester", workplace.now())
    return workplace


def outage(workplace: Workplace, answer: Outcome) -> None:
    """Zenith has the record; the next message meets `answer`, more wait behind it."""
    workplace.title("one")
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: answer
    workplace.title("two")
    workplace.settle()
    for number in range(MANY):
        workplace.title(f"title {number}")
    workplace.change(fields={"state": "closed"}, entries=entry("first"))
    workplace.change(entries=entry("second"))
    workplace.receive()
    zenith.before = lambda _write: None
    workplace.make_due()


def entry(text: str) -> list[dict[str, Any]]:
    return [{"id": text, "journal": "comments", "text": text}]


def test_what_waits_goes_as_one_message(catching_up: Workplace) -> None:
    outage(catching_up, DOWN)
    catching_up.settle()
    zenith = catching_up.trackers["zenith"]
    # The one that had been tried stays what it was; all behind it are one.
    assert [dict(write.fields) for write in zenith.applied[1:]] == [
        {"subject": "two"},
        {"subject": f"title {MANY - 1}", "status": "2"},
    ]
    assert [each.id for each in zenith.applied[-1].entries] == [
        "acme:first",
        "acme:second",
    ]
    statuses = [status for status, *_ in catching_up.messages()]
    assert statuses.count("processed") == 3
    assert statuses.count("skipped") == MANY + 1


def test_it_says_what_became_of_the_others(catching_up: Workplace) -> None:
    outage(catching_up, DOWN)
    catching_up.settle()
    detail = {d for status, _, d in catching_up.messages() if status == "skipped"}
    (only,) = detail
    assert "put together with message" in only
    # Those read first, then all that there are behind them.
    assert catching_up.topics().count("message.revised") == 2


def test_nothing_is_put_together_with_what_may_have_arrived(
    catching_up: Workplace,
) -> None:
    outage(catching_up, LOST)
    catching_up.settle()
    zenith = catching_up.trackers["zenith"]
    assert zenith.settled  # asked about first
    assert zenith.records["Z1"].fields["subject"] == f"title {MANY - 1}"
    assert len({write.delivery_id for write in zenith.applied}) == len(zenith.applied)


def test_a_lane_of_any_depth_is_one_message(catching_up: Workplace) -> None:
    for number in range(READ_AHEAD + 20):
        catching_up.title(f"title {number}")
    catching_up.settle()
    (write,) = catching_up.trackers["zenith"].applied
    assert (write.operation, write.fields["subject"]) == (
        "create",
        f"title {READ_AHEAD + 19}",
    )


def test_a_delete_stays_a_message_of_its_own(catching_up: Workplace) -> None:
    catching_up.title("one")
    catching_up.title("two")
    catching_up.change(operation="delete")
    catching_up.settle()
    applied = catching_up.trackers["zenith"].applied
    assert [write.operation for write in applied] == ["create", "delete"]


def test_a_member_that_wants_each_gets_each(workplace: Workplace) -> None:
    outage(workplace, DOWN)
    workplace.settle()
    assert len(workplace.trackers["zenith"].applied) == MANY + 4


def test_a_lost_lane_is_left_alone(catching_up: Workplace) -> None:
    catching_up.title("one")
    catching_up.title("two")
    catching_up.receive()
    read = catching_up.deliverer._read

    def stolen(claimed: list[Any]) -> Any:
        catching_up.ask("UPDATE lanes SET epoch = epoch + 1 WHERE direction = 'out'")
        return read(claimed)

    catching_up.deliverer._read = stolen  # type: ignore[method-assign]
    assert catching_up.deliverer.work() == 0
    assert catching_up.trackers["zenith"].received == []
