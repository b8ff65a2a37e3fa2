from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shared_record import definition, shared

from rps.domain.agreement import SharedField
from rps.domain.events import (
    ChangeAccepted,
    ChangeIgnored,
    ConflictOpened,
    ConflictResolved,
    MessageSkipped,
)
from rps.domain.merge import (
    DRIFT_MAX_MILLISECONDS,
    Merge,
    Sighting,
    Terms,
    merge,
    stamp,
)
from rps.domain.state import DELETED, Known, Link, Shared, newer


def judged(
    value: Any,
    *,
    policy: str = "newer_wins",
    owner: str | None = None,
    agreed: int = 1,
    at: int = 500,
    mine: Any = "mine",
    base: Any = "base",
    revision: str | None = "2",
) -> Merge:
    """`b` shows `value`; it was last known to hold `base`, `a` made `mine` at 1000."""
    rules = {"f": SharedField("f", "text", policy, owner)}  # type: ignore[arg-type]
    link = Link(base={"f": Known(base, "1")}, agreed={"f": agreed})
    return merge(
        {"f": Shared(mine, 2, (1000, 0), "a")},
        link,
        Sighting("b", revision, {"f": value}, (at, 0)),
        Terms(rules, lambda _, each: each and each[:4], ("f",)),
    )


def test_what_is_known_already_is_an_echo() -> None:
    result = judged("base")
    assert (result.values, result.bases, result.conflicts) == ({}, {"f": "base"}, [])


@pytest.mark.parametrize("value", ["mine", "long"])
def test_the_shared_value_is_agreed_on_also_as_the_member_keeps_it(value: str) -> None:
    result = judged(value, mine="mine" if value == "mine" else "longer")
    assert (result.values, result.agreed) == ({}, {"f": 2})


def test_an_edit_of_what_the_member_had_seen_is_accepted_without_conflict() -> None:
    result = judged("theirs", agreed=2)
    assert (result.values, result.agreed, result.conflicts) == (
        {"f": "theirs"},
        {"f": 0},
        [],
    )
    assert result.stamps["f"] == (1000, 1), "cause comes before effect"


@pytest.mark.parametrize(
    ("case", "winner"),
    [
        ({"at": 2000}, "remote"),
        ({"at": 500}, "hub"),
        ({"policy": "remote_wins"}, "remote"),
        ({"policy": "local_wins", "at": 2000}, "hub"),
        ({"policy": "owner", "owner": "b"}, "remote"),
        ({"policy": "owner", "owner": "a", "at": 2000}, "hub"),
        ({"policy": "owner", "owner": "c", "at": 2000}, "remote"),
    ],
)
def test_a_conflict_is_decided_by_policy_and_recorded(
    case: dict[str, Any], winner: str
) -> None:
    result = judged("theirs", **case)
    (conflict,) = result.conflicts
    assert (conflict.base, conflict.mine, conflict.theirs) == ("base", "mine", "theirs")
    assert conflict.winner == winner
    assert result.bases == {"f": "theirs"}
    assert bool(result.values) == (winner == "remote")


def test_the_same_revision_again_tells_nothing_new() -> None:
    assert judged("theirs", revision="1").late == ["f"]
    assert judged("base", revision="1").late == []


def test_without_revisions_the_last_to_arrive_is_the_latest() -> None:
    assert judged("theirs", revision=None, agreed=2).values == {"f": "theirs"}


@pytest.mark.parametrize(
    ("mine", "theirs", "merged"),
    [
        (["x", "y"], ["x", "z"], ["x", "y", "z"]),
        (["y"], ["x"], ["y"]),
        ([], ["x", "z"], ["z"]),
        (["x", "y"], None, ["y"]),
        (["y"], None, ["y"]),
        (None, ["z"], ["z"]),
    ],
)
def test_sets_keep_what_either_added_and_lose_what_either_removed(
    mine: Any, theirs: Any, merged: Any
) -> None:
    rules = {"f": SharedField("f", "tags", "merge")}
    result = merge(
        {"f": Shared(mine, 2, (1000, 0), "a")},
        Link(base={"f": Known(["x"], "1")}, agreed={"f": 1}),
        Sighting("b", "2", {"f": theirs}, (500, 0)),
        Terms(rules, lambda _, each: each),
    )
    assert result.values.get("f", mine) == merged
    assert result.bases == {"f": theirs}


def merged_texts(mine: str, theirs: str, **rule: Any) -> Merge:
    return merge(
        {"f": Shared(mine, 2, (1000, 0), "a")},
        Link(base={"f": Known("one\ntwo\nthree", "1")}, agreed={"f": 1}),
        Sighting("b", "2", {"f": theirs}, (2000, 0)),
        Terms({"f": SharedField("f", "text", "merge", **rule)}, lambda _, each: each),
    )


