"""The simulation finds each of these faults; what it cannot find it does not prove."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from simulated_node import Node
from simulated_remote import Remote
from test_convergence import run

from rps.domain import correlation, events, flow, journal, merge, plan
from rps.domain.correlation import Correlation
from rps.domain.delivery import Delivered
from rps.domain.state import Known
from rps.workers import outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULES = 400
"""At most; a rare fault begins near a seed that shows it."""

Patch = pytest.MonkeyPatch


def no_credit_on_ack(patch: Patch) -> None:
    def apply(self: Any, aggregate: Any) -> None:
        aggregate.pending.pop(self.message_id, None)

    patch.setattr(events.MessageAcknowledged, "apply", apply)


def no_late_rule(patch: Patch) -> None:
    patch.setattr(merge, "_later", lambda _revision, _known: True)


def no_conflict_log(patch: Patch) -> None:
    patch.setattr(Correlation, "_tell_conflicts", lambda *_: None)


def no_base_filter(patch: Patch) -> None:
    def forgetful(shared: Any, link: Any, seen: Any, terms: Any) -> Any:
        base = {
            name: Known(object(), known.revision) for name, known in link.base.items()
        }
        return merge.merge(shared, replace(link, base=base), seen, terms)

    patch.setattr(correlation, "merge", forgetful)


def no_parking_while_unsettled(patch: Patch) -> None:
    patch.setattr(Node, "parks", False)


def no_revision_after_moved(patch: Patch) -> None:
    patch.setattr(Correlation, "_revise", lambda *_: None)


def older_value_taken_for_the_newest(patch: Patch) -> None:
    right = merge.version_of

    def wrong(name: str, theirs: Any, current: Any, terms: Any) -> int | None:
        found = right(name, theirs, current, terms)
        return None if found is None else current.version

    patch.setattr(merge, "version_of", wrong)


def no_credit_for_what_was_sent(patch: Patch) -> None:
    right = merge.version_of
    patch.setattr(
        merge,
        "version_of",
        lambda name, theirs, current, terms: right(
            name, theirs, current, replace(terms, waiting=())
        ),
    )


def no_normaliser_credit(patch: Patch) -> None:
    patch.setattr(
        Correlation, "_normaliser", lambda _self, _case: lambda _name, value: value
    )


def no_ping_back(patch: Patch) -> None:
    patch.setattr(plan, "owed", lambda *_: [])


def blind_writes(patch: Patch) -> None:
    right = Remote.write
    patch.setattr(
        Remote, "write", lambda self, write: right(self, replace(write, if_match=None))
    )


def part_of_a_record_taken_for_the_whole(patch: Patch) -> None:
    patch.setattr(correlation, "_is_complete", lambda _case, _link: True)


def everything_credited_when_settled_by_reading(patch: Patch) -> None:
    def all_of_it(scene: Any, write: Any, settlement: Any) -> list[Any]:
        record = settlement.record
        answer = Delivered(record.record_id, record.revision, record.fields)
        return outcomes.acknowledged(scene, write, answer, "")

    patch.setattr(outcomes, "found", all_of_it)


def written_entries_taken_for_new_ones(patch: Patch) -> None:
    def doubling(self: Any, case: Any) -> list[dict[str, Any]]:
        known, self.entry_ids = (
            self.entry_ids,
            {key for key in self.entry_ids if key.startswith(f"{case.member.name}:")},
        )
        try:
            return right(self, case)
        finally:
            self.entry_ids = known

    right = Correlation._new_entries
    patch.setattr(Correlation, "_new_entries", doubling)


def a_prefix_taken_for_an_edit(patch: Patch) -> None:
    patch.setattr(journal._Sight, "_without_prefix", lambda _self, text: text)


def no_late_rule_for_entries(patch: Patch) -> None:
    patch.setattr(journal._Sight, "_is_later", lambda _self, _known: True)


def what_a_member_holds_of_an_entry_forgotten(patch: Patch) -> None:
    patch.setattr(Correlation, "_hold", lambda *_: None)


def superseded_edits_still_sent(patch: Patch) -> None:
    patch.setattr(plan, "entries_to_send", lambda _state, pending: pending.entries)


def a_lost_edit_not_recorded(patch: Patch) -> None:
    patch.setattr(journal._Sight, "_kept", lambda *_: None)


def who_wrote_an_entry_is_told_of_it_by_our_id(patch: Patch) -> None:
    right = flow.outbound_entries

    def wrong(member: Any, definition: Any, entries: Any) -> Any:
        written = right(member, definition, entries)
        return tuple(
            replace(each, id=entry["id"])
            for each, entry in zip(written, entries, strict=True)
        )

    patch.setattr(flow, "outbound_entries", wrong)


TEETH_OF_ENTRIES = [
    a_prefix_taken_for_an_edit,
    no_late_rule_for_entries,
    what_a_member_holds_of_an_entry_forgotten,
    superseded_edits_still_sent,
    a_lost_edit_not_recorded,
    who_wrote_an_entry_is_told_of_it_by_our_id,
]

TEETH = [
    (no_credit_on_ack, "A", 0),
    (no_late_rule, "A", 0),
    (no_conflict_log, "A", 0),
    (no_base_filter, "A", 0),
    (no_parking_while_unsettled, "A", 0),
    (no_revision_after_moved, "A", 0),
    (older_value_taken_for_the_newest, "A", 0),
    (no_credit_for_what_was_sent, "B", 1100),
    (no_normaliser_credit, "B", 3700),
    (no_ping_back, "A", 0),
    (blind_writes, "A", 0),
    (part_of_a_record_taken_for_the_whole, "A", 0),
    (everything_credited_when_settled_by_reading, "B", 0),
    (written_entries_taken_for_new_ones, "A", 0),
]


@pytest.mark.parametrize(
    ("fault", "grade", "first"),
    TEETH,
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_the_simulation_finds(
    fault: Callable[[Patch], None], grade: str, first: int, monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    with pytest.raises((AssertionError, LookupError, TypeError)):
        run_all(grade, first)


@pytest.mark.parametrize("fault", TEETH_OF_ENTRIES, ids=lambda each: each.__name__)
def test_the_simulation_finds_of_entries(
    fault: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    with pytest.raises((AssertionError, LookupError, TypeError)):
        run_grades("ABCD", edits=True)


def run_grades(grades: str, **what: bool) -> None:
    for grade in grades:
        run_all(grade, 0, **what)


def run_all(grade: str, first: int, **what: bool) -> None:
    for seed in range(first, first + SCHEDULES):
        run(grade, seed, **what)
