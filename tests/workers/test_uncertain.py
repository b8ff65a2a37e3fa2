"""A write whose answer was lost, for every class of system: it takes effect once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from workplace import DOWN, LOST, Tracker, Workplace

from rps.application.operations import Operations
from rps.domain.delivery import Capabilities
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from rps.domain.delivery import Outcome, Write

CLASSES = {
    "A": (True, True),
    "B": (False, True),
    "C": (True, False),
    "D": (False, False),
}
"""Whether it dedupes, whether it writes conditionally."""


class Mishap:
    """Happens to the first write of `operation`."""

    def __init__(self, outcome: Outcome, operation: str) -> None:
        self._outcome, self._operation = outcome, operation
        self.happened = False

    def __call__(self, write: Write) -> Outcome | None:
        if self.happened or write.operation != self._operation:
            return None
        self.happened = True
        return self._outcome


@pytest.mark.parametrize("operation", ["create", "update"])
@pytest.mark.parametrize("when", ["before", "after", "refused"])
@pytest.mark.parametrize("grade", CLASSES)
def test_a_write_whose_answer_was_lost_takes_effect_once(
    workplace: Workplace, grade: str, when: str, operation: str
) -> None:
    dedupe, conditional = CLASSES[grade]
    zenith = workplace.trackers["zenith"] = Tracker(
        dedupe=dedupe, conditional=conditional
    )
    assert zenith.capabilities.grade == grade
    mishap = Mishap(DOWN if when == "refused" else LOST, operation)
    if when == "after":
        zenith.after = mishap
    else:
        zenith.before = mishap
    said = {"journal": "comments", "author": "Ann"}
    for number, text in enumerate(("Printer", "Printer on fire", "Printer, burnt")):
        workplace.title(text, entries=[{"id": f"e{number}", "text": text, **said}])
        workplace.settle()
        for _ in range(3):
            workplace.make_due()
            workplace.settle()

    assert mishap.happened
    (record,) = zenith.records.values()
    assert record.fields["subject"] == "Printer, burnt"
    told = Counter(entry.id for write in zenith.applied for entry in write.entries)
    assert told == {"acme:e0": 1, "acme:e1": 1, "acme:e2": 1}
    assert {status for status, *_ in workplace.messages()} == {"processed"}


def test_what_cannot_be_asked_and_may_repeat_waits_for_a_person(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"] = Tracker(dedupe=False, conditional=False)
    zenith.capabilities = Capabilities(
        dedupe=False, conditional_write=False, read_back=False
    )
    zenith.after = Mishap(LOST, "create")
    zenith.settles_nothing = True
    workplace.title("Printer")
    workplace.settle()
    for _ in range(3):
        workplace.make_due()
        workplace.settle()
    assert len(zenith.applied) == 1
    ((status, _, detail),) = workplace.messages()
    assert status == "error"
    assert "a person must look" in detail


@pytest.mark.parametrize("does", ["retries", "lets it go"])
def test_what_a_dead_worker_may_have_sent_stays_so_whoever_had_the_lane_since(
    workplace: Workplace, does: str
) -> None:
    zenith = workplace.trackers["zenith"] = Tracker(dedupe=False, conditional=False)
    workplace.title("Printer")
    workplace.receive()
    ((key, message_id),) = workplace.ask(
        "SELECT correlation_id, message_id FROM outbound_queue"
    )
    dead = Lanes(workplace.application, "deliverer")
    assert dead.hold(key, "out", "zenith") is not None
    workplace.make_due()
    lanes = Lanes(workplace.application, "somebody")
    if does == "retries":
        Operations(workplace.application, lanes).retry_message(
            "top", message_id, "now", "anna", workplace.now()
        )
    else:
        held = lanes.hold(key, "out", "zenith")
        assert held is not None
        assert held.interrupted
        lanes.let_go(held)
    workplace.settle()
    assert zenith.settled == [str(message_id)]
    assert len(zenith.applied) == 1
