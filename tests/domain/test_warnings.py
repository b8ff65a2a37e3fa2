"""What a definition is warned of: by its own words, by others, by its node."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from rps.domain.advice import advise
from rps.domain.beside_scan import compare, contradictions
from rps.domain.delivery import Capabilities
from rps.domain.document import parse
from rps.domain.node_scan import (
    Standing,
    SystemFacts,
    TableFacts,
    Waiting,
    look_round,
)
from rps.domain.problem import Findings

if TYPE_CHECKING:
    from rps.domain.agreement import Definition
    from rps.domain.problem import Problem

DOCUMENT: dict[str, Any] = {
    "process_event": "incident.shared",
    "fields": {
        "title": {"type": "text", "max_length": 160},
        "state": {"type": "choice", "values": ["new", "done"]},
    },
    "journals": {"comments": {"visibility": "public"}},
    "attachments": {"journal": "comments"},
    "members": {
        "acme": {
            "table": "incident",
            "capture_when": "short=x",
            "fields": {"title": "short", "state": "state"},
            "journals": {"comments": "comments"},
        },
        "globex": {
            "table": "ticket",
            "fields": {"title": "summary", "state": "status"},
            "journals": {"comments": "replies"},
        },
    },
}
TITLE, STATE = "/members/acme/fields/title", "/members/acme/fields/state"
CLASS_A = Capabilities(dedupe=True, conditional_write=True, read_back=True)
GOOD = SystemFacts("push", "active", capabilities=CLASS_A)
STANDING = Standing(
    systems={"acme": GOOD, "globex": GOOD},
    accounts={"acme": frozenset({"ih_process_sync_api"})},
)


def said(*changes: tuple[str, Any]) -> Definition:
    """The document with the values at these places replaced, or (None) taken out."""
    document = copy.deepcopy(DOCUMENT)
    for place, value in changes:
        *parents, last = place.strip("/").split("/")
        inside = document
        for part in parents:
            inside = inside[part]
        if value is None:
            inside.pop(last)
        else:
            inside[last] = value
    return parse(document)


def told(found: Findings) -> list[tuple[str, str]]:
    assert all(each.cause and each.remedy for each in found.in_order())
    return [(each.code, each.place) for each in found.in_order()]


def advised(definition: Definition) -> list[tuple[str, str]]:
    found = Findings()
    advise(definition, found)
    return told(found)


# --- by its own words ---------------------------------------------------------------

OWN = [
    ("both-create", "/members/globex", [("/members/acme/capture_when", None)]),
    (
        "create-only",
        "/members/globex/deliver",
        [("/members/globex/deliver", ["create"])],
    ),
    (
        "never-linked",
        "/members/globex/deliver",
        [
            ("/members/globex/deliver", ["update"]),
            ("/members/globex/capture", ["delete"]),
        ],
    ),
    (
        "truncate-unused",
        f"{TITLE}/truncate",
        [(TITLE, {"field": "s", "truncate": 160})],
    ),
    (
        "policy-unused",
        "/fields/title/policy",
        [
            ("/fields/title/policy", "merge"),
            ("/members/globex/capture", []),
        ],
    ),
]


@pytest.mark.parametrize(("code", "place", "changes"), OWN)
def test_a_definition_is_warned_of_what_it_says(
    code: str, place: str, changes: list[tuple[str, Any]]
) -> None:
    if code == "truncate-unused":  # the condition is about the field renamed there
        changes = [*changes, ("/members/acme/capture_when", "s=x")]
    assert (code, place) in advised(said(*changes))


def test_a_definition_without_a_flaw_is_warned_of_nothing() -> None:
    assert advised(said()) == []


def test_a_truncate_that_leaves_no_room_for_the_longest_text_is_no_mistake() -> None:
    cut = {"field": "short", "truncate": 160, "format": "<{value}>"}
    assert advised(said((TITLE, cut))) == []


@pytest.mark.parametrize("side", ["acme", "globex"])
def test_one_side_that_hands_over_by_condition_or_makes_nothing_is_enough(
    side: str,
) -> None:
    bare = ("/members/acme/capture_when", None)
    assert advised(said(bare, (f"/members/{side}/deliver", ["update"]))) == []


# --- by the others ------------------------------------------------------------------


def other(*changes: tuple[str, Any]) -> Definition:
    """A published definition of acme's table with a third company."""
    return said(
        ("process_event", "incident.other"),
        ("/members/globex/system", "initech"),
        *changes,
    )


def compared(here: Definition, there: Definition) -> list[tuple[str, str]]:
    found = Findings()
    compare(here, [there], found)
    return told(found)


