"""Six ways to tamper with a log, on its rows: what somebody with all rights could do.

Each changes the rows it is given and answers in a few words what it did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from rps.log.chain import GENESIS, Row, hash_of
from rps.log.checkpoint import Checkpoint
from rps.log.exported import Head
from rps.log.merkle import Tree, leaf_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from rps.log.exported import Item, Key
    from rps.log.note import Note, PrivateKey

    Tamper = Callable[[list[Row], random.Random], str]


def flip(rows: list[Row], chance: random.Random) -> str:
    """One bit of anything that a row says."""
    at = chance.randrange(len(rows))
    row = rows[at]
    match chance.randrange(5):
        case 0:
            rows[at] = replace(row, hash=flipped(row.hash, chance))
        case 1:
            stream = UUID(bytes=flipped(row.originator_id.bytes, chance))
            rows[at] = replace(row, originator_id=stream)
        case 2:
            rows[at] = replace(row, version=row.version + chance.randrange(1, 99))
        case 3:
            topic = "change.ignored" if row.topic != "change.ignored" else "change.x"
            rows[at] = replace(row, topic=topic)
        case _:
            rows[at] = replace(row, state=other_state(row.state, chance))
    return f"flip in {row.position}"


def delete(rows: list[Row], chance: random.Random) -> str:
    """One row; half of the time the others close up."""
    at = chance.randrange(len(rows) - 1)
    gone = rows.pop(at)
    if chance.random() < 0.5:
        _renumber(rows, at)
    return f"delete of {gone.position}"


def insert(rows: list[Row], chance: random.Random) -> str:
    """A row that fits the one before it."""
    at = chance.randrange(1, len(rows))
    like = rows[at]
    made = replace(like, originator_id=UUID(int=chance.getrandbits(128)))
    made.hash = _hash(rows[at - 1].hash, made)
    rows.insert(at, made)
    _renumber(rows, at + 1)
    return f"insert at {made.position}"


def swap(rows: list[Row], chance: random.Random) -> str:
    """Two rows change places, and take the numbers of their places."""
    one, other = sorted(chance.sample(range(len(rows)), 2))
    a, b = rows[one], rows[other]
    rows[one], rows[other] = (
        replace(b, position=a.position),
        replace(a, position=b.position),
    )
    return f"swap of {a.position} and {b.position}"


def truncate(rows: list[Row], chance: random.Random) -> str:
    """The end is gone, as if it had never been."""
    at = chance.randrange(1, len(rows))
    del rows[at:]
    return f"truncated after {at}"


def rehash(rows: list[Row], chance: random.Random) -> str:
    """One row is another one, and all hashes from there on fit."""
    at = chance.randrange(len(rows))
    rows[at] = replace(rows[at], state=other_state(rows[at].state, chance))
    previous = rows[at - 1].hash if at else GENESIS
    for place in range(at, len(rows)):
        previous = _hash(previous, rows[place])
        rows[place] = replace(rows[place], hash=previous)
    return f"rehashed from {at + 1}"


TAMPERS: dict[str, Tamper] = {
    "flip": flip,
    "delete": delete,
    "insert": insert,
    "swap": swap,
    "truncate": truncate,
    "rehash": rehash,
}


def other_state(state: bytes, chance: random.Random) -> bytes:
    """Still JSON, with one letter changed in what it says."""
    letters = [at for at, byte in enumerate(state) if chr(byte).isalpha()]
    at = chance.choice(letters[len(letters) // 2 :])
    other = b"x" if state[at : at + 1] != b"x" else b"y"
    return state[:at] + other + state[at + 1 :]


def flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) * 8)
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def _renumber(rows: list[Row], start: int) -> None:
    for place in range(start, len(rows)):
        rows[place] = replace(rows[place], position=place + 1)


def _hash(previous: bytes, row: Row) -> bytes:
    about = (row.position, row.originator_id, row.version, row.topic, row.state)
    return hash_of(previous, *about)


def signed(rows: Sequence[Row], key: PrivateKey, every: int) -> list[Note]:
    """Checkpoints of the log, one for so many events, and one at its end."""
    tree, notes = Tree(), []
    for row in rows:
        tree.add(leaf_of(row.hash))
        if tree.size % every == 0 or tree.size == len(rows):
            said = Checkpoint(key.public.name, tree.size, tree.root())
            notes.append(said.signed(key))
    return notes


def items_of(
    rows: Sequence[Row], keys: Sequence[Key], notes: Sequence[Note]
) -> list[Item]:
    """An export that ends where its rows end."""
    head = Head(rows[-1].position, rows[-1].hash) if rows else Head(0, GENESIS)
    return [*keys, *notes, *rows, head]
