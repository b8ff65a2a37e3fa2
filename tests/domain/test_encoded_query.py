"""Encoded queries as list filters write them: what each means for a record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rps.domain.condition import UNKNOWN, Condition, ConditionRefused, Subject, bind

SUBJECTS = {
    "short_description": Subject("text"),
    "caller": Subject("text"),
    "priority": Subject("choice", ("1", "2", "3", "10")),
    "state": Subject("choice", ("new", "In Progress", "closed")),
    "active": Subject("boolean"),
    "effort": Subject("number"),
    "due": Subject("date-time"),
    "labels": Subject("tags"),
    "Due Date": Subject("date-time"),
    "IN": Subject("text"),
    "a": Subject("number"),
    "b": Subject("number"),
    "c": Subject("number"),
    "d": Subject("number"),
}
RECORD: dict[str, Any] = {
    "short_description": "Printer on fire (again) 100^C",
    "caller": None,
    "priority": 2,
    "state": "In Progress",
    "active": "true",
    "effort": "7.50",
    "due": "2024-03-10 12:00:00",
    "labels": "vip,Printer",
    "Due Date": "2024-03-10T12:00:00+00:00",
    "IN": "x",
    "a": 1,
    "b": 2,
    "c": 3,
}
"""`d` is what nothing is known of."""
CHANGE = {"state": "new", "priority": "2", "caller": "ada"}
"""What the change found, where it tells; it carries these and `active`."""


class Shown:
    def __init__(
        self,
        record: dict[str, Any] = RECORD,
        before: dict[str, Any] = CHANGE,
        told: tuple[str, ...] = ("state", "priority", "caller", "active"),
    ) -> None:
        self._record, self._before, self._told = record, before, told

    def now(self, field: str) -> Any:
        return self._record.get(field, UNKNOWN)

    def before(self, field: str) -> Any:
        return self._before.get(field, UNKNOWN)

    def is_told(self, field: str) -> bool:
        return field in self._told


def holds(condition: Condition, record: Shown) -> bool:
    return condition.objection(record) == ""


YES, NO = True, False
TABLE = [
    # is, is not
    ("active=true", YES),
    ("active=1", YES),
    ("active=false", NO),
    ("active!=false", YES),
    ("active!=true", NO),
    ("priority=2", YES),
    ("priority=1", NO),
    ("priority!=1", YES),
    ("state=In Progress", YES),
    ("state=in progress", YES),
    ("state!=closed", YES),
    ("effort=7.5", YES),
    ("effort=7.500", YES),
    ("effort!=7.5", NO),
    ("short_description=printer ON fire (again) 100^^c", YES),
    ("short_description=Printer", NO),
    ("short_description!=Printer", YES),
    ("due=2024-03-10 12:00:00", YES),
    ("due=2024-03-10T13:00:00+01:00", YES),
    ("due=2024-03-10", YES),
    ("due=2024-03-11", NO),
    ("due!=2024-03-10", NO),
    ("due!=2024-03-11", YES),
    ("labels=printer,vip", YES),
    ("labels=vip", NO),
    ("labels!=vip", YES),
    # empty
    ("callerISEMPTY", YES),
    ("callerISNOTEMPTY", NO),
    ("stateISEMPTY", NO),
    ("stateISNOTEMPTY", YES),
    ("caller=NULL", YES),
    ("caller!=NULL", NO),
    ("state=NULL", NO),
    ("state!=NULL", YES),
    ("caller=ada", NO),
    ("caller!=ada", NO),
    ("callerINada,bob", NO),
    ("callerNOT INada,bob", NO),
    ("callerLIKEa", NO),
    ("callerNOT LIKEa", YES),
    ("callerSTARTSWITHa", NO),
    ("caller<z", NO),
    ("caller>=a", NO),
    ("callerANYTHING", YES),
    ("dANYTHING", YES),
    ("d=1", NO),
    ("d!=1", NO),
    ("dISEMPTY", NO),
    ("dISNOTEMPTY", NO),
    # order
    ("priority<3", YES),
    ("priority<10", YES),
    ("priority<2", NO),
    ("priority<=2", YES),
    ("priority>1", YES),
    ("priority>2", NO),
    ("priority>=2", YES),
    ("priority>=10", NO),
    ("effort>7", YES),
    ("effort<7.6", YES),
    ("effort>=7.5", YES),
    ("effort<=7.4", NO),
    ("effort>10", NO),
    ("short_description>Printer", YES),
    ("short_description<a", NO),
    ("due<2024-03-10 12:00:01", YES),
    ("due<2024-03-10", NO),
    ("due<=2024-03-10", YES),
    ("due>2024-03-10", NO),
    ("due>2024-03-09", YES),
    ("due>=2024-03-10", YES),
    ("due>=2024-03-10 12:00:00", YES),
    ("due>2024-03-10 12:00:00", NO),
    # between, since
    ("priorityBETWEEN1@3", YES),
    ("priorityBETWEEN2@2", YES),
    ("priorityBETWEEN3@10", NO),
    ("effortBETWEEN7@8", YES),
    ("effortBETWEEN8@9", NO),
    ("dueBETWEEN2024-03-01@2024-03-10", YES),
    ("dueBETWEEN2024-03-10 00:00:00@2024-03-10 11:59:59", NO),
    ("dueBETWEEN2024-03-11@2024-03-12", NO),
    ("dueSINCE2024-03-10", YES),
    ("dueSINCE2024-03-10 12:00:00", YES),
    ("dueSINCE2024-03-11", NO),
    # lists
    ("priorityIN1,2", YES),
    ("priorityIN1, 2", YES),
    ("priorityIN1,3", NO),
    ("priorityNOT IN1,3", YES),
    ("priorityNOT IN1,2", NO),
    ("stateINNEW,IN PROGRESS", YES),
    ("effortIN7.5,8", YES),
    ("activeINtrue", YES),
    ("labelsINvip,other", YES),
    ("labelsINother", NO),
    ("labelsNOT INother", YES),
    ("labelsNOT INVIP", NO),
    # parts of texts
    ("short_descriptionLIKEFIRE", YES),
    ("short_descriptionLIKEwater", NO),
    ("short_descriptionNOT LIKEwater", YES),
    ("short_descriptionNOTLIKEwater", YES),
    ("short_descriptionNOT LIKEfire", NO),
    ("short_descriptionSTARTSWITHprint", YES),
    ("short_descriptionSTARTSWITHfire", NO),
    ("short_descriptionENDSWITHc", YES),
    ("short_descriptionENDSWITHprinter", NO),
    ("short_descriptionLIKE(again)", YES),
    ("short_descriptionLIKE100^^C", YES),
    ("stateLIKEprogress", YES),
    ("stateSTARTSWITHIN ", YES),
    ("labelsLIKEprinter", YES),
    ("labelsLIKEprint", NO),
    ("labelsNOT LIKEprint", YES),
    # changes
    ("stateCHANGES", YES),
    ("stateVALCHANGES", YES),
    ("priorityCHANGES", NO),
    ("activeCHANGES", NO),
    ("effortCHANGES", NO),
    ("stateCHANGESFROMnew", YES),
    ("stateCHANGESFROMclosed", NO),
    ("stateCHANGESTOin progress", YES),
    ("stateCHANGESTOnew", NO),
    ("callerCHANGES", YES),
    ("callerCHANGESTONULL", YES),
    ("callerCHANGESFROMAda", YES),
    ("priorityCHANGESTO2", NO),
    # joined by ^
    ("a=1^b=2", YES),
    ("a=1^b=3", NO),
    ("a=0^b=2", NO),
    ("a=1^b=2^c=3", YES),
    # ^OR binds closer than ^
    ("a=1^ORb=0", YES),
    ("a=0^ORb=2", YES),
    ("a=0^ORb=0", NO),
    ("a=0^ORb=0^ORc=3", YES),
    ("a=1^b=0^ORc=3", YES),
    ("a=0^b=0^ORc=3", NO),
    ("a=0^b=2^ORc=3", NO),
    ("a=0^ORb=2^c=3", YES),
    ("a=1^ORb=2^c=0", NO),
    ("a=1^ORb=0^c=0^ORb=2", YES),
    # ^NQ binds least
    ("a=0^NQb=2", YES),
    ("a=1^NQb=0", YES),
    ("a=0^NQb=0", NO),
    ("a=0^b=2^NQc=3", YES),
    ("a=1^b=0^NQc=0^ORb=2", YES),
    ("a=1^b=0^NQc=0^b=2", NO),
    ("a=0^NQb=0^NQc=3", YES),
    ("a=1^NQb=0^c=0", YES),
    # parentheses
    ("(a=1)", YES),
    ("(a=1^b=2)^OR(c=0)", YES),
    ("(a=0^b=2)^ORc=3", YES),
    ("a=0^(b=2^ORc=3)", NO),
    ("(a=0^NQb=2)^c=3", YES),
    ("(a=1^NQb=2)^c=0", NO),
    ("((a=1))^((b=2)^(c=3))", YES),
    # what a list filter ends in
    ("a=1^EQ", YES),
    ("a=0^EQ", NO),
    ("a=1^ORDERBYDESCopened_at", YES),
    ("a=1^ORDERBYnumber^b=0", NO),
    ("ORDERBYnumber^a=1", YES),
    ("a=0^ORb=2^GROUPBYstate^ORDERBYa", YES),
    ("a=0^NQb=2^EQ^ORDERBYa", YES),
    # the member's own names
    ("Due Date=2024-03-10", YES),
    ("IN=x", YES),
    ("INLIKEX", YES),
]


def test_the_table_is_long_enough() -> None:
    assert len({text for text, _ in TABLE}) == len(TABLE) >= 120


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_a_condition_means_what_it_does_in_a_list_filter(
    text: str, expected: bool
) -> None:
    assert holds(bind(text, SUBJECTS), Shown()) is expected


REFUSED = [
    ("", "condition-syntax", 1, "a condition is missing"),
    ("a=1^", "condition-syntax", 5, "a condition is missing"),
    ("^a=1", "condition-syntax", 1, "a condition is missing"),
    ("a=1^ORDERBYa^", "condition-syntax", 14, "a condition is missing"),
    ("ORDERBYa", "condition-syntax", 1, "there is no condition"),
    ("a=1^OR^b=2", "condition-syntax", 7, "a condition is missing"),
    ("a=1^NQ", "condition-syntax", 7, "a condition is missing"),
    ("()", "condition-syntax", 2, "a condition is missing"),
    ("(a=1", "condition-syntax", 1, "not closed"),
    ("a=1)", "condition-syntax", 4, "closes nothing"),
    ("(a=1)b=2", "condition-syntax", 6, "join it with ^"),
    ("a=(1", "condition-syntax", 3, "in pairs"),
    ("=1", "condition-syntax", 1, "the field is missing"),
    ("a=", "condition-syntax", 3, "ISEMPTY"),
    ("a!=^b=1", "condition-syntax", 4, "ISNOTEMPTY"),
    ("active", "condition-syntax", 7, "no operator after 'active'"),
    ("priorityFROB5", "condition-syntax", 9, "begins with no operator"),
    ("priorityIN", "condition-syntax", 11, "value of IN is missing"),
    ("priorityIN1,,2", "condition-syntax", 11, "empty value"),
    ("callerISEMPTYx", "condition-syntax", 14, "takes no value"),
    ("effortBETWEEN1", "condition-syntax", 14, "BETWEEN1@3"),
    ("effortBETWEEN1@", "condition-syntax", 14, "both ends"),
    ("dueONToday@x", "condition-syntax", 4, "that whole day"),
    ("dueRELATIVEGT@hour@ago@3", "condition-syntax", 4, "write a date-time"),
    ("stateSAMEAScaller", "condition-syntax", 6, "two fields"),
    ("stateDYNAMIC9", "condition-syntax", 6, "the values themselves"),
    ("a==1", "condition-syntax", 2, "write '='"),
    ("caller=javascript:gs.getUserID()", "condition-syntax", 8, "not run"),
    (
        (
            "dueBETWEENjavascript:gs.dateGenerate('2024-01-01','00:00:00')"
            "@javascript:gs.dateGenerate('2024-01-31','end')"
        ),
        *("condition-syntax", 11),
        "2024-01-01 00:00:00@2024-01-31 23:59:59",
    ),
    ("impact=1", "condition-field", 1, "maps no field 'impact'"),
    ("a=1^caller.name=x", "condition-field", 5, "maps no field 'caller.name'"),
    ("active<1", "condition-operator", 1, "says nothing about a boolean"),
    ("effortLIKE1", "condition-operator", 1, "says nothing about a number"),
    ("callerSINCE2024-01-01", "condition-operator", 1, "about a text"),
    ("effort=many", "condition-value", 8, "'many' is not a number"),
    ("active=yes", "condition-value", 8, "'yes' is not true or false"),
    ("priority=4", "condition-value", 10, "known: '1', '2', '3', '10'"),
    ("due>=yesterday", "condition-value", 6, "'2024-01-01 00:00:00'"),
    ("due>=2024-02-30", "condition-value", 6, "'2024-01-01 00:00:00'"),
]


@pytest.mark.parametrize(("text", "code", "column", "says"), REFUSED)
def test_what_is_no_condition_is_told_where_and_what_to_write(
    text: str, code: str, column: int, says: str
) -> None:
    with pytest.raises(ConditionRefused) as refused:
        bind(text, SUBJECTS)

    (flaw,) = refused.value.flaws
    assert (flaw.code, flaw.column) == (code, column)
    assert says in f"{flaw.cause}; {flaw.remedy}"


def test_all_that_is_wrong_with_a_condition_is_told_at_once() -> None:
    with pytest.raises(ConditionRefused) as refused:
        bind("impact=1^effort=many^activeLIKEx", SUBJECTS)

    assert [flaw.column for flaw in refused.value.flaws] == [1, 17, 22]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=1^b=3^c=4", "b=3 (b is 2)"),
        ("a=1^b=3^ORc=4", "b=3 (b is 2) and c=4 (c is 3)"),
        ("a=0^NQd=1", "a=0 (a is 1) and d=1 (nothing is known of d)"),
        ("caller=ada", "caller=ada (caller is empty)"),
        ("priorityCHANGES", "priorityCHANGES (priority stays 2)"),
        ("activeCHANGES", "activeCHANGES (what active was before is not known)"),
        ("effortCHANGES", "effortCHANGES (the change does not carry effort)"),
        (
            "stateCHANGESTOclosed",
            "stateCHANGESTOclosed (state goes from 'new' to 'In Progress')",
        ),
    ],
)
def test_the_part_that_does_not_hold_is_named(text: str, why: str) -> None:
    assert bind(text, SUBJECTS).objection(Shown()) == why


# --- any query against a straightforward reading --------------------------------------

Tree = Any
LEAVES = st.tuples(
    st.sampled_from("abc"), st.sampled_from(["=", "!=", "<", ">="]), st.integers(0, 4)
)


def _queries(parts: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    alternatives = st.lists(parts, min_size=1, max_size=3)
    conditions = st.lists(alternatives, min_size=1, max_size=3)
    return st.builds(
        lambda q: ("query", q), st.lists(conditions, min_size=1, max_size=3)
    )


QUERIES = _queries(st.recursive(LEAVES, _queries, max_leaves=12))


def _written(tree: Tree, inside: bool = False) -> str:
    if tree[0] != "query":
        return f"{tree[0]}{tree[1]}{tree[2]}"
    text = "^NQ".join(
        "^".join(
            "^OR".join(_written(part, inside=True) for part in alternatives)
            for alternatives in conditions
        )
        for conditions in tree[1]
    )
    return f"({text})" if inside else text


def _reads(tree: Tree, record: dict[str, int]) -> bool:
    if tree[0] != "query":
        field, operator, value = tree
        has = record[field]
        return {
            "=": has == value,
            "!=": has != value,
            "<": has < value,
            ">=": has >= value,
        }[operator]
    return any(
        all(any(_reads(part, record) for part in alternatives) for alternatives in q)
        for q in tree[1]
    )


@settings(deadline=None, max_examples=300)
@given(QUERIES, st.fixed_dictionaries(dict.fromkeys("abc", st.integers(0, 4))))
def test_any_query_is_read_as_it_is_written(tree: Tree, record: dict[str, int]) -> None:
    condition = bind(_written(tree), SUBJECTS)

    assert holds(condition, Shown(record)) is _reads(tree, record)


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("ab=!<>^()INORQE,@ \u00e4"), max_size=40))
def test_any_text_is_a_condition_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        bind(text, SUBJECTS)
    except ConditionRefused as refused:
        for flaw in refused.flaws:
            assert 1 <= flaw.column <= len(text) + 1
            assert flaw.cause
            assert flaw.remedy
