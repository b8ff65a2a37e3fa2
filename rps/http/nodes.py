"""Other nodes: their messages, and what the two say of each other. All is signed."""

from __future__ import annotations

from contextlib import ExitStack
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, cast

from flask import Response, g, request
from marshmallow import ValidationError

from rps.application.arrivals import TAKEN, Arrivals, refusal, state_of
from rps.application.checkpoints import Checkpoints
from rps.application.neighbour_logs import NeighbourLogs, Shown
from rps.application.neighbours import Neighbours
from rps.application.operations import NotFound
from rps.application.secret_store import SecretStore
from rps.connectors.batch import MESSAGES_MAX
from rps.connectors.node import PROTOCOL
from rps.http import json_body
from rps.http.answers import answer
from rps.http.change_schema import checked
from rps.http.changes import LIMITS
from rps.http.file_answers import OCTETS, file_answer
from rps.http.inputs import raw_body
from rps.http.node_schemas import (
    ACCEPT_SCHEMA,
    CHECKPOINT_SCHEMA,
    KEYS,
    MESSAGES_SCHEMA,
    REQUIRED,
    SECRET_SCHEMA,
    SETTLED_SCHEMA,
    STANDING_SCHEMA,
)
from rps.http.refusals import NotTakenNow
from rps.http.routes import public, route
from rps.projections.attachment_questions import AttachmentQuestions
from rps.projections.node_questions import NodeQuestions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from rps.domain.remote_system import RemoteSystem
    from rps.http.parts import Parts

WAIT_SECONDS = 2.0
WAITERS_MAX = 12
"""Each holds a thread of this process; others are receipted at once."""

PAUSES_SECONDS = (0.01, 0.01, 0.02, 0.03, 0.05)
PAUSED_SECONDS = 60


