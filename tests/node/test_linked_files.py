"""Files between nodes: offered, pulled by their hash, of one content on both sides."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from hubs import document, settle

from rps.connectors.transport import Answer, Headers

if TYPE_CHECKING:
    from hubs import Hub

    from rps.connectors.transport import Request, Said

SHOT, OTHER = b"a screenshot" * 9000, b"another one" * 9000
FILES = {
    "attachments": {"journal": "comments", "deletion": True, "extensions": ["png"]}
}


@pytest.fixture
def linked(hubs: dict[str, Hub]) -> tuple[Hub, Hub, str]:
    """A ticket that both have, and its number at globex."""
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(document("globex", **FILES))
    globex.publish(document("acme", **FILES))
    acme.edit("T1", title="Printer", state="new")
    settle(acme, globex)
    (copy,) = globex.desk.records
    return acme, globex, copy


def attach(hub: Hub, ticket: str, name: str, content: bytes, key: str = "") -> str:
    """A file, or new content of the one called `key`; answers its id there."""
    hub._changes += 1
    key, digest = key or f"{hub.name}-f{hub._changes}", sha256(content).hexdigest()
    hub.desk.bytes[digest] = content
    hub.desk.attachments.setdefault(ticket, {})[key] = (name, digest)
    file = {"id": key, "name": name, "size": len(content), "sha256": digest}
    report(hub, ticket, file)
    return key


def detach(hub: Hub, ticket: str, key: str) -> None:
    del hub.desk.attachments[ticket][key]
    report(hub, ticket, {"id": key, "deleted": True})


def report(hub: Hub, ticket: str, file: dict[str, Any]) -> None:
    hub.desk._set(ticket, {})
    revision = hub.desk.revisions[ticket]
    hub._report(ticket, "update", revision, {}, [], [file])


def attached(hub: Hub, ticket: str) -> list[tuple[str, str]]:
    """Names and contents of the files there."""
    return sorted(hub.desk.attachments.get(ticket, {}).values())


def of(name: str, content: bytes) -> tuple[str, str]:
    return (name, sha256(content).hexdigest())


def held(hub: Hub, content: bytes) -> bytes:
    digest = sha256(content).hexdigest()
    return b"".join(hub.application.blobs.read("top", digest))


def test_a_screenshot_is_pulled_by_the_other_node_and_told_to_its_desk(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    attach(acme, "T1", "shot.png", SHOT)
    settle(acme, globex)
    assert attached(globex, copy) == [of("shot.png", SHOT)]
    assert held(globex, SHOT) == held(acme, SHOT) == SHOT
    assert {status for status, _ in acme.messages("globex")} == {"processed"}


def test_either_side_changes_and_removes_the_same_file(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    key = attach(acme, "T1", "shot.png", SHOT)
    settle(acme, globex)
    (there,) = globex.desk.attachments[copy]
    attach(globex, copy, "shot.png", OTHER, there)
    settle(acme, globex)
    assert acme.desk.attachments["T1"] == {key: of("shot.png", OTHER)}
    assert globex.desk.attachments[copy] == {there: of("shot.png", OTHER)}
    detach(globex, copy, there)
    settle(acme, globex)
    assert attached(acme, "T1") == attached(globex, copy) == []


def test_new_content_from_both_sides_at_once_ends_as_one(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    key = attach(acme, "T1", "shot.png", SHOT)
    settle(acme, globex)
    (there,) = globex.desk.attachments[copy]
    acme.is_down = globex.is_down = True
    attach(acme, "T1", "shot.png", b"of acme", key)
    attach(globex, copy, "shot.png", b"of globex", there)
    acme.work()
    globex.work()
    acme.is_down = globex.is_down = False
    settle(acme, globex)
    assert attached(acme, "T1") == attached(globex, copy)
    assert len(attached(acme, "T1")) == 1


def test_files_of_one_name_from_both_sides_stay_two(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    acme.is_down = globex.is_down = True
    attach(acme, "T1", "shot.png", SHOT)
    attach(globex, copy, "shot.png", OTHER)
    acme.work()
    globex.work()
    acme.is_down = globex.is_down = False
    settle(acme, globex)
    both = sorted([of("shot.png", SHOT), of("shot.png", OTHER)])
    assert attached(acme, "T1") == attached(globex, copy) == both


def test_people_on_both_sides_read_of_a_file_that_may_not_travel(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    attach(acme, "T1", "x.exe", SHOT)
    settle(acme, globex)
    (here,) = acme.desk.comments["T1"].values()
    (there,) = globex.desk.comments[copy].values()
    assert here == there
    assert "'x.exe' (108 kB) of desk was not passed on" in here
    assert attached(globex, copy) == []


def test_where_the_other_node_shares_no_files_only_that_lane_waits(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    narrow = document("acme")
    del narrow["attachments"]
    globex.publish(narrow)
    acme.herald.work()
    attach(acme, "T1", "shot.png", SHOT)
    acme.edit("T2", title="Lamp")
    for _ in range(3):
        acme.work()
    assert "Lamp" in [r["title"] for r in globex.desk.records.values()]
    ((status, detail),) = [m for m in acme.messages("globex") if m[0] != "processed"]
    assert (status, "does not share 'attachments'" in detail) == ("ready", True)
    globex.publish(document("acme", **FILES))
    globex.herald.work()
    settle(acme, globex)
    assert attached(globex, copy) == [of("shot.png", SHOT)]


def test_a_node_gives_only_what_it_offered_to_who_asks(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, _ = linked
    attach(acme, "T1", "shot.png", SHOT)
    settle(acme, globex)
    system = globex.application.configuration.refresh().system("top", "acme")
    assert system is not None
    connector = globex.connect(system)
    writing = acme.application.blobs.begin("top", of("", OTHER)[1], len(OTHER))
    assert writing is not None
    writing.take(OTHER)
    assert writing.finish()
    for content, is_given in ((SHOT, True), (OTHER, False)):
        came = connector.fetch(of("", content)[1], 0)
        assert hasattr(came, "pieces") is is_given
    rest = connector.fetch(of("", SHOT)[1], 1000)
    assert (rest.start, b"".join(rest.pieces)) == (1000, SHOT[1000:])


def test_a_pull_that_is_cut_or_answered_with_others_bytes_ends_well(
    linked: tuple[Hub, Hub, str],
) -> None:
    acme, globex, copy = linked
    faults: list[Any] = [
        Answer(503, Headers({}), b"", 0.0),
        Answer(200, Headers({}), SHOT[:50000], 0.0),
        Answer(401, Headers({}), b"", 0.0),
    ]

    def fault(request: Request) -> Said | None:
        return faults.pop(0) if "/attachments/" in request.url and faults else None

    globex.wire.fault = fault
    attach(acme, "T1", "shot.png", SHOT)
    settle(acme, globex)
    assert faults == []
    assert attached(globex, copy) == [of("shot.png", SHOT)]
    assert held(globex, SHOT) == SHOT


@pytest.mark.parametrize("seed", range(2))
def test_whatever_people_do_both_sides_come_to_have_the_same_files(
    linked: tuple[Hub, Hub, str], seed: int
) -> None:
    acme, globex, copy = linked
    chance = random.Random(seed)
    contents: set[bytes] = set()
    for step in range(40):
        hub, ticket = chance.choice([(acme, "T1"), (globex, copy)])
        there = sorted(hub.desk.attachments.get(ticket, {}))
        content = f"content {step} of {hub.name}".encode()
        match chance.choice(["attach", "change", "remove", "outage", "work", "work"]):
            case "attach":
                attach(hub, ticket, chance.choice(["a.png", "b.png"]), content)
                contents.add(content)
            case "change" if there:
                attach(hub, ticket, "a.png", content, chance.choice(there))
            case "remove" if there:
                detach(hub, ticket, chance.choice(there))
            case "outage":
                hub.is_down = not hub.is_down
            case "work":
                hub.work()
    acme.is_down = globex.is_down = False
    settle(acme, globex)
    ours = sorted(digest for _, digest in attached(acme, "T1"))
    theirs = sorted(digest for _, digest in attached(globex, copy))
    assert ours == theirs
    for content in contents:
        assert held(acme, content) == held(globex, content) == content
