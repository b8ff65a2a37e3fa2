"""Journal entries from one system to the other, through receiver and deliverer."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from workplace import DEFINITION, LOST

from rps.application.operations import Operations
from rps.workers import earlier
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from workplace import Workplace

WHY = ("a mistake", "anna")


def share(workplace: Workplace, **journals: Any) -> Workplace:
    """Both carry edits; `journals` says more of a member's comments."""
    document: dict[str, Any] = deepcopy(DEFINITION)
    for name in ("acme", "zenith"):
        document["members"][name]["journals"]["comments"] = {
            "journal": "comments",
            "edits": True,
            **journals.get(name, {}),
        }
    workplace.application.apply_definition(document, "tester", workplace.now())
    return workplace


@pytest.fixture
def talking(workplace: Workplace) -> Workplace:
    return share(workplace, zenith={"prefix": "[{author}] "})


def said(text: str, entry_id: str = "1", **more: Any) -> list[dict[str, Any]]:
    entry = {"id": entry_id, "journal": "comments", "text": text, "author": "ann"}
    return [entry | more]


def written(workplace: Workplace, system: str) -> list[tuple[str, str, str]]:
    """What was written of entries, in order: operation, id, text."""
    return [
        (entry.operation, entry.id, entry.text)
        for write in workplace.trackers[system].applied
        for entry in write.entries
    ]


def test_an_entry_is_said_edited_and_removed(talking: Workplace) -> None:
    talking.title("one", entries=said("hello"), revision="1")
    talking.settle()
    talking.change(entries=said("bye"), revision="2")
    talking.settle()
    removed = [{"id": "1", "journal": "comments", "deleted": True}]
    talking.change(entries=removed, revision="3")
    talking.settle()
    assert written(talking, "zenith") == [
        ("", "acme:1", "[ann] hello"),
        ("update", "acme:1", "[ann] bye"),
        ("delete", "acme:1", ""),
    ]


def test_the_other_side_edits_it_and_echoes_nothing(talking: Workplace) -> None:
    talking.title("one", entries=said("hello"), revision="1")
    talking.settle()
    for revision, text in (("1", "[ann] hello"), ("2", "[ann] well\r\n")):
        talking.change("Z1", "zenith", entries=said(text, "acme:1"), revision=revision)
        talking.settle()
    assert written(talking, "acme") == [("update", "1", "well\r\n")]
    talking.change(entries=said("well"), revision="2")
    talking.settle()
    assert len(written(talking, "zenith")) == 1


def test_two_edits_at_once_come_to_one(talking: Workplace) -> None:
    talking.title("one", entries=said("hello"), revision="1")
    talking.settle()
    zenith = talking.trackers["zenith"]
    talking.change(entries=said("from acme"), revision="2")
    zenith.edit("Z1")
    talking.change(
        "Z1", "zenith", entries=said("[ann] from zenith", "acme:1"), revision="2"
    )
    talking.settle()
    assert written(talking, "acme") == [("update", "1", "from zenith")]
    assert len(written(talking, "zenith")) == 1  # hello, and no more
    talking.project()
    rows = talking.ask("SELECT field, mine::text, theirs::text, winner FROM conflicts")
    assert rows == [("comments acme:1", '"from acme"', '"from zenith"', "remote")]


def test_an_edit_whose_answer_was_lost_is_made_once(talking: Workplace) -> None:
    talking.title("one", entries=said("hello"), revision="1")
    talking.settle()
    zenith = talking.trackers["zenith"]
    zenith.after = lambda _write: LOST
    talking.change(entries=said("bye"), revision="2")
    talking.settle()
    zenith.after = lambda _write: None
    talking.make_due()
    talking.settle()
    assert written(talking, "zenith")[1:] == [("update", "acme:1", "[ann] bye")]
    talking.change("Z1", "zenith", entries=said("[ann] bye", "acme:1"), revision="2")
    talking.settle()
    assert written(talking, "acme") == []


# --- entries of before --------------------------------------------------------------


def joined_late(workplace: Workplace, count: int = 3) -> None:
    """Zenith is unlinked while acme talks, and linked again."""
    operations = Operations(workplace.application, Lanes(workplace.application, "test"))
    receipt = workplace.title("one", revision="1")
    workplace.receive()
    key = UUID(receipt.correlations[0]["correlation_id"])
    about = ("top", key, "zenith", *WHY)
    operations.unlink(*about, workplace.now())
    for number in range(count):
        # Captures stand between what the receiver decides.
        for _ in range(2):
            workplace.change(entries=said(f"text {number}", str(number)))
    workplace.receive()
    workplace.change(entries=said("text 0, edited", "0"))
    workplace.receive()
    operations.relink(*about, workplace.now())
    workplace.settle()


def test_a_member_that_joins_late_gets_what_was_said_before(
    workplace: Workplace,
) -> None:
    share(workplace, zenith={"earlier_entries": True})
    joined_late(workplace)
    (write,) = workplace.trackers["zenith"].applied
    assert (write.operation, dict(write.fields)) == ("create", {"subject": "one"})
    assert written(workplace, "zenith") == [
        ("", "acme:0", "text 0, edited"),
        ("", "acme:1", "text 1"),
        ("", "acme:2", "text 2"),
    ]
    assert [entry.author for entry in write.entries] == ["ann"] * 3


def test_by_default_it_does_not(workplace: Workplace) -> None:
    share(workplace)
    joined_late(workplace)
    assert written(workplace, "zenith") == []


def test_many_texts_are_looked_up_page_by_page(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "READ_AHEAD", 7)
    share(workplace, zenith={"earlier_entries": True})
    joined_late(workplace, 130)
    entries = written(workplace, "zenith")
    assert [text for _, _, text in entries[1:]] == [f"text {n}" for n in range(1, 130)]
    sizes = [len(write.entries) for write in workplace.trackers["zenith"].applied]
    assert sizes == [100, 30]


def test_texts_are_not_kept_in_messages_that_refer_to_them(
    workplace: Workplace,
) -> None:
    share(workplace, zenith={"earlier_entries": True})
    joined_late(workplace)
    (row,) = workplace.ask(
        "SELECT convert_from(state, 'UTF8') FROM rps_events"
        " WHERE topic = 'correlation.relinked'"
    )
    assert '"at":' in row[0]
    assert "text 1" not in row[0]
