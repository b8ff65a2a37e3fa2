"""Runs the steps of a flow. Pure: what is known of the record, and the answers that
were recorded, are handed in; a step whose answer is not there ends the run with its
question.

Each step leaves a note of what it was given, what it made, and why it did nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from rps.domain.condition import UNKNOWN, FieldUnreadable
from rps.domain.flow import MappingRefused
from rps.domain.problem import listed, pointer, shown
from rps.domain.question import Question
from rps.domain.steps import (
    CallStep,
    LookupStep,
    MapStep,
    NotifyStep,
    RequireStep,
    SetStep,
    SkipStep,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.condition import Condition
    from rps.domain.question import Answer, Answers
    from rps.domain.steps import Flow, Scope, Step

VALUE_MAX = 10_000
"""Characters of a text that a step puts together; more is no field."""


class StepFailed(MappingRefused):
    """A step could not be done; the change or message waits for a person."""

    def __init__(
        self, step: str, detail: str, *, field: str = "", value: Any = None
    ) -> None:
        super().__init__(field, value, detail)
        self.args = (f"step {shown(step)}: {detail}",)
        self.step = step


class Known(Protocol):
    """What is known of the record beside what the change or message carries."""

    def now(self, name: str) -> Any:
        """The value, None where empty, or UNKNOWN."""

    def before(self, name: str) -> Any:
        """The value before the change, None where empty, UNKNOWN, or OTHER."""


@dataclass(slots=True)
class Sight:
    """The fields as a step sees them: `told` ones, and what is known beside them."""

    scope: Scope
    told: dict[str, Any]
    known: Known

    def now(self, name: str) -> Any:
        return self.told[name] if name in self.told else self.known.now(name)

    def before(self, name: str) -> Any:
        return self.known.before(name)

    def is_told(self, name: str) -> bool:
        return name in self.told

    def value(self, name: str) -> Any:
        """For a text: what is not known is empty."""
        value = self.now(name)
        return None if value is UNKNOWN or value == "" else value


@dataclass(frozen=True, slots=True)
class Ran:
    """One step as it ran. `place` is a JSON pointer into the definition's document,
    `status`: done, passed (its condition did not hold, or nothing that it reads was
    told), skipped, asked or failed."""

    step: str
    kind: str
    place: str
    scope: Scope
    status: str
    why: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)
    question: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Course:
    """What came of a run: the fields that are told in the end, and the notices.
    `skipped` says why the flow wants nothing to be done, `asks` what it has to know
    before it can go on."""

    told: dict[str, Any] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    notices: list[dict[str, str]] = field(default_factory=list)
    skipped: str = ""
    asks: Question | None = None


@dataclass(slots=True)
class Run:
    """One run. `mapped` is the map's other side; `conditions` are the flow's, by place
    of the step and key. `is_asked`: whether the flow may refuse and skip; of what we
    read ourselves, or somebody else decided, it may not. `is_new`: nothing is known of
    the record, so that each step has something to say. `clock` gives seconds, None
    measures nothing."""

    flow: Flow
    member: str
    conditions: Mapping[tuple[int, str], Condition]
    sight: Sight
    mapped: Callable[[dict[str, Any]], Sight]
    answers: Answers
    is_asked: bool = True
    is_new: bool = False
    clock: Callable[[], float] | None = None
    course: Course = field(default_factory=Course)
    began: float = 0.0

    def go(self) -> Course:
        """Raises MappingRefused, with the steps that ran in its `ran`."""
        try:
            for at, step in enumerate(self.flow.steps):
                self.began = self.clock() if self.clock else 0.0
                if not self._step(at, step):
                    break
        except MappingRefused as refused:
            refused.ran = tuple(self.course.ran)
            raise
        self.course.told = self.sight.told
        return self.course

    def _step(self, at: int, step: Step) -> bool:
        """Whether to go on."""
        if why := self._passes_by(at, step):
            self._note(at, step, "passed", why)
            return True
        match step:
            case MapStep():
                return self._map(at, step)
            case SkipStep():
                return self._skip(at, step)
            case RequireStep():
                return self._require(at, step)
            case SetStep():
                return self._set(at, step)
            case NotifyStep():
                return self._notify(at, step)
            case LookupStep() | CallStep():
                return self._answered(at, step)

    def _passes_by(self, at: int, step: Step) -> str:
        """Why there is nothing for the step to do, "" where there is."""
        if step.when and (why := self._objection(at, "when", step)):
            return why
        may_refuse = isinstance(step, SkipStep | RequireStep)
        if may_refuse and not self.is_asked:
            return "it is not asked about this"
        if step.reads and not (self.is_new or any(map(self.sight.is_told, step.reads))):
            return "nothing that it reads was told"
        return ""

    def _set(self, at: int, step: SetStep) -> bool:
        value = self.sight.value
        self._done(at, step, {n: said(each, value) for n, each in step.values.items()})
        return True

    def _notify(self, at: int, step: NotifyStep) -> bool:
        text = str(said(step.text, self.sight.value) or "")[:VALUE_MAX]
        self.course.notices.append({"step": step.name, "text": text})
        self._note(at, step, "done", made={"notice": text})
        return True

    def _map(self, at: int, step: Step) -> bool:
        given = self.sight.told
        try:
            self.sight = self.mapped(given)
        except MappingRefused as refused:
            self._note(at, step, "failed", str(refused), given=given)
            raise
        self._note(at, step, "done", given=given, made=self.sight.told)
        return True

    # --- conditions -----------------------------------------------------------------

    def _objection(self, at: int, key: str, step: Step) -> str:
        """Why the condition does not hold, "" where it does."""
        try:
            return self.conditions[(at, key)].objection(self.sight)
        except FieldUnreadable as unreadable:
            detail = (
                f"{shown(unreadable.field)}: {shown(unreadable.value)} {unreadable}"
            )
            raise self._failure(
                at, step, detail, field=unreadable.field, value=unreadable.value
            ) from None

    def _skip(self, at: int, step: SkipStep) -> bool:
        if why := self._objection(at, "skip_when", step):
            self._note(at, step, "passed", why)
            return True
        self.course.skipped = f"step {shown(step.name)}: {step.condition}"
        self._note(at, step, "skipped", step.condition)
        return False

    def _require(self, at: int, step: RequireStep) -> bool:
        why = self._objection(at, "require", step)
        if why:
            detail = f"{step.otherwise} ({why})" if step.otherwise else why
            raise self._failure(at, step, detail)
        self._note(at, step, "done", step.condition)
        return True

    # --- answers --------------------------------------------------------------------

    def _answered(self, at: int, step: LookupStep | CallStep) -> bool:
        question = self._question(at, step)
        if question is None:
            return True
        answer = self.answers.get(question.key)
        told = question.to_document()
        if answer is None:
            self.course.asks = question
            self._note(at, step, "asked", question=told)
            return False
        if "error" in answer:
            raise self._failure(at, step, answer["error"], question=told, answer=answer)
        if isinstance(step, CallStep):
            made = self._called(at, step, answer)
        else:
            made = self._looked_up(at, step, answer)
        self._done(at, step, made, question=told, answer=answer)
        return True

    def _question(self, at: int, step: LookupStep | CallStep) -> Question | None:
        value = self.sight.value
        if isinstance(step, CallStep):
            asked: dict[str, Any] = {
                "action": step.action,
                "with": {key: said(v, value) for key, v in step.arguments.items()},
                "seconds": step.seconds,
                "megabytes": step.megabytes,
            }
            return Question(step.name, step.kind, "", asked)
        wanted = said(step.value, value)
        if wanted is None or wanted == "":
            self._done(at, step, {step.into: None})
            return None
        asked = {"table": step.table, "by": step.by, "value": wanted}
        asked["take"] = step.take
        if step.create is not None:
            asked["with"] = {key: said(v, value) for key, v in step.create.items()}
        return Question(step.name, step.kind, step.at or self.member, asked)

    def _looked_up(self, at: int, step: LookupStep, answer: Answer) -> dict[str, Any]:
        if not answer.get("missing"):
            return {step.into: answer.get("value")}
        match step.missing:
            case "fail":
                detail = f"no {step.table} has the {step.by} that was asked for"
                raise self._failure(at, step, detail, answer=answer)
            case "empty":
                return {step.into: None}
            case _:
                return {}

    def _called(self, at: int, step: CallStep, answer: Answer) -> dict[str, Any]:
        values = answer.get("values", {})
        lacking = [key for key in step.into if key not in values]
        if lacking:
            known = listed(values) or "nothing"
            detail = f"{step.action} answered without {listed(lacking)}, with {known}"
            raise self._failure(at, step, detail, answer=answer)
        return {name: values[key] for key, name in step.into.items()}

    # --- notes ----------------------------------------------------------------------

    def _done(self, at: int, step: Step, made: dict[str, Any], **more: Any) -> None:
        for name, value in made.items():
            if isinstance(value, str) and len(value) > VALUE_MAX:
                detail = f"what it makes of {shown(name)} has {len(value)} characters"
                raise self._failure(at, step, detail, field=name)
        self._note(at, step, "done", made=made, **more)
        self.sight.told = {**self.sight.told, **made}

    def _failure(self, at: int, step: Step, detail: str, **more: Any) -> StepFailed:
        said_of = {key: more.pop(key) for key in ("question", "answer") if key in more}
        self._note(at, step, "failed", detail, **said_of)
        return StepFailed(step.name, detail, **more)

    def _note(
        self, at: int, step: Step, status: str, why: str = "", **more: Any
    ) -> None:
        if "given" not in more and step.reads:
            more["given"] = {n: self.sight.value(n) for n in sorted(step.reads)}
        place = place_of(self.member, self.flow, at)
        scope = self.flow.scope(at) if at != self.flow.at_map else self.sight.scope
        if self.clock:
            more["seconds"] = self.clock() - self.began
        ran = Ran(step.name, step.kind, place, scope, status, why, **more)
        self.course.ran.append(ran)


def place_of(member: str, flow: Flow, at: int) -> str:
    """Where the step stands in its definition's document."""
    return _place(member, flow.direction, flow.place(at))


@lru_cache(maxsize=4096)  # each message asks the same
def _place(member: str, direction: str, at: int) -> str:
    return pointer("members", member, "flows", direction, str(at))