def test_texts_keep_the_edits_of_both_where_they_are_of_different_lines() -> None:
    result = merged_texts("ONE\ntwo\nthree", "one\ntwo\nTHREE")
    assert result.values == {"f": "ONE\ntwo\nTHREE"}
    assert [each.winner for each in result.conflicts] == ["merged"]
    assert "f" not in result.agreed  # it is yet to be told


@pytest.mark.parametrize(
    ("mine", "theirs", "most"),
    [("one\nTWO\nthree", "one\nzwei\nthree", None), ("ONE\ntwo", "one\ntwo\n3", 9)],
)
def test_of_texts_that_do_not_merge_or_not_fit_the_later_is_kept(
    mine: str, theirs: str, most: int | None
) -> None:
    result = merged_texts(mine, theirs, max_length=most)
    assert result.values == {"f": theirs}
    assert [each.winner for each in result.conflicts] == ["remote"]


@pytest.mark.parametrize(
    ("kind", "base", "mine", "theirs"),
    [("text", ["x"], ["x", "y"], "new"), ("tags", "x", "x y", ["new"])],
)
def test_values_of_the_type_a_field_had_before_do_not_merge(
    kind: Any, base: Any, mine: Any, theirs: Any
) -> None:
    """A field was published with another type: merging the value of before ended the
    receiver, again and again."""
    rule = SharedField("it", kind, "merge")
    shared_now = {"it": Shared(mine, 2, (1, 0), "b")}
    link = Link(base={"it": Known(base, "1")}, agreed={"it": 1})
    seen = Sighting("a", "2", {"it": theirs}, (2, 0))
    terms = Terms({"it": rule}, lambda _, value: value)
    result = merge(shared_now, link, seen, terms)

    assert result.values == {"it": theirs}
    assert [each.winner for each in result.conflicts] == ["remote"]


def test_a_deletion_is_accepted_when_the_member_lacks_only_what_it_is_not_sent() -> (
    None
):
    fields = {"f": Shared("v", 2, (0, 0), "a")}
    seen = Sighting("b", "2", {DELETED: True}, (0, 0))
    unsent = merge(fields, Link(), seen, Terms({}, lambda _, each: each, ()))
    assert unsent.values == {DELETED: True}
    sent = merge(fields, Link(), seen, Terms({}, lambda _, each: each, ("f",)))
    assert [conflict.winner for conflict in sent.conflicts] == ["hub"]


def test_a_restored_record_takes_part_again() -> None:
    gone = {DELETED: Shared(True, 2, (0, 0), "b")}
    link = Link(base={DELETED: Known(True, "2")}, agreed={DELETED: 2})
    result = merge(
        gone,
        link,
        Sighting("b", "3", {}, (5, 0)),
        Terms({}, lambda _, each: each),
    )
    assert result.values == {DELETED: False}


def test_a_remote_clock_is_believed_five_minutes_ahead_at_most() -> None:
    assert stamp(None, 1000) == (1000, 0)
    assert stamp(900, 1000) == (900, 0)
    assert stamp(10**15, 1000) == (1000 + DRIFT_MAX_MILLISECONDS, 0)


@pytest.mark.parametrize(
    ("revision", "than", "expected"),
    [
        ("10", "9", True),
        ("9", "10", False),
        ("9", "9", False),
        ("abc", "abd", True),
        ("abc", "abc", False),
        (None, "9", True),
        ("9", None, True),
    ],
)
def test_numbers_are_compared_and_other_revisions_only_told_apart(
    revision: str | None, than: str | None, expected: bool
) -> None:
    assert newer(revision, than) is expected


def test_manual_holds_back_one_field_towards_one_member() -> None:
    manual = definition()
    fields = dict(manual.fields) | {"state": SharedField("state", "text", "manual")}
    record = shared(replace(manual, fields=fields))
    record.shows("a", 2, state="open")
    record.shows("b", 2, state="shut").then(
        ConflictOpened, ChangeIgnored, MessageSkipped
    )
    (accepted,) = record.shows("a", 3, state="ajar", title="second").then(
        ChangeAccepted
    )
    told = {each["member"]: each["fields"] for each in accepted.messages}
    assert told == {
        "b": {"title": "second"},
        "c": {"title": "second", "state": "ajar"},
    }
    record.shows("b", 3, state="ajar").then(ChangeIgnored, ConflictResolved)
    (accepted,) = record.shows("a", 4, state="wide").then(ChangeAccepted)
    assert {each["member"] for each in accepted.messages} == {"b", "c"}
