"""Whose signatures under checkpoints count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rps.log.checkpoint import successor
from rps.log.note import Note, NoteUnreadable, PublicKey, SignatureWrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rps.log.exported import Key


@dataclass(frozen=True, slots=True)
class Held:
    """What is known from outside: keys, checkpoints of witnesses, and hashes of single
    positions that somebody kept."""

    keys: tuple[PublicKey, ...] = ()
    checkpoints: tuple[Note, ...] = ()
    hashes: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trust:
    """`keys` may sign; `on_own_word`: nothing from outside says so. `wrong`: what
    cannot be as it is."""

    keys: tuple[PublicKey, ...]
    on_own_word: bool
    wrong: tuple[str, ...]


def trusted(listed: Sequence[Key], held: Held) -> Trust:
    """Keys that were given, that signed what a witness saw, and those they vouch for,
    one after the other; where there is none of these, the log's first key."""
    wrong: list[str] = []
    publics = [key.public for key in listed]
    known = list(held.keys)
    for note in held.checkpoints:
        try:
            signed = signers(note, [*publics, *held.keys])
        except SignatureWrong as error:
            wrong.append(f"a checkpoint from outside: {error}")
            continue
        if publics and not signed:
            wrong.append("a checkpoint from outside was signed by no key of this log")
        known += [key for key in signed if key not in known]
    on_own_word = not known
    known = known or publics[:1]
    for before, key in zip(publics, listed[1:], strict=False):
        if key.public not in known and before in known:
            if vouches(before, key.public, key.succession):
                known.append(key.public)
            else:
                wrong.append(f"the key before it does not vouch for {key.public}")
    return Trust(tuple(known), on_own_word, tuple(wrong))


def vouches(before: PublicKey, key: PublicKey, succession: str) -> bool:
    """Whether the note is the word of the key before for this one."""
    try:
        note = Note.of(succession)
        return successor(note) == key and bool(note.signers([before]))
    except (NoteUnreadable, SignatureWrong):
        return False


def signers(note: Note, keys: Iterable[PublicKey]) -> list[PublicKey]:
    """The keys that signed, of the log that the note names in its first line. Raises
    SignatureWrong."""
    origin = note.text.partition("\n")[0]
    return note.signers(key for key in keys if key.name == origin)
