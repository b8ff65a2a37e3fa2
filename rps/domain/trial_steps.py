"""Steps as a definition takes them: what went in, what came out, what stopped it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain import flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rps.domain.execution import Ran

    LineOf = Callable[[str], int | None]
    """The line of a definition's file at which a place (a JSON pointer) stands."""


@dataclass(frozen=True, slots=True)
class Step:
    """`place` is a JSON pointer into the definition document. `held` is None where
    nothing was asked; `seconds` is None where nobody measured. After a step with an
    `error` there is no other."""

    name: str
    kind: str
    place: str
    input: Any = None
    output: Any = None
    condition: str = ""
    held: bool | None = None
    detail: str = ""
    error: str = ""
    answer: Any = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Steps:
    """Steps as they are taken; `clock` gives seconds, None measures nothing."""

    clock: Callable[[], float] | None = None
    taken: list[Step] = field(default_factory=list)

    def take(
        self, name: str, kind: str, place: str, work: Callable[[], Any], **more: Any
    ) -> Any:
        """The output of `work`; None where it was refused, which ends the steps."""
        if self.error is not None:
            return None
        start = self.clock() if self.clock else 0.0
        output, error = None, ""
        try:
            output = work()
        except flow.MappingRefused as refused:
            error = str(refused)
            more.pop("held", None)  # it could not be asked
            place = more.pop("places", dict)().get(refused.field, place)
        more.pop("places", None)
        seconds = self.clock() - start if self.clock else None
        made = Step(name, kind, place, output=output, error=error, seconds=seconds)
        self.taken.append(_with(made, more))
        return output

    def note(self, name: str, kind: str, place: str, **more: Any) -> None:
        """A step that was decided elsewhere."""
        if self.error is None:
            self.taken.append(Step(name, kind, place, **more))

    def ran(self, steps: Iterable[Ran], maps: str) -> None:
        """The steps of a flow as they ran; its map stands at the place `maps`."""
        for each in steps:
            self.taken.append(
                Step(
                    each.step,
                    each.kind,
                    maps if each.kind == "map" else each.place,
                    input=dict(each.given),
                    output=dict(each.made) if each.status == "done" else None,
                    condition=each.why if each.status in ("done", "skipped") else "",
                    held=_HELD.get(each.status),
                    detail=_detail(each),
                    error=each.why if each.status == "failed" else "",
                    answer=dict(each.answer) if each.answer else None,
                    seconds=_seconds(each),
                )
            )

    @property
    def error(self) -> Step | None:
        """The step that was refused."""
        last = self.taken[-1] if self.taken else None
        return last if last is not None and last.error else None


_HELD = {"passed": False, "skipped": True}


def _detail(ran: Ran) -> str:
    match ran.status:
        case "passed":
            return f"passed by: {ran.why}"
        case "asked":
            asked = (ran.question or {}).get("asked", {})
            about = ", ".join(f"{key} {value}" for key, value in asked.items())
            return f"waits for an answer: {about}"
        case _:
            return ""


def _seconds(ran: Ran) -> float | None:
    """As long as the answer took, where there was one: that is in the log."""
    taken = (ran.answer or {}).get("seconds")
    return ran.seconds if taken is None else taken


def _with(step: Step, more: Mapping[str, Any]) -> Step:
    values = {name: getattr(step, name) for name in Step.__slots__}
    return Step(**{**values, **more})


def fault(step: Step | None, line_of: LineOf) -> dict[str, Any] | None:
    """What stopped it, at which step, and where in the definition that stands."""
    if step is None:
        return None
    return fault_at(step.name, step.place, step.error, line_of)


def fault_at(step: str, place: str, detail: str, line_of: LineOf) -> dict[str, Any]:
    return {"step": step, "place": place, "line": line_of(place), "detail": detail}


def no_line(_place: str) -> int | None:
    """Of a document that came without its file."""
    return None
