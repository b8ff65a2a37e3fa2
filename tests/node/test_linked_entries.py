"""Comments that are edited and removed, between linked nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hubs import document, settle

if TYPE_CHECKING:
    from hubs import Hub


def carrying(*neighbours: str) -> dict[str, Any]:
    """Every member carries edits."""
    made = document(*neighbours)
    for member in made["members"].values():
        member["journals"] = {"comments": {"journal": "comments", "edits": True}}
    return made


@pytest.fixture
def linked(hubs: dict[str, Hub]) -> tuple[Hub, Hub, str]:
    """Acme decides; each has said something about the ticket."""
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(carrying("globex"))
    globex.publish(carrying("acme"))
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    (copy,) = globex.desk.records
    acme.comment("T1", "from acme")
    globex.comment(copy, "from globex")
    settle(acme, globex)
    return acme, globex, copy


def key_of(hub: Hub, ticket: str, text: str) -> str:
    (key,) = [k for k, said in hub.desk.comments[ticket].items() if said == text]
    return key


def reword(hub: Hub, ticket: str, before: str, text: str) -> None:
    """Somebody at the desk edits a comment; without a text, it is removed."""
    key = key_of(hub, ticket, before)
    entry: dict[str, Any] = {"id": key, "journal": "comments"}
    with hub.desk._lock:
        if text:
            hub.desk.comments[ticket][key] = entry["text"] = text
        else:
            del hub.desk.comments[ticket][key]
            entry["deleted"] = True
        hub.desk._set(ticket, {})
        revision = hub.desk.revisions[ticket]
    hub._report(ticket, "update", revision, {}, [entry])


def said(hub: Hub, ticket: str) -> list[str]:
    return sorted(text for text in hub.desk.comments[ticket].values() if text)


@pytest.mark.parametrize("whose", ["from acme", "from globex"])
def test_either_side_edits_either_comment(
    linked: tuple[Hub, Hub, str], whose: str
) -> None:
    acme, globex, copy = linked
    (other,) = {"from acme", "from globex"} - {whose}
    for number, (hub, ticket) in enumerate(((acme, "T1"), (globex, copy)) * 2):
        before = whose if not number else f"edit {number - 1}"
        reword(hub, ticket, before, f"edit {number}")
        settle(acme, globex)
        expected = sorted([other, f"edit {number}"])
        assert (said(acme, "T1"), said(globex, copy)) == (expected, expected)
    conflicts = acme.ask(
        "SELECT count(*) FROM rps_events WHERE starts_with(topic, 'conflict')"
    )
    assert conflicts == [(0,)]


def test_either_side_removes_the_others_comment(linked: tuple[Hub, Hub, str]) -> None:
    acme, globex, copy = linked
    reword(acme, "T1", "from globex", "")
    reword(globex, copy, "from acme", "")
    settle(acme, globex)
    assert (said(acme, "T1"), said(globex, copy)) == ([], [])


def test_of_two_edits_in_an_outage_the_later_stays(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    acme.is_down = globex.is_down = True
    reword(acme, "T1", "from acme", "acme's words")
    acme.work()
    reword(globex, copy, "from acme", "globex's words")
    globex.work()
    acme.is_down = globex.is_down = False
    settle(acme, globex)
    expected = ["from globex", "globex's words"]
    assert (said(acme, "T1"), said(globex, copy)) == (expected, expected)
    rows = acme.ask(
        "SELECT convert_from(state, 'UTF8') FROM rps_events"
        " WHERE topic = 'conflict.recorded'"
    )
    assert len(rows) == 1
    assert "acme's words" in rows[0][0]
