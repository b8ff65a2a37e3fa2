"""The JSON Schema and the reader say the same of a document's shape."""

from __future__ import annotations

import copy
import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rps.domain import document
from rps.domain.document import DefinitionRefused, parse
from rps.domain.document_schema import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("docs/examples").glob("*.yaml"))
SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)

OF_SHAPE = {
    *("wrong-type", "missing-key", "unknown-key", "bad-name", "bad-text"),
    *("unknown-word", "out-of-range", "repeated", "too-many", "too-few-members"),
    *("step-kind", "step-map-twice"),
}
"""Codes of problems that JSON Schema can tell; the others are about sense."""

FULL: dict[str, Any] = {
    "process_event": "everything",
    "domain": "top/acme",
    "description": "All keys there are.",
    "fields": {
        "title": {"type": "text", "max_length": 40, "policy": "hub wins"},
        "kind": {"type": "choice", "values": ["bug", "wish"]},
        "tags": {"type": "tags"},
        "owner": {"type": "user", "policy": "owner", "owner": "a"},
        "spent": {"type": "duration"},
    },
    "journals": {"comments": {"visibility": "public"}},
    "attachments": {
        "journal": "comments",
        "size_max": "25 MB",
        "extensions": ["png"],
        "deletion": True,
    },
    "retention": {"attachments": "90 d"},
    "common": {
        "table": "ticket",
        "journals": {"comments": "comments"},
        "constants": {"source": "rps", "weight": 1.5, "sum": "{title} {{{kind}}}"},
        "fields": {"spent": "spent"},
    },
    "members": {
        "a": {
            "system": "acme",
            "table": "incident",
            "capture": ["create", "update"],
            "deliver": ["update"],
            "delivery": "latest",
            "attachments": True,
            "capture_when": "short=x",
            "capture_while": True,
            "ignore_changed_by": ["robot"],
            "flows": {
                "inbound": [
                    {"name": "low", "skip_when": "short=y"},
                    "map",
                    {"name": "new", "set": {"title": "{kind}", "kind": None}},
                    {"name": "must", "require": "titleISNOTEMPTY", "otherwise": "say"},
                    {
                        "name": "sort",
                        "when": "kind=bug",
                        "call": "sorts",
                        "into": "kind",
                    },
                    {
                        "name": "rate",
                        "call": {
                            "action": "rates",
                            "with": {"text": "{title}", "deep": True},
                            "seconds": 5,
                            "megabytes": 64,
                        },
                        "into": {"kind": "kind"},
                    },
                ],
                "outbound": [
                    {
                        "name": "who",
                        "lookup": {
                            "table": "users",
                            "by": "mail",
                            "value": "{owner}",
                            "take": "login",
                            "at": "b",
                        },
                        "into": "owner",
                        "missing": "keep",
                    },
                    {
                        "name": "company",
                        "create_if_missing": {
                            "table": "firms",
                            "by": "name",
                            "value": "{k}",
                            "with": {"name": "{k}", "size": 3},
                        },
                        "into": "firm",
                    },
                    {"name": "tell", "notify": "{short} changed"},
                ],
            },
            "fields": {
                "title": {"field": "short", "truncate": 20, "format": "<{value}>"},
                "kind": {"field": "k", "values": {"bug": "1", "wish": "2"}},
                "tags": {"field": "tags", "default": ["new"]},
                "owner": {"field": "owner", "default": "nobody"},
                "spent": {"field": "time", "as": "servicenow", "default": 0},
            },
            "journals": {
                "comments": {
                    "journal": "comments",
                    "visibility": "public",
                    "prefix": "[{author}] ",
                    "edits": True,
                    "earlier_entries": False,
                }
            },
        },
        "b": {
            "fields": {"title": "title", "kind": "kind", "tags": "t", "owner": "who"}
        },
    },
}
JUNK: list[Any] = [
    *(None, True, 0, 1, -1, 7.5, 10**20, [], {}, ["x"], ["x", "x"], [1], [["x"]]),
    *("", " ", "x", " x", "X", "x-y", "a_b", "é", "1", "x" * 41, "x" * 130, "x" * 600),
    *("text", "tags", "owner", "create", "latest", "public", "hub_wins", "3 GB"),
    *("{value}", "{author}", "{title}", "{", "{{", "top/a", "top//a", "a=b"),
    *({"x": "y"}, {"field": "x"}, {"journal": "x"}, {"type": "text"}, {"X": 1}),
]