class Nodes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        application = parts.application
        secrets = SecretStore(application, parts.random_bytes)
        self._neighbours = Neighbours(application, secrets)
        self._arrivals = Arrivals(application)
        self._questions = NodeQuestions(application.recorder.questions)
        self._files = AttachmentQuestions(application.datastore)
        checkpoints = Checkpoints(application, parts.random_bytes)
        self._logs = NeighbourLogs(application.datastore, checkpoints)
        self._waiters = BoundedSemaphore(WAITERS_MAX)

    @route(
        "POST",
        "/nodes/<uuid:peer>/messages",
        "A linked node's messages, in lane order; a receipt for each",
        body=MESSAGES_SCHEMA,
        answer="NodeReceipts",
    )
    @public
    def post_messages(self, peer: UUID) -> Response:
        system = self._signed(peer)
        self._require_open(system)
        posted = _posted(("protocol", "messages"))
        messages = posted["messages"]
        if posted["protocol"] != PROTOCOL:
            raise ValidationError({"protocol": [f"this node speaks {PROTOCOL}"]})
        if not isinstance(messages, list) or not 1 <= len(messages) <= MESSAGES_MAX:
            raise ValidationError({"messages": [f"give 1 to {MESSAGES_MAX}"]})
        return answer({"receipts": self._taken(system, messages)})

    @route(
        "GET",
        "/nodes/<uuid:peer>/records/<path:table>/<uuid:key>",
        "A shared record, as the linked node may see it",
        answer="NodeRecord",
    )
    @public
    def get_node_record(self, peer: UUID, table: str, key: UUID) -> Response:
        system = self._signed(peer)
        shown = self._arrivals.shown(system, table, key)
        if shown is None:
            raise NotFound(f"no shared record {key}")
        return answer(shown.to_json())

    @route(
        "GET",
        "/nodes/<uuid:peer>/attachments/<digest>",
        "The bytes of a file that was offered to the linked node, or a range of them",
        answer="Bytes",
        media_type=OCTETS,
        headers=("Range", "If-Range"),
    )
    @public
    def get_node_attachment(self, peer: UUID, digest: str) -> Response:
        system = self._signed(peer)
        name = self._files.offered_to(system.domain, system.name, digest)
        if name is None:
            raise NotFound(f"no file {digest}")
        blobs = self._parts.application.blobs
        return file_answer(blobs, system.domain, digest, name)

    @route("GET", "/nodes/<uuid:peer>/ping", "Whether the signature is accepted")
    @public
    def get_ping(self, peer: UUID) -> Response:
        return answer({"name": self._signed(peer).name})

    @route(
        "POST",
        "/nodes/<uuid:peer>/heartbeat",
        "How the linked node stands; answered with how this one does",
        body=STANDING_SCHEMA,
        answer="NodeStanding",
    )
    @public
    def post_heartbeat(self, peer: UUID) -> Response:
        system = self._signed(peer)
        said = _posted(("protocol", "state", "knows"))
        if self._neighbours.heard(system, said):
            self._neighbours.wake(system, self._parts.operations, self._parts.clock())
        if said["state"] == "active":
            self._parts.application.end_pause(system)
        if "url" not in said:
            return answer(self._neighbours.standing(system))
        moved = self._neighbours.reached_at(system, said["url"], self._parts.clock())
        return answer(self._neighbours.standing(system) | self._tried(moved))

    @route(
        "POST",
        "/nodes/<uuid:peer>/settled",
        "Messages of ours whose receipts can be had now",
        body=SETTLED_SCHEMA,
    )
    @public
    def post_settled(self, peer: UUID) -> Response:
        system = self._signed(peer)
        ids = _posted(("ids",))["ids"]
        if not isinstance(ids, list) or len(ids) > MESSAGES_MAX:
            raise ValidationError({"ids": [f"give a list of up to {MESSAGES_MAX}"]})
        told = (self._parts.operations, self._parts.clock())
        asked = [self._neighbours.ask_now(system, each, *told) for each in ids]
        return answer({"asked": sum(asked)})

    @route(
        "POST",
        "/nodes/<uuid:peer>/checkpoint",
        "A checkpoint of the linked node's log, compared with those it showed before",
        body=CHECKPOINT_SCHEMA,
        answer="NodeCheckpoint",
    )
    @public
    def post_node_checkpoint(self, peer: UUID) -> Response:
        system = self._signed(peer)
        shown = Shown.of(_posted(("checkpoint", "keys", "old", "proof")))
        return answer(self._logs.shown(system, shown, self._parts.clock()))

    @route(
        "POST",
        "/nodes/<uuid:peer>/secret",
        "What the linked node will sign with; the one before is taken for a day",
        body=SECRET_SCHEMA,
    )
    @public
    def post_secret(self, peer: UUID) -> Response:
        system = self._signed(peer)
        self._neighbours.rotated(system, _posted(("secret",))["secret"])
        return answer({})

    @route(
        "POST",
        "/nodes/<uuid:peer>/accept",
        "Accept an invitation, signed with its key",
        body=ACCEPT_SCHEMA,
        answer="NodeStanding",
    )
    @public
    def post_accept(self, peer: UUID) -> Response:
        now = self._parts.clock()
        body = raw_body()
        system = self._neighbours.invited(peer, _headers(), body, now.timestamp())
        g.body = body
        said = _posted(("url", "secret"))
        linked, told = self._neighbours.accepted(system, said, now)
        return answer(told | self._tried(linked))

    def _tried(self, system: RemoteSystem) -> dict[str, str]:
        """Why that node is not reached where it says it is."""
        fine, why = self._parts.connectors(system).check()
        return {} if fine else {"unreached": why}

    # --- messages -----------------------------------------------------------------

    def _taken(self, system: RemoteSystem, messages: list[Any]) -> list[dict[str, Any]]:
        asked: dict[str, str | None] = {}
        refused: dict[str, dict[str, Any]] = {}
        changes: list[dict[str, Any]] = []
        for place, message in enumerate(messages):
            key = _id_of(message, place)
            if key in asked:
                refused[key] = refusal(key, "the batch holds this id twice")
                continue
            try:
                change = _change(message, system)
            except ValidationError as error:
                refused[key] = refusal(key, _first_fault(error.messages))
                continue
            asked[key] = change["if_match"]
            changes.append(change)
        refused |= self._arrivals.take(system, changes, self._parts.clock())
        wanted = {key: version for key, version in asked.items() if key not in refused}
        receipts = self._awaited(system, wanted)
        self._owe(system, receipts.values())
        return [*receipts.values(), *refused.values()]

    def _awaited(
        self, system: RemoteSystem, wanted: Mapping[str, str | None]
    ) -> dict[str, dict[str, Any]]:
        """Their receipts, once all is done or the other side has waited long enough."""
        receipts = self._arrivals.receipts(system, wanted)
        if not self._waiters.acquire(blocking=False):
            return receipts
        with ExitStack() as waiting:
            waiting.callback(self._waiters.release)
            self._wait(system, wanted, receipts)
        return receipts

    def _wait(
        self,
        system: RemoteSystem,
        wanted: Mapping[str, str | None],
        receipts: dict[str, dict[str, Any]],
    ) -> None:
        waited = 0.0
        for pause in _pauses():
            open_ = {k: wanted[k] for k, r in receipts.items() if r["status"] == TAKEN}
            if not open_ or waited >= WAIT_SECONDS:
                break
            self._parts.pause(pause)
            waited += pause
            receipts |= self._arrivals.receipts(system, open_)

    def _owe(self, system: RemoteSystem, receipts: Iterable[dict[str, Any]]) -> None:
        told = [(r["id"], state_of(r)) for r in receipts if r["status"] == TAKEN]
        self._questions.owe(system.domain, system.name, told)

    # --- who is it ----------------------------------------------------------------

    def _signed(self, peer: UUID) -> RemoteSystem:
        """Whose request it is; its body is read for the signature. SignatureRefused."""
        g.body = raw_body()
        now = self._parts.clock().timestamp()
        return self._neighbours.verified(peer, _headers(), g.body, now)

    def _require_open(self, system: RemoteSystem) -> None:
        """As it is now: people pause and resume in another process."""
        configuration = self._parts.application.configuration.refresh()
        now = configuration.system(system.domain, system.name) or system
        if now.state != "active":
            raise NotTakenNow(now.state, PAUSED_SECONDS)


