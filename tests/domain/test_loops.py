from __future__ import annotations

import random  # noqa: TC003 - Hypothesis reads the annotations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rps.domain.document import Definition, parse
from rps.domain.loops import loops


def linking(name: str, *ends: str, domain: str = "top") -> Definition:
    """A definition sharing one field between `ends`.

    An end is `system.table.field`, with `>` before it where the field is only
    delivered and after it where it is only captured. New records do not travel.
    """
    members: dict[str, Any] = {}
    for number, end in enumerate(ends):
        system, table, field = end.strip(">").split(".")
        members[f"m{number}"] = {
            "system": system,
            "table": table,
            "capture": [] if end.startswith(">") else ["update"],
            "deliver": [] if end.endswith(">") else ["update"],
            "fields": {"state": field},
        }
    return parse(
        {
            "process_event": name,
            "domain": domain,
            "fields": {"state": {"type": "text"}},
            "members": members,
        }
    )


A, B, C, D = "a.incident.state", "b.ticket.status", "c.issue.phase", "d.case.stage"


def codes(candidate: Definition, *published: Definition) -> list[str]:
    return [problem.code for problem in loops(candidate, published)]


def test_one_definition_linking_both_ways_is_fine() -> None:
    assert codes(linking("one", A, B)) == []
    assert codes(linking("one", A, B, C, D)) == []


def test_a_chain_and_a_star_of_definitions_are_fine() -> None:
    assert codes(linking("two", B, C), linking("one", A, B)) == []
    assert (
        codes(linking("three", A, D), linking("one", A, B), linking("two", A, C)) == []
    )


def test_two_definitions_linking_the_same_pair_loop_and_the_path_is_named() -> None:
    (problem,) = loops(linking("two", B, A), [linking("one", A, B)])

    assert problem.code == "loop"
    assert problem.place == "/fields/state"
    assert "a.incident.state → b.ticket.status → a.incident.state" in problem.cause


def test_one_way_there_and_another_back_is_a_loop() -> None:
    assert codes(
        linking("two", f">{A}", f"{B}>"), linking("one", f"{A}>", f">{B}")
    ) == ["loop"]


def test_three_definitions_in_a_ring_are_a_loop() -> None:
    published = [linking("one", A, B), linking("two", B, C)]

    (problem,) = loops(linking("three", C, A), published)

    assert problem.code == "loop"
    assert problem.cause.count("→") == 3


def test_a_ring_of_one_way_definitions_is_a_loop_only_if_it_closes() -> None:
    published = [linking("one", f"{A}>", f">{B}"), linking("two", f"{B}>", f">{C}")]

    assert codes(linking("three", f"{C}>", f">{A}"), *published) == ["loop"]
    assert codes(linking("three", f"{C}>", f">{D}"), *published) == []


def test_the_domain_does_not_keep_tables_apart() -> None:
    other = linking("one", A, B, domain="top/other")

    assert codes(linking("one", A, B), other) == ["loop"]


def test_a_new_revision_is_not_compared_with_the_one_it_replaces() -> None:
    assert codes(linking("one", A, B), linking("one", A, B)) == []


def test_other_fields_of_the_same_tables_do_not_loop() -> None:
    assert (
        codes(linking("two", "a.incident.x", "b.ticket.y"), linking("one", A, B)) == []
    )


def test_the_same_change_on_two_ways_is_refused_as_double() -> None:
    direct = linking("one", f"{A}>", f">{B}")
    (problem,) = loops(linking("two", f"{A}>", f">{B}"), [direct])
    assert problem.code == "double"

    first, last = linking("two", f"{A}>", f">{C}"), linking("three", f"{C}>", f">{B}")
    (problem,) = loops(last, [direct, first])
    assert problem.code == "double"
    assert "a.incident.state → c.issue.phase → b.ticket.status" in problem.cause
    (problem,) = loops(direct, [first, last])
    assert problem.code == "double"


def test_two_sources_of_one_field_are_not_a_double() -> None:
    assert (
        codes(linking("two", f"{B}>", f">{C}"), linking("one", f"{A}>", f">{C}")) == []
    )


def test_definitions_that_create_each_others_records_loop_without_a_common_field() -> (
    None
):
    """A twin made by one definition is a new record to the other, and so for ever."""

    def creating(name: str, fields: tuple[str, str]) -> Definition:
        return parse(
            {
                "process_event": name,
                "fields": {"x": {"type": "text"}},
                "members": {
                    "a": {"table": "incident", "fields": {"x": fields[0]}},
                    "b": {"table": "ticket", "fields": {"x": fields[1]}},
                },
            }
        )

    (problem,) = loops(creating("two", ("c", "d")), [creating("one", ("a", "b"))])

    assert (problem.code, problem.place) == ("loop", "/members")
    assert "a.incident.(new records)" in problem.cause


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.randoms(use_true_random=False))
def test_every_tree_is_accepted_and_every_edge_that_closes_it_refused(
    size: int, chance: random.Random
) -> None:
    nodes = [f"s{number}.t.f" for number in range(size)]
    tree: list[Definition] = []
    for number in range(1, size):
        edge = linking(f"e{number}", nodes[chance.randrange(number)], nodes[number])
        assert loops(edge, tree) == ()
        tree.append(edge)

    one, other = chance.sample(nodes, 2)

    assert codes(linking("closing", one, other), *tree) == ["loop"]


def test_a_large_installation_is_checked_in_no_time() -> None:
    published = [linking(f"e{n}", f"s{n}.t.f", f"s{n + 1}.t.f") for n in range(300)]

    assert codes(linking("last", "s300.t.f", "s0.t.f"), *published) == ["loop"]


@pytest.mark.parametrize("last", [A, B, C])
def test_a_ring_through_a_definition_of_three_members_is_found(last: str) -> None:
    wide = linking("one", A, B, C)

    assert codes(linking("two", last, D), wide) == []
    assert codes(
        linking("three", D, A if last != A else B), linking("two", last, D), wide
    ) == ["loop"]
