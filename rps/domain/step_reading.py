"""Reads the flows of a member: shape only, sense is `rps.domain.step_scan`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

from rps.domain.encoded_query import LENGTH_MAX
from rps.domain.problem import listed
from rps.domain.section import (
    MEMBER_NAME,
    REMOTE_NAME,
    Section,
    Shape,
    matching,
    prose,
    visible,
)
from rps.domain.steps import (
    DIRECTIONS,
    KINDS,
    MAP,
    CallStep,
    Flow,
    LookupStep,
    Missing,
    NotifyStep,
    RequireStep,
    SetStep,
    SkipStep,
    is_template,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.field_map import Literals
    from rps.domain.steps import Direction, Step

STEPS_MAX = 50
VALUES_MAX = 50
TEXT_MAX = 1000
SECONDS, SECONDS_MAX = 10, 60
MEGABYTES, MEGABYTES_MIN, MEGABYTES_MAX = 256, 64, 1024

STEP_NAME = visible(60)
QUERY = visible(LENGTH_MAX)
ACTION = matching(
    r"[A-Za-z][A-Za-z0-9_.-]{0,79}",
    "a letter, then up to 79 letters, digits, '.', '_' and '-'",
)
PROSE = prose(TEXT_MAX)
TEXT = Shape(
    lambda text: PROSE.fits(text) and is_template(text),
    f"{PROSE.says}, with {{field}} where a field goes ({{{{ and }}}} are braces)",
    {
        **PROSE.schema,
        "pattern": r"^(?:[^{}]|\{\{|\}\}|\{[^{}]{1,120}\})*$",
    },
)
MISSING: Final = cast("tuple[Missing, ...]", get_args(Missing))

OWN_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "set": (),
    "require": ("otherwise",),
    "skip_when": (),
    "lookup": ("into", "missing"),
    "create_if_missing": ("into", "missing"),
    "call": ("into",),
    "notify": (),
}
"""What stands beside the key that says what kind of step it is."""
LOOKUP_KEYS = ("table", "by", "value", "take", "at")
CREATE_KEYS = (*LOOKUP_KEYS, "with")
CALL_KEYS = ("action", "with", "seconds", "megabytes")
RESULT = "result"
"""The key of what an action answers that is no mapping."""


def flows_of(section: Section) -> dict[Direction, Flow]:
    """The flows of a member, those that have steps."""
    section.only(*DIRECTIONS)
    read = {
        direction: _flow(direction, _steps(section, direction))
        for direction in DIRECTIONS
        if section.has(direction)
    }
    return {key: flow for key, flow in read.items() if flow.steps != (MAP,)}


def _flow(direction: Direction, steps: list[Step]) -> Flow:
    is_said = MAP in steps
    return Flow(direction, tuple(steps if is_said else (MAP, *steps)), is_said)


def _steps(section: Section, direction: Direction) -> list[Step]:
    steps: list[Step] = []
    for each in section.listed(direction, STEPS_MAX, ("map",)):
        if each == "map":
            if MAP in steps:
                remedy = "leave one of them out"
                section.refuse("step-map-twice", direction, "it maps twice", remedy)
            else:
                steps.append(MAP)
        elif isinstance(each, Section):
            step = _step(each)
            if step is not None:
                steps.append(step)
    names = [step.name for step in steps]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        cause = f"two steps are called {listed(sorted(twice))}"
        section.refuse("step-name-twice", direction, cause, "give each its own name")
    return steps


def _step(section: Section) -> Step | None:
    kinds = [kind for kind in KINDS if kind != "map" and section.has(kind)]
    if len(kinds) != 1:
        cause = f"it is {listed(kinds)} at once" if kinds else "it does nothing"
        remedy = f"give one of {', '.join(OWN_KEYS)}"
        section.refuse_all("step-kind", cause, remedy)
        return None
    (kind,) = kinds
    section.only("name", "when", kind, *OWN_KEYS[kind])
    name = section.text("name", STEP_NAME)
    when = section.optional_text("when", QUERY) or ""
    match kind:
        case "set":
            return SetStep(name, _literals(section.section(kind)), when)
        case "require":
            otherwise = section.text("otherwise", PROSE, "")
            return RequireStep(name, section.text(kind, QUERY), otherwise, when)
        case "skip_when":
            return SkipStep(name, section.text(kind, QUERY), when)
        case "call":
            return _call(name, when, section)
        case "notify":
            return NotifyStep(name, section.text(kind, TEXT), when)
        case _:
            return _lookup(name, when, kind, section)


def _literals(section: Section) -> dict[str, Literals | None]:
    return {
        each: None if section.is_null(each) else section.literal(each, TEXT)
        for each in section.names(REMOTE_NAME, VALUES_MAX)
    }


def _lookup(name: str, when: str, kind: str, section: Section) -> LookupStep:
    asked = section.section(kind)
    creates = kind == "create_if_missing"
    asked.only(*(CREATE_KEYS if creates else LOOKUP_KEYS))
    given = _literals(asked.section("with")) if creates else None
    return LookupStep(
        name,
        asked.text("table", REMOTE_NAME),
        asked.text("by", REMOTE_NAME),
        asked.text("value", TEXT),
        section.text("into", REMOTE_NAME),
        take=asked.text("take", REMOTE_NAME, ""),
        at=asked.text("at", MEMBER_NAME, ""),
        missing=section.word("missing", MISSING, "fail"),
        create=None
        if given is None
        else {key: value for key, value in given.items() if value is not None},
        when=when,
    )


def _call(name: str, when: str, section: Section) -> CallStep:
    called = section.section("call", short_for="action")
    called.only(*CALL_KEYS)
    into = section.section("into", short_for=RESULT)
    return CallStep(
        name,
        called.text("action", ACTION),
        {
            key: value
            for key, value in _literals(called.section("with")).items()
            if value is not None
        },
        {
            key: into.text(key, REMOTE_NAME)
            for key in into.names(REMOTE_NAME, VALUES_MAX)
        },
        called.count("seconds", 1, SECONDS_MAX, SECONDS),
        called.count("megabytes", MEGABYTES_MIN, MEGABYTES_MAX, MEGABYTES),
        when,
    )
