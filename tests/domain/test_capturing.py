"""Which changes of a member are taken: its condition, and whom it ignores."""

from __future__ import annotations

from typing import Any

import pytest
from shared_record import SharedRecord, definition

from rps.domain import events
from rps.domain.document import DefinitionRefused, parse

OPENED = (events.CorrelationOpened, events.CorrelationLinked)


def record(**member: Any) -> SharedRecord:
    member = {"capture_when": "state=open^titleISNOTEMPTY", **member}
    return SharedRecord(definition(a=member))


def ignored(shared: SharedRecord) -> str:
    (event,) = shared.then(events.ChangeIgnored)
    reason: str = event.reason
    return reason


def test_a_record_is_shared_once_a_change_shows_that_it_matches() -> None:
    shared = record().shows("a", 1, operation="create", title="Disk", state="new")

    assert ignored(shared) == (
        "not captured: condition does not hold: state=open (state is 'new')"
    )
    assert not shared.record.opened

    shared.shows("a", 2, title="Disk", state="open")
    *_, accepted = shared.then(*OPENED, events.ChangeAccepted)
    assert accepted.values == {"title": "Disk", "state": "open"}


def test_the_change_that_matches_brings_what_earlier_ones_showed() -> None:
    shared = record().shows("a", 1, operation="create", title="Disk", state="new")
    shared.shows("a", 2, state="open")

    *_, accepted = shared.then(*OPENED, events.ChangeAccepted)

    assert accepted.values == {"title": "Disk", "state": "open"}
    assert accepted.messages[0]["fields"] == {"title": "Disk", "state": "open"}


def test_of_what_nobody_told_nothing_is_known() -> None:
    shared = record().shows("a", 1, state="open")

    assert ignored(shared).endswith("titleISNOTEMPTY (nothing is known of title)")


def test_what_is_shared_goes_on_being_shared() -> None:
    shared = record().shows("a", 1, title="Disk", state="open")
    shared.shows("a", 2, state="closed")

    (accepted,) = shared.then(events.ChangeAccepted)

    assert accepted.values == {"state": "closed"}


def test_with_capture_while_only_while_it_matches() -> None:
    shared = record(capture_while=True).shows("a", 1, title="Disk", state="open")
    shared.shows("a", 2, state="closed")
    assert ignored(shared).endswith("state=open (state is 'closed')")
    shared.shows("a", 3, title="Full")
    assert ignored(shared).endswith("state=open (state is 'closed')")

    shared.shows("a", 4, state="open")

    (accepted,) = shared.then(events.ChangeAccepted)
    assert accepted.values == {"title": "Full"}


def test_what_rps_reads_itself_and_deletions_are_always_taken() -> None:
    shared = record(capture_while=True).shows("a", 1, title="Disk", state="open")
    shared.shows("a", 2, state="closed", source="read_back")
    (accepted,) = shared.then(events.ChangeAccepted)
    assert accepted.values == {"state": "closed"}

    shared.shows("a", 3, operation="delete")
    assert isinstance(shared.followed[0], events.ChangeAccepted)


def test_the_condition_is_of_its_member_only() -> None:
    shared = record().shows("b", 1, title="Disk", state="new")

    shared.then(*OPENED, events.ChangeAccepted)


def test_a_change_is_compared_with_what_it_found() -> None:
    shared = record(capture_when="stateCHANGESFROMnew^stateCHANGESTOopen")
    shared.shows("a", 1, state="open", before={"state": "old"})
    assert "state goes from 'old' to 'open'" in ignored(shared)
    shared.shows("a", 2, state="new")
    ignored(shared)
    shared.shows("a", 3, state="open")
    shared.then(*OPENED, events.ChangeAccepted)


def test_a_created_record_changes_from_empty() -> None:
    shared = record(capture_when="stateCHANGESFROMNULL")

    shared.shows("a", 1, operation="create", state="open")

    shared.then(*OPENED, events.ChangeAccepted)


def test_who_is_ignored_is_not_listened_to() -> None:
    shared = SharedRecord(definition(a={"ignore_changed_by": ["Sync.Robot"]}))
    shared.shows("a", 1, title="Disk", changed_by="sync.robot")
    assert ignored(shared) == "not captured: changed by 'sync.robot', who is ignored"

    shared.shows("a", 2, title="Disk", changed_by="ada")
    shared.then(*OPENED, events.ChangeAccepted)


def test_a_value_that_cannot_be_compared_waits_for_a_person() -> None:
    document = definition().to_document()
    document["fields"]["state"] = {"type": "number"}
    document["members"]["a"]["capture_when"] = "state>2"
    shared = SharedRecord(parse(document)).shows("a", 1, state="many")

    (failed,) = shared.then(events.ChangeFailed)

    assert failed.field == "state"
    assert "is not a number" in failed.detail


def refused(**member: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionRefused) as told:
        definition(a=member)
    return [(each.place, each.code) for each in told.value.problems]


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ({"capture_when": "impact=1"}, "condition-field"),
        ({"capture_when": "state="}, "condition-syntax"),
        ({"capture_when": "stateSINCE2024-01-01"}, "condition-operator"),
        ({"capture_when": "x"}, "condition-syntax"),
        ({"capture_when": " "}, "bad-text"),
        ({"capture_when": 1}, "wrong-type"),
        ({"capture_when": "state=1", "capture": ["delete"]}, "condition-unused"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(
    member: dict[str, Any], code: str
) -> None:
    assert refused(**member) == [("/members/a/capture_when", code)]


def test_capture_while_needs_a_condition() -> None:
    assert refused(capture_while=True) == [
        ("/members/a/capture_while", "condition-missing")
    ]


def test_the_canonical_document_keeps_the_condition() -> None:
    said = {
        "capture_when": "state=open",
        "capture_while": True,
        "ignore_changed_by": ["robot"],
    }
    made = definition(a=said)

    assert parse(made.to_document()) == made
    assert said.items() <= made.to_document()["members"]["a"].items()


def test_an_empty_field_counts_as_its_default() -> None:
    fields = {"title": "title", "state": {"field": "state", "default": "open"}}
    shared = record(fields=fields, capture_while=True)

    shared.shows("a", 1, operation="create", title="Disk", state="")
    *_, accepted = shared.then(*OPENED, events.ChangeAccepted)
    assert accepted.values == {"title": "Disk", "state": "open"}

    shared.shows("a", 2, title="Full")
    (accepted,) = shared.then(events.ChangeAccepted)
    assert accepted.values == {"title": "Full"}
