from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rps.domain.agreement import Definition
from rps.domain.document import DefinitionRefused, Problem, parse
from rps.domain.problem import in_order

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "incident.yaml"


def example() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    return loaded


def small() -> dict[str, Any]:
    return {
        "process_event": "incident.shared",
        "fields": {"title": {"type": "text"}},
        "members": {
            "acme": {"table": "incident", "fields": {"title": "short_description"}},
            "globex": {"table": "ticket", "fields": {"title": "summary"}},
        },
    }


def changed(place: str, value: object) -> dict[str, Any]:
    """The example with the value at `place` replaced."""
    document = example()
    *parents, last = place.strip("/").split("/")
    inside = document
    for part in parents:
        inside = inside[part]
    inside[last] = value
    return document


def problems(document: object) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionRefused) as refused:
        parse(document)
    return refused.value.problems


def told(document: object) -> list[tuple[str, str]]:
    return [(each.place, each.code) for each in problems(document)]


def test_the_example_is_a_definition() -> None:
    definition = parse(example())

    assert definition.domain == "top"
    assert definition.members["globex"].system == "globex"
    assert definition.members["globex"].deliver == ("create", "update")
    assert definition.members["acme"].fields["title"].truncate == 80


def test_defaults_are_filled_in() -> None:
    definition = parse(small())

    acme = definition.members["acme"]
    assert acme.capture == ("create", "update", "delete")
    assert acme.deliver == ("create", "update")
    assert definition.fields["title"].policy == "newer_wins"


@pytest.mark.parametrize("document", [example(), small()])
def test_the_canonical_document_says_the_same(document: dict[str, Any]) -> None:
    definition = parse(document)

    canonical = definition.to_document()

    assert parse(json.loads(json.dumps(canonical))) == definition
    assert parse(canonical).to_document() == canonical


def test_a_definition_cannot_be_changed() -> None:
    definition = parse(small())

    with pytest.raises(dataclasses.FrozenInstanceError):
        definition.domain = "top/other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        definition.members["x"] = definition.members["acme"]  # type: ignore[index]


def test_files_are_kept_for_so_many_days_where_there_are_files() -> None:
    document = example() | {"retention": {"attachments": "90 d"}}
    definition = parse(document)
    assert definition.attachments_kept_days == 90
    assert definition.to_document()["retention"] == {"attachments": "90 d"}

    del document["attachments"]
    assert told(document) == [("/retention/attachments", "retention-unused")]


def test_hub_wins_is_another_word_for_local_wins() -> None:
    document = changed("/fields/due/policy", "hub wins")

    assert parse(document).fields["due"].policy == "local_wins"


PRIORITY = "/members/acme/fields/priority"
TABLE = {"critical": "1", "high": "2", "moderate": "3", "low": "4"}

SHAPES = [
    ("/retention", [], [("/retention", "wrong-type")]),
    ("/retention", {"processed": "1 d"}, [("/retention/processed", "unknown-key")]),
    ("/retention", {"attachments": 90}, [("/retention/attachments", "wrong-type")]),
    ("/retention", {"attachments": "0 d"}, [("/retention/attachments", "bad-text")]),
    ("/retention", {"attachments": "9 w"}, [("/retention/attachments", "bad-text")]),
    ("/process_event", "-x", [("/process_event", "bad-text")]),
    ("/process_event", "x" * 81, [("/process_event", "bad-text")]),
    ("/process_event", "x\n", [("/process_event", "bad-text")]),
    ("/process_event", 7, [("/process_event", "wrong-type")]),
    ("/domain", "Top", [("/domain", "bad-text")]),
    ("/domain", "top//a", [("/domain", "bad-text")]),
    ("/description", "\x00", [("/description", "bad-text")]),
    ("/description", None, [("/description", "wrong-type")]),
    ("/journals", None, [("/journals", "wrong-type")]),
    ("/fields/due/type", "datetime", [("/fields/due/type", "unknown-word")]),
    ("/fields/due", {}, [("/fields/due/type", "missing-key")]),
    ("/fields/due", None, [("/fields/due", "wrong-type")]),
    ("/fields/due/tpye", "text", [("/fields/due/tpye", "unknown-key")]),
    ("/fields/due/owner", "Acme", [("/fields/due/owner", "bad-text")]),
    ("/fields/title/max_length", 0, [("/fields/title/max_length", "out-of-range")]),
    ("/fields/title/max_length", True, [("/fields/title/max_length", "out-of-range")]),
    ("/fields/state/values/0", 1, [("/fields/state/values/0", "bad-text")]),
    ("/fields/state/values/0", "waiting", [("/fields/state/values/2", "repeated")]),
    ("/fields/state/values", "new", [("/fields/state/values", "wrong-type")]),
    ("/journals/comments", {}, [("/journals/comments/visibility", "missing-key")]),
    ("/members/acme/capture", None, [("/members/acme/capture", "wrong-type")]),
    ("/members/acme/capture", ["read"], [("/members/acme/capture/0", "bad-text")]),
    ("/members/acme/table", " x", [("/members/acme/table", "bad-text")]),
    ("/members/acme/fields/due", 1, [("/members/acme/fields/due", "wrong-type")]),
    (f"{PRIORITY}/values/low", 4, [(f"{PRIORITY}/values/low", "wrong-type")]),
    (f"{PRIORITY}/values/low", "", [(f"{PRIORITY}/values/low", "bad-text")]),
]


