"""What linked nodes show of their logs: compared with what they showed before.

A node that keeps to what it showed is countersigned (c2sp.org/tlog-cosignature). What
contradicts it is kept as evidence.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import tuple_row

from rps.log.checkpoint import Checkpoint
from rps.log.merkle import is_consistent
from rps.log.note import Note, NoteUnreadable, PublicKey, SignatureWrong
from rps.log.trust import signers, vouches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from eventsourcing.postgres import PostgresDatastore

    from rps.application.checkpoints import Checkpoints
    from rps.domain.remote_system import RemoteSystem

log = logging.getLogger("rps.witness")

KEYS_MAX, PROOF_MAX = 64, 64
REFUSALS_MAX = 100
"""Kept as evidence of each node; more of the same say nothing new."""

_SINCE = """
number > coalesce((SELECT max(number) FROM witnessed r WHERE r.domain = w.domain
                   AND r.system = w.system AND r.state = 'reset'), 0)
"""
LAST = f"""
SELECT note, public_key FROM witnessed w
WHERE domain = %s AND system = %s AND state = 'taken' AND {_SINCE}
ORDER BY size DESC, number DESC LIMIT 1
"""  # noqa: S608 - constants
KEEP = """
INSERT INTO witnessed (domain, system, size, note, public_key, state, detail, seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
REFUSED = """
SELECT count(*), count(*) FILTER (WHERE note = %s) FROM witnessed
WHERE domain = %s AND system = %s AND state = 'refused'
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rps witnessed ' || %s, 0))"
STANDING = f"""
SELECT w.domain, w.system, max(size) FILTER (WHERE state = 'taken') AS size,
       max(seen_at) FILTER (WHERE state = 'taken') AS seen_at,
       count(*) FILTER (WHERE state = 'refused') AS refused,
       (array_agg(detail ORDER BY number DESC) FILTER (WHERE state = 'refused'))[1]
           AS detail
FROM witnessed w WHERE {_SINCE} GROUP BY w.domain, w.system ORDER BY 1, 2
"""  # noqa: S608 - constants
NOTES = """
SELECT note FROM witnessed WHERE domain = %s AND system = %s AND state = 'taken'
ORDER BY number
"""


class Contradicted(Exception):
    """The other log is not what it was; the text says how."""


class Shown(NamedTuple):
    """A checkpoint as a node shows it: with all its keys, oldest first, and the proof
    that its log begins with the one of `old` events. `old` 0: it is the first."""

    note: Note
    keys: tuple[tuple[PublicKey, str], ...]
    old: int
    proof: tuple[bytes, ...]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Shown:
        """Raises NoteUnreadable."""
        keys, proof, old = said.get("keys"), said.get("proof"), said.get("old")
        if not isinstance(keys, list) or not 1 <= len(keys) <= KEYS_MAX:
            raise NoteUnreadable(f"keys: give 1 to {KEYS_MAX}")
        if not isinstance(proof, list) or len(proof) > PROOF_MAX:
            raise NoteUnreadable(f"proof: give up to {PROOF_MAX} hashes")
        if type(old) is not int or not 0 <= old < 2**63:
            raise NoteUnreadable("old: give the size that the proof begins with")
        try:
            return cls(
                Note.of(str(said.get("checkpoint"))),
                tuple((PublicKey.of(k["key"]), str(k["succession"])) for k in keys),
                old,
                tuple(bytes.fromhex(each) for each in proof),
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise NoteUnreadable(f"what is shown cannot be read: {error}") from None


class NeighbourLogs:
    def __init__(self, datastore: PostgresDatastore, checkpoints: Checkpoints) -> None:
        self._datastore = datastore
        self._checkpoints = checkpoints

    def shown(
        self, system: RemoteSystem, shown: Shown, now: datetime
    ) -> dict[str, Any]:
        """What the node is answered: `state` is `taken` with our line, `older` with the
        size to prove from, or `refused`. Raises NoteUnreadable, NotCovered."""
        ours = self._checkpoints.current_key("rps", now)
        said = Checkpoint.of(shown.note.text)
        about = (system.domain, system.name)
        with self._datastore.get_connection() as conn, conn.transaction():
            conn.execute(LOCK, ("\t".join(about),))
            cursor: Any = conn.cursor(row_factory=tuple_row)
            found = cursor.execute(LAST, about).fetchone()
            last = Checkpoint.of(Note.of(found[0]).text) if found else None
            if last is not None and _asks_again(last, said, shown.old):
                return {"state": "older", "size": last.size}
            try:
                key = _signer(shown, PublicKey.of(found[1]) if found else None)
                _require_same(last, said, shown.proof)
            except Contradicted as error:
                self._refused(cursor, about, said, shown.note, str(error), now)
                return {"state": "refused", "detail": str(error)}
            line = ours.cosign(shown.note.text, int(now.timestamp()))
            if last is None or last.size < said.size:
                note = Note(shown.note.text, (*shown.note.signatures, line))
                kept = (said.size, str(note), str(key), "taken", "", now)
                cursor.execute(KEEP, (*about, *kept))
        return {
            "state": "taken",
            "size": said.size,
            "key": str(ours.witness),
            "cosignature": str(line),
        }

    def _refused(
        self,
        cursor: Any,
        about: tuple[str, str],
        said: Checkpoint,
        note: Note,
        why: str,
        now: datetime,
    ) -> None:
        count, same = cursor.execute(REFUSED, (str(note), *about)).fetchone()
        if count < REFUSALS_MAX and not same:
            kept = (said.size, str(note), "", "refused", why, now)
            cursor.execute(KEEP, (*about, *kept))
        log.error("log.contradicted domain=%s system=%s: %s", *about, why)

    def reset(self, domain: str, system: str, reason: str, now: datetime) -> None:
        """What that node shows next is taken as the first."""
        with self._datastore.get_connection() as conn:
            conn.execute(KEEP, (domain, system, 0, "", "", "reset", reason, now))

    def standing(self) -> list[dict[str, Any]]:
        """By node: the largest size seen and when, and how often it contradicted."""
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor()
            return list(cursor.execute(STANDING).fetchall())

    def notes(self, domain: str, system: str) -> list[Note]:
        """What a node showed and was countersigned for, in that order."""
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row)
            rows = cursor.execute(NOTES, (domain, system)).fetchall()
        return [Note.of(row[0]) for row in rows]


def _asks_again(last: Checkpoint, said: Checkpoint, old: int) -> bool:
    """Whether it has to show something newer, or prove from what was seen last."""
    if last.origin != said.origin:
        return False
    return said.size < last.size or (said.size > last.size and old != last.size)


def _signer(shown: Shown, known: PublicKey | None) -> PublicKey:
    """The key that signed; where one is known already, it vouches for it."""
    keys = list(shown.keys)
    try:
        signed = signers(shown.note, [key for key, _ in keys])
    except SignatureWrong as error:
        raise Contradicted(str(error)) from None
    if not signed:
        raise Contradicted("the checkpoint is signed by none of its keys")
    if known is None or known in signed:
        return signed[0]
    if not _reaches(known, signed, keys):
        raise Contradicted(
            f"the key that signed before, {known}, does not vouch for it"
        )
    return signed[0]


def _reaches(
    known: PublicKey,
    signed: Sequence[PublicKey],
    keys: Sequence[tuple[PublicKey, str]],
) -> bool:
    for key, succession in keys:
        if vouches(known, key, succession):
            known = key
        if known in signed:
            return True
    return False


def _require_same(
    last: Checkpoint | None, said: Checkpoint, proof: Sequence[bytes]
) -> None:
    """Raises Contradicted."""
    if last is None:
        return
    if last.origin != said.origin:
        raise Contradicted(f"another log: it was {last.origin}, now {said.origin}")
    if not is_consistent((last.size, last.root), (said.size, said.root), proof):
        raise Contradicted(
            f"the log of {said.size} events does not begin with the {last.size} that"
            " were shown before"
        )
