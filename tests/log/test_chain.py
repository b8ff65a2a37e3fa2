from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from logs import capture, captured

from bench.tampers import TAMPERS
from rps.log.chain import GENESIS, Row, hash_of, verify

if TYPE_CHECKING:
    from rps.log.recorder import LogRecorder

TAMPERINGS = 1000


def log(length: int) -> list[Row]:
    rows: list[Row] = []
    previous = GENESIS
    for position in range(1, length + 1):
        stream, state = UUID(int=position % 5), b'{"n":%d}' % position
        previous = hash_of(previous, position, stream, position, "a.b", state)
        rows.append(Row(position, stream, position, "a.b", state, previous))
    return rows


def head_of(rows: list[Row]) -> tuple[int, bytes]:
    return rows[-1].position, rows[-1].hash


def test_a_log_as_it_was_written_verifies() -> None:
    for length in (1, 2, 50):
        rows = log(length)
        verified = verify(rows, head=head_of(rows))
        assert (verified.events, verified.position) == (length, length)
        assert verified.breaks == ()
    assert verify([], head=(0, GENESIS)).breaks == ()


def test_a_log_that_grew_while_it_was_read_meets_the_head_it_had() -> None:
    rows = log(9)
    assert verify(rows, head=head_of(rows[:5])).breaks == ()


def test_a_log_verifies_in_parts() -> None:
    rows = log(9)
    first = verify(rows[:4])
    rest = verify(rows[4:], first.hash, first.position, head_of(rows))
    assert first.breaks == rest.breaks == ()


@pytest.mark.parametrize("how", TAMPERS)
def test_every_tampering_is_found(how: str) -> None:
    chance = random.Random(how)
    honest = log(40)
    for _ in range(TAMPERINGS // len(TAMPERS) + 1):
        rows = list(honest)
        did = TAMPERS[how](rows, chance)
        assert verify(rows, head=head_of(honest)).breaks, did


def test_a_break_is_named_where_it_is() -> None:
    rows = log(10)
    rows[3] = replace(rows[3], state=b"{}")
    del rows[7]
    breaks = verify(rows, head=head_of(log(10))).breaks
    assert [b.position for b in breaks] == [4, 9]


TAMPERED = {
    "flipped": "UPDATE rps_events SET state = set_byte(state, 5, 65)"
    " WHERE notification_id = 3",
    "deleted": "DELETE FROM rps_events WHERE notification_id = 3",
    "swapped": "UPDATE rps_events e SET state = o.state, hash = o.hash"
    " FROM rps_events o WHERE e.notification_id + o.notification_id = 7"
    " AND e.notification_id IN (3, 4)",
    "cut": "DELETE FROM rps_events WHERE notification_id > 4",
    "added": "INSERT INTO rps_events SELECT originator_id, 99, topic, state, 7, hash"
    " FROM rps_events WHERE notification_id = 6",
    "hash": "UPDATE rps_events SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)"
    " WHERE notification_id = 6",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_a_superuser_did_to_the_table_is_found(
    recorder: LogRecorder, database: str, how: str
) -> None:
    recorder.append([capture(*(captured(f"c{n}") for n in range(6)))])
    assert verify(recorder.read(0, 100), head=recorder.head()).breaks == ()
    with psycopg.connect(database) as conn:
        conn.execute("ALTER TABLE rps_events DISABLE TRIGGER ALL")
        statement: Any = TAMPERED[how]
        assert conn.execute(statement).rowcount
    assert verify(recorder.read(0, 100), head=recorder.head()).breaks
