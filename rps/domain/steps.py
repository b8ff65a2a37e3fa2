"""The steps of a flow: what a definition does with a change beside its maps.

A flow is a member's, one for each direction. Its steps run in their order; `map` turns
the member's names and values into shared ones (inbound) or back (outbound). A step
before it sees what goes into the map, one behind it what comes out. Everything here is
immutable, made by `rps.domain.step_reading`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from rps.domain.canonical import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rps.domain.field_map import Literals

Direction = Literal["inbound", "outbound"]
Scope = Literal["member", "shared"]
"""Whose names and values a step sees."""
Missing = Literal["fail", "empty", "keep"]
"""What a look-up does that finds nothing: stop here, clear the field, leave it."""

DIRECTIONS: Final[tuple[Direction, ...]] = ("inbound", "outbound")
KINDS: Final = (
    *("map", "set", "require", "skip_when", "lookup", "create_if_missing"),
    *("call", "notify"),
)
ANSWERED: Final = ("lookup", "create_if_missing", "call")
"""Kinds of steps that need an answer from outside."""

_MARK = re.compile(r"\{\{|\}\}|\{([^{}]{1,120})\}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ALONE = re.compile(r"\{([^{}]{1,120})\}")


def is_template(text: str) -> bool:
    """Whether each brace of `text` is one of a field's, or written twice."""
    return not {"{", "}"}.intersection(_MARK.sub("", text))


@lru_cache(maxsize=4096)  # each message asks the same
def names_in(*given: Literals | None) -> frozenset[str]:
    """The fields that templates name."""
    texts = [text for text in given if isinstance(text, str)]
    return frozenset(
        found[1] for text in texts for found in _MARK.finditer(text) if found[1]
    )


def said(given: Literals | None, value_of: Callable[[str], Any]) -> Any:
    """A template with the fields in it. One that is a field alone has its value as it
    is; what is not known is empty."""
    if not isinstance(given, str):
        return given
    if alone := _ALONE.fullmatch(given):
        return value_of(alone[1])
    return _MARK.sub(
        lambda found: plain_text(value_of(found[1])) if found[1] else found[0][0], given
    )


@dataclass(frozen=True, slots=True)
class MapStep:
    """The definition's map of the member."""

    name: str = "map"
    when: str = ""
    kind: ClassVar[str] = "map"
    reads: ClassVar[frozenset[str]] = frozenset()

    def to_document(self) -> str:
        return "map"


@dataclass(frozen=True, slots=True)
class SetStep:
    """Fields by name: literals, texts with `{field}` in them, None to clear."""

    name: str
    values: Mapping[str, Literals | None]
    when: str = ""
    kind: ClassVar[str] = "set"

    @property
    def reads(self) -> frozenset[str]:
        return names_in(*self.values.values())

    def to_document(self) -> dict[str, Any]:
        return _document(self, set=dict(self.values))


@dataclass(frozen=True, slots=True)
class RequireStep:
    """A condition that has to hold, else the change or message waits for a person, who
    reads `otherwise`."""

    name: str
    condition: str
    otherwise: str = ""
    when: str = ""
    kind: ClassVar[str] = "require"
    reads: ClassVar[frozenset[str]] = frozenset()

    def to_document(self) -> dict[str, Any]:
        more = {"otherwise": self.otherwise} if self.otherwise else {}
        return _document(self, require=self.condition, **more)


@dataclass(frozen=True, slots=True)
class SkipStep:
    """A condition under which the change is not taken, or the message not sent."""

    name: str
    condition: str
    when: str = ""
    kind: ClassVar[str] = "skip_when"
    reads: ClassVar[frozenset[str]] = frozenset()

    def to_document(self) -> dict[str, Any]:
        return _document(self, skip_when=self.condition)


@dataclass(frozen=True, slots=True)
class LookupStep:
    """The record of `table` whose field `by` is `value`, asked of the system of the
    member `at` (else of the flow's own); its field `take`, else its id, goes `into` a
    field. `create`: the fields to make the record with where there is none.
    """

    name: str
    table: str
    by: str
    value: str
    into: str
    take: str = ""
    at: str = ""
    missing: Missing = "fail"
    create: Mapping[str, Literals] | None = None
    when: str = ""

    @property
    def kind(self) -> str:
        return "lookup" if self.create is None else "create_if_missing"

    @property
    def reads(self) -> frozenset[str]:
        return names_in(self.value, *(self.create or {}).values())

    def to_document(self) -> dict[str, Any]:
        asked: dict[str, Any] = {"table": self.table, "by": self.by}
        asked["value"] = self.value
        for key in ("take", "at"):
            if getattr(self, key):
                asked[key] = getattr(self, key)
        if self.create is not None:
            asked["with"] = dict(self.create)
        more: dict[str, Any] = {"into": self.into}
        if self.missing != "fail":
            more["missing"] = self.missing
        return _document(self, **{self.kind: asked}, **more)