OWNED = [("/fields/title/policy", "owner"), ("/fields/title/owner", "globex")]
BESIDE: list[tuple[str, str, list[Any], list[Any]]] = [
    (
        "condition-differs",
        "/members/acme/capture_when",
        [],
        [("/members/acme/capture_when", "state=new")],
    ),
    ("attachment-limits", "/attachments", [], [("/attachments/size_max", "3 MB")]),
    ("owners-differ", "/fields/title/owner", OWNED, OWNED),
    ("types-differ", TITLE, [], [("/fields/title", {"type": "user"})]),
    ("values-differ", STATE, [], [("/fields/state/values", ["new", "done", "held"])]),
    ("truncate-differs", TITLE, [], [(TITLE, {"field": "short", "truncate": 80})]),
]


@pytest.mark.parametrize(("code", "place", "here", "there"), BESIDE)
def test_a_definition_is_warned_of_what_another_says_of_the_same_table(
    code: str, place: str, here: list[Any], there: list[Any]
) -> None:
    assert compared(said(*here), other(*there)) == [(code, place)]


def test_two_definitions_that_say_the_same_of_a_table_are_fine() -> None:
    assert compared(said(), other()) == []


def test_the_revision_in_force_is_no_other_definition() -> None:
    assert compared(said(), said(("/members/acme/capture_when", None))) == []


def test_the_same_owner_under_another_members_name_is_the_same() -> None:
    mine = [("/fields/title/policy", "owner"), ("/fields/title/owner", "acme")]
    assert compared(said(*mine), other(*mine)) == []


def refused(here: Definition, there: Definition) -> tuple[Problem, ...]:
    return contradictions(here, [there])


def test_a_journal_is_not_internal_by_one_definition_and_public_by_another() -> None:
    vouched = {"journal": "comments", "visibility": "internal"}
    place = "/members/acme/journals/comments"
    internal = other(
        ("/journals/comments/visibility", "internal"),
        (place, vouched),
        (
            "/members/globex/journals/comments",
            {"journal": "replies", "visibility": "internal"},
        ),
    )
    assert [(p.code, p.place) for p in refused(said(), internal)] == [
        ("visibility-differs", place)
    ]
    assert refused(said(), other()) == ()


def test_entries_that_would_go_round_by_another_definition_are_a_loop() -> None:
    def bare(name: str, captured: str) -> Definition:
        members = {
            each: {
                "system": system,
                "table": "t",
                "capture": ["update"] if each == captured else [],
                "deliver": [] if each == captured else ["update"],
                "journals": {"comments": "comments"},
            }
            for each, system in (("a", "acme"), ("b", "globex"))
        }
        return parse(
            {
                "process_event": name,
                "journals": {"comments": {"visibility": "public"}},
                "members": members,
            }
        )

    assert [p.code for p in refused(bare("one", "a"), bare("two", "b"))] == ["loop"]


# --- by its node --------------------------------------------------------------------


def looked(definition: Definition, **facts: Any) -> list[tuple[str, str]]:
    found = Findings()
    standing = {
        name: getattr(STANDING, name) for name in ("systems", "accounts", "names")
    }
    look_round(definition, Standing(**{**standing, **facts}), found)
    return told(found)


def with_acme(**facts: Any) -> dict[str, SystemFacts]:
    known = {"connector": "push", "state": "active", "capabilities": CLASS_A}
    return {"acme": SystemFacts(**{**known, **facts}), "globex": GOOD}


SYSTEM = "/members/acme/system"
SYSTEMS = [
    ("system-disabled", {"state": "disabled"}),
    ("system-paused", {"state": "paused"}),
    ("system-failing", {"fault": "answered 500"}),
    ("system-unlinked", {"connector": "node", "is_linked": False}),
    ("system-unreachable", {"trouble": "answered 401"}),
]


@pytest.mark.parametrize(("code", "facts"), SYSTEMS)
def test_a_definition_is_warned_of_a_system_that_takes_no_part(
    code: str, facts: dict[str, Any]
) -> None:
    assert looked(said(), systems=with_acme(**facts)) == [(code, SYSTEM)]


def test_a_definition_is_warned_of_names_that_a_description_does_not_have() -> None:
    member = said().members["acme"]
    fields = frozenset(each.field for each in member.fields.values())
    journals = frozenset(each.journal for each in member.journals.values())
    cases = [
        ({member.table: TableFacts(fields, journals)}, set()),
        ({member.table: TableFacts(None, journals)}, set()),
        ({"other": TableFacts(fields, journals)}, {"described-table"}),
        ({member.table: TableFacts(frozenset(), journals)}, {"described-field"}),
        ({member.table: TableFacts(fields, frozenset())}, {"described-journal"}),
    ]
    for tables, codes in cases:
        told_of = looked(said(), systems=with_acme(tables=tables))
        assert {code for code, _ in told_of} == codes


