"""The door for changes: the fast check and the published schema say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from marshmallow import ValidationError

from rps.http.change_schema import (
    CHANGE_SCHEMA,
    all_checked,
    checked,
    is_moment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = FormatChecker(formats=())
FORMATS.checks("date-time")(
    lambda value: not isinstance(value, str) or is_moment(value)
)
SCHEMA = Draft202012Validator(CHANGE_SCHEMA, format_checker=FORMATS)

GOOD: dict[str, Any] = {
    "system": "acme",
    "table": "incident",
    "record_id": "INC1",
    "operation": "update",
    "change_id": "c-1",
    "revision": 7,
    "fields": {"title": "Printer", "tags": ["a", "b"], "n": 1.5, "on": True, "x": None},
    "before": {"title": ""},
    "entries": [
        {
            "id": "e1",
            "journal": "comments",
            "text": "on it",
            "author": "maria",
            "written_at": "2026-11-24 03:30:34",
        }
    ],
    "changed_by": "maria",
    "changed_at": "2026-11-24T03:30:34Z",
    "external_id": None,
    "origin": ["acme"],
    "hop": 2,
}

SIZES = [0, 1, 2, 20, 21, 40, 41, 100, 101, 120, 121, 200, 201, 255, 256, 500, 501]
EDGES: list[Any] = [
    *[None, True, False, 0, 1, -1, 100, 101, 0.0, 1.0, -0.0, 100.0, 101.0, 1.5, 1e300],
    *[2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, 2.0**53, 2.0**53 + 2],
    *["create", "delete", "upsert", "2026-11-24T03:30:34Z", "2026-11-24 03:30:34"],
    *["2026-13-01T00:00:00Z", "2026-11-24T03:30:34", "0001-01-01T00:00:00+14:00"],
    *["x" * size for size in SIZES],
    *[["x"] * size for size in SIZES],
    *[["x" * size] for size in SIZES],
    *[{str(n): "x" for n in range(size)} for size in SIZES],
    *[{"x" * size: 1} for size in SIZES],
    *[[GOOD["entries"][0]] * size for size in SIZES],
    *[[1], [None], [[]], [{}], {}, [], {"a": []}, {"a": {}}, {"a": [1]}],
    {"a": ["x"] * 501},
]

sizes = st.sampled_from(SIZES)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, -1, 100, 101, 2**53, 2**53 + 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1.0, -0.0, 100.0, 1e300, 2.0**53])
    | st.text(max_size=5)
    | sizes.map(lambda size: "x" * size)
    | st.sampled_from(
        [
            "create",
            "delete",
            "2026-11-24T03:30:34Z",
            "2026-11-24T03:30:34",
            "2026-11-24 03:30:34",
            "2026-13-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
        ]
    )
)
values = st.recursive(
    scalars,
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below)
    ),
    max_leaves=6,
)
many = (
    sizes.map(lambda size: ["x"] * size)
    | sizes.map(lambda size: {str(index): "x" for index in range(size)})
    | sizes.map(lambda size: [GOOD["entries"][0]] * size)
    | st.sampled_from([["x"] * 500, ["x"] * 501])
    | sizes.map(lambda size: {"x" * size: 1})
)
entries = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "journal", "text", "author", "written_at", "by"]),
        values,
    )
    | st.builds(
        lambda name, value: {**GOOD["entries"][0], name: value},
        st.sampled_from(["id", "journal", "text", "author", "written_at", "by"]),
        values,
    ),
    max_size=3,
)
changes = (
    st.builds(
        lambda good, wrong: {**good, **wrong},
        st.sampled_from(
            [GOOD, {k: GOOD[k] for k in CHANGE_SCHEMA["required"]}, {"system": "x"}]
        ),
        st.dictionaries(
            st.sampled_from([*GOOD, "tabel", "domain"]),
            values | many | entries | st.dictionaries(st.text(max_size=3), values),
            max_size=2,
        ),
    )
    | values
)


def takes(change: Any) -> bool:
    try:
        checked(change)
    except ValidationError:
        return False
    return True


def edges(good: Any) -> Iterator[Any]:
    """`good`, with each value in it replaced by each edge, taken out, or added to."""
    yield from EDGES
    if isinstance(good, dict):
        yield {**good, "extra": 1}
        for name, value in good.items():
            yield {each: good[each] for each in good if each != name}
            for edge in edges(value):
                yield {**good, name: edge}
    elif isinstance(good, list):
        for edge in edges(good[0]):
            yield [edge, *good[1:]]


def test_at_every_edge_a_change_is_taken_where_the_published_schema_takes_it() -> None:
    for change in edges(GOOD):
        assert takes(_copy(change)) == SCHEMA.is_valid(change), change


@settings(max_examples=300, deadline=None)
@given(changes)
def test_a_change_is_taken_where_the_published_schema_takes_it(change: Any) -> None:
    assert takes(_copy(change)) == SCHEMA.is_valid(change)


@settings(max_examples=150, deadline=None)
@given(st.lists(changes, min_size=1, max_size=3))
def test_many_changes_are_taken_where_each_of_them_is(several: list[Any]) -> None:
    good = [SCHEMA.is_valid(change) for change in several]
    try:
        all_checked(_copy(several))
    except ValidationError as refused:
        messages = refused.messages
        assert isinstance(messages, dict)
        assert set(messages) == {i for i, fits in enumerate(good) if not fits}
    else:
        assert all(good)


def test_a_full_change_comes_through_as_it_is() -> None:
    assert checked(_copy(GOOD)) == {**GOOD, "revision": "7"}


def test_whole_numbers_written_as_fractions_are_put_right() -> None:
    change = checked({**GOOD, "revision": 7.0, "hop": 2.0})
    assert (change["revision"], change["hop"]) == ("7", 2)
    assert type(change["hop"]) is int


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        checked(
            {
                "tabel": "incident",
                "system": "",
                "record_id": 5,
                "operation": "upsert",
                "fields": {"a": {"b": 1}, "ok": "x", "": 1},
                "entries": [
                    {"id": "1", "journal": "c", "text": "t"},
                    {"id": "2", "text": 5},
                ],
                "origin": "acme",
                "hop": -1,
            }
        )
    messages: Any = refused.value.messages
    assert set(messages) == {
        "tabel",
        "table",
        "system",
        "record_id",
        "operation",
        "fields",
        "entries",
        "origin",
        "hop",
    }
    assert messages["tabel"] == [
        "there is no field of this name; did you mean 'table'?"
    ]
    assert set(messages["fields"]) == {"a", ""}
    assert set(messages["entries"]) == {1}
    assert set(messages["entries"][1]) == {"journal", "text"}


@pytest.mark.parametrize("count", [0, 1001])
def test_a_list_has_one_to_a_thousand_changes(count: int) -> None:
    with pytest.raises(ValidationError):
        all_checked([GOOD] * count)


def _copy(change: Any) -> Any:
    """The check puts numbers right in place; the schema is to see what was sent."""
    if isinstance(change, dict):
        return {key: _copy(value) for key, value in change.items()}
    return [_copy(value) for value in change] if isinstance(change, list) else change


ENTRY = {"id": "e1", "journal": "comments"}


@pytest.mark.parametrize(
    "entry",
    [
        {**ENTRY, "text": "t", "deleted": False},
        {**ENTRY, "text": "", "deleted": True},
        {**ENTRY, "deleted": True},
        {**ENTRY, "deleted": False},
        {**ENTRY, "deleted": 1},
        {**ENTRY, "deleted": None, "text": "t"},
        ENTRY,
        *[
            {**ENTRY, "text": "t", "id": text}
            for text in ("", "a\tb", "a\x7f", "a\n", "\x01", "Grüße", "x" * 201)
        ],
    ],
)
def test_an_entry_was_said_or_deleted_and_its_id_is_one_line(entry: Any) -> None:
    change = {**GOOD, "entries": [entry]}
    assert takes(_copy(change)) == SCHEMA.is_valid(change)


def test_an_entry_that_says_nothing_is_told_what_it_lacks() -> None:
    with pytest.raises(ValidationError) as refused:
        checked({**GOOD, "entries": [{**ENTRY, "id": "a\nb"}]})
    messages: Any = refused.value.messages
    assert messages["entries"][0] == {
        "id": ["give a text of 1 to 200 characters, no control characters"],
        "text": ["this field is missing"],
    }
