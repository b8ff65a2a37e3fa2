"""Where the places of a definition stand in its text."""

from __future__ import annotations

import pytest

from rps.domain.problem import DefinitionRefused, Problem
from rps.domain.yaml_document import (
    definition_in,
    line_of,
    placed_in,
    read_document,
    text_of,
)

SOURCE = """\
# one remark
process_event: x.shared
fields:
  title: {type: text}

common:
  journals: {}
  capture: [create, update]
  fields:
    title:
      field: title
      truncate: 10
members:
  a:
    table: t
  b:
    table: t
    system: other
    fields: {title: summary}
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("", 2),
        ("/process_event", 2),
        ("/fields/title/type", 4),
        ("/fields/title/max_length", 4),
        ("/members/a/table", 15),
        ("/members/b/fields/title", 19),
        ("/members/b/fields/title/field", 19),
        ("/members/a/fields/title/truncate", 12),
        ("/members/a/capture", 8),
        ("/members/a/deliver", 14),
        ("/members/nobody", 13),
        ("/nothing/of/the/kind", 2),
    ],
)
def test_a_place_is_found_in_its_text_or_at_what_would_hold_it(
    place: str, line: int
) -> None:
    found = line_of(SOURCE, place)
    assert found is not None
    assert found.line == line


def test_a_member_with_maps_of_its_own_has_the_common_ones_beside_them() -> None:
    source = SOURCE.replace("{title: summary}", "{state: status}")
    found = line_of(source, "/members/b/fields/title/truncate")
    assert found is not None
    assert found.line == 12


@pytest.mark.parametrize("source", ["", "a: [", "a: &x 1\nb: *x\n"])
def test_there_is_no_line_where_there_is_no_readable_source(source: str) -> None:
    assert line_of(source, "/fields/title") is None


def test_the_problems_of_a_document_are_told_in_the_order_of_its_text() -> None:
    problems = [
        Problem("x", "/members/b/fields", "c", "r"),
        Problem("y", "/fields/title", "c", "r"),
    ]
    placed = placed_in(SOURCE, problems)
    assert [(each.code, each.line, each.column) for each in placed] == [
        ("y", 4, 3),
        ("x", 19, 5),
    ]
    assert [each.line for each in placed_in("", problems)] == [None, None]


def test_all_that_is_wrong_with_a_text_is_told_with_its_line() -> None:
    with pytest.raises(DefinitionRefused) as refused:
        definition_in(
            SOURCE.replace("type: text", "type: txt").encode() + b"a: 1\na: 2"
        )
    told = [(p.code, p.line) for p in refused.value.problems]  # type: ignore[attr-defined]
    assert told == [("unknown-word", 4), ("unknown-key", 20), ("duplicate-key", 21)]


def test_a_text_of_very_many_values_is_refused_before_it_is_read_to_its_end() -> None:
    with pytest.raises(DefinitionRefused) as refused:
        read_document(b"[" + b"1," * 200_000 + b"1]")
    assert [each.code for each in refused.value.problems] == ["too-large"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_kept_whatever_yaml_lets_it_be_written_in(encoding: str) -> None:
    written = "process_event: Störung\n".encode(encoding)

    text = text_of(written)

    assert read_document(written) == {"process_event": "Störung"}
    assert text.removeprefix("\ufeff") == "process_event: Störung\n"
    assert line_of(text, "/process_event") == (1, 1)
