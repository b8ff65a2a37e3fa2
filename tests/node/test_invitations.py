"""Linking: what goes wrong when people type it, and how it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hubs import document

from rps.application import RemoteProcessSync
from rps.application.invitation import Invitation, InvitationRefused
from rps.application.neighbours import PeerUnanswered
from rps.domain.remote_system import RemoteSystem

if TYPE_CHECKING:
    from hubs import Hub

KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def invitation(hubs: dict[str, Hub]) -> Invitation:
    acme = hubs["acme"]
    to_hand_over = ("top", "globex", acme.url, "acme", "tester", acme.now())
    return Invitation.of(acme.neighbours.invite(*to_hand_over))


def accepted(hub: Hub, given: Invitation, url: str, name: str = "acme") -> str:
    """Why the other node does not reach us, else ""."""
    _, unreached = hub.neighbours.accept(
        "top", given, name, url, hub.wire, "tester", hub.now()
    )
    return unreached


def url_at_acme(hubs: dict[str, Hub]) -> str:
    system = hubs["acme"].application.configuration.refresh().system("top", "globex")
    assert system is not None
    return str(system.settings["url"])


def test_a_wrong_url_is_said_at_once_and_mended_by_accepting_again(
    hubs: dict[str, Hub],
) -> None:
    globex, given = hubs["globex"], invitation(hubs)

    assert "401" in accepted(globex, given, "http://initech")
    assert accepted(globex, given, "http://globex") == ""

    assert url_at_acme(hubs).startswith("http://globex/")


def test_a_node_that_moves_tells_the_other_one(hubs: dict[str, Hub]) -> None:
    globex = hubs["globex"]
    accepted(globex, invitation(hubs), "http://globex")
    system = globex.application.configuration.refresh().system("top", "acme")
    assert system is not None

    unreached = globex.neighbours.moved(system, "http://initech", globex.wire)

    assert "401" in unreached
    assert url_at_acme(hubs).startswith("http://initech/")


def test_a_node_is_linked_under_one_name(hubs: dict[str, Hub]) -> None:
    given = invitation(hubs)
    accepted(hubs["globex"], given, "http://globex")

    with pytest.raises(InvitationRefused, match="that node is acme here already"):
        accepted(hubs["globex"], given, "http://globex", "other")


def test_what_another_process_resumed_is_open_at_once(hubs: dict[str, Hub]) -> None:
    """The API answered from what it had read before; the message waited a minute."""
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(document("globex"))
    globex.publish(document("acme"))
    key = RemoteSystem.id_of("top", "acme")
    globex.application.change(
        RemoteSystem, key, lambda s: s.pause("lunch", "eve", globex.now())
    )
    globex.application.configuration.refresh()
    elsewhere = RemoteProcessSync(globex.database, connections=2)
    elsewhere.change(RemoteSystem, key, lambda s: s.resume("", "eve", globex.now()))
    elsewhere.close()

    acme.edit("T1", title="Printer")
    acme.work()

    assert [status for status, _ in acme.messages("globex")] == ["processed"]


def test_what_is_no_whole_invitation_is_told_before_anything_is_done() -> None:
    whole = Invitation("http://acme/v1/nodes/1", f"whsec_{KEY}", "acme").token()
    for part in (whole[:-9], whole[9:], whole.upper(), "", "rpsnode_", "rpsnode_x y"):
        with pytest.raises(InvitationRefused, match="copy the whole line"):
            Invitation.of(part)
    assert Invitation.of(f"  {whole[:20]}\n{whole[20:]} ").name == "acme"


def test_an_invitation_of_another_protocol_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rps.application.invitation.PROTOCOL", 2)
    token = Invitation("http://acme", f"whsec_{KEY}", "acme").token()
    monkeypatch.undo()
    with pytest.raises(InvitationRefused, match="protocol 2, this node speaks 1"):
        Invitation.of(token)


def test_an_invitation_serves_one_node_and_for_seven_days(hubs: dict[str, Hub]) -> None:
    acme, globex, initech = hubs.values()
    given = invitation(hubs)
    assert accepted(globex, given, "http://globex") == ""
    acme.herald.work()
    globex.herald.work()
    with pytest.raises(PeerUnanswered, match="401"):
        accepted(initech, given, "http://initech")
    assert url_at_acme(hubs).startswith("http://globex/")

    late = ("top", "initech", acme.url, "acme", "tester", acme.now())
    given = Invitation.of(acme.neighbours.invite(*late))
    acme.ask("UPDATE secrets SET made_at = made_at - interval '8 days'")
    with pytest.raises((PeerUnanswered, InvitationRefused)):
        accepted(hubs["initech"], given, "http://initech", "late")


def test_a_name_that_is_taken_is_not_taken_again(hubs: dict[str, Hub]) -> None:
    acme = hubs["acme"]
    told = ("top", "desk", acme.url, "acme", "tester", acme.now())
    with pytest.raises(InvitationRefused, match="desk already"):
        acme.neighbours.invite(*told)
