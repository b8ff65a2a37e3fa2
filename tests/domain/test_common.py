"""What all members of a definition have in common, said once."""

from __future__ import annotations

from typing import Any

import pytest

from rps.domain.document import DefinitionRefused, parse


def document(common: Any, **members: dict[str, Any]) -> dict[str, Any]:
    return {
        "process_event": "shared",
        "fields": {"title": {"type": "text"}, "state": {"type": "text"}},
        "journals": {"comments": {"visibility": "public"}},
        "common": common,
        "members": {name: members.get(name, {}) for name in ("a", "b")},
    }


COMMON: dict[str, Any] = {
    "table": "ticket",
    "capture": ["create", "update"],
    "delivery": "latest",
    "fields": {"title": "title", "state": {"field": "state"}},
    "journals": {"comments": "comments"},
    "constants": {"source": "rps"},
}


def told(said: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionRefused) as refused:
        parse(said)
    return [(problem.place, problem.code) for problem in refused.value.problems]


def test_each_member_has_what_is_common() -> None:
    members = parse(document(COMMON)).members

    for each in members.values():
        assert (each.table, each.delivery) == ("ticket", "latest")
        assert each.capture == ("create", "update")
        assert set(each.fields) == {"title", "state"}
        assert set(each.journals) == {"comments"}
        assert each.constants["source"].value == "rps"
    assert [each.system for each in members.values()] == ["a", "b"]


def test_what_a_member_says_itself_counts_name_by_name() -> None:
    own = {
        "table": "incident",
        "capture": ["update"],
        "fields": {"title": {"field": "short_description", "truncate": 80}},
        "constants": {"source": "us", "weight": 1},
    }

    a = parse(document(COMMON, a=own)).members["a"]

    assert (a.table, a.capture) == ("incident", ("update",))
    assert a.fields["title"].field == "short_description"
    assert a.fields["state"].field == "state"
    assert {name: each.value for name, each in a.constants.items()} == {
        "source": "us",
        "weight": 1,
    }


def test_the_written_out_document_says_the_same() -> None:
    definition = parse(document(COMMON))

    assert "common" not in definition.to_document()
    assert parse(definition.to_document()) == definition


MISTAKES = [
    ({"delivery": "newest"}, [("/common/delivery", "unknown-word")]),
    ({"tabel": "x"}, [("/common/tabel", "unknown-key")]),
    ({"fields": {"title": {"field": 7}, "state": "state"}}, "wrong-type"),
    ({"fields": {"title": {"feild": "t", "field": "t"}, "state": "s"}}, "unknown-key"),
    (
        {"fields": {"title": {"field": "t", "values": {"a": "b"}}, "state": "s"}},
        [("/common/fields/title/values", "type-mismatch")],
    ),
    (
        {"fields": {"title": "same", "state": "same"}},
        [("/common/fields/state", "remote-name-twice")],
    ),
    ({"fields": []}, [("/common/fields", "wrong-type")]),
    ({"capture_when": "x=1"}, [("/common/capture_when", "condition-field")]),
    ({"capture_while": True}, [("/common/capture_while", "condition-missing")]),
    (
        {"constants": {"c": "{titel}"}},
        [("/common/constants/c", "constant-field")],
    ),
]


@pytest.mark.parametrize(("common", "expected"), MISTAKES)
def test_a_mistake_is_told_once_where_it_is_written(
    common: dict[str, Any], expected: list[tuple[str, str]] | str
) -> None:
    found = told(document(COMMON | common))

    if isinstance(expected, str):
        assert [code for _, code in found] == [expected]
        assert found[0][0].startswith("/common/fields/title")
    else:
        assert found == expected


def test_what_every_member_overrides_is_checked_all_the_same() -> None:
    own = {"capture": ["update"]}

    found = told(document(COMMON | {"capture": ["read"]}, a=own, b=own))

    assert found == [("/common/capture/0", "bad-text")]


def test_what_is_missing_altogether_is_missing_at_the_member() -> None:
    common = {key: value for key, value in COMMON.items() if key != "table"}

    found = told(document(common, a={"table": "t"}))

    assert found == [("/members/b/table", "missing-key")]


def test_a_member_keeps_the_mistakes_of_its_own() -> None:
    found = told(document(COMMON, b={"fields": {"title": {"field": ""}}}))

    assert found == [("/members/b/fields/title/field", "bad-text")]


@pytest.mark.parametrize("common", [None, [], "x", 7])
def test_common_terms_are_a_mapping(common: Any) -> None:
    assert ("/common", "wrong-type") in told(document(common))


def test_a_document_that_grows_too_large_when_written_out_is_refused() -> None:
    values = [f"v{number}" for number in range(450)]
    said = document(COMMON)
    said["fields"] |= {
        f"f{number}": {"type": "choice", "values": values} for number in range(15)
    }
    table = {value: f"r {value}" for value in values}
    said["common"] = COMMON | {
        "fields": COMMON["fields"]
        | {
            f"f{number}": {"field": f"f{number}", "values": table}
            for number in range(15)
        }
    }

    assert told(said) == [("", "too-large")]
