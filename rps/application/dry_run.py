"""Dry run: a change through a definition up to the requests that would be sent.

Nothing is appended and nothing is written; a record may be read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rps.application.captured import Poster, captured, in_common_of
from rps.application.configuration import Route
from rps.application.connections import ConnectorUnknown
from rps.application.dry_answers import DryAnswers
from rps.connectors.signature import SecretUnusable
from rps.domain import flow, journal
from rps.domain.branching import branched
from rps.domain.correlation import Correlation
from rps.domain.delivery import Missing, Refused, Snapshot
from rps.domain.differences import uncaptured
from rps.domain.events import QuestionAsked
from rps.domain.judgements import judged
from rps.domain.logged import LoggedMessage, made_in
from rps.domain.plan import Case
from rps.domain.question import subject_of
from rps.domain.trace import write_shown
from rps.domain.trial import (
    asked_by,
    inbound,
    outbound,
    outcome_of,
    reason_of,
    verdict_of,
)
from rps.domain.trial_steps import fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.application.tried import Tried
    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition, Member
    from rps.domain.delivery import Connector, Reading, Write
    from rps.domain.events import ChangeCaptured
    from rps.domain.remote_system import RemoteSystem

DRY_RUN = "dry-run"
Shown = dict[str, Any]


class NotOfDefinition(ValueError):
    """No member of the definition is that table of that system. `place`: what named it,
    as a JSON pointer."""

    def __init__(self, detail: str, place: str) -> None:
        super().__init__(detail)
        self.place = place


class RecordUnread(LookupError):
    """The record is not there, or nobody can say what it holds."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record at its system, to be taken as a change that shows all of it."""

    system: str
    table: str
    record_id: str


