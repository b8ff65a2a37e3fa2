"""What another definition would have made of a change that was judged: field by field.

Compared is what would be written, in the members' own words, and what would be shared.
Each judgement is taken with the correlation as it was recorded: a difference is the one
that this judgement alone would have made.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain import capturing, courses, events, flow, trial
from rps.domain.events import ChangeAccepted
from rps.domain.judgements import judged, same
from rps.domain.trial import verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition, Member
    from rps.domain.events import ChangeCaptured
    from rps.domain.judgements import Judgement

OWN_SOURCES = (capturing.READ_BACK, "write_answer")
"""Changes that rps read itself: no definition has to ask for them."""

SUPERSEDED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change: accepted, ignored or failed, and why."""

    kind: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    field: str
    recorded: Any
    tried: Any


@dataclass(frozen=True, slots=True)
class MessageDifference:
    """`kind`: `missing` where only the record has it, `extra` where only the trial has
    it, `operation`, `refused` where it could not be written, or `values`. Fields and
    values are the member's own; journal entries are fields named `journal id`."""

    kind: str
    message_id: str
    member: str
    recorded_operation: str = ""
    tried_operation: str = ""
    detail: str = ""
    fields: tuple[FieldDifference, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One judgement beside another one. Empty (false) where they come to the same."""

    recorded: Outcome
    tried: Outcome
    shared: tuple[FieldDifference, ...] = ()
    messages: tuple[MessageDifference, ...] = ()

    def __bool__(self) -> bool:
        differs = self.recorded.kind != self.tried.kind
        return differs or bool(self.shared or self.messages)

    @property
    def is_refused(self) -> bool:
        """Whether the trial could not read the change, or not write a message of it."""
        if self.tried.kind == "failed" != self.recorded.kind:
            return True
        return any(each.kind == "refused" for each in self.messages)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compared(
    judgement: Judgement,
    tried: Definition,
    revision: int,
    recorded: Callable[[int], Definition],
    in_force: Callable[[Judgement], int],
) -> Comparison:
    """The judgement beside the same under `tried`. `recorded` gives the definition by
    its revision, `in_force` the revision that a judgement was made under.

    A worker decides on what it has read; what others recorded in that very moment may
    have come too late for it. Such a difference is none of the definition's.
    """
    found = _compared(judgement, judgement.events, recorded, tried, revision)
    if not found:
        return found
    own = in_force(judgement)
    again = judgement.again(recorded(own), own)
    if same(again, judgement.events):
        return found
    return _compared(judgement, again, recorded, tried, revision)


def _compared(
    judgement: Judgement,
    decided: Sequence[Event],
    recorded: Callable[[int], Definition],
    tried: Definition,
    revision: int,
) -> Comparison:
    before, captured = judgement.before, judgement.captured
    was = outcome_of(decided)
    if why := uncaptured(tried, captured):
        other: list[Event] = []
        would = Outcome("ignored", why)
    else:
        other = judged(
            before, captured, judgement.sequence, tried, revision, judgement.at
        )
        would = outcome_of(other)
    return Comparison(
        was,
        would,
        tuple(_differing(_shared(decided), _shared(other))),
        tuple(
            _messages(
                {t.message_id: t for t in _told(decided, recorded)},
                {t.message_id: t for t in _told(other, lambda _: tried)},
            )
        ),
    )


def outcome_of(decided: Sequence[Event]) -> Outcome:
    verdict = verdict_of(decided)
    return Outcome(trial.outcome_of(verdict), trial.reason_of(verdict))


def uncaptured(definition: Definition, captured: ChangeCaptured) -> str:
    """Why the change would not have come in at all, else ""."""
    if captured.source in OWN_SOURCES:
        return ""
    member = definition.members.get(captured.member)
    if member is None:
        return ""  # judged: the definition has no such member any more
    name = definition.process_event
    if (member.system, member.table) != (captured.system, captured.table):
        place = f"{captured.system}.{captured.table}"
        return f"not captured: {name} does not capture {place} as {member.name}"
    if captured.operation not in member.capture:
        return f"not captured: {captured.operation} is not captured from {member.name}"
    return ""


def _shared(decided: Sequence[Event]) -> Mapping[str, Any]:
    for event in decided:
        if isinstance(event, ChangeAccepted):
            return event.values
    return {}


def _differing(
    recorded: Mapping[str, Any], tried: Mapping[str, Any]
) -> Iterator[FieldDifference]:
    for name in dict.fromkeys([*recorded, *tried]):
        was, would = recorded.get(name), tried.get(name)
        if was != would or (name in recorded) != (name in tried):
            yield FieldDifference(name, was, would)


# --- messages as they would be written ----------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """What a message says in its member's words; `refused`: why it cannot."""

    message_id: str
    member: str
    operation: str
    said: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


def _told(
    decided: Sequence[Event], definitions: Callable[[int], Definition]
) -> Iterator[_Told]:
    for event in decided:
        match event:
            case ChangeAccepted():
                definition = definitions(event.revision)
                for made in event.messages:
                    yield _written(made, definition)
            case events.MessageRevised():
                definition = definitions(event.definition_revision)
                yield _written(vars(event), definition)
            case events.MessageSkipped():
                yield _Told(event.message_id, event.member, SUPERSEDED)


def _written(message: Mapping[str, Any], definition: Definition) -> _Told:
    about = (message["message_id"], message["member"], message["operation"])
    member = definition.members.get(message["member"])
    if member is None:
        return _Told(*about, refused="the definition has no such member")
    try:
        return _Told(*about, _said(message, member, definition))
    except flow.MappingRefused as refused:
        return _Told(*about, refused=str(refused))


def _said(
    message: Mapping[str, Any], member: Member, definition: Definition
) -> Mapping[str, Any]:
    is_new = message["operation"] == "create"
    context = message.get("context") or {}
    fields = message["fields"]
    course = courses.outbound(member, definition, fields, context, {}, is_new=is_new)
    said = dict(course.told)
    if course.asks is not None:  # what it was answered comes later, if ever
        said[f"step {course.asks.step}"] = f"asks {course.asks.key}"
    if course.skipped:
        said = {"not sent": course.skipped}
    entries = [{"text": "", **entry} for entry in message["entries"]]
    for each in flow.outbound_entries(member, definition, entries):
        said[f"{each.journal} {each.id}"] = each.text or each.operation
    for file in message.get("attachments") or ():
        said[f"attachment {file['id']}"] = "" if file.get("deleted") else file["sha256"]
    return said


def _messages(
    recorded: Mapping[str, _Told], tried: Mapping[str, _Told]
) -> Iterator[MessageDifference]:
    for message_id in dict.fromkeys([*recorded, *tried]):
        was, would = recorded.get(message_id), tried.get(message_id)
        if found := _message(was, would):
            yield found


def _message(was: _Told | None, would: _Told | None) -> MessageDifference | None:
    one = would or was
    if one is None or was == would:
        return None
    return MessageDifference(
        _kind(was, would),
        one.message_id,
        one.member,
        was.operation if was else "",
        would.operation if would else "",
        one.refused,
        tuple(_differing(was.said if was else {}, would.said if would else {})),
    )


def _kind(was: _Told | None, would: _Told | None) -> str:
    if would is None:
        return "missing"
    if would.refused and not (was and was.refused):
        return "refused"
    if was is None:
        return "extra"
    return "values" if was.operation == would.operation else "operation"
