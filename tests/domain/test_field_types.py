"""Users, references and durations: one form of each, however systems write them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from rps.domain.canonical import DURATION_MAX, READERS, Unreadable, duration_written
from rps.domain.condition import ConditionRefused, Subject, bind

HOUR_AND_A_HALF = 5400

DURATIONS = [
    (5400, HOUR_AND_A_HALF),
    (5400.0, HOUR_AND_A_HALF),
    ("5400", HOUR_AND_A_HALF),
    ("5.4e3", HOUR_AND_A_HALF),
    ("PT1H30M", HOUR_AND_A_HALF),
    ("PT90M", HOUR_AND_A_HALF),
    ("PT5400S", HOUR_AND_A_HALF),
    ("PT5400.000S", HOUR_AND_A_HALF),
    ("01:30:00", HOUR_AND_A_HALF),
    ("1970-01-01 01:30:00", HOUR_AND_A_HALF),
    ("P1DT1H30M", 86400 + HOUR_AND_A_HALF),
    ("1 01:30:00", 86400 + HOUR_AND_A_HALF),
    ("1970-01-02 01:30:00", 86400 + HOUR_AND_A_HALF),
    ("P1W", 604800),
    ("P2D", 172800),
    ("PT0S", 0),
    ("1970-01-01 00:00:00", 0),
    (0, 0),
    ("9999-12-31 23:59:59", DURATION_MAX),
]


@pytest.mark.parametrize(("value", "seconds"), DURATIONS)
def test_a_duration_is_whole_seconds_however_it_is_written(
    value: Any, seconds: int
) -> None:
    read = READERS["duration"](value)

    assert (read, type(read)) == (seconds, int)


NO_DURATIONS = [
    ("P", "is not a duration"),
    ("PT", "is not a duration"),
    ("P1DT", "is not a duration"),
    ("P1M", "is not a duration"),  # a month has no fixed length
    ("P1Y", "is not a duration"),
    ("pt1h", "is not a duration"),
    ("1:75:00", "is not a duration"),
    ("1h 30m", "is not a duration"),
    ("1970-13-01 00:00:00", "is not a date-time"),
    ("PT0.5S", "is not a duration"),
    (1.5, "has parts of a second"),
    ("1.5", "has parts of a second"),
    (-1, "is no duration"),
    ("1969-12-31 23:59:59", "is no duration"),
    (DURATION_MAX + 1, "is no duration"),
    (True, "is not a number"),
    (["PT1H"], "is not a number"),
    ("9" * 500, "is not a duration"),
]


@pytest.mark.parametrize(("value", "detail"), NO_DURATIONS)
def test_what_is_no_duration_is_refused(value: Any, detail: str) -> None:
    with pytest.raises(Unreadable, match=detail):
        READERS["duration"](value)


WRITTEN = [
    (0, "PT0S", "1970-01-01 00:00:00"),
    (1, "PT1S", "1970-01-01 00:00:01"),
    (5400, "PT1H30M", "1970-01-01 01:30:00"),
    (86400, "P1D", "1970-01-02 00:00:00"),
    (86400 + 5400, "P1DT1H30M", "1970-01-02 01:30:00"),
]


@pytest.mark.parametrize(("seconds", "iso8601", "servicenow"), WRITTEN)
def test_a_duration_is_written_as_its_member_wants_it(
    seconds: int, iso8601: str, servicenow: str
) -> None:
    assert duration_written(seconds, "seconds") == seconds
    assert duration_written(seconds, "iso8601") == iso8601
    assert duration_written(seconds, "servicenow") == servicenow


@pytest.mark.parametrize("value", ["Ada@Acme.Example", " ada@acme.example "])
def test_a_user_is_a_key_in_which_capitals_do_not_count(value: str) -> None:
    assert READERS["user"](value) == "ada@acme.example"


def test_reading_a_user_again_changes_nothing_whatever_the_letter() -> None:
    user = READERS["user"]
    letters = (chr(point) for point in range(32, sys.maxunicode + 1))
    folded = [user(each) for each in letters if not "\ud800" <= each <= "\udfff"]

    assert [user(each) for each in folded if each] == [each for each in folded if each]


def test_a_reference_is_the_text_as_it_is() -> None:
    assert READERS["reference"](" INC0000001") == " INC0000001"
    assert READERS["reference"](4711) == "4711"


@pytest.mark.parametrize("kind", ["user", "reference"])
@pytest.mark.parametrize("value", ["a\nb", "a\r", True, 1.5, ["a"], {"value": "a"}])
def test_a_key_is_one_line_of_text(kind: Any, value: Any) -> None:
    with pytest.raises(Unreadable):
        READERS[kind](value)


class Held:
    """A record with one field."""

    def __init__(self, now: Any, before: Any = None) -> None:
        self._now, self._before = now, before

    def now(self, _field: str) -> Any:
        return self._now

    def before(self, _field: str) -> Any:
        return self._before

    def is_told(self, _field: str) -> bool:
        return True


ASKED = [
    ("user", "f=ADA@acme.example", "ada@Acme.example", True),
    ("user", "f=ada", "bob", False),
    ("user", "f!=ada", "Ada", False),
    ("user", "fINada,bob", "BOB", True),
    ("user", "fENDSWITH@acme.example", "Ada@ACME.example", True),
    ("user", "fISEMPTY", " ", True),
    ("reference", "f=inc1", "INC1", True),
    ("reference", "fSTARTSWITHinc", "INC1", True),
    ("reference", "fNOT INinc1,inc2", "INC3", True),
    ("duration", "f>01:00:00", "PT1H30M", True),
    ("duration", "f>=5400", "1970-01-01 01:30:00", True),
    ("duration", "f<PT1H", "5400", False),
    ("duration", "fBETWEENPT1H@PT2H", 5400, True),
    ("duration", "f=1 00:00:00", "P1D", True),
    ("duration", "fIN60,120", "PT2M", True),
    ("duration", "fISEMPTY", None, True),
]


@pytest.mark.parametrize(("kind", "asked", "value", "holds"), ASKED)
def test_a_condition_compares_what_a_value_means(
    kind: Any, asked: str, value: Any, holds: bool
) -> None:
    condition = bind(asked, {"f": Subject(kind)})

    assert (condition.objection(Held(value)) == "") is holds


def test_the_same_user_in_other_capitals_is_no_change() -> None:
    condition = bind("fCHANGES", {"f": Subject("user")})

    assert "stays" in condition.objection(Held("Ada", before="ada"))


REFUSED = [
    ("user", "f<a", "condition-operator"),
    ("user", "fSINCE2024-01-01", "condition-operator"),
    ("reference", "fBETWEENa@b", "condition-operator"),
    ("duration", "fLIKE1", "condition-operator"),
    ("duration", "f>an hour", "condition-value"),
    ("duration", "fIN60,soon", "condition-value"),
]


@pytest.mark.parametrize(("kind", "asked", "code"), REFUSED)
def test_a_condition_that_means_nothing_for_the_type_is_refused(
    kind: Any, asked: str, code: str
) -> None:
    with pytest.raises(ConditionRefused) as refused:
        bind(asked, {"f": Subject(kind)})

    assert [flaw.code for flaw in refused.value.flaws] == [code]