class DryRun:
    """`connectors` makes the connector of a system; `clock` gives seconds, by which the
    steps are measured."""

    def __init__(
        self,
        application: RemoteProcessSync,
        connectors: Callable[[RemoteSystem], Connector],
        clock: Callable[[], float],
    ) -> None:
        self._application = application
        self._connectors = connectors
        self._clock = clock

    def of_change(
        self,
        tried: Tried,
        change: Mapping[str, Any],
        now: datetime,
        *,
        as_new: bool = False,
        call_actions: bool = False,
    ) -> Shown:
        """The change (as it would be posted), judged beside the shared record as it is
        now; with `as_new`, as if nobody shared it yet. Actions of flows are called only
        with `call_actions`. Raises NotOfDefinition."""
        route = _route(tried, change["system"], change["table"], "/change/table")
        before = self._before(tried, route, change, as_new=as_new)
        answers = self._answers(tried, call_actions=call_actions)
        return self._run(tried, route, before, change, now, answers)

    def of_record(
        self,
        tried: Tried,
        record: Record,
        now: datetime,
        *,
        as_new: bool = False,
        call_actions: bool = False,
    ) -> Shown:
        """The record as its system shows it now; where that cannot be reached, as it
        was last known. Raises NotOfDefinition, RecordUnread."""
        route = _route(tried, record.system, record.table, "/record/table")
        about = {**asdict(record), "change_id": DRY_RUN}
        before = self._before(tried, route, about, as_new=False)
        reading, why = self._read(tried, record)
        link = before.links.get(route.member.name)
        is_shared = link is not None and link.record_id is not None and not as_new
        match reading:
            case Snapshot():
                change = about | {
                    "operation": "update" if is_shared else "create",
                    "revision": reading.revision,
                    "fields": dict(reading.fields),
                    "changed_at": reading.updated_at or "",
                }
                if reading.deleted:
                    change |= {"operation": "delete", "fields": {}}
                source = {"read": "system", "detail": f"as {record.system} shows it"}
            case Missing():
                raise RecordUnread(f"{record.system} has no record {record.record_id}")
            case _:
                known = _last_known(tried.definition, route.member, before)
                if not known:
                    raise RecordUnread(
                        f"{record.system} was not read ({why}), and nothing is known"
                        f" here of {record.record_id}"
                    )
                change = about | {
                    "operation": "update" if is_shared else "create",
                    "revision": link and link.revision,
                    "fields": known,
                }
                source = {"read": "log", "detail": f"as last known: {why}"}
        if as_new:
            before = self._before(tried, route, change, as_new=True)
        answers = self._answers(tried, call_actions=call_actions)
        found = self._run(tried, route, before, change, now, answers)
        return {**found, "record": source}

    def _answers(self, tried: Tried, *, call_actions: bool) -> DryAnswers:
        members = tried.definition.members
        return DryAnswers(
            self._connector,
            tried.domain,
            lambda name: members[name].system if name in members else name,
            call_actions=call_actions,
        )

    # --- what there is --------------------------------------------------------------

    def _before(
        self, tried: Tried, route: Route, change: Mapping[str, Any], *, as_new: bool
    ) -> Correlation:
        """The shared record that the change would belong to."""
        opened = self._application.intake.opened_by(route, change)
        if as_new:
            return Correlation.blank(opened, tried.at)
        key = self._application.intake.belongs_to(tried.domain, route, change)
        found = self._application.find(Correlation, key or opened)
        return found or Correlation.blank(opened, tried.at)

    def _read(self, tried: Tried, record: Record) -> tuple[Reading | None, str]:
        """What the system showed; else why it was not asked or did not say."""
        connector, why = self._connector(tried.domain, record.system)
        if connector is None:
            return None, why
        if (state := self._state(tried.domain, record.system)) != "active":
            return None, f"it is {state}"
        reading = connector.read(record.table, record.record_id)
        if isinstance(reading, Snapshot | Missing):
            return reading, ""
        return reading, reading.detail

    def _connector(self, domain: str, name: str) -> tuple[Connector | None, str]:
        system = self._application.configuration.current.system(domain, name)
        if system is None:
            return None, f"no remote system {name} is registered"
        try:
            return self._connectors(system), ""
        except (ConnectorUnknown, SecretUnusable) as error:
            return None, str(error)

    def _state(self, domain: str, name: str) -> str:
        system = self._application.configuration.current.system(domain, name)
        return system.state if system else ""

    # --- what would be done ---------------------------------------------------------

    def _run(
        self,
        tried: Tried,
        route: Route,
        before: Correlation,
        change: Mapping[str, Any],
        now: datetime,
        answers: DryAnswers,
    ) -> Shown:
        in_common = in_common_of(Poster(tried.domain, ""), route, now)
        event = captured(in_common, {"change_id": DRY_RUN, **change}, before.id)
        shown: Shown = {
            "definition": tried.to_json(),
            "correlation_id": before.id,
            "shared": before.opened,
            "notes": _notes(before, route.member),
            "change": {**change},
            "record": None,
        }
        if why := uncaptured(tried.definition, event):
            verdict = {"outcome": "not_captured", "reason": why, "values": {}}
            return shown | verdict | {"steps": [], "error": None, "messages": []}
        about = (event, 0, tried.definition, tried.revision, now)
        decided = judged(before, *about)
        while isinstance(decided[-1], QuestionAsked):
            if not (given := answers.given(decided[-1])):
                break
            before = branched(before)
            key = subject_of(0)
            before.answers[key] = {**before.answers.get(key, {}), **given}
            decided = judged(before, *about)
        case = Case(event, 0, tried.definition, tried.revision, now)
        steps = inbound(before, case, decided, self._clock)
        verdict_event = verdict_of(decided)
        return shown | {
            "outcome": outcome_of(verdict_event),
            "reason": reason_of(verdict_event),
            "values": getattr(verdict_event, "values", {}),
            "steps": [each.to_json() for each in steps.taken],
            "error": fault(steps.error, tried.line_of),
            "messages": self._messages(tried, before, event, decided, answers),
        }

    def _messages(
        self,
        tried: Tried,
        before: Correlation,
        event: ChangeCaptured,
        decided: Sequence[Event],
        answers: DryAnswers,
    ) -> list[Shown]:
        shown = []
        for made in made_in(verdict_of(decided)):
            message = LoggedMessage.of(
                made, before.id, event.process_event, tried.revision
            )
            message.entries = self._with_texts(before.id, message.entries, decided)
            shown.append(self._message(tried, before, message, answers))
        return shown

    def _message(
        self,
        tried: Tried,
        before: Correlation,
        message: LoggedMessage,
        answers: DryAnswers,
    ) -> Shown:
        member = tried.definition.members[message.member]
        link = before.links.get(message.member)
        record_id, revision = (link.record_id, link.revision) if link else (None, None)
        known = (message, member, tried.definition, record_id, revision)
        while asks := asked_by(*known):
            if not (given := answers.to(asks)):
                break
            message.answers = {**message.answers, **given}
        steps, write = outbound(*known, self._clock)
        request, note = None, ""
        if write is not None:
            request, note = self._request(tried.domain, member, write)
        if record_id is None and message.operation == "update":
            note = "a message that makes the record there waits before this one"
        return {
            "message_id": message.message_id,
            "member": message.member,
            "system": message.system,
            "table": message.table,
            "operation": message.operation,
            "fields": message.fields,
            "steps": [each.to_json() for each in steps.taken],
            "error": fault(steps.error, tried.line_of),
            "write": None if write is None else write_shown(write),
            "request": request,
            "note": note,
        }

    def _request(
        self, domain: str, member: Member, write: Write
    ) -> tuple[Shown | None, str]:
        """The request as the connector makes it, and what is to be said of it."""
        connector, why = self._connector(domain, member.system)
        if connector is None:
            return None, why
        preview = connector.preview(write)
        if isinstance(preview, Refused):
            return None, preview.detail
        state = self._state(domain, member.system)
        note = "" if state == "active" else f"the system is {state}"
        return asdict(preview), note

    def _with_texts(
        self,
        key: UUID,
        entries: Iterable[Mapping[str, Any]],
        decided: Sequence[Event],
    ) -> list[dict[str, Any]]:
        """Entries of before are looked up, as they are when they are sent."""
        copies = [dict(each) for each in entries]
        if journal.lacking(copies):
            mapper = self._application.event_mapper
            stored = self._application.recorder.streams({key: 0})
            recorded = [
                mapper.to_domain_event(each)
                for each in stored
                if each.topic == "change.accepted"
            ]
            now = [each for each in decided if each.TOPIC == "change.accepted"]
            journal.fill(copies, [*recorded, *now])
        return copies


def _route(tried: Tried, system: str, table: str, place: str) -> Route:
    for member in tried.definition.members.values():
        if (member.system, member.table) == (system, table):
            return Route(tried.definition_id, tried.revision, tried.definition, member)
    name = tried.definition.process_event
    raise NotOfDefinition(f"{name} has no member that is {system}.{table}", place)


def _notes(before: Correlation, member: Member) -> list[str]:
    waiting = len(before.waiting(member.name))
    if not waiting:
        return []
    until = "a change is judged while none of them is under way"
    return [f"{waiting} message(s) to {member.name} wait: {until}"]


def _last_known(
    definition: Definition, member: Member, before: Correlation
) -> dict[str, Any]:
    """The record's fields as the log knows them, in the member's words."""
    link = before.links.get(member.name)
    known: dict[str, Any] = {}
    for name, each in (link.base if link else {}).items():
        try:
            known |= flow.outbound(member, definition, {name: each.value})
        except flow.MappingRefused:
            continue  # the definition has no word for it
    return known
