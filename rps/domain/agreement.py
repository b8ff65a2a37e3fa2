"""A process sync definition: what is shared, and how each member says it.

Made by `rps.domain.document.parse`, which refuses what would not work; code that has a
`Definition` need not check it again. Everything here is immutable.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as attribute
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from rps.domain.condition import ConditionRefused, Subject, bind, subjects_of
from rps.domain.steps import conditions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.condition import Condition
    from rps.domain.delivery import Operation
    from rps.domain.field_map import Constant, FieldMap
    from rps.domain.steps import Direction, Flow

FieldType = Literal[
    "text", "choice", "number", "boolean", "date-time", "tags", "user", "reference",
    "duration",
]  # fmt: skip
Visibility = Literal["public", "internal"]
Policy = Literal["owner", "newer_wins", "remote_wins", "local_wins", "merge", "manual"]
Delivery = Literal["each", "latest"]


@dataclass(frozen=True, slots=True)
class SharedField:
    """A field all members agree on.

    `policy` decides when two members changed it at once: the `owner` member's value,
    the later one, the one that arrives (`remote_wins`), the one the node already
    holds (`local_wins`), or both (`merge`, of tags and texts; of a line that both
    changed, the later); `manual` leaves it to a person. `values` belongs to choices,
    `max_length` (characters) to texts.
    """

    name: str
    type: FieldType
    policy: Policy = "newer_wins"
    owner: str | None = None
    max_length: int | None = None
    values: tuple[str, ...] = ()
    known_values: frozenset[str] = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known_values", frozenset(self.values))

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"type": self.type, "policy": self.policy}
        if self.owner is not None:
            document["owner"] = self.owner
        if self.max_length is not None:
            document["max_length"] = self.max_length
        if self.values:
            document["values"] = list(self.values)
        return document


@dataclass(frozen=True, slots=True)
class SharedJournal:
    """Comments or work notes; `internal` ones never reach a public journal."""

    name: str
    visibility: Visibility


@dataclass(frozen=True, slots=True)
class SharedAttachments:
    """Which files travel: up to `size_max` bytes, of these `extensions` (small letters;
    none: all). `journal` is where people read of a file that does not. `deletion`: one
    that is removed somewhere is removed everywhere.
    """

    journal: str
    size_max: int
    extensions: tuple[str, ...] = ()
    deletion: bool = False

    def to_document(self) -> dict[str, Any]:
        return {
            "journal": self.journal,
            "size_max": self.size_max,
            "extensions": list(self.extensions),
            "deletion": self.deletion,
        }


@dataclass(frozen=True, slots=True)
class JournalMap:
    """A shared journal at one member; `visibility` is who reads it over there. `prefix`
    goes before each entry that is written there: `{author}` and `{written_at}` in it
    are the entry's own.

    `edits`: entries can be changed and removed there. `earlier_entries`: a record that
    comes to be shared gets the entries of before.
    """

    shared: str
    journal: str
    visibility: Visibility
    prefix: str = ""
    edits: bool = False
    earlier_entries: bool = False

    @property
    def is_followed(self) -> bool:
        """Whether it has to be known which entries are there, and in which version."""
        return self.edits or self.earlier_entries

    def prefix_of(self, entry: Mapping[str, Any]) -> str:
        """What goes before the text of an entry."""
        said = self.prefix.replace("{author}", entry.get("author") or "?")
        return said.replace("{written_at}", entry.get("written_at") or "?")

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "journal": self.journal,
            "visibility": self.visibility,
        }
        if self.prefix:
            document["prefix"] = self.prefix
        for name in ("edits", "earlier_entries"):
            if getattr(self, name):
                document[name] = True
        return document


@dataclass(frozen=True, slots=True)
class Member:
    """One remote system's table in the definition.

    `delivery`: `each` change in its order, or what waits as one message with the
    `latest` values. `capture_when` (an encoded query) says which records are shared,
    with `capture_while` only as long as they match; what the people of
    `ignore_changed_by` change is not taken. `fields` and `journals` are keyed by
    shared name, `by_field`, `by_journal` and `constants` by the member's own.
    `given`: the shared fields that come from it, `sent`: those it is told, `context`:
    those that what is written there may say beside those that are written.
    """

    name: str
    system: str
    table: str
    capture: tuple[Operation, ...]
    deliver: tuple[Operation, ...]
    fields: Mapping[str, FieldMap]
    journals: Mapping[str, JournalMap]
    delivery: Delivery = "each"
    attachments: bool = True
    capture_when: str = ""
    capture_while: bool = False
    ignore_changed_by: tuple[str, ...] = ()
    constants: Mapping[str, Constant] = attribute(default_factory=dict)
    flows: Mapping[Direction, Flow] = attribute(default_factory=dict)
    sent: frozenset[str] = attribute(init=False, repr=False, compare=False)
    given: frozenset[str] = attribute(init=False, repr=False, compare=False)
    context: frozenset[str] = attribute(init=False, repr=False, compare=False)
    ignored_people: frozenset[str] = attribute(init=False, repr=False, compare=False)
    by_field: Mapping[str, FieldMap] = attribute(init=False, repr=False, compare=False)
    by_journal: Mapping[str, JournalMap] = attribute(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        fields = {each.field: each for each in self.fields.values()}
        journals = {each.journal: each for each in self.journals.values()}
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "journals", MappingProxyType(dict(self.journals)))
        object.__setattr__(self, "by_field", MappingProxyType(fields))
        constants = MappingProxyType(dict(self.constants))
        object.__setattr__(self, "constants", constants)
        asked = frozenset[str]().union(*(each.fields for each in constants.values()))
        outbound = self.flows.get("outbound")
        read = outbound.reads if outbound else frozenset()
        object.__setattr__(self, "sent", frozenset(self.fields) | asked | read)
        inbound = self.flows.get("inbound")
        made = (
            (name for scope, name in inbound.targets if scope == "shared")
            if inbound
            else ()
        )
        object.__setattr__(self, "given", frozenset(self.fields).union(made))
        if outbound:
            own = {name: each.field for name, each in self.fields.items()}
            asked |= outbound.asks_about(own)
        object.__setattr__(self, "context", asked)
        object.__setattr__(self, "flows", MappingProxyType(dict(self.flows)))
        ignored = frozenset(name.casefold() for name in self.ignore_changed_by)
        object.__setattr__(self, "ignored_people", ignored)
        object.__setattr__(self, "by_journal", MappingProxyType(journals))

    @property
    def is_choosy(self) -> bool:
        """Whether some changes are not taken for what they show."""
        return bool(self.capture_when or self.ignore_changed_by)

    @property
    def captures_values(self) -> bool:
        """Whether field values and entries come from here (a delete carries none)."""
        return "create" in self.capture or "update" in self.capture

    @property
    def takes_values(self) -> bool:
        """Whether field values and entries are written to this member."""
        return "create" in self.deliver or "update" in self.deliver

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "system": self.system,
            "table": self.table,
            "capture": list(self.capture),
            "deliver": list(self.deliver),
            "delivery": self.delivery,
            "fields": {name: each.to_document() for name, each in self.fields.items()},
            "journals": {
                name: each.to_document() for name, each in self.journals.items()
            },
        }
        if not self.attachments:
            document["attachments"] = False
        if self.capture_when:
            document["capture_when"] = self.capture_when
        if self.capture_while:
            document["capture_while"] = True
        if self.ignore_changed_by:
            document["ignore_changed_by"] = list(self.ignore_changed_by)
        if self.constants:
            document["constants"] = {
                name: each.value for name, each in self.constants.items()
            }
        if self.flows:
            document["flows"] = {
                direction: flow.to_document() for direction, flow in self.flows.items()
            }
        return document


@dataclass(frozen=True, slots=True)
class Definition:
    """What a document says, with every default filled in. `conditions` are those of
    the members that have one, `step_conditions` those of the steps of a member's flow,
    by place and key; `attachments_kept_days` is how long the bytes of files stay after
    the last message with them, None: for ever."""

    process_event: str
    domain: str
    description: str
    fields: Mapping[str, SharedField]
    journals: Mapping[str, SharedJournal]
    members: Mapping[str, Member]
    attachments: SharedAttachments | None = None
    attachments_kept_days: int | None = None
    conditions: Mapping[str, Condition] = attribute(
        init=False, repr=False, compare=False
    )
    step_conditions: Mapping[
        tuple[str, Direction], Mapping[tuple[int, str], Condition]
    ] = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", self._conditions())
        asked = {
            (member.name, direction): self._conditions_of(member, flow)
            for member in self.members.values()
            for direction, flow in member.flows.items()
        }
        object.__setattr__(self, "step_conditions", MappingProxyType(asked))
        for name in ("fields", "journals", "members"):
            frozen = MappingProxyType(dict(getattr(self, name)))
            object.__setattr__(self, name, frozen)

    def _conditions(self) -> Mapping[str, Condition]:
        """What is no condition is left out here; `rps.domain.scan` refuses it."""
        found = {}
        for member in self.members.values():
            if member.capture_when:
                with suppress(ConditionRefused):
                    subjects = subjects_of(member, self.fields)
                    found[member.name] = bind(member.capture_when, subjects)
        return MappingProxyType(found)

    def _conditions_of(
        self, member: Member, flow: Flow
    ) -> Mapping[tuple[int, str], Condition]:
        found = {}
        for at, step in enumerate(flow.steps):
            for key, text in conditions(step):
                with suppress(ConditionRefused):
                    found[(at, key)] = bind(text, self.subjects(member, flow, at))
        return MappingProxyType(found)

    def subjects(self, member: Member, flow: Flow, at: int) -> dict[str, Subject]:
        """The fields that a step in this place of the flow may ask about. Before the
        map on the way in, a choice may be anything: steps make known values of it."""
        if flow.scope(at) == "member":
            found = subjects_of(member, self.fields)
            if flow.direction == "inbound":
                return {name: Subject(each.type) for name, each in found.items()}
            return found
        return {
            name: Subject(each.type, each.values) for name, each in self.fields.items()
        }

    def to_document(self) -> dict[str, Any]:
        """The plain document, defaults written out; `parse` gives this back."""
        document: dict[str, Any] = {
            "process_event": self.process_event,
            "domain": self.domain,
            "description": self.description,
            "fields": {name: each.to_document() for name, each in self.fields.items()},
            "journals": {
                name: {"visibility": each.visibility}
                for name, each in self.journals.items()
            },
            "members": {
                name: each.to_document() for name, each in self.members.items()
            },
        }
        if self.attachments is not None:
            document["attachments"] = self.attachments.to_document()
        if self.attachments_kept_days is not None:
            document["retention"] = {"attachments": f"{self.attachments_kept_days} d"}
        return document
