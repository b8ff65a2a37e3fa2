"""Linked nodes keep an eye on each other's logs, and lay them side by side."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from hubs import settle
from peers import post

from bench.tampering import overwrite
from rps.application.audit_export import AuditExport
from rps.application.channels import Channels
from rps.application.checkpoints import Checkpoints
from rps.application.neighbour_logs import NeighbourLogs
from rps.application.node_channel import NodeChannels
from rps.application.secret_store import SecretStore
from rps.application.subscriptions import Subscriptions
from rps.cli import main
from rps.config import Config
from rps.domain.subscription import CHECKPOINT, NODE
from rps.log.chain import GENESIS, Row, hash_of
from rps.log.checkpoint import Checkpoint
from rps.log.compared import Compared, NothingInCommon, Side, compare
from rps.log.examining import Examiner
from rps.log.exported import NDJSON, written
from rps.log.note import Note, PublicKey
from rps.log.trust import Held
from rps.workers.notifier import Notifier

if TYPE_CHECKING:
    from hubs import Hub


def watched(hub: Hub, by: str) -> None:
    """From now on the hub shows its checkpoints to that node."""
    wanted: dict[str, Any] = {
        "settings": {"system": by},
        "about": [CHECKPOINT],
        "process_event": "",
        "system": "",
    }
    secrets = SecretStore(hub.application, os.urandom)
    Subscriptions(hub.application, secrets).put(
        "top", by, NODE, wanted, None, "tester", hub.now()
    )


def sign(hub: Hub) -> Note:
    """A checkpoint of all there is, and whoever is to be told of it."""
    note = Checkpoints(hub.application).make("tester", hub.now())
    with psycopg.connect(hub.database) as conn:
        conn.execute("UPDATE notice_deliveries SET due_at = now() - interval '1 hour'")
    secrets = SecretStore(hub.application, os.urandom)
    nodes = NodeChannels(hub.application, hub.wire, secrets, hub.now)
    config = Config.from_environ({})
    channels = Channels(config, hub.wire, secrets, nodes.channel)
    told = (hub.application, channels.channel, hub.now, lambda: 0.5)
    with closing(Notifier(*told)) as notifier:
        while notifier.work():
            pass
    return note


def deliveries(hub: Hub) -> list[tuple[str, str]]:
    """What became of showing them, the latest first."""
    return hub.ask(
        "SELECT state, detail FROM notice_deliveries ORDER BY made_at DESC, due_at DESC"
    )


def seen(hub: Hub, system: str) -> list[Note]:
    logs = NeighbourLogs(hub.application.datastore, Checkpoints(hub.application))
    return logs.notes("top", system)


def standing(hub: Hub) -> dict[str, Any]:
    logs = NeighbourLogs(hub.application.datastore, Checkpoints(hub.application))
    [found] = logs.standing()
    return found


def overwritten(hub: Hub, rows: list[Row], forged: list[Row]) -> None:
    """By somebody who has the database, and the key in it. What was signed for the
    other log is gone, as if there had been nothing."""
    key = Checkpoints(hub.application).current_key("tester", hub.now())
    overwrite(hub.database, rows, forged, key)
    with psycopg.connect(hub.database) as conn:
        conn.execute("DELETE FROM checkpoints")


def with_another_title(rows: list[Row]) -> list[Row]:
    """And hashes that fit."""
    forged, previous = [], GENESIS
    for row in rows:
        state = row.state.replace(b"Printer", b"Scanner")
        about = (row.position, row.originator_id, row.version, row.topic, state)
        previous = hash_of(previous, *about)
        forged.append(Row(*about, previous))
    return forged


def test_a_node_countersigns_what_keeps_to_what_it_saw_before(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    watched(acme, "globex")
    sign(acme)
    acme.edit("T1", title="Printer")
    settle(acme, globex)
    last = sign(acme)
    first_seen, last_seen = seen(globex, "acme")
    assert last_seen.text == last.text
    assert Checkpoint.of(first_seen.text).size < Checkpoint.of(last.text).size
    [(key, line)] = acme.ask(
        "SELECT public_key, line FROM cosignatures ORDER BY size DESC LIMIT 1"
    )
    assert str(last_seen).endswith(f"{line}\n")
    witness = PublicKey.of(key)
    assert last_seen.signers([witness]) == [witness]
    assert {state for state, _ in deliveries(acme)} == {"sent"}
    assert (standing(globex)["size"], standing(globex)["refused"]) == (
        Checkpoint.of(last.text).size,
        0,
    )


def test_a_log_that_was_rewritten_is_noticed_by_the_partner(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    watched(acme, "globex")
    acme.edit("T1", title="Printer")
    acme.work()
    sign(acme)
    rows = acme.application.recorder.read(0, 10_000)
    overwritten(acme, rows, with_another_title(rows))
    acme.edit("T1", note="third floor")
    acme.work()
    sign(acme)
    state, detail = deliveries(acme)[0]
    assert state == "failed"
    assert "it refuses: the log of" in detail
    assert standing(globex)["refused"] == 1
    assert "does not begin with" in standing(globex)["detail"]
    export = AuditExport(acme.application, Checkpoints(acme.application))
    assert Examiner(Held()).examine(export.log()).breaks == []  # it fits itself
    held = Held(checkpoints=tuple(seen(globex, "acme")))
    [found] = Examiner(held).examine(export.log()).breaks
    assert "are others than a witness saw" in found.detail


def test_a_log_that_was_cut_is_told_of_by_whoever_saw_more(
    linked: tuple[Hub, Hub],
) -> None:
    acme, _ = linked
    watched(acme, "globex")
    shown = Checkpoint.of(sign(acme).text).size
    acme.edit("T1", title="Printer")
    acme.work()
    longer = Checkpoint.of(sign(acme).text).size
    rows = acme.application.recorder.read(0, 10_000)
    overwritten(acme, rows, rows[: shown + 1])
    sign(acme)
    state, detail = deliveries(acme)[0]
    assert state == "failed"
    assert f"saw {longer} events of this log, which has {shown + 1}" in detail


def test_a_new_key_is_taken_where_the_old_one_vouches_for_it(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = linked
    watched(acme, "globex")
    sign(acme)
    checkpoints = Checkpoints(acme.application)
    checkpoints.rotate("tester", acme.now())
    acme.edit("T1", title="Printer")
    acme.work()
    sign(acme)
    assert len(seen(globex, "acme")) == 2
    checkpoints.rotate("tester", acme.now(), lost=True)
    acme.edit("T1", title="Scanner")
    acme.work()
    sign(acme)
    assert "does not vouch" in deliveries(acme)[0][1]
    logs = NeighbourLogs(globex.application.datastore, checkpoints)
    logs.reset("top", "acme", "they lost it, and rang us up", globex.now())
    acme.edit("T1", title="Fax")
    acme.work()
    sign(acme)
    assert deliveries(acme)[0][0] == "sent"


def test_a_node_that_does_not_answer_is_tried_again(linked: tuple[Hub, Hub]) -> None:
    acme, globex = linked
    watched(acme, "globex")
    globex.is_down = True
    sign(acme)
    assert {state for state, _ in deliveries(acme)} == {"waiting"}
    acme.edit("T1", title="Printer")
    acme.work()
    globex.is_down = False
    last = sign(acme)
    assert sorted({state for state, _ in deliveries(acme)}) == ["dropped", "sent"]
    assert [note.text for note in seen(globex, "acme")] == [last.text]


NO_CHECKPOINTS: tuple[dict[str, Any], ...] = (
    {},
    {"checkpoint": "x", "keys": [], "old": 0, "proof": []},
    {"checkpoint": "x", "keys": [{"key": "k"}], "old": 0, "proof": []},
    {"checkpoint": "x", "keys": [7], "old": 0, "proof": []},
    {"checkpoint": 7, "keys": [{"key": ""}], "old": 0, "proof": []},
    {"checkpoint": "x", "keys": [{}], "old": -1, "proof": []},
    {"checkpoint": "x", "keys": [{}], "old": True, "proof": []},
    {"checkpoint": "x", "keys": [{}], "old": 0, "proof": ["zz"]},
    {"checkpoint": "x", "keys": [{}], "old": 0, "proof": ["00"] * 65},
)


def test_what_is_no_checkpoint_is_refused(linked: tuple[Hub, Hub]) -> None:
    acme, globex = linked
    for said in NO_CHECKPOINTS:
        answered = post(acme, globex, "checkpoint", said)
        assert answered.status_code in (400, 422), said
    assert globex.ask("SELECT count(*) FROM witnessed") == [(0,)]


# --- two logs side by side ------------------------------------------------------------


def side(hub: Hub, topic: str = "", was: bytes = b"", becomes: bytes = b"") -> Side:
    """What its log says; with `topic`, whose events say something else."""
    made = Side(hub.name)
    for row in hub.application.recorder.read(0, 10_000):
        state = row.state.replace(was, becomes) if row.topic == topic else row.state
        made.add(replace(row, state=state))
    return made


def shared(linked: tuple[Hub, Hub]) -> tuple[Hub, Hub]:
    acme, globex = linked
    acme.edit("T1", title="Printer", state="new")
    settle(acme, globex)
    (copy,) = globex.desk.records
    globex.edit(copy, state="open")
    globex.comment(copy, "on it")
    acme.edit("T1", note="third floor")
    settle(acme, globex)
    return acme, globex


def told(found: Compared) -> str:
    return "; ".join(each.detail for each in found.differences)


def test_two_honest_logs_say_the_same(linked: tuple[Hub, Hub]) -> None:
    acme, globex = shared(linked)
    found = compare(side(acme), side(globex))
    assert (found.differences, found.later) == ([], 0)
    assert found.same >= 3
    assert compare(side(globex), side(acme)).same == found.same


def test_what_one_says_otherwise_than_it_sent_is_shown(linked: tuple[Hub, Hub]) -> None:
    acme, globex = shared(linked)
    forged = side(acme, "message.transmitted", b"Printer", b"Scanner")
    found = compare(forged, side(globex))
    assert told(found) == "what acme sent is not what globex received: in title"
    [difference] = found.differences
    assert (difference.sender, difference.receiver) == ("acme", "globex")
    assert difference.fields == ("title",)


def test_a_message_that_only_one_knows_is_shown(linked: tuple[Hub, Hub]) -> None:
    acme, globex = shared(linked)
    whole, denied = side(acme), side(globex)
    first = min(denied.taken.values(), key=lambda each: each.position)
    del denied.taken[first.id]
    found = compare(whole, denied)
    assert found.differences[0].message_id == first.id
    assert "globex never received it" in told(found)
    forged = side(acme)
    del forged.sent[first.id]
    forged.made.clear()
    found = compare(forged, side(globex))
    assert "globex received it; acme never sent it" in told(found)


def test_an_older_export_lacks_nothing_but_what_came_later(
    linked: tuple[Hub, Hub],
) -> None:
    acme, globex = shared(linked)
    older = side(globex)
    acme.edit("T1", title="Scanner")
    settle(acme, globex)
    found = compare(side(acme), older)
    assert (found.differences, found.later) == ([], 1)


def test_logs_that_share_no_message_are_not_compared(hubs: dict[str, Hub]) -> None:
    with pytest.raises(NothingInCommon):
        compare(side(hubs["acme"]), side(hubs["globex"]))


def exported(hub: Hub, path: Path) -> str:
    export = AuditExport(hub.application, Checkpoints(hub.application))
    path.write_bytes(b"".join(written(export.log(), NDJSON)))
    return str(path)


def test_the_exports_of_two_companies_are_laid_side_by_side(
    linked: tuple[Hub, Hub], tmp_path: Path
) -> None:
    acme, globex = shared(linked)
    mine = exported(acme, tmp_path / "acme.ndjson")
    theirs = exported(globex, tmp_path / "globex.ndjson")
    same = CliRunner().invoke(main, ["audit", "compare", mine, theirs])
    assert same.exit_code == 0, same.output
    path = Path(theirs)
    path.write_bytes(path.read_bytes().replace(b"third floor", b"fifth floor"))
    other = CliRunner().invoke(main, ["audit", "compare", mine, theirs])
    assert other.exit_code == 5
    assert "what acme sent is not what globex received: in note" in other.stdout
    assert "third floor" in other.stdout
    assert "fifth floor" in other.stdout
    assert "globex is broken at" in other.stderr
