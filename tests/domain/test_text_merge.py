from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rps.domain.text_merge import LINES_MAX, merged_text

LINES = some.lists(some.sampled_from("abcd"), max_size=6).map("\n".join)


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ("a\nb\nc", "A\nb\nc", "a\nb\nC", "A\nb\nC"),
        ("a\nb\nc", "a\nb", "a\nb\nc\nd", None),
        ("a\nb", "a\nb\nmine", "a\nb\ntheirs", "a\nb\nmine\ntheirs"),
        ("a\nb", "mine\na\nb", "a\nb\ntheirs", "mine\na\nb\ntheirs"),
        ("a\nb\nc", "a\nc", "a\nb\nC", None),
        ("a\nb\nc\nd", "a\nc\nd", "a\nb\nc\nD", "a\nc\nD"),
        ("one line", "our line", "their line", None),
        ("", "mine", "", "mine"),
        ("a\n", "a\n\n", "b\n", "b\n\n"),
    ],
)
def test_edits_of_different_lines_are_both_kept(
    base: str, mine: str, theirs: str, merged: str | None
) -> None:
    assert merged_text(base, mine, theirs) == merged


@given(LINES, LINES, LINES)
def test_it_does_not_matter_whose_edit_is_whose_but_for_the_order_of_added_lines(
    base: str, mine: str, theirs: str
) -> None:
    one, other = merged_text(base, mine, theirs), merged_text(base, theirs, mine)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert sorted(one.split("\n")) == sorted(other.split("\n"))


@given(LINES, LINES)
def test_an_edit_of_one_side_alone_is_the_result(base: str, edited: str) -> None:
    assert merged_text(base, edited, base) == edited
    assert merged_text(base, base, edited) == edited
    assert merged_text(base, edited, edited) == edited


def test_texts_too_long_to_compare_are_left_to_the_clock() -> None:
    long = "\n".join("a" * LINES_MAX)
    assert merged_text(long, f"{long}\nb", f"c\n{long}") is None
