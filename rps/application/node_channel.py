"""Checkpoints shown to a linked node, which compares them with what it saw before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.application.checkpoints import Checkpoints
from rps.application.neighbours import Neighbours
from rps.application.stored_tree import StoredTree
from rps.connectors.announcing import (
    Again,
    Announced,
    Announcement,
    ChannelUnusable,
    Never,
    Told,
)
from rps.connectors.signature import SecretUnusable
from rps.domain.between_nodes import NODE
from rps.log.checkpoint import Checkpoint
from rps.log.note import COSIGNATURE, Note, NoteUnreadable, PublicKey, Signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.neighbours import Wire
    from rps.application.secret_store import SecretStore
    from rps.connectors.node import NodeConnector
    from rps.domain.remote_system import RemoteSystem
    from rps.domain.subscription import Subscription

LAST = """
SELECT coalesce(max(size), 0) FROM cosignatures WHERE domain = %s AND system = %s
"""
KEEP = """
INSERT INTO cosignatures (size, domain, system, public_key, line, made_at)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class NodeChannel:
    def __init__(
        self,
        application: RemoteProcessSync,
        checkpoints: Checkpoints,
        system: RemoteSystem,
        connector: NodeConnector,
        clock: Callable[[], datetime],
    ) -> None:
        self._datastore = application.datastore
        self._checkpoints = checkpoints
        self._system = system
        self._connector = connector
        self._clock = clock

    def announce(self, said: Announcement) -> Announced:
        if "checkpoint" not in said.data:
            fine, detail = self._connector.check()
            return Told(detail) if fine else Again(detail)
        note = Note.of(said.data["checkpoint"])
        answered, why = self._show(note, self._last())
        if answered is not None and answered.get("state") == "older":
            answered, why = self._again(note, answered)
        if answered is None:
            return Again(why)
        return self._taken(note, answered)

    def _again(
        self, note: Note, answered: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, str]:
        """From the size that it saw last."""
        seen, size = answered.get("size"), Checkpoint.of(note.text).size
        if type(seen) is int and 0 < seen < size:
            return self._show(note, seen)
        newest = self._checkpoints.standing().head
        if type(seen) is int and seen <= newest:
            return {"state": "newer"}, ""
        why = (
            f"it saw {seen} events of this log, which has {newest}: the log was cut, or"
            " goes on from an earlier state"
        )
        return {"state": "refused", "detail": why}, ""

    def _show(self, note: Note, old: int) -> tuple[dict[str, Any] | None, str]:
        size = Checkpoint.of(note.text).size
        tree = StoredTree(self._datastore)
        proof = tree.consistency(old, size) if old else []
        keys = [kept.key for kept in self._checkpoints.public_keys()]
        return self._connector.ask(
            "checkpoint",
            {
                "checkpoint": str(note),
                "keys": [
                    {"key": str(key.public), "succession": key.succession}
                    for key in keys
                ],
                "old": old,
                "proof": [each.hex() for each in proof],
            },
        )

    def _taken(self, note: Note, answered: dict[str, Any]) -> Announced:
        match answered.get("state"):
            case "newer":
                return Told("it saw a later checkpoint")
            case "refused":
                return Never(f"it refuses: {answered.get('detail')}")
            case "taken":
                return self._countersigned(note, answered)
            case _:
                return Again("the answer says nothing of the checkpoint")

    def _countersigned(self, note: Note, answered: dict[str, Any]) -> Announced:
        try:
            key = PublicKey.of(str(answered.get("key")))
            line = Signature.of(str(answered.get("cosignature")))
        except NoteUnreadable as error:
            return Again(f"it countersigned, but: {error}")
        named = (line.name, line.key_id, key.kind) == (key.name, key.id, COSIGNATURE)
        if not named or not key.signed(note.text, line.bytes):
            return Again("its signature is wrong")
        size = Checkpoint.of(note.text).size
        about = (size, self._system.domain, self._system.name)
        with self._datastore.get_connection() as conn:
            conn.execute(KEEP, (*about, str(key), str(line), self._clock()))
        return Told(f"countersigned as {key.name}")

    def _last(self) -> int:
        about = (self._system.domain, self._system.name)
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row)
            return int(cursor.execute(LAST, about).fetchone()[0])


class NodeChannels:
    """The channel of a subscription whose witness is a linked node."""

    def __init__(
        self,
        application: RemoteProcessSync,
        transport: Wire,
        secrets: SecretStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._application = application
        self._transport = transport
        self._neighbours = Neighbours(application, secrets)
        self._checkpoints = Checkpoints(application)
        self._clock = clock

    def channel(self, subscription: Subscription) -> NodeChannel:
        """Raises ChannelUnusable, which says what to mend."""
        name = subscription.settings["system"]
        configuration = self._application.configuration.refresh()
        system = configuration.system(subscription.domain, name)
        if system is None or system.connector != NODE or not system.settings["url"]:
            raise ChannelUnusable(f"{name} is no linked node: rps system invite {name}")
        try:
            connector = self._neighbours.connector(system, self._transport)
        except SecretUnusable as error:
            raise ChannelUnusable(str(error)) from None
        made = (self._application, self._checkpoints, system, connector, self._clock)
        return NodeChannel(*made)