@pytest.mark.parametrize(("place", "value", "expected"), SHAPES)
def test_a_wrong_shape_is_told_once_and_where_it_is(
    place: str, value: object, expected: list[tuple[str, str]]
) -> None:
    document = example()
    *parents, last = place.strip("/").split("/")
    inside: Any = document
    for part in parents:
        inside = inside[part]
    inside[int(last) if isinstance(inside, list) else last] = value

    assert told(document) == expected


SENSE = [
    ("/process_event", "schema", [("/process_event", "reserved-name")]),
    ("/fields/due/values", ["x"], [("/fields/due/values", "type-mismatch")]),
    ("/fields/due/max_length", 9, [("/fields/due/max_length", "type-mismatch")]),
    ("/fields/due/policy", "merge", [("/fields/due/policy", "type-mismatch")]),
    ("/fields/state/values", [], "values-missing"),
    ("/fields/priority/owner", "acne", [("/fields/priority/owner", "owner-unknown")]),
    ("/fields/due/owner", "acme", [("/fields/due/owner", "owner-unused")]),
    ("/fields/due/policy", "owner", [("/fields/due", "owner-missing")]),
    (
        "/members/acme/capture",
        [],
        [
            ("/fields/priority/owner", "owner-cannot-write"),
            ("/members/acme/capture_when", "condition-unused"),
        ],
    ),
    ("/members/acme/fields/dew", "x", [("/members/acme/fields/dew", "unknown-field")]),
    ("/members/acme/journals/note", "x", "unknown-journal"),
    (
        "/members/acme/journals/comments",
        {"journal": "comments", "prefix": "{who}: "},
        "bad-text",
    ),
    ("/members/acme/delivery", "newest", "unknown-word"),
    (
        "/members/acme/fields/effort",
        "due_date",
        [("/members/acme/fields/due", "remote-name-twice")],
    ),
    ("/members/acme/journals/comments", "due_date", "remote-name-twice"),
    ("/members/acme/fields/title", "work_notes", "journal-as-field"),
    (f"{PRIORITY}/values/lowest", "5", "values-unknown"),
    (
        f"{PRIORITY}/values",
        {"critical": "1", "high": "2", "moderate": "3"},
        [(f"{PRIORITY}/values", "values-incomplete")],
    ),
    (
        f"{PRIORITY}/values",
        TABLE | {"low": "3"},
        [(f"{PRIORITY}/values", "values-ambiguous")],
    ),
    ("/members/acme/fields/due", {"field": "d", "values": {"a": "b"}}, "type-mismatch"),
    ("/members/acme/fields/due", {"field": "d", "truncate": 3}, "type-mismatch"),
    ("/members/globex/system", "acme", None),
    (
        "/members/initech",
        {"table": "t", "attachments": False},
        [("/members/initech", "maps-nothing")],
    ),
    (
        "/members/initech",
        {"table": "t", "fields": {"due": "d"}, "capture": [], "deliver": []},
        [("/members/initech", "member-idle")],
    ),
    (
        "/members/initech",
        {
            "system": "acme",
            "table": "incident",
            "fields": {"due": "d"},
            "attachments": False,
        },
        [("/members/initech", "same-table")],
    ),
    ("/fields/extra", {"type": "text"}, [("/fields/extra", "field-unmapped")]),
    (
        "/journals/extra",
        {"visibility": "public"},
        [("/journals/extra", "journal-unmapped")],
    ),
]


@pytest.mark.parametrize(("place", "value", "expected"), SENSE)
def test_what_makes_no_sense_is_refused_with_its_code(
    place: str, value: object, expected: list[tuple[str, str]] | str | None
) -> None:
    document = changed(place, value)

    if expected is None:
        parse(document)
    elif isinstance(expected, str):
        assert expected in [code for _, code in told(document)]
    else:
        assert told(document) == expected