@dataclass(frozen=True, slots=True)
class CallStep:
    """A Python action that the operator installed; `into`: field by key of what it
    answers. It may take `seconds`, and `megabytes` of memory."""

    name: str
    action: str
    arguments: Mapping[str, Literals]
    into: Mapping[str, str]
    seconds: int
    megabytes: int
    when: str = ""
    kind: ClassVar[str] = "call"

    @property
    def reads(self) -> frozenset[str]:
        return names_in(*self.arguments.values())

    def to_document(self) -> dict[str, Any]:
        called = {
            "action": self.action,
            "with": dict(self.arguments),
            "seconds": self.seconds,
            "megabytes": self.megabytes,
        }
        return _document(self, call=called, into=dict(self.into))


@dataclass(frozen=True, slots=True)
class NotifyStep:
    """Tells whoever subscribed to notices."""

    name: str
    text: str
    when: str = ""
    kind: ClassVar[str] = "notify"

    @property
    def reads(self) -> frozenset[str]:
        return names_in(self.text)

    def to_document(self) -> dict[str, Any]:
        return _document(self, notify=self.text)


Step = MapStep | SetStep | RequireStep | SkipStep | LookupStep | CallStep | NotifyStep

MAP = MapStep()


def _document(step: Any, **more: Any) -> dict[str, Any]:
    document = {"name": step.name, **more}
    return {**document, "when": step.when} if step.when else document


def targets(step: Step) -> frozenset[str]:
    """The fields that a step writes."""
    match step:
        case SetStep():
            return frozenset(step.values)
        case LookupStep():
            return frozenset((step.into,))
        case CallStep():
            return frozenset(step.into.values())
        case _:
            return frozenset()


def conditions(step: Step) -> Iterator[tuple[str, str]]:
    """The encoded queries of a step, each with its key in the document."""
    if step.when:
        yield "when", step.when
    if isinstance(step, RequireStep):
        yield "require", step.condition
    if isinstance(step, SkipStep):
        yield "skip_when", step.condition


@dataclass(frozen=True, slots=True)
class Flow:
    """Steps in their order, `map` among them once: the first where it is not said."""

    direction: Direction
    steps: tuple[Step, ...]
    is_map_said: bool = True
    at_map: int = attribute(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at_map", self.steps.index(MAP))

    def scope(self, at: int) -> Scope:
        """What the step in this place sees."""
        is_before = at < self.at_map
        return "member" if is_before == (self.direction == "inbound") else "shared"

    def of_scope(self, scope: Scope) -> Iterator[tuple[int, Step]]:
        for at, step in enumerate(self.steps):
            if at != self.at_map and self.scope(at) == scope:
                yield at, step

    @property
    def targets(self) -> frozenset[tuple[Scope, str]]:
        """The fields that its steps write, with whose names they are."""
        return frozenset(
            (self.scope(at), name)
            for at, step in enumerate(self.steps)
            for name in targets(step)
        )

    @property
    def reads(self) -> frozenset[str]:
        """The shared fields that its texts name."""
        found = (step.reads for _, step in self.of_scope("shared"))
        return frozenset[str]().union(*found)

    def asks_about(self, fields: Mapping[str, str]) -> frozenset[str]:
        """The shared fields that it may want to know, and more; `fields` are the
        member's by their shared names."""
        names = set(self.reads)
        for _, step in self.of_scope("shared"):
            for _, text in conditions(step):
                names.update(_WORD.findall(text))
        for _, step in self.of_scope("member"):
            texts = " ".join(text for _, text in conditions(step))
            names.update(
                shared
                for shared, own in fields.items()
                if own in step.reads or own in texts
            )
        return frozenset(names)

    def place(self, at: int) -> int:
        """Of a step in the document."""
        return at if self.is_map_said else at - 1

    def to_document(self) -> list[Any]:
        said_steps = self.steps if self.is_map_said else self.steps[1:]
        return [step.to_document() for step in said_steps]
