"""What a linked node may send that it should not, and what becomes of it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hubs import document, settle
from peers import CREATED, captured_by, events, message, post, receipts, secrets, system

from rps.application import RemoteProcessSync
from rps.application.invitation import Invitation
from rps.domain.remote_system import RemoteSystem

if TYPE_CHECKING:
    from hubs import Hub


@pytest.fixture
def acme(hubs: dict[str, Hub]) -> Hub:
    """It invited globex, and decides. States are new, open or done."""
    acme = hubs["acme"]
    acme.invites(hubs["globex"])
    chosen = document("globex")
    chosen["fields"]["state"] = {"type": "choice", "values": ["new", "open", "done"]}
    acme.publish(chosen)
    return acme


@pytest.fixture
def globex(hubs: dict[str, Hub]) -> Hub:
    hubs["globex"].publish(document("acme"))
    return hubs["globex"]


@pytest.fixture
def initech(acme: Hub, hubs: dict[str, Hub]) -> Hub:
    """Linked with acme too; it is sent nothing."""
    acme.invites(hubs["initech"])
    both = document("globex", "initech")
    both["members"]["initech"]["deliver"] = []
    acme.publish(both)
    return hubs["initech"]


# --- who signs ------------------------------------------------------------------------


def batch(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"protocol": 1, "messages": list(messages or [message()]), **more}


def test_who_did_not_sign_is_told_nothing(acme: Hub, globex: Hub) -> None:
    own = str(system(globex, "acme").settings["url"])
    unknown = own.rsplit("/", 1)[0] + f"/{uuid4()}"
    (right,) = secrets(globex, "acme")
    (theirs,) = secrets(acme, "globex")  # what acme signs with: the other direction
    said = batch()
    refused = [
        post(globex, acme, "messages", said, secret="whsec_" + "A" * 43 + "="),
        post(globex, acme, "messages", said, secret=theirs),
        post(globex, acme, "messages", said, secret=right, url=unknown),
        post(globex, acme, "messages", said, secret=right, seconds_ago=310),
        post(globex, acme, "messages", said, secret=right, seconds_ago=-310),
    ]
    assert [each.status_code for each in refused] == [401] * 5
    assert len({each.json["detail"] for each in refused[:3]}) == 1
    assert captured_by(acme, "globex") == 0


def test_one_node_does_not_pass_for_another(
    acme: Hub, globex: Hub, initech: Hub
) -> None:
    at_globex = str(system(globex, "acme").settings["url"])
    refused = post(initech, acme, "messages", batch(), url=at_globex)
    assert refused.status_code == 401


def test_what_is_refused_for_its_signature_waits_and_is_sent_when_that_is_mended(
    acme: Hub, globex: Hub
) -> None:
    (right,) = secrets(globex, "acme")
    globex.neighbours._secrets.keep("top", "acme", "whsec_" + "B" * 43 + "=")
    globex.edit("G1", title="Printer")
    globex.work()
    assert acme.desk.records == {}
    assert globex.messages("acme")[0][0] == "ready"
    globex.neighbours._secrets.keep("top", "acme", right)
    settle(acme, globex)
    assert [r["title"] for r in acme.desk.records.values()] == ["Printer"]


# --- again, out of order, twice -------------------------------------------------------


def test_a_batch_that_comes_again_is_answered_alike_and_taken_once(
    acme: Hub, globex: Hub
) -> None:
    said = [message("m1"), message("m2", correlation_id=str(uuid4()))]
    receipts(globex, acme, *said)
    settle(acme)
    first, before = receipts(globex, acme, *said), events(acme)
    assert [each["status"] for each in first.values()] == [200, 200]
    assert receipts(globex, acme, *said) == first
    assert events(acme) == before
    assert len(acme.desk.writes) == 2


def test_messages_of_a_record_may_come_in_any_order(acme: Hub, globex: Hub) -> None:
    later = message("m2", operation="update", version=2, fields={"title": "B"})
    first = message("m1", fields={"title": "A", "state": "new"})
    told = receipts(globex, acme, later, first)
    assert {each["status"] for each in told.values()} <= {200, 202}
    settle(acme)
    assert list(acme.desk.records.values()) == [{"title": "B", "state": "new"}]


def test_an_id_used_again_stands_for_what_it_was_first(acme: Hub, globex: Hub) -> None:
    receipts(globex, acme, message("m1", fields={"title": "first"}))
    settle(acme)
    again = receipts(globex, acme, message("m1", fields={"title": "other"}))
    assert again["m1"]["status"] == 200
    assert list(acme.desk.records.values()) == [{"title": "first"}]


def test_the_same_id_twice_in_a_batch_is_taken_once(acme: Hub, globex: Hub) -> None:
    receipts(globex, acme, message("m1"), message("m1"))
    settle(acme)
    assert receipts(globex, acme, message("m1"))["m1"]["status"] == 200
    assert captured_by(acme, "globex") == 1


def test_the_ids_of_one_node_are_not_those_of_another(
    acme: Hub, globex: Hub, initech: Hub
) -> None:
    receipts(initech, acme, message("m1", fields={"title": "theirs"}))
    other = message("m1", correlation_id=str(uuid4()), fields={"title": "ours"})
    receipts(globex, acme, other)
    settle(acme)
    titles = sorted(each["title"] for each in acme.desk.records.values())
    assert titles == ["ours", "theirs"]


def test_a_hint_about_messages_that_are_not_its_own_does_nothing(
    acme: Hub, globex: Hub, initech: Hub
) -> None:
    globex.is_down = True
    acme.edit("T1", title="Printer")
    acme.work()
    ids = [str(key) for (key,) in acme.ask("SELECT message_id FROM outbound_queue")]
    hints = {"ids": [*ids, "", "x" * 300, 7, None, {}, str(uuid4())]}
    before = acme.messages("globex")
    asked = post(initech, acme, "settled", hints)
    assert (asked.status_code, asked.json) == (200, {"asked": 0})
    assert acme.messages("globex") == before
    assert post(globex, acme, "settled", hints).json == {"asked": 1}


# --- what cannot be taken -------------------------------------------------------------


def test_a_bad_message_among_good_ones_is_the_only_one_refused(
    acme: Hub, globex: Hub
) -> None:
    others = [str(uuid4()) for _ in range(9)]
    bad: dict[str, tuple[int, str, dict[str, Any]]] = {
        "event": (424, "not known here", {"process_event": "lamp.shared"}),
        "field": (424, "does not share 'colour'", {"fields": {"colour": "red"}}),
        "value": (422, "state", {"fields": {"state": "lost"}}),
        "journal": (424, "'work_notes'", {"entries": [entry("work_notes")]}),
        "text": (422, "fields/title", {"fields": {"title": {"a": 1}}}),
        "version": (422, "texts, or null", {"if_match": 3}),
        "operation": (422, "operation", {"operation": "merge"}),
        "hop": (422, "hop", {"hop": -1}),
    }
    said = [
        message(key, correlation_id=other, **more)
        for other, (key, (_, _, more)) in zip(others, bad.items(), strict=False)
    ]
    good = [message("good 1"), message("good 2", correlation_id=others[-1])]
    told = receipts(globex, acme, good[0], *said, "nonsense", {"id": 7}, good[1])
    for key, (status, why, _) in bad.items():
        assert told[key]["status"] == status, told[key]
        assert why in told[key]["detail"]
    assert told["message 9"]["status"] == told["message 10"]["status"] == 422
    settle(acme)
    assert len(acme.desk.records) == 2
    assert captured_by(acme, "globex") == 2


def entry(journal: str, text: str = "hello") -> dict[str, Any]:
    return {
        "id": "e1",
        "journal": journal,
        "text": text,
        "author": "",
        "written_at": "",
    }


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b'{"protocol": 1, "messages": [], "messages": []}', 422),
        (batch(protocol=2), 422),
        ({"protocol": 1}, 422),
        ({"protocol": 1, "messages": []}, 422),
        ({"protocol": 1, "messages": {}}, 422),
        ({"protocol": 1, "messages": [{}] * 501}, 422),
        (b'{"protocol":1,"messages":["' + b"x" * 1_100_000 + b'"]}', 413),
        (batch(message(entries=[entry("comments", "x" * 1_000_000)])), 422),
        (batch(message(fields={"title": "\x00"})), 422),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(
    acme: Hub, globex: Hub, said: Any, status: int
) -> None:
    refused = post(globex, acme, "messages", said)
    assert refused.status_code == status
    assert refused.content_type == "application/problem+json"
    assert captured_by(acme, "globex") == 0


def test_of_a_batch_that_is_too_large_all_but_the_message_that_is_arrives(
    acme: Hub, globex: Hub
) -> None:
    globex.edit("G1", title="Printer")
    globex.comment("G1", "x" * 1_000_000)
    for number in range(2, 5):
        globex.edit(f"G{number}", title=f"Lamp {number}")
    settle(acme, globex, may_park=True)
    titles = sorted(each["title"] for each in acme.desk.records.values())
    assert titles == ["Lamp 2", "Lamp 3", "Lamp 4", "Printer"]
    ((member, detail),) = globex.parked()
    assert member == "acme"
    assert "413" in detail or "422" in detail


def test_a_value_that_is_not_shared_waits_for_a_person_and_goes_on_then(
    acme: Hub, globex: Hub
) -> None:
    globex.edit("G1", title="Printer")
    settle(acme, globex)
    globex.edit("G1", state="lost")
    globex.edit("G1", title="The printer")
    globex.edit("G2", title="Lamp")
    for _ in range(3):
        globex.work()
    assert {"title": "Printer"} in acme.desk.records.values()
    assert {"title": "Lamp"} in acme.desk.records.values()
    ((member, detail),) = globex.parked()
    assert (member, "state" in detail) == ("acme", True)
    acme.publish(document("globex"))  # where states are texts
    (key,) = globex.ask("SELECT message_id FROM outbound_queue WHERE status = 'error'")
    globex.operations.retry_message("top", key[0], "now", "tester", globex.now())
    settle(acme, globex)
    shared = next(k for k, v in acme.desk.records.items() if v["title"] != "Lamp")
    assert acme.desk.records[shared] == {"title": "The printer", "state": "lost"}


# --- deleted here, changed there ------------------------------------------------------


@pytest.mark.parametrize("deletes", ["acme", "globex"])
def test_a_record_deleted_on_one_side_and_changed_on_the_other_is_kept_there(
    acme: Hub, globex: Hub, deletes: str
) -> None:
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    (copy,) = globex.desk.records
    one, other = (acme, globex) if deletes == "acme" else (globex, acme)
    gone, kept = ("T1", copy) if deletes == "acme" else (copy, "T1")
    acme.is_down = globex.is_down = True
    one.delete(gone)
    other.edit(kept, title="The printer")
    acme.work()
    globex.work()
    acme.is_down = globex.is_down = False
    settle(acme, globex)
    assert kept not in other.desk.deleted
    assert other.desk.records[kept]["title"] == "The printer"
    conflicts = [
        hub.ask(
            "SELECT convert_from(state, 'utf8') FROM rps_events"
            " WHERE topic = 'conflict.recorded'"
        )
        for hub in (acme, globex)
    ]
    assert any("$deleted" in str(each) for each in conflicts), conflicts


# --- pause, rotate --------------------------------------------------------------------


def paused(hub: Hub, name: str) -> None:
    """By another process than the one that takes requests."""
    with closing(RemoteProcessSync(hub.database)) as other:
        other.change(
            RemoteSystem,
            RemoteSystem.id_of("top", name),
            lambda each: each.pause("audit", "tester", hub.now()),
        )


def resumed(hub: Hub, name: str) -> None:
    with closing(RemoteProcessSync(hub.database)) as other:
        other.activate_system(RemoteSystem.id_of("top", name), "tester", hub.now())


@pytest.mark.parametrize("pauses", ["acme", "globex"])
def test_a_link_is_paused_from_either_side_and_goes_on_at_once(
    acme: Hub, globex: Hub, pauses: str
) -> None:
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    (copy,) = globex.desk.records
    one, other = (acme, globex) if pauses == "acme" else (globex, acme)
    paused(one, other.name)
    acme.edit("T1", title="Our printer")
    globex.edit(copy, state="open")
    for _ in range(3):
        acme.work()
        globex.work()
    assert globex.desk.records[copy] == {"title": "Printer", "state": "open"}
    assert acme.desk.records["T1"] == {"title": "Our printer"}
    resumed(one, other.name)
    one.herald.work()
    for _ in range(12):  # nothing is made due: the heartbeat ends the wait
        acme.work()
        globex.work()
        acme.herald.work()
        globex.herald.work()
    expected = {"title": "Our printer", "state": "open"}
    assert acme.desk.records["T1"] == globex.desk.records[copy] == expected


def test_keys_are_changed_without_losing_a_message(acme: Hub, globex: Hub) -> None:
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    (copy,) = globex.desk.records
    (old,) = secrets(globex, "acme")
    globex.wire.lost = lambda request: request.url.endswith("/secret")
    with pytest.raises(Exception, match="lost"):
        globex.neighbours.rotate(system(globex, "acme"), globex.wire)
    globex.wire.lost = lambda _request: False
    globex.edit(copy, state="open")  # signed with the old one, which is taken still
    settle(acme, globex)
    assert acme.desk.records["T1"]["state"] == "open"
    globex.neighbours.rotate(system(globex, "acme"), globex.wire)
    acme.neighbours.rotate(system(acme, "globex"), acme.wire)
    assert secrets(globex, "acme") != [old]
    globex.edit(copy, state="done")
    acme.edit("T1", title="The printer")
    settle(acme, globex)
    expected = {"title": "The printer", "state": "done"}
    assert acme.desk.records["T1"] == globex.desk.records[copy] == expected
    acme.ask("UPDATE secrets SET made_at = now() - interval '25 hours'")
    late = post(globex, acme, "messages", batch(), secret=old)
    assert late.status_code == 401


# --- more than two --------------------------------------------------------------------


def test_a_node_that_is_linked_with_itself_goes_round_not_once(
    hubs: dict[str, Hub],
) -> None:
    acme = hubs["acme"]
    token = acme.neighbours.invite(
        "top", "itself", acme.url, "acme", "tester", acme.now()
    )
    acme.neighbours.accept(
        *("top", Invitation.of(token), "me", acme.url, acme.wire),
        *("tester", acme.now()),
    )
    acme.publish(document("itself", "me"))
    acme.edit("T1", title="Printer")
    settle(acme)
    acme.edit("T1", title="Our printer")
    settle(acme)
    assert acme.desk.records == {"T1": {"title": "Our printer"}}
    assert acme.desk.writes == []


def test_a_record_has_one_id_at_every_node(acme: Hub, globex: Hub) -> None:
    receipts(globex, acme, message())
    settle(acme)
    assert acme.desk.external == {"T1": CREATED}