def _headers() -> dict[str, str]:
    return dict(request.headers.items())


def _pauses() -> Iterable[float]:
    yield from PAUSES_SECONDS
    while True:
        yield PAUSES_SECONDS[-1]


def _posted(keys: tuple[str, ...]) -> dict[str, Any]:
    """The body, which has these keys at least: what is new to us is left alone."""
    posted = json_body.decode(g.body, limits=LIMITS)
    if not isinstance(posted, dict):
        raise ValidationError(["give an object"])
    if missing := [key for key in keys if key not in posted]:
        raise ValidationError({key: ["this field is missing"] for key in missing})
    return posted


def _id_of(message: Any, place: int) -> str:
    key = message.get("id") if isinstance(message, dict) else None
    return key if isinstance(key, str) else f"message {place}"


def _change(message: Any, system: RemoteSystem) -> dict[str, Any]:
    """The change that a message is here. ValidationError."""
    if not isinstance(message, dict):
        raise ValidationError(["give an object"])
    if missing := [key for key in REQUIRED if key not in message]:
        raise ValidationError({key: ["this field is missing"] for key in missing})
    change = {own: message[key] for key, own in KEYS.items() if message.get(key)}
    known = message.get("record_id")
    version = message.get("if_match")
    if not all(isinstance(each, str | None) for each in (known, version)):
        raise ValidationError({"record_id": ["give texts, or null"]})
    change["system"] = system.name
    change["external_id"] = known or change.get("record_id")
    change["entries"] = _entries(change.get("entries", []))
    change = checked(change)
    change.setdefault("fields", {})
    change.setdefault("attachments", [])
    change["origin"] = [
        each if "/" in each else f"{system.name}/{each}"
        for each in change.get("origin", ())
    ]
    # Only who decides writes for a version; from anybody else it is a report.
    change["if_match"] = None if system.settings["decides"] else version
    return change


def _entries(listed: Any) -> Any:
    """Without what is not known of an entry; as a system reports what became of one."""
    if not isinstance(listed, list) or not all(isinstance(e, dict) for e in listed):
        return listed  # to be refused
    return [
        {k: v for k, v in e.items() if (v or k == "text") and k != "operation"}
        | ({"deleted": True} if e.get("operation") == "delete" else {})
        for e in listed
    ]


def _first_fault(messages: Any, place: str = "") -> str:
    while isinstance(messages, dict):
        key, messages = next(iter(messages.items()))
        place = f"{place}/{key}"
    text = messages[0] if isinstance(messages, list) else str(messages)
    return f"{place}: {text}" if place else cast("str", text)
