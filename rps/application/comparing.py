"""Both sides compared, record by record: what a system shows beside what the log says
that it holds. It finds what was neither reported nor seen by polling.

The log is read before the record: what it says by then has happened there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from rps.application.captured import Poster, captured, in_common_of
from rps.application.configuration import Route
from rps.application.connections import ConnectorUnknown
from rps.application.operations import NotFound
from rps.application.polled import change_of
from rps.application.removed_files import held_files, missing, removed
from rps.connectors.signature import SecretUnusable
from rps.domain.between_nodes import NODE
from rps.domain.comparison import Difference, NotComparable, differences
from rps.domain.correlation import Correlation
from rps.domain.delivery import (
    POLL,
    Gone,
    Missing,
    NeedsCredentials,
    Refused,
    Shown,
    Snapshot,
    Unavailable,
)
from rps.domain.flow import MappingRefused
from rps.domain.plan import Case
from rps.projections.comparison_questions import ComparisonQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.tried import Tried
    from rps.domain.agreement import Member
    from rps.domain.delivery import Connector, FilesListed
    from rps.domain.remote_system import RemoteSystem
    from rps.projections.questions import Row

TRIES = 5
PAUSE_SECONDS_MAX = 120.0
"""A system that wants a longer pause ends the comparison."""

Found = Literal["same", "different", "gone", "there again", "waiting", "unread"]
DIFFERENT: tuple[Found, ...] = ("different", "gone", "there again")


class Unreachable(Exception):
    """A system does not let itself be read now; what was compared before counts."""


@dataclass(frozen=True, slots=True)
class Within:
    """Which records of a definition; what is None does not narrow."""

    member: str | None = None
    record: str | None = None
    since: datetime | None = None


@dataclass(slots=True)
class Compared:
    """One record. `files`: the names of those that are not there any more; `repair`:
    what became of handing it in as a change."""

    correlation_id: str
    member: str
    system: str
    table: str
    record_id: str
    found: Found = "same"
    detail: str = ""
    fields: list[Difference] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    repair: str = ""

    def to_json(self) -> dict[str, Any]:
        names = ("correlation_id", "member", "system", "table", "record_id", "found")
        return {
            **{name: getattr(self, name) for name in names},
            "detail": self.detail,
            "fields": [each.to_json() for each in self.fields],
            "files_removed": sorted(self.files.values()),
            "repair": self.repair,
        }


class Comparing:
    """`connectors` makes the connector of a system; `pause` waits so many seconds."""

    def __init__(
        self,
        application: RemoteProcessSync,
        tried: Tried,
        within: Within,
        connectors: Callable[[RemoteSystem], Connector],
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        """Raises NotFound for a member that the definition has not."""
        self._application = application
        self._tried = tried
        self._connectors = connectors
        self._clock = clock
        self._pause = pause
        self._questions = ComparisonQuestions(application.datastore)
        self._members = self._chosen(within.member)
        self._narrow = {"record": within.record, "since": within.since}

    def _chosen(self, name: str | None) -> dict[str, Member]:
        """Other nodes tell of themselves, and are compared by their own people."""
        members = self._tried.definition.members
        if name is not None and name not in members:
            known = ", ".join(members)
            raise NotFound(f"the definition has no member {name}, but {known}")
        return {
            each.name: each
            for each in members.values()
            if name in (None, each.name) and not self._is_node(each)
        }

    def _is_node(self, member: Member) -> bool:
        system = self._system(member)
        return system is not None and system.connector == NODE

    def _system(self, member: Member) -> RemoteSystem | None:
        configuration = self._application.configuration.current
        return configuration.system(self._tried.domain, member.system)

    def count(self) -> int:
        return self._questions.count(*self._which, **self._given)

    @property
    def _which(self) -> tuple[str, Any]:
        return (self._tried.domain, self._tried.definition_id)

    @property
    def _given(self) -> dict[str, Any]:
        return {"members": list(self._members), **self._narrow}

    def compared(self, repairer: str = "") -> Iterator[Compared]:
        """One by one. `repairer`: in whose name what differs is handed in, as changes
        like any other; "": nothing is written. Raises Unreachable."""
        for row in self._questions.links(*self._which, **self._given):
            member = self._members[row["member"]]
            told = Compared(
                *(str(row["correlation_id"]), member.name, member.system),
                *(member.table, row["record_id"]),
            )
            look = _Look(self, member, self._connector(member), told)
            if look.at(row) and repairer and told.found in DIFFERENT:
                told.repair = look.repaired(repairer)
            yield told

    def _connector(self, member: Member) -> Connector:
        system = self._system(member)
        if system is None:
            raise Unreachable(f"there is no remote system {member.system}")
        try:
            connector = self._connectors(system)
        except (ConnectorUnknown, SecretUnusable) as unusable:
            raise Unreachable(f"{member.system}: {unusable}") from None
        if not connector.capabilities.read_back:
            raise Unreachable(
                f"the records of {member.system} cannot be read (no read back):"
                " compare the others with --member"
            )
        return connector

    # --- what a look needs ----------------------------------------------------------

    @property
    def application(self) -> RemoteProcessSync:
        return self._application

    def now(self) -> datetime:
        return self._clock()

    def route(self, member: Member) -> Route:
        tried = self._tried
        return Route(tried.definition_id, tried.revision, tried.definition, member)

    @property
    def domain(self) -> str:
        return self._tried.domain

    def patiently(self, member: Member, ask: Callable[[], Any]) -> Any:
        """Ask again after the pauses that the system wants. Raises Unreachable."""
        for attempt in range(1, TRIES + 1):
            came = ask()
            match came:
                case NeedsCredentials(detail) | Gone(detail):
                    raise Unreachable(f"{member.system}: {detail}")
                case Unavailable(detail, retry_after):
                    wanted = 2.0**attempt if retry_after is None else retry_after
                    if attempt == TRIES or wanted > PAUSE_SECONDS_MAX:
                        raise Unreachable(f"{member.system}: {detail}")
                    self._pause(wanted)
                case _:
                    return came
        raise AssertionError


class _Look:
    """At one record."""

    def __init__(
        self, all_: Comparing, member: Member, connector: Connector, told: Compared
    ) -> None:
        self._all = all_
        self._member = member
        self._connector = connector
        self._told = told
        self._snapshot: Snapshot | None = None

    def at(self, row: Row) -> bool:
        """Fill in what was found; whether it could be said."""
        told = self._told
        if row["waits"]:
            told.found, told.detail = "waiting", "a change of it waits to be judged"
            return False
        state = self._all.application.find(Correlation, row["correlation_id"])
        link = state.links.get(self._member.name) if state else None
        if state is None or link is None or not state.active:
            return False
        reading = self._all.patiently(
            self._member, lambda: self._connector.read(told.table, told.record_id)
        )
        match reading:
            case Snapshot(deleted=False):
                self._snapshot = reading
                if link.deleted:
                    told.found, told.detail = (
                        "there again",
                        "it was deleted, and is not",
                    )
                    return True
                return self._compared(state, reading)
            case Snapshot() | Missing():
                if not link.deleted:
                    told.found = "gone"
                    told.detail = getattr(reading, "detail", "") or "it is not there"
                return True
            case Refused(detail):
                told.found, told.detail = "unread", detail
        return False

    def _compared(self, state: Correlation, reading: Snapshot) -> bool:
        told = self._told
        try:
            told.fields = differences(state, self._case(state, reading))
        except (NotComparable, MappingRefused) as refused:
            told.found, told.detail = "unread", str(refused)
            return False
        told.files = self._files_gone(state)
        if told.fields or told.files:
            told.found = "different"
        return True

    def _case(self, state: Correlation, reading: Snapshot) -> Case:
        route, now = self._all.route(self._member), self._all.now()
        change = {
            "record_id": reading.record_id,
            "operation": "update",
            "change_id": "compare",
            "revision": reading.revision,
            "fields": self._mapped(reading.fields),
        }
        in_common = in_common_of(Poster(self._all.domain, "", source=POLL), route, now)
        event = captured(in_common, change, state.id)
        return Case(event, 0, route.definition, route.revision, now)

    def _mapped(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in fields.items() if k in self._member.by_field}

    def _files_gone(self, state: Correlation) -> dict[str, str]:
        terms = self._all.route(self._member).definition.attachments
        lists = getattr(self._connector, "files_of", None)
        if terms is None or not self._member.attachments or lists is None:
            return {}
        if not (held := held_files(state, self._member.name)):
            return {}
        told = self._told
        listed: FilesListed = self._all.patiently(
            self._member, lambda: lists(told.table, told.record_id)
        )
        return missing(held, listed) if isinstance(listed, Mapping) else {}

    # --- repair ---------------------------------------------------------------------

    def repaired(self, who: str) -> str:
        """Hand in what was read, to be judged and merged like any change."""
        changes = [change for change in self._changes() if change is not None]
        poster = Poster(self._all.domain, who, source=POLL)
        intake = self._all.application.intake
        receipts = [intake.capture(poster, [c], self._all.now())[0] for c in changes]
        if not receipts:
            return "not handed in: none of it is mapped"
        return ", ".join(dict.fromkeys(each.status for each in receipts))

    def _changes(self) -> Sequence[dict[str, Any] | None]:
        told, read = self._told, self._snapshot
        if read is None:
            gone = Snapshot(told.record_id, None, {}, deleted=True)
            return [self._change(gone)]
        counted = [each.field for each in told.fields if each.is_counted]
        others = [each.field for each in told.fields if not each.is_counted]
        changes = []
        if counted or told.files or told.found == "there again":
            changes.append(self._change(read, told.files))
        if others:
            # The system did not count this edit. Shown at the record's revision it
            # would be late; so it comes without one, and alone.
            fields = {self._member.fields[n].field for n in others}
            values = {k: v for k, v in read.fields.items() if k in fields}
            changes.append(self._change(Snapshot(told.record_id, None, values)))
        return changes

    def _change(
        self, read: Snapshot, files: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        told = self._told
        gone = tuple(removed(files or {}))
        configuration = self._all.application.configuration.current
        uses = configuration.uses(self._all.domain, told.system, told.table)
        shown = Shown(read, attachments=gone)
        change = change_of(told.system, told.table, shown, uses, dict)
        # Whatever was handed in before: this was read now.
        return change and {**change, "change_id": f"compare:{uuid4()}"}