def test_a_definition_is_warned_of_a_system_nobody_registered() -> None:
    assert looked(said(), systems={"globex": GOOD}) == [("system-unregistered", SYSTEM)]


def test_a_node_without_a_flaw_gives_no_reason_to_warn() -> None:
    assert looked(said(), in_force=said(), waiting={"acme": Waiting({"": 3}, 2)}) == []


def class_c(**more: Any) -> dict[str, SystemFacts]:
    can = {"dedupe": True, "conditional_write": False, "read_back": True, **more}
    return with_acme(capabilities=Capabilities(**can))


def test_a_policy_is_worth_little_where_writes_are_unconditional() -> None:
    ignored = ("/members/acme/ignore_changed_by", ["rps"])
    mine = [("/fields/title/policy", "owner"), ("/fields/title/owner", "acme")]
    found = looked(said(ignored, *mine), systems=class_c())
    assert found == [("unconditional-write", "/members/acme")]
    assert looked(said(ignored), systems=class_c()) == []


def test_own_writes_are_told_apart_by_the_account_where_revisions_do_not() -> None:
    found = looked(said(), systems=class_c())
    assert found == [("own-writes-return", "/members/acme")]
    not_captured = [
        ("/members/acme/capture", []),
        ("/members/acme/capture_when", None),
    ]
    assert looked(said(*not_captured), systems=class_c()) == []


def test_a_system_that_cannot_be_asked_needs_a_person_for_each_lost_answer() -> None:
    can = Capabilities(dedupe=False, conditional_write=True, read_back=False)
    found = looked(said(), systems=with_acme(capabilities=can))
    assert found == [("lost-answers", "/members/acme")]


def test_somebody_has_to_post_the_changes() -> None:
    nobody = looked(said(), accounts={"eve": frozenset({"auditor"})})
    assert nobody == [
        ("nobody-posts", "/members/acme"),
        ("nobody-posts", "/members/globex"),
    ]
    accounts = {"eve": frozenset({"admin"}), "acme": frozenset({"auditor"})}
    assert looked(said(), accounts=accounts) == [("poster-role", "/members/acme")]


def test_nobody_has_to_post_for_a_system_that_is_polled() -> None:
    able = Capabilities(
        dedupe=False, conditional_write=False, read_back=True, polls=True
    )
    asked = SystemFacts("servicenow", "active", capabilities=able)
    standing = Standing(systems={"acme": asked, "globex": asked}, accounts={})
    found = Findings()
    look_round(said(), standing, found)
    assert told(found) == []


def test_a_linked_node_needs_no_account() -> None:
    systems = {**with_acme(connector="node"), "globex": SystemFacts("node", "active")}
    assert looked(said(), systems=systems, accounts={}) == []


def test_a_name_that_differs_in_capitals_only_is_easily_confused() -> None:
    found = looked(said(), names=("Incident.Shared", "incident.shared", "other"))
    assert found == [("name-alike", "/process_event")]


# --- what is in flight --------------------------------------------------------------

IN_FORCE = said(
    (
        "/members/initech",
        {"table": "case", "fields": {"title": "t"}, "attachments": False},
    ),
)


def test_a_member_that_leaves_strands_what_is_in_flight() -> None:
    waiting = {"initech": Waiting({"": 3, "title": 2}, 4, {"title": 1})}
    assert looked(said(), in_force=IN_FORCE, waiting=waiting) == [
        ("changes-stranded", "/members"),
        ("conflicts-stranded", "/members"),
        ("messages-stranded", "/members"),
    ]
    assert looked(said(), in_force=IN_FORCE) == []


def test_a_field_that_leaves_strands_the_messages_that_carry_it() -> None:
    three = {"table": "case", "fields": {"state": "s"}, "attachments": False}
    draft = said(("/members/initech", three))
    waiting = {"initech": Waiting({"": 3, "title": 2}, 4, {"title": 1, "state": 1})}
    place = "/members/initech/fields"
    assert looked(
        draft,
        systems={**STANDING.systems, "initech": GOOD},
        in_force=IN_FORCE,
        waiting=waiting,
    ) == [("conflicts-stranded", place), ("field-stranded", place)]


def test_a_member_that_moves_keeps_its_old_copies() -> None:
    moved = said(("/members/acme/table", "task"))
    assert looked(moved, in_force=said()) == [("member-moved", "/members/acme")]


def test_what_is_shared_already_is_not_converted() -> None:
    typed = said(("/fields/title", {"type": "user"}))
    assert looked(typed, in_force=said()) == [("type-changed", "/fields/title/type")]
    fewer = said(("/fields/state/values", ["new"]))
    assert looked(fewer, in_force=said()) == [("value-removed", "/fields/state/values")]