def test_every_mistake_is_told_at_once_in_order_of_place() -> None:
    document = example()
    document["fields"]["due"]["policy"] = "merge"
    document["fields"]["title"]["max_length"] = "many"
    document["members"]["acme"]["fields"]["priority"]["values"].pop("low")
    document["members"]["globex"]["tabel"] = document["members"]["globex"].pop("table")

    assert told(document) == [
        ("/fields/due/policy", "type-mismatch"),
        ("/fields/title/max_length", "out-of-range"),
        (f"{PRIORITY}/values", "values-incomplete"),
        ("/members/globex/tabel", "unknown-key"),
        ("/members/globex/table", "missing-key"),
    ]


def test_a_misspelt_word_gets_its_likely_meaning_as_a_remedy() -> None:
    document = changed("/members/acme/fields/prioritty", "impact")

    (problem,) = problems(document)

    assert problem.cause == "there is no shared field 'prioritty'"
    assert problem.remedy == "did you mean 'priority'?"


WAYS = [
    ([], ["update"], [], ["update"], [("/members", "nothing-captured")]),
    (["update"], [], ["update"], [], [("/members", "nothing-delivered")]),
    (["delete"], ["update"], ["delete"], [], "field-not-captured"),
    (["update"], ["delete"], ["update"], ["delete"], "field-not-delivered"),
    (["update"], ["update"], ["delete"], [], "field-goes-nowhere"),
    (["update"], [], [], ["update"], []),
]


@pytest.mark.parametrize(("a_out", "a_in", "b_out", "b_in", "expected"), WAYS)
def test_a_field_needs_a_way_from_one_member_to_another(
    a_out: list[str],
    a_in: list[str],
    b_out: list[str],
    b_in: list[str],
    expected: list[tuple[str, str]] | str,
) -> None:
    document = small()
    document["members"]["acme"] |= {"capture": a_out, "deliver": a_in}
    document["members"]["globex"] |= {"capture": b_out, "deliver": b_in}

    if expected == []:
        assert isinstance(parse(document), Definition)
    elif isinstance(expected, str):
        assert told(document) == [("/fields/title", expected)]
    else:
        assert told(document) == expected


@pytest.mark.parametrize(
    ("ways", "code"),
    [
        ((["delete"], ["update"], ["delete"], []), "journal-not-captured"),
        ((["update"], ["delete"], ["update"], ["delete"]), "journal-not-delivered"),
        ((["update"], ["update"], ["delete"], []), "journal-goes-nowhere"),
    ],
)
def test_a_journal_needs_a_way_from_one_member_to_another(
    ways: tuple[list[str], ...], code: str
) -> None:
    document = small()
    document["fields"] = {}
    document["journals"] = {"comments": {"visibility": "public"}}
    for name, index in (("acme", 0), ("globex", 2)):
        document["members"][name] |= {
            "capture": ways[index],
            "deliver": ways[index + 1],
            "fields": {},
            "journals": {"comments": "comments"},
        }

    assert told(document) == [("/journals/comments", code)]


def test_a_journal_mapped_by_one_member_goes_nowhere() -> None:
    document = example()
    del document["members"]["globex"]["journals"]["work_notes"]

    assert told(document) == [("/journals/work_notes", "journal-mapped-once")]


def test_a_field_mapped_by_one_member_goes_nowhere() -> None:
    document = example()
    del document["members"]["globex"]["fields"]["due"]

    assert told(document) == [("/fields/due", "field-mapped-once")]


def test_one_member_is_not_enough() -> None:
    document = small()
    del document["members"]["globex"]

    assert told(document) == [("/members", "too-few-members")]


LEAKS = [
    # shared, the member's journal, refused
    ("internal", {"journal": "wall", "visibility": "public"}, True),
    ("internal", "comments", True),
    ("internal", "Additional Comments", True),
    ("internal", {"journal": "comments", "visibility": "internal"}, False),
    ("internal", "wall", False),
    ("internal", "work_notes", False),
    ("public", "comments", False),
    ("public", "wall", False),
    ("public", "work_notes", True),
    ("public", {"journal": "wall", "visibility": "internal"}, True),
    ("public", {"journal": "work_notes", "visibility": "public"}, False),
]


@pytest.mark.parametrize(("shared", "journal", "refused"), LEAKS)
def test_an_internal_journal_never_meets_a_public_one(
    shared: str, journal: object, *, refused: bool
) -> None:
    document = small()
    document["journals"] = {"notes": {"visibility": shared}}
    document["members"]["acme"]["journals"] = {"notes": journal}
    document["members"]["globex"]["journals"] = {"notes": "notes"}

    if refused:
        place = "/members/acme/journals/notes"
        assert told(document) == [(place, "internal-to-public")]
    else:
        definition = parse(document)
        assert parse(definition.to_document()) == definition