def places(inside: object) -> Iterator[tuple[Any, Any]]:
    """Every container with each key there is in it."""
    if isinstance(inside, dict):
        keys: list[Any] = list(inside)
    else:
        keys = list(range(len(inside))) if isinstance(inside, list) else []
    for key in keys:
        yield inside, key
        yield from places(inside[key])  # type: ignore[index]


def shape_is_refused(said: object) -> bool:
    try:
        parse(said)
    except DefinitionRefused as refused:
        return any(problem.code in OF_SHAPE for problem in refused.problems)
    return False


def disagreement(said: object) -> str:
    refused = shape_is_refused(said)
    if refused != VALIDATOR.is_valid(said):
        return ""
    errors = [error.message for error in VALIDATOR.iter_errors(said)]
    return f"the reader {'refuses' if refused else 'takes'} it, JSON Schema: {errors}"


def test_it_is_a_schema_of_its_dialect() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_taken_by_both(file: Path) -> None:
    said = yaml.safe_load(file.read_text())

    parse(said)
    VALIDATOR.validate(said)


def test_a_document_with_all_keys_is_taken_by_both() -> None:
    parse(FULL)
    VALIDATOR.validate(FULL)
    VALIDATOR.validate(parse(FULL).to_document())


KEYS = {
    "field": document.FIELD_KEYS,
    "journal": document.JOURNAL_KEYS,
    "attachments": document.ATTACHMENTS_KEYS,
    "retention": document.RETENTION_KEYS,
    "member": document.MEMBER_KEYS,
    "field_map": document.FIELD_MAP_KEYS,
    "journal_map": document.JOURNAL_MAP_KEYS,
}


def test_it_has_the_keys_that_the_reader_has() -> None:
    assert set(SCHEMA["properties"]) == set(document.DEFINITION_KEYS)
    for name, keys in KEYS.items():
        assert set(SCHEMA["$defs"][name]["properties"]) == set(keys), name


def test_every_key_says_what_it_is_for() -> None:
    properties = [SCHEMA["properties"]]
    properties += [SCHEMA["$defs"][name]["properties"] for name in KEYS]
    for key, said in itertools.chain.from_iterable(map(dict.items, properties)):
        assert "description" in said or "$ref" in said, key


def mutations() -> Iterator[tuple[str, Any]]:
    """FULL with one thing replaced, left out or added."""
    for number, (inside, key) in enumerate(list(places(FULL))):
        for junk in [*JUNK, "(left out)", "(added)"]:
            said = copy.deepcopy(FULL)
            there, at = next(itertools.islice(places(said), number, None))
            if junk == "(left out)":
                del there[at]
            elif junk == "(added)":
                if isinstance(there, dict):
                    there["another one"] = 1
            else:
                there[at] = junk
            yield f"{inside[key]!r} at {key!r}: {junk!r}", said


def test_they_agree_about_a_thousand_mistakes() -> None:
    """Drawn from four thousand, always the same ones."""
    every = list(mutations())
    some = random.Random(20261124).sample(every, 1500)
    found = {what: how for what, said in some if (how := disagreement(said))}

    assert found == {}


@pytest.mark.parametrize("said", [None, [], "x", 7, {}, {"members": []}])
def test_they_agree_about_what_is_no_definition(said: object) -> None:
    assert disagreement(said) == ""


def test_they_agree_about_too_many_of_each() -> None:
    names = {f"n{number}": {"type": "text"} for number in range(201)}
    for key, value in {
        "fields": names,
        "journals": {f"j{n}": {"visibility": "public"} for n in range(21)},
        "members": {f"m{n}": {"table": "t"} for n in range(21)},
    }.items():
        said = {**FULL, key: value}
        assert shape_is_refused(said)
        assert disagreement(said) == ""
