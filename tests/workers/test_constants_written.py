"""Constants and texts of several fields, on the way to a member's record."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from workplace import DEFINITION, DOWN

if TYPE_CHECKING:
    from workplace import Workplace


@pytest.fixture
def summing(workplace: Workplace) -> Workplace:
    document: dict[str, Any] = deepcopy(DEFINITION)
    document["members"]["zenith"] |= {
        "delivery": "latest",
        "fields": {"title": "subject"},
        "constants": {"company": "Acme", "summary": "{title} / {state}"},
    }
    workplace.application.apply_definition(document, "tester", workplace.now())
    return workplace


def written(workplace: Workplace) -> list[dict[str, Any]]:
    return [dict(write.fields) for write in workplace.trackers["zenith"].applied]


def test_a_record_is_made_with_them_and_a_text_follows_its_fields(
    summing: Workplace,
) -> None:
    summing.change(fields={"short_description": "Disk", "state": "open"})
    summing.settle()
    summing.change(fields={"state": "closed"})
    summing.settle()
    summing.title("Full")
    summing.settle()

    assert written(summing) == [
        {"subject": "Disk", "company": "Acme", "summary": "Disk / open"},
        {"summary": "Disk / closed"},
        {"subject": "Full", "summary": "Full / closed"},
    ]


def test_what_is_put_together_says_what_is_shared_in_the_end(
    summing: Workplace,
) -> None:
    summing.change(fields={"short_description": "Disk", "state": "open"})
    summing.settle()
    zenith = summing.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    summing.title("one")
    summing.settle()
    summing.title("two")
    summing.change(fields={"state": "closed"})
    summing.title("three")
    summing.receive()
    zenith.before = lambda _write: None
    summing.make_due()
    summing.settle()

    assert written(summing)[1:] == [
        {"subject": "one", "summary": "one / open"},
        {"subject": "three", "summary": "three / closed"},
    ]


def test_what_comes_back_of_them_is_nobodys_edit(summing: Workplace) -> None:
    summing.change(fields={"short_description": "Disk", "state": "open"})
    summing.settle()

    assert summing.topics().count("change.accepted") == 1
    assert summing.topics().count("message.acknowledged") == 1
    assert summing.topics().count("change.captured") == 1
