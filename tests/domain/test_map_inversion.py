"""There and back: a value that is written to a member and read again is the same one.

The merge relies on it. What a member shows that is what was written there, as
`flow.normalised` says it, is nobody's edit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rps.domain import flow
from rps.domain.canonical import DURATION_MAX
from rps.domain.document import parse

if TYPE_CHECKING:
    from rps.domain.agreement import Definition, Member
    from rps.domain.field_map import FieldMap

WORDS = ["low", "middle", "high"]
letters = st.characters(exclude_characters="\x00\r", codec="utf-8")
texts = st.text(letters, min_size=1, max_size=30)
printable = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="{}"),
    max_size=20,
)
lines = st.text(
    st.characters(exclude_characters="\x00\r\n", codec="utf-8"), min_size=1, max_size=30
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "choice": st.sampled_from(WORDS),
    "number": st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x % 1 != 0),
    "boolean": st.booleans(),
    "date-time": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    "tags": st.sets(
        st.text(
            st.characters(exclude_characters="\x00\r,", codec="utf-8"),
            min_size=1,
            max_size=5,
        )
        .map(str.strip)
        .filter(bool),
        min_size=1,
    ).map(sorted),
    "user": lines.map(str.strip).map(str.casefold).map(str.strip).filter(bool),
    "reference": lines,
    "duration": st.integers(0, DURATION_MAX),
}
"""Shared values, as they are agreed on, by type."""

DEFAULTS = VALUES | {
    "text": st.just("not said\nyet"),
    "reference": st.just("INC1"),
    "user": st.just("Nobody@acme.example"),
    "tags": st.just(["new", "web"]),
    "number": st.integers(-5, 5) | st.just(1.5),
}
"""As people write them in a document."""


@st.composite
def formats(draw: st.DrawFn) -> str:
    return (draw(printable) + "{value}" + draw(printable)).strip()


@st.composite
def maps(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A type, and what a member's map of such a field says."""
    kind = draw(st.sampled_from(sorted(VALUES)))
    said: dict[str, Any] = {"field": "theirs"}
    if kind == "choice" and draw(st.booleans()):
        their_words = draw(st.permutations(["1", "2", "3", "low", "high"]))
        said["values"] = dict(zip(WORDS, their_words, strict=False))
    if kind in ("text", "user", "reference") and draw(st.booleans()):
        said["format"] = draw(formats())
    if kind == "text" and draw(st.booleans()):
        least = len(said.get("format", "{value}")) - len("{value}") + 1
        said["truncate"] = draw(st.integers(least, least + 12))
    if kind == "duration":
        said["as"] = draw(st.sampled_from(["seconds", "iso8601", "servicenow"]))
    if "truncate" not in said and draw(st.booleans()):
        said["default"] = draw(DEFAULTS[kind])
    return kind, said


def definition_of(kind: str, said: dict[str, Any]) -> tuple[Definition, Member]:
    shared: dict[str, Any] = {"type": kind}
    if kind == "choice":
        shared["values"] = WORDS
    definition = parse(
        {
            "process_event": "there and back",
            "fields": {"ours": shared},
            "members": {
                "a": {"table": "t", "fields": {"ours": said}},
                "b": {"table": "t", "fields": {"ours": "same"}},
            },
        }
    )
    return definition, definition.members["a"]


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


def fits(each: FieldMap, value: Any) -> bool:
    return each.room is None or len(value) <= each.room


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_there_and_back_gives_the_same_shared_value(data: st.DataObject) -> None:
    kind, said = data.draw(maps())
    definition, member = definition_of(kind, said)
    value = data.draw(VALUES[kind])

    written = through_json(flow.outbound(member, definition, {"ours": value}))
    back = flow.inbound(member, definition, written).fields["ours"]

    each = member.fields["ours"]
    expected = value if fits(each, value) else value[: each.room]
    assert (back, type(back)) == (expected, type(expected))
    assert back == flow.normalised(member, definition, "ours", value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_is_held_there_stays_what_it_is_when_it_is_written_again(
    data: st.DataObject,
) -> None:
    kind, said = data.draw(maps())
    definition, member = definition_of(kind, said)
    value = data.draw(st.none() | VALUES[kind])

    held = flow.normalised(member, definition, "ours", value)
    written = through_json(flow.outbound(member, definition, {"ours": value}))

    assert flow.inbound(member, definition, written).fields["ours"] == held
    assert flow.normalised(member, definition, "ours", held) == held


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_empty_remote_value_is_read_as_the_default(data: st.DataObject) -> None:
    kind, said = data.draw(maps())
    definition, member = definition_of(kind, said)

    cleared = flow.outbound(member, definition, {"ours": None})["theirs"]
    for empty in (cleared, None, ""):
        read = flow.inbound(member, definition, {"theirs": empty}).fields["ours"]
        default = said.get("default")
        if default is not None:
            expected = flow.shared_value(definition, "ours", default)
            assert (read, type(read)) == (expected, type(expected))
        else:
            assert read is None
    assert is_empty(cleared)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_somebody_wrote_without_the_format_is_read_as_it_is(
    data: st.DataObject,
) -> None:
    """And once it is written back, it reads the same."""
    kind = data.draw(st.sampled_from(["text", "reference"]))
    definition, member = definition_of(kind, {"field": "theirs", "format": "<{value}>"})
    value = data.draw(VALUES[kind].filter(lambda text: text[0] != "<"))

    read = flow.inbound(member, definition, {"theirs": value}).fields["ours"]

    assert read == value
    assert flow.outbound(member, definition, {"ours": read}) == {"theirs": f"<{value}>"}
    assert flow.normalised(member, definition, "ours", read) == read