def test_a_public_journal_may_be_written_to_an_internal_one_that_is_not_captured() -> (
    None
):
    document = small()
    document["journals"] = {"notes": {"visibility": "public"}}
    document["members"]["acme"] |= {"journals": {"notes": "work_notes"}, "capture": []}
    document["members"]["globex"]["journals"] = {"notes": "notes"}

    assert parse(document).members["acme"].journals["notes"].visibility == "internal"


@pytest.mark.parametrize("document", [None, [], "x", 1, float("nan"), {}, {1: 2}])
def test_what_is_no_definition_at_all_is_refused(document: object) -> None:
    assert problems(document)


def test_a_document_that_contains_itself_is_refused() -> None:
    document = small()
    document["fields"]["title"]["values"] = [document]

    assert told(document) == [("", "too-large")]


def test_a_document_beyond_the_limits_is_refused() -> None:
    text = {"type": "text"}
    many = changed("/fields", {f"f{number}": text for number in range(201)})
    crowd = changed("/members", {f"m{number}": {} for number in range(21)})
    huge = changed("/fields", {f"f{number}": text for number in range(20_000)})

    assert ("/fields", "too-many") in told(many)
    assert ("/members", "too-many") in told(crowd)
    assert told(huge) == [("", "too-large")]


def test_problems_can_always_be_printed_and_sent() -> None:
    document = small()
    document["\ud800\x00" * 100] = 10**5000
    document["fields"]["a/b~\n"] = {"type": "\udfff", "max_length": 10**5000}
    document["members"][None] = {}

    for problem in problems(document):
        json.dumps(dataclasses.asdict(problem), ensure_ascii=False).encode()
        assert len(problem.place) < 400


def test_thousands_of_misspelt_words_are_told_quickly() -> None:
    """Comparing every unknown word with every known one takes seconds."""
    document = small()
    document |= {f"proces_event_{number}": 1 for number in range(5000)}

    assert len(problems(document)) == 5000


WORDS = sorted(
    {"type", "policy", "owner", "values", "manual", "field", "visibility", "create"}
    | {"text", "choice", "tags", "merge", "title", "notes", "acme", "public", "table"}
)
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=[]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(WORDS) | st.text(max_size=3) | st.none() | st.integers(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def parses_or_refuses(document: object) -> None:
    found = refusal_of(document)
    if found is None:
        definition = parse(document)
        assert parse(definition.to_document()) == definition
    else:
        assert found.problems
        assert found.problems == in_order(found.problems)
        str(found).encode()


def refusal_of(document: object) -> DefinitionRefused | None:
    try:
        parse(document)
    except DefinitionRefused as refused:
        return refused
    return None


@settings(max_examples=60, deadline=None)
@given(junk)
def test_nothing_but_a_refusal_is_raised(document: object) -> None:
    parses_or_refuses(document)


def places(inside: object) -> list[tuple[Any, Any]]:
    if isinstance(inside, dict):
        keys: list[Any] = list(inside)
    else:
        keys = list(range(len(inside))) if isinstance(inside, list) else []
    found = [(inside, key) for key in keys]
    for key in keys:
        found += places(inside[key])  # type: ignore[index]
    return found


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_good_document_with_junk_in_it_is_refused_or_read(
    data: st.DataObject,
) -> None:
    document = copy.deepcopy(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        inside, key = data.draw(st.sampled_from(places(document)))
        match data.draw(st.sampled_from(["replace", "remove", "rename"])):
            case "replace":
                inside[key] = data.draw(junk)
            case "rename" if isinstance(inside, dict):
                inside[data.draw(st.sampled_from([*WORDS, None, 3]))] = inside.pop(key)
            case _:
                del inside[key]

    parses_or_refuses(document)


GOOD = example()


def test_a_journal_says_what_its_system_can_do() -> None:
    document = changed(
        "/members/globex/journals/comments",
        {"journal": "comments", "edits": True, "earlier_entries": True},
    )
    definition = parse(document)
    comments = definition.members["globex"].journals["comments"]
    assert (comments.edits, comments.earlier_entries) == (True, True)
    assert parse(definition.to_document()) == definition
    notes = definition.members["globex"].journals["work_notes"]
    assert "edits" not in notes.to_document()


@pytest.mark.parametrize("value", ["yes", 1, None, []])
@pytest.mark.parametrize("key", ["edits", "earlier_entries"])
def test_what_a_journal_can_do_is_true_or_false(key: str, value: Any) -> None:
    place = "/members/globex/journals/comments"
    document = changed(place, {"journal": "comments", key: value})
    assert told(document) == [(f"{place}/{key}", "wrong-type")]
