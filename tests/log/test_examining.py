"""An export is what was signed and seen, or the first event is named that is not."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from bench.tampers import TAMPERS, items_of, rehash, signed, truncate
from rps.log.chain import GENESIS, Row, hash_of
from rps.log.checkpoint import origin_of, succession
from rps.log.examining import NO_WITNESS, OWN_WORD, SELECTED, Examined, Examiner
from rps.log.exported import (
    CSV,
    NDJSON,
    After,
    End,
    Head,
    Key,
    Proven,
    Selection,
    read,
    written,
)
from rps.log.merkle import Tree, inclusion, leaf_of
from rps.log.note import Note, PrivateKey
from rps.log.trust import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rps.log.exported import Item

STATE = (
    '{"timestamp":{"_type_":"datetime_iso","_data_":"2026-01-02T03:04:%02d+00:00"},'
    '"domain":"top/%s","text":"Grüße %d"}'
)
LENGTH, EVERY = 40, 10


def log(length: int = LENGTH) -> list[Row]:
    rows: list[Row] = []
    previous = GENESIS
    for n in range(1, length + 1):
        state = (STATE % (n % 60, "ab"[n % 2], n)).encode()
        about = (n, UUID(int=n % 5 + 1), n, "change.captured", state)
        previous = hash_of(previous, *about)
        rows.append(Row(*about, previous))
    return rows


ROWS = log()
ORIGIN = origin_of(ROWS[0].hash.hex())


def key(seed: str = "one") -> PrivateKey:
    return PrivateKey(ORIGIN, sha256(seed.encode()).digest())


KEYS = [Key(key().public, "")]
NOTES = signed(ROWS, key(), EVERY)


def examined(items: Iterable[Item], form: str = NDJSON, **held: object) -> Examined:
    """What is found after the items have been written and read again."""
    lines = b"".join(written(items, form)).splitlines(keepends=True)
    return Examiner(Held(**held)).examine(read(lines))  # type: ignore[arg-type]


def details(found: Examined) -> str:
    return "; ".join(f"{each.position}: {each.detail}" for each in found.breaks)


@pytest.mark.parametrize("form", [NDJSON, CSV])
def test_an_export_as_it_was_written_is_proven_up_to_what_a_witness_saw(
    form: str,
) -> None:
    found = examined(items_of(ROWS, KEYS, NOTES), form, checkpoints=(NOTES[2],))
    assert found.breaks == []
    assert (found.events, found.checkpoints) == (LENGTH, 4)
    assert (found.signed_to, found.seen_to) == (LENGTH, 30)
    assert found.keys == (key().public,)
    assert len(found.unproven) == 1
    assert found.unproven[0].startswith("events 31 to 40")


def test_without_anything_from_outside_it_is_said_what_is_not_proven() -> None:
    found = examined(items_of(ROWS, KEYS, NOTES))
    assert found.breaks == []
    assert found.unproven == [OWN_WORD, NO_WITNESS]


@pytest.mark.parametrize("form", [NDJSON, CSV])
@pytest.mark.parametrize("how", TAMPERS)
def test_every_tampering_with_events_is_found(how: str, form: str) -> None:
    """By somebody who signs anew what he changed: only the witness's copy is safe."""
    chance = random.Random(how + form)
    for _ in range(25):
        rows = list(ROWS)
        did = TAMPERS[how](rows, chance)
        items = items_of(rows, KEYS, signed(rows, key(), EVERY))
        assert examined(items, form, checkpoints=(NOTES[-1],)).breaks, did


@pytest.mark.parametrize("form", [NDJSON, CSV])
def test_every_change_of_a_file_is_found(form: str) -> None:
    """Without the key, and without a witness: a bit, a line more, less or elsewhere."""
    chance = random.Random(form)
    honest = b"".join(written(items_of(ROWS, KEYS, NOTES), form))
    lines = honest.splitlines(keepends=True)
    for _ in range(100):
        changed = list(lines)
        at, other = chance.sample(range(len(lines)), 2)
        match chance.randrange(5):
            case 0:
                bits = bytearray(changed[at])
                bits[chance.randrange(len(bits))] ^= 1 << chance.randrange(8)
                changed[at] = bytes(bits)
            case 1 if at > 5:
                del changed[at]
            case 2 if at > 5:
                changed.insert(at, changed[at])
            case 3 if at > 5 and other > 5:
                changed[at], changed[other] = changed[other], changed[at]
            case _:
                cut = chance.randrange(1, len(honest))
                changed = honest[:cut].splitlines(keepends=True)
        if changed != lines:
            found = Examiner(Held(keys=(key().public,))).examine(read(changed))
            assert found.breaks, (at, other)


