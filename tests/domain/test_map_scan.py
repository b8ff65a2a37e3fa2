"""Maps, constants and ways that make no sense are refused, each with its code."""

from __future__ import annotations

from typing import Any

import pytest

from rps.domain.document import DefinitionRefused, parse, recorded

EVERYTHING = ["create", "update", "delete"]


def document(said: dict[str, Any], /, **more: dict[str, Any]) -> dict[str, Any]:
    """`said`: what the map of `a` says of one field; `more`: members, or `shared`."""
    shared = more.pop("shared", {"type": "text"})
    return {
        "process_event": "shared",
        "fields": {"ours": shared, "rest": {"type": "text"}},
        "members": {
            name: {
                "table": "t",
                "fields": {
                    "ours": {"field": "theirs", **said} if name == "a" else "ours",
                    "rest": "rest",
                },
                **more.get(name, {}),
            }
            for name in ("a", "b")
        },
    }


def told(said: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionRefused) as refused:
        parse(said)
    return [(problem.place, problem.code) for problem in refused.value.problems]


OURS = "/members/a/fields/ours"
CHOICE = {"type": "choice", "values": ["x", "y"]}
MAPS = [
    ({"type": "number"}, {"format": "#{value}"}, "format", "type-mismatch"),
    (CHOICE, {"format": "#{value}"}, "format", "type-mismatch"),
    ({"type": "user"}, {"truncate": 9}, "truncate", "type-mismatch"),
    ({"type": "text"}, {"as": "iso8601"}, "as", "type-mismatch"),
    ({"type": "duration"}, {"as": "hours"}, "as", "unknown-word"),
    ({"type": "text"}, {"format": "no place"}, "format", "bad-text"),
    ({"type": "text"}, {"format": "{value}{value}"}, "format", "bad-text"),
    ({"type": "text"}, {"format": "{value} "}, "format", "bad-text"),
    ({"type": "text"}, {"format": " {value}"}, "format", "bad-text"),
    ({"type": "text"}, {"format": "{value}" + "x" * 74}, "format", "bad-text"),
    ({"type": "text"}, {"default": None}, "default", "wrong-type"),
    ({"type": "text"}, {"default": {}}, "default", "wrong-type"),
    ({"type": "text"}, {"default": ""}, "default", "default-value"),
    ({"type": "text"}, {"default": 7}, "default", "default-value"),
    ({"type": "text", "max_length": 2}, {"default": "abc"}, "default", "default-value"),
    ({"type": "text"}, {"default": "abc", "truncate": 2}, "default", "default-value"),
    (CHOICE, {"default": "z"}, "default", "default-value"),
    ({"type": "number"}, {"default": "many"}, "default", "default-value"),
    ({"type": "boolean"}, {"default": "maybe"}, "default", "default-value"),
    ({"type": "duration"}, {"default": "soon"}, "default", "default-value"),
    ({"type": "tags"}, {"default": ["a,b"]}, "default", "default-value"),
    ({"type": "tags"}, {"default": []}, "default", "default-value"),
    (
        {"type": "text"},
        {"format": "<{value}>", "truncate": 2},
        "truncate",
        "truncate-no-room",
    ),
]


@pytest.mark.parametrize(("shared", "said", "key", "code"), MAPS)
def test_what_a_map_cannot_do_is_refused(
    shared: dict[str, Any], said: dict[str, Any], key: str, code: str
) -> None:
    assert told(document(said, shared=shared)) == [(f"{OURS}/{key}", code)]


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ({"type": "tags"}, {"default": ["a", "b"]}),
        ({"type": "tags"}, {"default": "a,b"}),
        ({"type": "boolean"}, {"default": False}),
        ({"type": "number"}, {"default": 0}),
        (CHOICE, {"default": "x", "values": {"x": "1", "y": "2"}}),
        ({"type": "duration"}, {"default": "PT1H", "as": "servicenow"}),
        ({"type": "user"}, {"format": "acme\\{value}", "default": "Nobody"}),
        ({"type": "text"}, {"format": "<{value}>", "truncate": 3}),
    ],
)
def test_what_a_map_says_is_kept(shared: dict[str, Any], said: dict[str, Any]) -> None:
    definition = parse(document(said, shared=shared))

    assert parse(definition.to_document()) == definition
    written = definition.to_document()["members"]["a"]["fields"]["ours"]
    assert written == {"field": "theirs", **said}


CONSTANTS = "/members/a/constants"
BESIDE = [
    ({"c": "{title}"}, [(f"{CONSTANTS}/c", "constant-field")]),
    ({"c": "{"}, [(f"{CONSTANTS}/c", "bad-text")]),
    ({"c": "{Ours}"}, [(f"{CONSTANTS}/c", "bad-text")]),
    ({"c": None}, [(f"{CONSTANTS}/c", "wrong-type")]),
    ({"c": ["a"]}, [(f"{CONSTANTS}/c", "wrong-type")]),
    ({"c": 1e300}, [(f"{CONSTANTS}/c", "wrong-type")]),
    ({"c": "x" * 501}, [(f"{CONSTANTS}/c", "bad-text")]),
    ({"theirs": "x"}, [(f"{CONSTANTS}/theirs", "remote-name-twice")]),
    ({" c": "x"}, [(f"{CONSTANTS}/ c", "bad-name")]),
    ([], [(CONSTANTS, "wrong-type")]),
]


@pytest.mark.parametrize(("constants", "expected"), BESIDE)
def test_a_constant_that_cannot_be_written_is_refused(
    constants: Any, expected: list[tuple[str, str]]
) -> None:
    assert told(document({}, a={"constants": constants})) == expected


def test_a_constant_where_nothing_is_written_is_refused() -> None:
    said = document({}, a={"constants": {"c": 1}, "deliver": []})

    assert told(said) == [(CONSTANTS, "constant-unused")]


def test_a_field_may_go_to_a_member_in_a_text_alone() -> None:
    said = document({}, a={"constants": {"sum": "{ours}"}, "fields": {"rest": "rest"}})
    said["members"]["b"]["fields"] = {"ours": "ours", "rest": "rest"}

    definition = parse(said)

    assert definition.members["a"].sent == {"ours", "rest"}


REACH = [
    (
        {"c": {"capture": ["delete"], "deliver": []}},
        [("/members/c", "member-unreachable")],
    ),
    (
        {"c": {"capture": [], "deliver": ["create"], "ignore_changed_by": ["me"]}},
        [("/members/c/ignore_changed_by", "ignore-unused")],
    ),
    (
        {
            "a": {"capture": ["update"]},
            "b": {"deliver": EVERYTHING, "capture": ["create", "update"]},
        },
        [("/members/b/deliver", "delete-not-captured")],
    ),
    ({"a": {"capture": EVERYTHING}, "b": {"deliver": EVERYTHING}}, []),
]


@pytest.mark.parametrize(("members", "expected"), REACH)
def test_a_member_that_cannot_have_what_it_is_promised_is_refused(
    members: dict[str, dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    said = document({}, **{name: members.get(name, {}) for name in ("a", "b")})
    if "c" in members:
        own = {"table": "t", "fields": {"ours": "ours", "rest": "rest"}}
        said["members"]["c"] = own | members["c"]

    assert (told(said) if expected else parse(said) and []) == expected


def test_what_was_published_before_a_check_there_was_is_read_all_the_same() -> None:
    said = document({}, a={"capture": ["update"]}, b={"capture": ["update"]})
    said["members"]["a"]["deliver"] = EVERYTHING
    assert told(said) == [("/members/a/deliver", "delete-not-captured")]

    assert recorded(said).members["a"].deliver == ("create", "update", "delete")
