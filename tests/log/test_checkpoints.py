"""Checkpoints of a real log: signed when they are due, refused where it was changed."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from logs import capture, captured

from bench.tampering import overwrite, verified
from bench.tampers import TAMPERS
from rps.application.audit_export import AuditExport, Wanted
from rps.application.checkpoints import (
    EVENTS,
    EVERY,
    CheckpointRefused,
    Checkpoints,
    NotCovered,
)
from rps.application.operations import NotFound
from rps.application.secret_store import SecretStore
from rps.application.stored_tree import BLOCK, StoredTree
from rps.domain.tenancy import TOP
from rps.log.checkpoint import Checkpoint, origin_of
from rps.log.examining import Examined, Examiner
from rps.log.exported import Head, Proven, read, written
from rps.log.merkle import Tree, is_consistent, leaf_of, root_by
from rps.log.trust import Held

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.application import RemoteProcessSync
    from rps.log.exported import Item

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.fixture
def checkpoints(application: RemoteProcessSync) -> Checkpoints:
    return Checkpoints(application)


def grow(application: RemoteProcessSync, events: int, **changes: Any) -> None:
    head = application.recorder.head()[0]
    fresh = (captured(f"c{head + n}", **changes) for n in range(events))
    application.recorder.append([capture(*fresh)])


def rows(application: RemoteProcessSync) -> list[Any]:
    return application.recorder.read(0, 100_000)


def examined(items: Iterable[Item], held: Held | None = None) -> Examined:
    lines = b"".join(written(items, "ndjson")).splitlines(keepends=True)
    return Examiner(held or Held()).examine(read(lines))


def tamper(database: str, *statements: str) -> None:
    with psycopg.connect(database) as connection:
        for table in ("rps_events", "checkpoints"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # type: ignore[arg-type]
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]


# --- when, and what -------------------------------------------------------------------


def test_one_is_due_at_first_then_after_a_thousand_events_or_an_hour(
    application: RemoteProcessSync, checkpoints: Checkpoints
) -> None:
    assert checkpoints.work(NOW) == 0  # nothing has happened
    grow(application, 3)
    assert checkpoints.work(NOW) == 3
    assert checkpoints.work(NOW + 2 * EVERY) == 0  # nothing new
    grow(application, EVENTS - 1)
    assert checkpoints.work(NOW + timedelta(minutes=59)) == 0
    grow(application, 1)
    assert checkpoints.work(NOW + timedelta(minutes=59)) == EVENTS
    grow(application, 1)
    assert checkpoints.work(NOW + timedelta(hours=2)) == 1
    sizes = [row["size"] for row in checkpoints.listed(2**62, 10)]
    assert sizes == [EVENTS + 4, EVENTS + 3, 3]


def test_it_says_the_root_over_all_events_under_the_logs_own_name(
    application: RemoteProcessSync, checkpoints: Checkpoints
) -> None:
    for events in (5, BLOCK - 5, BLOCK + 2):
        grow(application, events)
        note = checkpoints.make("ada", NOW)
        there = rows(application)
        said = Checkpoint.of(note.text)
        assert said.size == len(there)
        assert said.root == Tree(leaf_of(row.hash) for row in there).root()
        assert said.origin == origin_of(there[0].hash.hex())
        key = checkpoints.current_key("ada", NOW).public
        assert note.signers([key]) == [key]
    assert checkpoints.make("ada", NOW) == note  # as there is nothing new


def test_a_log_without_events_has_no_checkpoint(checkpoints: Checkpoints) -> None:
    with pytest.raises(NotCovered, match="no checkpoint yet"):
        checkpoints.make("ada", NOW)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rps_events SET state = state || '.' WHERE notification_id = 8",
        "DELETE FROM rps_events WHERE notification_id = 9",
        "DELETE FROM rps_events WHERE notification_id = 10",
        "UPDATE rps_events SET hash = sha256('') WHERE notification_id = 2",
    ],
)
def test_a_log_that_was_tampered_with_is_not_signed(
    application: RemoteProcessSync,
    checkpoints: Checkpoints,
    database: str,
    statement: str,
) -> None:
    grow(application, 5)
    checkpoints.make("ada", NOW)
    grow(application, 5)
    tamper(database, statement)
    with pytest.raises(CheckpointRefused, match="rps audit verify"):
        checkpoints.make("ada", NOW)
    assert [row["size"] for row in checkpoints.listed(2**62, 10)] == [5]


def test_a_log_that_was_cut_below_its_last_checkpoint_is_told_of(
    application: RemoteProcessSync, checkpoints: Checkpoints, database: str
) -> None:
    grow(application, 5)
    checkpoints.make("ada", NOW)
    there = rows(application)
    tamper(database, "DELETE FROM rps_events WHERE notification_id > 3")
    with psycopg.connect(database) as conn:
        head = (3, there[2].hash)
        conn.execute("UPDATE rps_log_head SET notification_id = %s, hash = %s", head)
    with pytest.raises(CheckpointRefused, match="cut"):
        checkpoints.work(NOW)


def test_what_was_rewritten_before_the_last_one_is_not_signed_again(
    application: RemoteProcessSync, checkpoints: Checkpoints, database: str
) -> None:
    grow(application, 6)
    checkpoints.make("ada", NOW)
    there = rows(application)
    forged = list(there)
    TAMPERS["rehash"](forged, random.Random(1))
    key = checkpoints.current_key("ada", NOW)
    overwrite(database, there, forged, key)
    tamper(database, "UPDATE checkpoints SET size = 5 WHERE size = 6")
    with pytest.raises(CheckpointRefused, match="first 5 events"):
        checkpoints.make("ada", NOW)


# --- keys -----------------------------------------------------------------------------


def test_a_new_key_signs_and_the_old_one_vouches_for_it(
    application: RemoteProcessSync, checkpoints: Checkpoints
) -> None:
    grow(application, 2)
    first = checkpoints.make("ada", NOW)
    checkpoints.rotate("eve", NOW)
    grow(application, 2)
    second = checkpoints.make("ada", NOW)
    old, new = (kept.key.public for kept in checkpoints.public_keys())
    assert (first.signers([old, new]), second.signers([old, new])) == ([old], [new])
    export = AuditExport(application, checkpoints)
    for held in (Held(keys=(old,)), Held(checkpoints=(first,))):
        assert examined(export.log(), held).breaks == []
    checkpoints.rotate("eve", NOW, lost=True)
    found = examined(export.log(), Held(keys=(old,)))
    assert "does not vouch" in found.breaks[0].detail


def test_the_secret_half_of_a_key_is_among_the_secrets_only(
    application: RemoteProcessSync, checkpoints: Checkpoints, database: str
) -> None:
    grow(application, 2)
    checkpoints.make("ada", NOW)
    with psycopg.connect(database) as conn:
        found = conn.execute("SELECT domain, name FROM secrets").fetchall()
    [(domain, name)] = found
    assert (domain, name[:6]) == (TOP, "audit\t")
    [value] = SecretStore(application, os.urandom).live(domain, [name])
    shown = "".join(str(kept) for kept in checkpoints.public_keys())
    assert value not in shown


# --- proofs ---------------------------------------------------------------------------


def test_each_event_is_proven_over_the_kept_roots(
    application: RemoteProcessSync, checkpoints: Checkpoints
) -> None:
    grow(application, 2 * BLOCK + 5)
    said = Checkpoint.of(checkpoints.make("ada", NOW).text)
    there, tree = rows(application), StoredTree(application.datastore)
    for position in (1, 2, BLOCK, BLOCK + 1, 2 * BLOCK + 3, said.size):
        proof = tree.inclusion(position, said.size)
        leaf = leaf_of(there[position - 1].hash)
        assert root_by(position - 1, said.size, leaf, proof) == said.root
    for old in (1, 100, BLOCK, BLOCK + 1, 2 * BLOCK):
        before = (old, Tree(leaf_of(row.hash) for row in there[:old]).root())
        proof = tree.consistency(old, said.size)
        assert is_consistent(before, (said.size, said.root), proof)


def test_an_export_in_parts_is_verified_part_by_part(
    application: RemoteProcessSync, checkpoints: Checkpoints
) -> None:
    grow(application, 40)
    note = checkpoints.make("ada", NOW)
    export = AuditExport(application, checkpoints)
    held = Held(checkpoints=(note,))
    for after in (0, 1, 17, 39, 40):
        found = examined(export.log(after), held)
        assert (found.breaks, found.position, found.seen_to) == ([], 40, 40)
    early = list(export.log(0, 12))
    assert isinstance(early[-1], Head)
    assert (examined(early).breaks, early[-1].position) == ([], 12)
    with pytest.raises(NotFound):
        export.log(41)


def test_a_tenants_events_are_proven_alone(
    application: RemoteProcessSync, checkpoints: Checkpoints
) -> None:
    grow(application, 4, domain="top/a")
    grow(application, 4, domain="top/b", record="R2")
    note = checkpoints.make("ada", NOW)
    export = AuditExport(application, checkpoints)
    items = list(export.selected(Wanted(domain="top/b")))
    found = examined(items, Held(checkpoints=(note,)))
    assert (found.breaks, found.events, found.seen_to) == ([], 4, 8)
    assert not any(b"top/a" in i.row.state for i in items if isinstance(i, Proven))


# --- tampering by SQL -----------------------------------------------------------------


@pytest.mark.parametrize("how", TAMPERS)
def test_what_a_superuser_with_the_key_did_is_found_with_what_a_witness_saw(
    application: RemoteProcessSync, checkpoints: Checkpoints, database: str, how: str
) -> None:
    grow(application, 30)
    held = Held(checkpoints=(checkpoints.make("ada", NOW),))
    there = rows(application)
    key = checkpoints.current_key("ada", NOW)
    assert verified(database, held).breaks == []
    forged = list(there)
    did = TAMPERS[how](forged, random.Random(7))
    overwrite(database, there, forged, key)
    assert verified(database, held).breaks, did


@pytest.mark.parametrize(
    "table", ["audit_keys", "checkpoints", "checkpoint_blocks", "cosignatures", "reads"]
)
@pytest.mark.parametrize("role", ["rps_serving", ""])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_what_proves_is_append_only_for_whoever_serves_and_owns(
    database: str, table: str, role: str, statement: str
) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        if role:
            conn.execute("SET ROLE rps_serving")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement.format(table))  # type: ignore[arg-type]
