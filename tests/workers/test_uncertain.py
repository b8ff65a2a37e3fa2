"""A write whose answer was lost, for every class of system: it takes effect once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from workplace import DOWN, LOST, Tracker, Workplace

from rps.domain.delivery import Capabilities

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
