"""Messages of other nodes: taken in once, receipted with how far each has come.

A message becomes a change of the member that stands for its node, and what is made of
it is judged and written like any. Its receipt says `done` only once our own systems
hold it; what goes on to further nodes is between them and us.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.application.captured import Poster
from rps.domain import flow
from rps.domain.between_nodes import ELSEWHERE, MOVED_ON, NODE
from rps.domain.correlation import Correlation
from rps.domain.plan import message_id
from rps.domain.state import DELETED
from rps.log.append import ChangeIdReused
from rps.projections.node_questions import ACCEPTED, NodeQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.configuration import Route
    from rps.domain.agreement import Definition, Member
    from rps.domain.remote_system import RemoteSystem
    from rps.projections.node_questions import Arrival

Receipt = dict[str, Any]
"""`{id, status, ...}` as it travels."""

DONE, TAKEN, REPORTED, MOVED, REFUSED, NOT_YET = 200, 202, 208, 412, 422, 424

_IGNORED = "ignored: "
_FINE = ("echo", "late", "kept", "conflict")
"""Reasons to ignore a change that leave nothing to be done."""


class MessageRefused(ValueError):
    """This node cannot take the message; the text says what would have to change."""


class NotShared(MessageRefused):
    """Nor can it until a definition here shares more."""


@dataclass(frozen=True, slots=True)
class Record:
    """The shared record as a node is shown it: in the words of the definition both
    know."""

    correlation_id: UUID
    version: int
    fields: Mapping[str, Any]
    deleted: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "record_id": str(self.correlation_id),
            "revision": str(self.version),
            "fields": dict(self.fields),
            "deleted": self.deleted,
        }


class Arrivals:
    def __init__(self, application: RemoteProcessSync) -> None:
        self._application = application
        self._questions = NodeQuestions(application.recorder.questions)

    # --- taking in ----------------------------------------------------------------

    def take(
        self, system: RemoteSystem, changes: Sequence[dict[str, Any]], now: datetime
    ) -> dict[str, Receipt]:
        """Commit those of `changes` that are not here yet. Receipts of those that
        cannot be taken, by the ids of their messages; nothing of them is kept."""
        ids = [change["change_id"] for change in changes]
        known = self._questions.arrived(system.domain, system.name, ids)
        refused: dict[str, Receipt] = {}
        new: list[dict[str, Any]] = []
        for change in changes:
            key = change["change_id"]
            if key in known:
                continue
            try:
                self._check(system, change)
            except MessageRefused as error:
                status = NOT_YET if isinstance(error, NotShared) else REFUSED
                refused[key] = refusal(key, str(error), status)
            else:
                new.append(change)
        return refused | self._captured(system, new, now)

    def _captured(
        self, system: RemoteSystem, new: list[dict[str, Any]], now: datetime
    ) -> dict[str, Receipt]:
        """Receipts of those whose id was used before for something else."""
        refused: dict[str, Receipt] = {}
        while new:
            try:
                self._capture(system, new, now)
            except ChangeIdReused as error:
                reused = new.pop(error.index or 0)["change_id"]
                refused[reused] = refusal(reused, str(error))
            else:
                break
        return refused

    def _capture(
        self, system: RemoteSystem, changes: Sequence[dict[str, Any]], now: datetime
    ) -> None:
        poster = Poster(system.domain, f"{NODE}:{system.name}", source=NODE)
        opens = self._opener(system, changes)
        self._application.intake.capture(poster, changes, now, opens=opens)

    def _opener(
        self, system: RemoteSystem, changes: Sequence[Mapping[str, Any]]
    ) -> Callable[[Route, Mapping[str, Any]], UUID]:
        """A shared record has the same id at every node, so that it is known where it
        comes by two ways; unless some other record here has that id."""
        wanted: dict[UUID, set[UUID]] = {}
        for change in changes:
            route = self._route(system, change)
            if shared := _uuid(change["record_id"]):
                wanted.setdefault(route.definition_id, set()).add(shared)
        taken = {
            (definition, each)
            for definition, ids in wanted.items()
            for each in self._questions.taken_ids(
                system.domain, definition, sorted(ids)
            )
        }

        def opens(route: Route, change: Mapping[str, Any]) -> UUID:
            shared = _uuid(change["record_id"])
            if shared is None or (route.definition_id, shared) in taken:
                return self._application.intake.opened_by(route, change)
            return shared

        return opens

    def _check(self, system: RemoteSystem, change: Mapping[str, Any]) -> None:
        route = self._route(system, change)
        member, definition = route.member, route.definition
        operation = change["operation"]
        if operation not in member.capture:
            raise NotShared(
                f"{definition.process_event}: {operation} is not taken from"
                f" {member.name} here"
            )
        unknown = [name for name in change["fields"] if name not in member.by_field]
        unknown += [
            entry["journal"]
            for entry in change["entries"]
            if entry["journal"] not in member.by_journal
        ]
        if change["attachments"] and not (
            definition.attachments is not None and member.attachments
        ):
            unknown.append("attachments")
        if unknown:
            raise NotShared(
                f"{definition.process_event} (revision {route.revision} here) does not"
                f" share {', '.join(map(repr, dict.fromkeys(unknown)))}"
                f" with {member.name}: publish it there, or do not send it"
            )
        try:
            flow.inbound(member, definition, change["fields"])
            flow.inbound_entries(member, definition, change["entries"])
        except flow.MappingRefused as error:
            raise MessageRefused(str(error)) from None

    def _route(self, system: RemoteSystem, change: Mapping[str, Any]) -> Route:
        table = change["table"]
        configuration = self._application.configuration.current
        key = (system.domain, system.name, table)
        routes = configuration.routes.get(key)
        if routes is None:
            routes = self._application.configuration.refresh().routes.get(key, [])
        if len(routes) == 1:
            return routes[0]
        if routes:
            raise NotShared(f"several definitions here take {table!r} from you")
        raise NotShared(
            f"the process event {table!r} is not known here: publish a definition with"
            f" a member that is {system.name!r} and has this as its table"
        )

    # --- receipts -----------------------------------------------------------------

    def receipts(
        self, system: RemoteSystem, asked: Mapping[str, str | None]
    ) -> dict[str, Receipt]:
        """How far messages have come, by their id; `asked` has the version each was
        made for. Those that never came in are left out."""
        arrived = self._questions.arrived(system.domain, system.name, list(asked))
        own = {key: list(self._own_messages(each)) for key, each in arrived.items()}
        all_own = [message for messages in own.values() for message in messages]
        waiting = self._questions.still_open(all_own)
        return {
            key: self._receipt(
                each,
                [waiting[m] for m in own[key] if m in waiting],
                asked[key],
            )
            for key, each in arrived.items()
        }

    def _receipt(
        self, arrival: Arrival, waiting: Sequence[str], if_match: str | None
    ) -> Receipt:
        receipt: Receipt = {
            "id": arrival.message_id,
            "record_id": str(arrival.correlation_id),
        }
        if arrival.status == "skipped":
            return receipt | _said(REFUSED, f"left out there: {arrival.detail}")
        if arrival.status != "processed":
            detail = (
                "a person has to look at it there" if arrival.detail else "taken in"
            )
            return receipt | _said(TAKEN, detail) | {"judged": False}
        if arrival.detail != ACCEPTED:
            return receipt | self._ignored(arrival, if_match)
        receipt["revision"] = str(arrival.version)
        if not waiting:
            return receipt | {"status": DONE}
        detail = "shared there, its own systems are being written"
        if "error" in waiting:
            detail = "shared there; a person has to look why its own system is not"
        return receipt | _said(TAKEN, detail) | {"judged": True}

    def _ignored(self, arrival: Arrival, if_match: str | None) -> Receipt:
        reason = arrival.detail.removeprefix(_IGNORED)
        if reason.startswith(ELSEWHERE):
            return _said(REPORTED, reason)
        if reason.startswith(MOVED_ON):
            key = arrival.correlation_id
            record = self.record(arrival.definition, arrival.member, key)
            return _said(MOVED, reason) | {"record": record and record.to_json()}
        if reason.startswith(_FINE):
            return {"status": DONE, "revision": if_match}
        return _said(REFUSED, reason)

    def _own_messages(self, arrival: Arrival) -> Iterable[UUID]:
        """What the change can have made for members that are no nodes themselves."""
        configuration = self._application.configuration.current
        revisions = configuration.revisions.get(arrival.definition, {})
        systems = {
            name: (definition.domain, member.system)
            for definition in revisions.values()
            for name, member in definition.members.items()
        }
        for name, key in systems.items():
            other = configuration.system(*key)
            if other is None or other.connector != NODE:
                yield message_id(
                    arrival.correlation_id, arrival.member, arrival.message_id, name
                )

    # --- the record ---------------------------------------------------------------

    def shown(self, system: RemoteSystem, table: str, key: UUID) -> Record | None:
        """The shared record as that node may see it; None: it shares no such thing."""
        route = self._route(system, {"table": table})
        return self.record(route.definition_id, route.member.name, key)

    def record(self, definition_id: UUID, member: str, key: UUID) -> Record | None:
        found = self._application.find(Correlation, key)
        if found is None or found.definition != str(definition_id):
            return None
        _, definition = self._application.configuration.current.newest(definition_id, 1)
        return _shown(found, definition, definition.members[member])


def state_of(receipt: Mapping[str, Any]) -> str:
    """How far a message has come, in a word."""
    if receipt["status"] != TAKEN:
        return "settled"
    return "judged" if receipt.get("judged") else "taken"


def _shown(found: Correlation, definition: Definition, member: Member) -> Record:
    values = {name: each.value for name, each in found.fields.items()}
    return Record(
        found.id,
        found.shared_version,
        flow.outbound(member, definition, values),
        bool(values.get(DELETED)),
    )


def refusal(message_id: str, detail: str, status: int = REFUSED) -> Receipt:
    return {"id": message_id, **_said(status, detail)}


def _said(status: int, detail: str) -> Receipt:
    return {"status": status, "detail": detail}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