def test_the_first_event_that_is_wrong_is_named_and_how() -> None:
    rows = list(ROWS)
    rows[16] = replace(rows[16], state=rows[3].state)
    del rows[25]
    found = examined(items_of(rows, KEYS, NOTES))
    assert [each.position for each in found.breaks] == [17, 27]
    assert details(found).startswith("17: the event is not what was written; 27: exp")


def test_a_log_that_was_rehashed_is_found_by_its_checkpoints() -> None:
    """And only by a witness's, where the key was at hand as well."""
    rows = list(ROWS)
    rehash(rows, random.Random(4))
    without_key = examined(items_of(rows, KEYS, NOTES))
    assert "are others than the checkpoint was signed for" in details(without_key)
    with_key = items_of(rows, KEYS, signed(rows, key(), EVERY))
    assert examined(with_key).breaks == []
    seen = examined(with_key, checkpoints=(NOTES[-1],))
    assert "among events 1 to 40 are others than a witness saw" in details(seen)


def test_a_witness_narrows_down_where_a_log_was_rewritten() -> None:
    rows = [*ROWS[:22], *log(LENGTH)[22:]]
    rows[22] = replace(rows[22], version=99)
    previous = rows[21].hash
    for place in range(22, LENGTH):
        r = rows[place]
        about = (r.position, r.originator_id, r.version, r.topic, r.state)
        previous = hash_of(previous, *about)
        rows[place] = replace(r, hash=previous)
    items = items_of(rows, KEYS, signed(rows, key(), EVERY))
    found = examined(items, checkpoints=tuple(NOTES))
    assert "21: among events 21 to 30 are others than a witness saw" in details(found)


def test_a_log_that_was_cut_is_found_by_what_was_signed_for_more() -> None:
    rows = list(ROWS)
    truncate(rows, random.Random(1))
    end = len(rows)
    assert f"the log ends at {end}: cut" in details(
        examined(items_of(rows, KEYS, NOTES))
    )
    forged = items_of(rows, KEYS, signed(rows, key(), EVERY))
    assert examined(forged).breaks == []
    found = examined(forged, checkpoints=(NOTES[-1],))
    assert (
        details(found) == f"{end}: a witness saw 40 events, the log ends at {end}: cut"
    )


def test_a_file_without_its_last_line_was_cut() -> None:
    found = examined(items_of(ROWS, KEYS, NOTES)[:-1])
    assert details(found) == "40: cut: the last line is missing"


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'{"head":{', b'{"by":"acme","head":{'),
        (b'{"head":{', b'{"head": {'),
        (b',"succession":""}', b',"succession":"","since":"2020"}'),
        (b'{"checkpoint":', b'{ "checkpoint":'),
    ],
)
def test_a_line_that_says_more_than_is_written_was_changed(
    was: bytes, becomes: bytes
) -> None:
    lines = b"".join(written(items_of(ROWS, KEYS, NOTES), NDJSON))
    assert was in lines
    changed = lines.replace(was, becomes, 1).splitlines(keepends=True)
    found = Examiner(Held()).examine(read(changed))
    assert "the line is not what was written" in details(found)


def test_lines_after_the_last_one_are_not_passed_over() -> None:
    items = items_of(ROWS, KEYS, NOTES)
    assert "after the last one" in details(examined([*items, items[-1]]))


def test_another_key_is_not_the_logs_own() -> None:
    forged = signed(ROWS, key("other"), EVERY)
    others = [Key(key("other").public, "")]
    assert examined(items_of(ROWS, others, forged)).breaks == []
    given = examined(items_of(ROWS, others, forged), keys=(key().public,))
    assert "signed by a key that nothing you gave vouches for" in details(given)
    seen = examined(items_of(ROWS, others, forged), checkpoints=(NOTES[0],))
    assert "signed by no key of this log" in details(seen)
    unknown = examined(items_of(ROWS, KEYS, forged))
    assert "signed by no key of this log" in details(unknown)


def test_a_key_that_the_one_before_vouches_for_is_the_logs_own() -> None:
    new = key("two")
    word = str(succession(new.public, key()))
    notes = [*NOTES[:2], *signed(ROWS, new, EVERY)[2:]]
    keys = [*KEYS, Key(new.public, word)]
    items = items_of(ROWS, keys, notes)
    for held in ({"keys": (key().public,)}, {"checkpoints": (NOTES[0],)}, {}):
        found = examined(items, **held)
        assert found.breaks == []
        assert found.keys == (key().public, new.public)
    unvouched = items_of(ROWS, [*KEYS, Key(new.public, "")], notes)
    assert "does not vouch" in details(examined(unvouched))


