"""The receiver judges in order, and finds out where a record belongs."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from workplace import LOST, Record

from rps.application.operations import Operations
from rps.domain.correlation import Correlation

if TYPE_CHECKING:
    from workplace import Workplace


def test_a_record_reported_before_its_link_is_known_joins_its_correlation(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.after = lambda _write: LOST
    workplace.title("from acme")
    workplace.settle()
    # Z1 exists over there and somebody edits it before we know that it is ours
    zenith.after = lambda _write: None
    zenith.edit("Z1", subject="from zenith")
    workplace.change(
        "Z1",
        "zenith",
        fields={"subject": "from zenith"},
        revision="2",
        external_id=None,
    )
    workplace.receive()
    assert workplace.ask("SELECT count(*) FROM links") == [(1,)]
    workplace.make_due()
    workplace.settle()
    workplace.make_due()
    workplace.settle()
    assert workplace.ask(
        "SELECT count(DISTINCT correlation_id), count(*) FROM links"
    ) == [(1, 2)]
    acme = workplace.trackers["acme"]
    assert acme.records["A1"].fields["short_description"] == "from zenith"
    assert len(zenith.records) == 1


def test_a_record_that_names_its_correlation_needs_no_waiting(
    workplace: Workplace,
) -> None:
    workplace.title("from acme")
    workplace.settle()
    (correlation,) = workplace.ask("SELECT DISTINCT correlation_id FROM links")[0]
    receipt = workplace.change(
        "Z1",
        "zenith",
        fields={"subject": "new"},
        revision="7",
        external_id=str(correlation),
    )
    assert receipt.correlations[0]["correlation_id"] == str(correlation)


def test_a_failed_change_holds_up_only_its_own_correlation(
    workplace: Workplace,
) -> None:
    workplace.change("A1", fields={"state": "nonsense"})
    workplace.title("behind it", "A1")
    workplace.title("beside it", "A2")
    workplace.settle()
    rows = workplace.ask(
        "SELECT record_id, status::text FROM inbound_queue ORDER BY sequence"
    )
    assert rows == [("A1", "error"), ("A1", "ready"), ("A2", "processed")]
    (detail,) = workplace.ask(
        "SELECT detail FROM inbound_queue WHERE status = 'error'"
    )[0]
    assert "state" in detail
    assert "nonsense" in detail


def test_an_echo_of_our_own_write_is_ignored(workplace: Workplace) -> None:
    workplace.title("one")
    workplace.settle()
    workplace.change(
        "Z1", "zenith", fields={"subject": "one"}, revision="1", operation="create"
    )
    workplace.settle()
    assert workplace.trackers["acme"].received == []
    assert workplace.topics()[-1] == "change.ignored"


def test_a_member_is_not_judged_while_it_is_written_to(workplace: Workplace) -> None:
    workplace.title("one")
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    zenith.edit("Z1", status="2")
    workplace.title("two")
    workplace.receive()
    workplace.change("Z1", "zenith", fields={"status": "2"}, revision="2")
    judge, deliverer = workplace.receiver._judge, workplace.new_deliverer()

    def claimed_meanwhile(correlation: Any, changes: Any) -> None:
        assert deliverer.lanes.hold(correlation.id, "out", "zenith")
        judge(correlation, changes)

    workplace.receiver._judge = claimed_meanwhile  # type: ignore[method-assign]
    assert workplace.receiver.work() == 1
    assert workplace.ask(
        "SELECT count(*) FROM inbound_queue WHERE status = 'ready'"
    ) == [(1,)]
    workplace.receiver._judge = judge  # type: ignore[method-assign]
    workplace.make_due()
    workplace.settle()
    assert zenith.records["Z1"].fields == {"subject": "two", "status": "2"}
    assert workplace.trackers["acme"].records["A1"].fields == {"state": "closed"}


def test_a_record_at_an_unknown_revision_is_read_before_it_is_written(
    workplace: Workplace,
) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.records["Z7"] = Record(3, {"subject": "old", "status": "1"})
    workplace.change("Z7", "zenith", fields={"subject": "old"}, revision="3")
    workplace.settle()
    zenith.edit("Z7", status="2")
    acme = workplace.trackers["acme"]
    (copy,) = acme.records
    acme.edit(copy, short_description="new")
    workplace.change(copy, fields={"short_description": "new"}, revision="2")
    workplace.settle()
    assert zenith.records["Z7"].fields == {"subject": "new", "status": "2"}
    assert acme.records[copy].fields["state"] == "closed"
    assert [write.if_match for write in zenith.received] == ["4"]


def test_outcomes_recorded_while_it_judges_are_not_lost_on_it(
    workplace: Workplace,
) -> None:
    """What a receiver remembers is what its stream says, read from the start."""
    workplace.title("one")
    workplace.settle()
    workplace.title("two")
    workplace.receive()
    workplace.title("three")
    judge = workplace.receiver._judge

    def meanwhile(correlation: Any, changes: Any) -> None:
        workplace.deliver()
        workplace.title("captured meanwhile")
        judge(correlation, changes)

    workplace.receiver._judge = meanwhile  # type: ignore[method-assign]
    assert workplace.receiver.work() == 1
    seen: list[dict[str, Any]] = []

    def looked_at(correlation: Any, changes: Any) -> None:
        seen.append(_state(deepcopy(correlation)))
        stored = workplace.application.find(Correlation, correlation.id)
        assert stored is not None
        seen.append(_state(stored))
        judge(correlation, changes)

    workplace.receiver._judge = looked_at  # type: ignore[method-assign]
    read_from_start = workplace.application.recorder.streams
    workplace.application.recorder.streams = None  # type: ignore[assignment]
    assert workplace.receiver.work() == 1
    workplace.application.recorder.streams = read_from_start  # type: ignore[method-assign]
    assert seen[0] == seen[1]
    workplace.receiver._judge = judge  # type: ignore[method-assign]
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    assert zenith.records["Z1"].fields["subject"] == "captured meanwhile"


def test_what_a_person_did_while_it_judged_makes_it_read_again(
    workplace: Workplace,
) -> None:
    workplace.title("one")
    workplace.settle()
    workplace.title("two")
    workplace.receive()
    workplace.title("three")
    judge = workplace.receiver._judge
    operations = Operations(workplace.application, workplace.deliverer.lanes)
    (waiting,) = workplace.ask(
        "SELECT message_id FROM outbound_queue WHERE status = 'ready'"
    )[0]

    def meanwhile(correlation: Any, changes: Any) -> None:
        operations.skip_message("top", waiting, "not needed", "ann", workplace.now())
        judge(correlation, changes)

    workplace.receiver._judge = meanwhile  # type: ignore[method-assign]
    assert workplace.receiver.work() == 1
    seen: list[dict[str, Any]] = []

    def looked_at(correlation: Any, changes: Any) -> None:
        seen.append(_state(deepcopy(correlation)))
        stored = workplace.application.find(Correlation, correlation.id)
        assert stored is not None
        seen.append(_state(stored))
        judge(correlation, changes)

    workplace.receiver._judge = looked_at  # type: ignore[method-assign]
    workplace.title("four")
    assert workplace.receiver.work() == 1
    assert seen[0] == seen[1]
    assert seen[0]["links"]["zenith"].waived


def _state(correlation: Correlation) -> dict[str, Any]:
    """What a correlation holds, when it was made and changed apart."""
    moments = {"_created_on", "_modified_on"}
    return {k: v for k, v in vars(correlation).items() if k not in moments}


def test_comments_travel_once_and_keep_their_author(workplace: Workplace) -> None:
    entry = {"id": "e1", "journal": "comments", "text": "hello", "author": "ann"}
    workplace.change("A1", fields={"short_description": "t"}, entries=[entry])
    workplace.change("A1", entries=[entry])
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    sent = [each for write in zenith.applied for each in write.entries]
    assert [(e.text, e.author, e.journal) for e in sent] == [
        ("hello", "ann", "comments")
    ]
