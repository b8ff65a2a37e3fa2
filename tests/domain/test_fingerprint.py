"""Two cases of the same mistake have one fingerprint; different mistakes have two."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from rps.domain.causes import CAUSES, explained
from rps.domain.fingerprint import Fault, Place, fault_of, pattern, status_in

sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from examples import example

AT = Place("incident", "zenith-jira")

SAME: list[tuple[str, str, str]] = [
    (
        "values",
        "'priority': 'urgent' is not a shared value; known: 'high', 'low'",
        "'priority': 'it's \"now\"' is not a shared value; known: 'high', 'low'",
    ),
    (
        "values that are no text",
        "'due': 17 is not a date-time; write ISO 8601 with a zone",
        "'due': 'next week' is not a date-time; write ISO 8601 with a zone",
    ),
    (
        "known values",
        "'state': 'x' has no shared value; known: '1', '2' and 7 more",
        "'state': 'y' has no shared value; known: '1', '2', '3' and 9 more",
    ),
    (
        "lengths",
        "'note': 'abc' has 90 characters, at most 80 fit",
        "'note': 'xyz' has 4000 characters, at most 80 fit",
    ),
    (
        "record ids",
        "answered 422: Invalid: Record INC0010042 is locked",
        "answered 422: Invalid: Record CS99 is locked",
    ),
    (
        "uuids and hexadecimal ids",
        "answered 400: no sys_id c0ffee00-0000-5000-8000-000000000001",
        "answered 400: no sys_id 9d385017c611228701d22104cc95c371",
    ),
    (
        "dates",
        "answered 503: Maintenance until 2026-11-24T10:00:00Z",
        "answered 503: Maintenance until 2026-11-25 06:30:00",
    ),
    (
        "addresses",
        "answered 404: https://zenith.example/api/now/table/incident/1 not found",
        "answered 404: https://zenith.example/api/now/table/incident/2?x=y not found",
    ),
    (
        "people",
        "answered 422: ada.l@zenith.example may not be assigned",
        "answered 422: bob@zenith.example may not be assigned",
    ),
    (
        "attempts",
        "tried 14 times: answered 503: Busy",
        "tried 3 times: answered 503: Busy",
    ),
    (
        "files",
        "tried 5 times to get the file 'a.png' (3 MB) of acme: it is not there",
        "tried 5 times to get the file 'b c.pdf' (17 kB) of acme: it is not there",
    ),
    ("quoted texts", 'answered 422: "Bo" is unknown', "answered 422: 'Al' is unknown"),
]
DIFFERENT: list[tuple[str, str, str]] = [
    ("status", "answered 422: Invalid", "answered 400: Invalid"),
    (
        "field",
        "'priority': 'x' is not a shared value; known: 'high'",
        "'state': 'x' is not a shared value; known: 'high'",
    ),
    ("text", "answered 422: no such group", "answered 422: no such user"),
    (
        "what is wrong with a value",
        "'n': 'x' is not a number",
        "'n': 'x' is not a finite number",
    ),
]


def parked(detail: str, place: Place = AT, **more: Any) -> Fault:
    about = {"detail": detail, "step": "", **more}
    fault = fault_of(example("message.parked", **about), place)
    assert fault is not None
    return fault


@pytest.mark.parametrize(("what", "one", "other"), SAME)
def test_what_differs_from_case_to_case_does_not_count(
    what: str, one: str, other: str
) -> None:
    assert parked(one) == parked(other), what
    assert parked(one).fingerprint == parked(other).fingerprint


@pytest.mark.parametrize(("what", "one", "other"), DIFFERENT)
def test_different_mistakes_are_told_apart(what: str, one: str, other: str) -> None:
    assert parked(one).fingerprint != parked(other).fingerprint, what


def test_every_part_of_a_fault_makes_another_fingerprint() -> None:
    fault = parked("answered 422: Invalid")
    others = {
        replace(fault, **{each.name: 500 if each.name == "status" else "other"})
        for each in fields(fault)
    }
    prints = {each.fingerprint for each in (fault, *others)}
    assert len(prints) == len(fields(fault)) + 1
    assert all(len(each) == 16 for each in prints)


def test_a_record_has_no_part_in_it() -> None:
    one = example("change.failed", detail="'a': 1 is not a text", field="a", sequence=1)
    two = example("change.failed", detail="'a': 2 is not a text", field="a", value=2)
    assert fault_of(one, AT) == fault_of(two, AT)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("retryable", "ready"),
        ("credentials", "ready"),
        ("gone", "ready"),
        ("postponed", "ready"),
        ("uncertain", "uncertain"),
        ("moved", None),
        ("permanent", None),
    ],
)
def test_a_failed_attempt_is_a_fault_unless_something_else_is_told_of_it(
    kind: str, state: str | None
) -> None:
    fault = fault_of(example("message.failed", kind=kind), AT)
    assert (fault.state if fault else None) == state


def test_what_is_no_error_has_no_fault() -> None:
    assert fault_of(example("message.acknowledged"), AT) is None


def test_a_hostile_text_is_read_in_no_time_and_cut() -> None:
    for text in ("'" * 50_000, "a@" * 25_000, "1" * 50_000, "'x': " * 10_000):
        assert len(pattern(text)) <= 160


@pytest.mark.parametrize(
    ("detail", "status"),
    [("answered 503: x", 503), ("tried 14 times: answered 404", 404), ("no", 0)],
)
def test_a_status_is_read_from_the_text(detail: str, status: int) -> None:
    assert status_in(detail) == status


EXPLAINED: list[tuple[str, Fault | None]] = [
    ("value-unknown", parked("'p': 'x' is not a shared value; known: 'a'")),
    ("value-too-long", parked("'p': 'x' has 9 characters, at most 3 fit")),
    (
        "internal-to-public",
        parked("'c': 'c' and 'w' differ: an internal note would become public"),
    ),
    ("value-unreadable", parked("'p': 'x' is not a number")),
    ("step-failed", replace(parked("x"), step="look up")),
    (
        "attachment-missing",
        parked("tried 5 times to get the file 'a' (1 kB) of acme: it is not there"),
    ),
    (
        "attachment-differs",
        parked("the file 'a' (1 kB) of acme is not what was offered (SHA-256 0): x"),
    ),
    ("record-gone", parked("the record is not there any more")),
    ("moved-too-often", parked("made anew 10 times, refused each time")),
    (
        "record-of-another",
        parked("the system answered with a record that belongs to another correlation"),
    ),
    ("unsettled", parked("answered 404: a person must look")),
    ("credentials", parked("answered 403: no")),
    (
        "credentials",
        fault_of(example("message.failed", kind="credentials", status=401), AT),
    ),
    ("system-gone", fault_of(example("message.failed", kind="gone", status=410), AT)),
    (
        "node-postponed",
        fault_of(example("message.failed", kind="postponed", status=202), AT),
    ),
    ("answer-lost", fault_of(example("message.failed", kind="uncertain"), AT)),
    ("throttled", fault_of(example("message.failed", status=429), AT)),
    ("not-found", parked("answered 404")),
    ("too-large", parked("answered 413")),
    ("moved", parked("answered 409: x")),
    ("refused", parked("answered 422: x")),
    ("system-fails", fault_of(example("message.failed", status=503), AT)),
    (
        "unreachable",
        fault_of(example("message.failed", status=None, detail="not done in time"), AT),
    ),
    ("gave-up", parked("tried 14 times: not done in time")),
    ("other", parked("something new")),
]


@pytest.mark.parametrize(("code", "fault"), EXPLAINED)
def test_a_known_cause_comes_with_what_to_do(code: str, fault: Fault | None) -> None:
    assert fault is not None
    told = explained(fault)
    assert told.code == code
    for text in (told.cause, told.remedy):
        assert text
        assert "{" not in text


def test_every_cause_has_its_case() -> None:
    assert {code for code, _ in EXPLAINED} == {cause.code for cause in CAUSES}