def test_older_keys_that_are_not_vouched_for_are_told_of() -> None:
    new = key("two")
    keys = [*KEYS, Key(new.public, str(succession(new.public, key())))]
    notes = [*NOTES[:2], *signed(ROWS, new, EVERY)[2:]]
    found = examined(items_of(ROWS, keys, notes), keys=(new.public,))
    assert found.breaks == []
    assert any("signed by older keys" in each for each in found.unproven)


def test_a_checkpoint_of_another_log_is_told_apart() -> None:
    other = PrivateKey("rps/other", sha256(b"x").digest())
    found = examined(
        items_of(ROWS, KEYS, NOTES), checkpoints=(signed(ROWS, other, EVERY)[0],)
    )
    assert "is of another log, rps/other" in details(found)


def test_a_hash_that_somebody_kept_is_compared() -> None:
    items = items_of(ROWS, KEYS, NOTES)
    assert examined(items, hashes={7: ROWS[6].hash}).breaks == []
    assert details(examined(items, hashes={7: ROWS[7].hash})) == (
        "7: not the hash that you kept"
    )
    assert "the log ends at 40" in details(examined(items, hashes={41: ROWS[0].hash}))


# --- parts and selections -------------------------------------------------------------


def part(after: int, rows: Sequence[Row]) -> list[Item]:
    tree = Tree(leaf_of(each.hash) for each in ROWS[:after])
    begins = After(after, ROWS[after - 1].hash, tree.roots)
    end = rows[-1]
    return [
        *KEYS,
        *NOTES[after // EVERY :],
        begins,
        *rows,
        Head(end.position, end.hash),
    ]


def test_a_part_of_the_log_is_verified_by_itself() -> None:
    found = examined(part(13, ROWS[13:]), checkpoints=(NOTES[3],))
    assert (found.breaks, found.seen_to) == ([], LENGTH)
    wrong = list(ROWS[13:])
    wrong[0] = replace(wrong[0], version=77)
    assert details(examined(part(13, wrong))).startswith("14: the event is not")
    early = examined(part(13, ROWS[13:]), checkpoints=(NOTES[0],))
    assert any("about earlier events" in each for each in early.unproven)


def selection(rows: Sequence[Row], note: Note, **of: str) -> list[Item]:
    size = int(note.text.split("\n")[1])

    def subtree(start: int, end: int) -> bytes:
        return Tree(leaf_of(each.hash) for each in ROWS[start:end]).root()

    proven = [
        Proven(
            row,
            ROWS[row.position - 2].hash if row.position > 1 else GENESIS,
            tuple(inclusion(row.position - 1, size, subtree)),
        )
        for row in rows
    ]
    return [Selection(of), *KEYS, note, *proven, End(len(rows))]


@pytest.mark.parametrize("form", [NDJSON, CSV])
def test_events_of_a_tenant_are_proven_without_those_of_others(form: str) -> None:
    mine = [row for row in ROWS[:30] if b"top/a" in row.state]
    items = selection(mine, NOTES[2], domain="top/a")
    found = examined(items, form, checkpoints=(NOTES[2],))
    assert (found.breaks, found.events, found.seen_to) == ([], 15, 30)
    assert found.unproven == [SELECTED]
    other = examined(items, form, checkpoints=(NOTES[3],))
    assert any("have them made with --at" in each for each in other.unproven)


def test_an_event_that_is_not_of_the_log_cannot_be_proven() -> None:
    rows = list(ROWS)
    rehash(rows, random.Random(2))
    forged = [row for row in rows if row.hash not in {each.hash for each in ROWS}]
    found = examined(selection(forged[:1], NOTES[3]))
    assert found.breaks


def test_an_event_of_another_tenant_does_not_slip_in() -> None:
    found = examined(selection(ROWS[:4], NOTES[3], domain="top/a"))
    assert [each.position for each in found.breaks] == [1, 3]
    stream = str(ROWS[0].originator_id)
    found = examined(selection(ROWS[:4], NOTES[3], correlation=stream))
    assert [each.position for each in found.breaks] == [2, 3, 4]


def test_a_selection_with_fewer_events_than_it_says_was_cut() -> None:
    items = selection(ROWS[:4], NOTES[3])
    del items[-2]
    assert "4 events were selected, 3 are here" in details(examined(items))


def test_a_witness_that_saw_another_log_contradicts_a_proof() -> None:
    rows = list(ROWS)
    rehash(rows, random.Random(3))
    seen = signed(rows, key(), EVERY)[-1]
    found = examined(selection(ROWS[:2], NOTES[3]), checkpoints=(seen,))
    assert "a witness saw another log of 40 events" in details(found)
