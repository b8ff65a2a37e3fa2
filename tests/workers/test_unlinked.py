"""A member that was unlinked, on a real database: written to no more, heard no more."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from workplace import DOWN, LOST

from rps.application import RemoteProcessSync
from rps.application.operations import LaneBusy, NotFound, Operations, RecordTaken
from rps.domain.correlation import Correlation
from rps.domain.events import CorrelationLinked
from rps.projections.rebuild import Rebuild
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from workplace import Workplace

WHY = ("a mistake", "anna")


def operations(workplace: Workplace) -> Operations:
    return Operations(workplace.application, Lanes(workplace.application, "test"))


def shared(workplace: Workplace) -> UUID:
    receipt = workplace.title("one")
    workplace.settle()
    return UUID(receipt.correlations[0]["correlation_id"])


def unlink(workplace: Workplace, key: UUID, member: str = "zenith") -> None:
    operations(workplace).unlink("top", key, member, *WHY, workplace.now())


def relink(workplace: Workplace, key: UUID, member: str = "zenith") -> None:
    operations(workplace).relink("top", key, member, *WHY, workplace.now())


def reasons(workplace: Workplace) -> list[str]:
    rows = workplace.ask("SELECT detail FROM inbound_queue ORDER BY position")
    return [row[0] for row in rows]


def correlations(workplace: Workplace) -> int:
    (row,) = workplace.ask(
        "SELECT count(*) FROM rps_events WHERE topic = 'correlation.opened'"
    )
    return int(row[0])


def test_it_is_written_to_no_more(workplace: Workplace) -> None:
    key = shared(workplace)
    unlink(workplace, key)
    workplace.title("two")
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    assert [dict(write.fields) for write in zenith.applied] == [{"subject": "one"}]
    assert zenith.records["Z1"].fields == {"subject": "one"}


def test_its_record_is_heard_no_more_and_opens_nothing(workplace: Workplace) -> None:
    key = shared(workplace)
    unlink(workplace, key)
    # As another process would take it in, which never knew of the link.
    workplace.application.intake._links.clear()
    edit = {"fields": {"subject": "mine"}, "external_id": None}
    workplace.change("Z1", "zenith", revision="2", **edit)
    workplace.settle()
    # And as its own system may say it, by the id that it was created with.
    workplace.change("Z1", "zenith", revision="3", **edit | {"external_id": str(key)})
    workplace.settle()
    assert correlations(workplace) == 1
    assert workplace.trackers["acme"].applied == []
    ignored = [each for each in reasons(workplace) if "takes no part" in each]
    assert len(ignored) == 2


def test_linked_again_it_catches_up(workplace: Workplace) -> None:
    key = shared(workplace)
    unlink(workplace, key)
    workplace.title("two")
    workplace.trackers["zenith"].edit("Z1", status="2")
    workplace.settle()
    relink(workplace, key)
    workplace.settle()
    zenith = workplace.trackers["zenith"]
    assert zenith.records["Z1"].fields == {"subject": "two", "status": "2"}
    # It was read before it was written, and its edit was shared.
    (write,) = workplace.trackers["acme"].applied
    assert dict(write.fields) == {"state": "closed"}


def test_a_record_is_made_where_there_was_none(workplace: Workplace) -> None:
    zenith = workplace.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    key = shared(workplace)
    unlink(workplace, key)
    assert [status for status, *_ in workplace.messages()] == ["skipped"]
    zenith.before = lambda _write: None
    workplace.make_due()
    workplace.settle()
    assert zenith.applied == []
    relink(workplace, key)
    workplace.settle()
    (write,) = zenith.applied
    assert (write.operation, dict(write.fields)) == ("create", {"subject": "one"})


def test_a_message_of_unknown_fate_does_not_keep_it_linked(
    workplace: Workplace,
) -> None:
    key = shared(workplace)
    zenith = workplace.trackers["zenith"]
    zenith.after = lambda _write: LOST
    workplace.title("two")
    workplace.receive()
    workplace.deliver()
    assert [status for status, *_ in workplace.messages()][-1] == "uncertain"
    unlink(workplace, key)
    workplace.make_due()
    workplace.settle()
    assert [status for status, *_ in workplace.messages()][-1] == "skipped"
    assert zenith.settled == []


def test_it_is_not_unlinked_while_it_is_written_to(workplace: Workplace) -> None:
    key = shared(workplace)
    lanes = Lanes(workplace.application, "deliverer")
    held = lanes.hold(key, "out", "zenith")
    assert held is not None
    with pytest.raises(LaneBusy):
        unlink(workplace, key)
    lanes.let_go(held)
    unlink(workplace, key)
    assert lanes.hold(key, "out", "zenith") is not None  # it was given back


def test_a_record_that_was_linked_elsewhere_stays_there(workplace: Workplace) -> None:
    key = shared(workplace)
    unlink(workplace, key)
    other = UUID(workplace.title("x", "A2").correlations[0]["correlation_id"])
    workplace.receive()
    found = workplace.application.find(Correlation, other)
    assert found is not None
    found.happened(
        CorrelationLinked,
        workplace.now(),
        definition=found.definition,
        member="zenith",
        system="zenith",
        table="case",
        record_id="Z1",
        record_revision=None,
    )
    workplace.application.save(found)
    with pytest.raises(RecordTaken, match="Z1 of zenith"):
        relink(workplace, key)


def test_what_does_not_exist_is_not_found(workplace: Workplace) -> None:
    key = shared(workplace)
    with pytest.raises(NotFound):
        unlink(workplace, UUID(int=5))
    with pytest.raises(NotFound, match="no member globex"):
        unlink(workplace, key, "globex")
    with pytest.raises(NotFound):
        relink(workplace, key, "globex")
    with pytest.raises(NotFound):
        operations(workplace).deactivate("top/other", key, *WHY, workplace.now())


def test_nothing_is_shared_until_it_is_active_again(workplace: Workplace) -> None:
    key = shared(workplace)
    operations(workplace).deactivate("top", key, *WHY, workplace.now())
    workplace.title("two")
    workplace.settle()
    operations(workplace).reactivate("top", key, *WHY, workplace.now())
    workplace.title("three")
    workplace.settle()
    written = [dict(w.fields) for w in workplace.trackers["zenith"].applied]
    assert written == [{"subject": "one"}, {"subject": "three"}]


def test_the_rebuilt_views_are_the_live_ones(workplace: Workplace) -> None:
    key = shared(workplace)
    unlink(workplace, key)
    workplace.title("two")
    workplace.settle()
    relink(workplace, key)
    workplace.settle()
    assert workplace.ask("SELECT record_id FROM unlinked") == [("Z1",)]
    application = RemoteProcessSync(workplace.application.database_url, role="")
    try:
        rebuild = Rebuild(application.recorder, application.event_mapper)
        assert rebuild.compare([]) == []
    finally:
        application.close()
