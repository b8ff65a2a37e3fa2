from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rps.domain import flow
from rps.domain.agreement import Definition, JournalMap, Member
from rps.domain.delivery import JournalEntry
from rps.domain.document import parse
from rps.domain.field_map import FieldMap
from rps.domain.flow import MappingRefused

URGENCY = {"critical": "1", "high": "2", "low": "4"}

DOCUMENT: dict[str, Any] = {
    "process_event": "incident.shared",
    "fields": {
        "title": {"type": "text", "max_length": 40},
        "priority": {"type": "choice", "values": list(URGENCY)},
        "kind": {"type": "choice", "values": ["bug", "wish"]},
        "effort": {"type": "number"},
        "open": {"type": "boolean"},
        "due": {"type": "date-time"},
        "watchers": {"type": "tags", "policy": "merge"},
    },
    "journals": {
        "comments": {"visibility": "public"},
        "work_notes": {"visibility": "internal"},
    },
    "members": {
        "acme": {
            "table": "incident",
            "fields": {
                "title": {"field": "short_description", "truncate": 10},
                "priority": {"field": "urgency", "values": URGENCY},
                "kind": "category",
                "effort": "time_worked",
                "open": "active",
                "due": "due_date",
                "watchers": "watch_list",
            },
            "journals": {"comments": "comments", "work_notes": "work_notes"},
        },
        "globex": {
            "table": "ticket",
            "fields": {
                name: name
                for name in (
                    "title",
                    "priority",
                    "kind",
                    "effort",
                    "open",
                    "due",
                    "watchers",
                )
            },
            "journals": {"comments": "replies", "work_notes": "internal_notes"},
        },
    },
}
DEFINITION = parse(DOCUMENT)
ACME = DEFINITION.members["acme"]
GLOBEX = DEFINITION.members["globex"]


def inward(**fields: Any) -> dict[str, Any]:
    return flow.inbound(ACME, DEFINITION, fields).fields


def outward(**fields: Any) -> dict[str, Any]:
    return flow.outbound(ACME, DEFINITION, fields)


MEANINGS = [
    ("short_description", "a\r\nb\rc \n", "title", "a\nb\nc \n"),
    ("short_description", "", "title", None),
    ("short_description", None, "title", None),
    ("urgency", "2", "priority", "high"),
    ("urgency", 2, "priority", "high"),
    ("urgency", "", "priority", None),
    ("category", "bug", "kind", "bug"),
    ("time_worked", "1.50", "effort", 1.5),
    ("time_worked", "-12", "effort", -12),
    ("time_worked", 3.0, "effort", 3),
    ("time_worked", "2e3", "effort", 2000),
    ("active", True, "open", True),
    ("active", "false", "open", False),
    ("active", "1", "open", True),
    ("active", "0", "open", False),
    ("active", 0, "open", False),
    ("due_date", "2026-11-24 10:00:00", "due", "2026-11-24T10:00:00Z"),
    ("due_date", "2026-11-24T11:00:00+01:00", "due", "2026-11-24T10:00:00Z"),
    ("due_date", "2026-11-24T10:00:00.000+0000", "due", "2026-11-24T10:00:00Z"),
    ("due_date", "2026-11-24T10:00:00.25Z", "due", "2026-11-24T10:00:00.250000Z"),
    ("watch_list", "b, a,,b", "watchers", ["a", "b"]),
    ("watch_list", ["b", "a"], "watchers", ["a", "b"]),
    ("watch_list", [], "watchers", None),
    ("watch_list", " , ", "watchers", None),
]


@pytest.mark.parametrize(("remote", "value", "shared", "meaning"), MEANINGS)
def test_a_remote_value_gets_one_shared_form(
    remote: str, value: Any, shared: str, meaning: Any
) -> None:
    fields = inward(**{remote: value})

    assert fields == {shared: meaning}
    assert type(fields[shared]) is type(meaning)


REFUSED = [
    ("short_description", 7, "is not a text"),
    ("short_description", "x" * 41, "has 41 characters, at most 40 fit"),
    ("short_description", "a\x00", "holds a character that no database takes"),
    ("short_description", "\ud800", "holds a character that no database takes"),
    ("urgency", "9", "has no shared value; known: '1', '2', '4'"),
    ("urgency", True, "has no shared value; known: '1', '2', '4'"),
    ("urgency", ["2"], "is not a choice; write a text"),
    ("category", "Bug", "is not a shared value; known: 'bug', 'wish'"),
    ("time_worked", "1,5", "is not a number"),
    ("time_worked", True, "is not a number"),
    ("time_worked", "1e999", "is not a finite number"),
    ("time_worked", float("nan"), "is not a finite number"),
    ("time_worked", 2**53 + 1, "has more digits than JSON keeps; share it as a text"),
    ("active", "yes", "is not true or false"),
    ("active", 2, "is not true or false"),
    ("active", [], "is not true or false"),
    ("due_date", "2026-11-24T10:00:00", "has no zone; end it with Z or an offset"),
    (
        "due_date",
        "2026-02-30 10:00:00",
        "is not a date-time; write ISO 8601 with a zone",
    ),
    ("due_date", "0001-01-01T00:00:00+14:00", "is outside the years 1 to 9999 in UTC"),
    ("due_date", 1764000000, "is not a date-time; write ISO 8601 with a zone"),
    ("watch_list", [1], "is not a text"),
    ("watch_list", ["a,b"], "holds a tag with a comma"),
    ("watch_list", {"a": 1}, "is not a list of texts"),
]


@pytest.mark.parametrize(("remote", "value", "detail"), REFUSED)
def test_a_value_without_a_meaning_is_refused_by_name(
    remote: str, value: Any, detail: str
) -> None:
    with pytest.raises(MappingRefused) as refused:
        inward(**{remote: value})

    assert (refused.value.field, refused.value.detail) == (remote, detail)
    assert refused.value.value is value
    assert str(refused.value).startswith(f"'{remote}': ")
    str(refused.value).encode()


@pytest.mark.parametrize("remote", sorted(ACME.by_field))
def test_a_number_too_long_to_print_is_refused(remote: str) -> None:
    """Python raises ValueError when it prints an int of more than 4,300 digits."""
    with pytest.raises(MappingRefused, match="a huge number"):
        inward(**{remote: 10**5000})


def test_fields_that_no_map_names_are_reported() -> None:
    result = flow.inbound(ACME, DEFINITION, {"sys_id": "1", "active": "true"})

    assert result == flow.Inbound({"open": True}, ("sys_id",))


def test_shared_values_go_out_in_the_members_words() -> None:
    written = outward(
        title="a title too long",
        priority="low",
        kind="wish",
        open=False,
        effort=3,
        due="2026-11-24T10:00:00Z",
        watchers=["a"],
        unknown=1,
    )

    assert written == {
        "short_description": "a title to",
        "urgency": "4",
        "category": "wish",
        "active": False,
        "time_worked": 3,
        "due_date": "2026-11-24T10:00:00Z",
        "watch_list": ["a"],
    }


def test_cleared_values_go_out_as_null_and_as_no_tags() -> None:
    assert outward(title=None, watchers=None, priority="") == {
        "short_description": None,
        "watch_list": [],
        "urgency": None,
    }


def test_a_shared_value_of_an_older_revision_names_the_field_it_does_not_fit() -> None:
    with pytest.raises(MappingRefused) as refused:
        outward(priority="moderate")

    assert refused.value.field == "urgency"
    assert "'critical', 'high', 'low'" in refused.value.detail


def test_the_normaliser_tells_what_the_member_will_hold() -> None:
    def normalised(name: str, value: Any) -> Any:
        return flow.normalised(ACME, DEFINITION, name, value)

    assert normalised("title", "a title too long") == "a title to"
    assert normalised("priority", "low") == "low"
    assert normalised("watchers", None) is None
    assert normalised("priority", "of an older revision") == "of an older revision"
    assert normalised("$deleted", True) is True


lines = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=40)
tag = st.text(st.characters(exclude_characters="\x00,", codec="utf-8"), max_size=5)
remote_values = {
    "title": st.none() | lines,
    "priority": st.sampled_from([None, "", *URGENCY]),
    "kind": st.sampled_from(["bug", "wish", None]),
    "effort": st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**9), 10**9).map(str),
    "open": st.booleans() | st.sampled_from(["true", "False", "1", "0", None]),
    "due": st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0")),
    "watchers": st.lists(tag) | st.lists(tag).map(",".join),
}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(remote_values))
def test_there_and_back_gives_the_same_shared_value(remote: dict[str, Any]) -> None:
    """Through JSON, through the uncut member, and once more through the cutting one."""
    shared = flow.inbound(GLOBEX, DEFINITION, remote).fields

    sent = json.loads(json.dumps(flow.outbound(GLOBEX, DEFINITION, shared)))
    assert flow.inbound(GLOBEX, DEFINITION, sent).fields == shared
    assert json.dumps(flow.inbound(GLOBEX, DEFINITION, sent).fields) == json.dumps(
        shared
    )

    held = flow.inbound(
        ACME, DEFINITION, flow.outbound(ACME, DEFINITION, shared)
    ).fields
    for name, value in shared.items():
        assert held[name] == flow.normalised(ACME, DEFINITION, name, value)
        assert flow.normalised(ACME, DEFINITION, name, held[name]) == held[name]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ACME.by_field)), anything)
def test_no_value_raises_anything_but_a_refusal(remote: str, value: Any) -> None:
    for convert, name in (
        (flow.inbound, remote),
        (flow.outbound, ACME.by_field[remote].shared),
    ):
        try:
            convert(ACME, DEFINITION, {name: value})
        except MappingRefused as refused:
            str(refused).encode()
    flow.normalised(ACME, DEFINITION, ACME.by_field[remote].shared, value)


def entry(journal: str, number: int = 1) -> dict[str, Any]:
    return {
        "id": f"acme:{number}",
        "journal": journal,
        "text": "hello",
        "author": "ada",
        "written_at": "2026-11-24T10:00:00Z",
    }


def test_entries_come_in_under_shared_journal_names() -> None:
    captured = [entry("comments", 1), entry("approvals", 2), entry("work_notes", 3)]

    shared = flow.inbound_entries(ACME, DEFINITION, captured)

    assert shared == [entry("comments", 1), entry("work_notes", 3)]


def test_entries_go_out_under_the_members_journal_names() -> None:
    written = flow.outbound_entries(
        GLOBEX, DEFINITION, [entry("comments", 1), entry("work_notes", 2)]
    )

    assert written == (
        JournalEntry("acme:1", "replies", "hello", "ada", "2026-11-24T10:00:00Z"),
        JournalEntry(
            "acme:2", "internal_notes", "hello", "ada", "2026-11-24T10:00:00Z"
        ),
    )


def test_a_prefix_says_who_wrote_it_where_the_system_cannot() -> None:
    said = "[{author}, {written_at}] "
    journal = JournalMap("comments", "notes", "public", said)
    member, definition = with_journal(journal)

    named, unnamed = flow.outbound_entries(
        member,
        definition,
        [entry("comments"), {**entry("comments", 2), "author": "", "text": "{author}"}],
    )

    assert named.text == "[ada, 2026-11-24T10:00:00Z] hello"
    assert unnamed.text == "[?, 2026-11-24T10:00:00Z] {author}"


def test_an_entry_goes_home_by_its_own_id_and_as_it_was_written() -> None:
    journal = JournalMap("comments", "notes", "public", "[{author}] ")
    member, definition = with_journal(journal)
    edited = {**entry("comments", 7), "operation": "update", "version": 2}
    removed = {**entry("comments"), "id": "globex:1", "operation": "delete", "text": ""}

    own, other = flow.outbound_entries(member, definition, [edited, removed])

    assert (own.id, own.text, own.operation) == ("7", "hello", "update")
    assert (other.id, other.text, other.operation) == ("globex:1", "", "delete")


def test_a_member_is_told_only_the_journals_it_maps() -> None:
    entries = [entry("comments", 1), entry("approvals", 2)]

    assert flow.shared_entries_for(GLOBEX, entries) == [entry("comments", 1)]


def with_journal(journal: JournalMap) -> tuple[Member, Definition]:
    """A definition that `parse` would have refused."""
    member = Member(
        name="acme",
        system="acme",
        table="incident",
        capture=("update",),
        deliver=("update",),
        fields={"title": FieldMap("title", "title")},
        journals={journal.shared: journal},
    )
    return member, DEFINITION


def test_an_internal_note_is_stopped_even_where_the_definition_would_let_it() -> None:
    member, definition = with_journal(JournalMap("work_notes", "wall", "public"))
    with pytest.raises(MappingRefused, match="internal note would become public"):
        flow.outbound_entries(member, definition, [entry("work_notes")])

    member, definition = with_journal(JournalMap("comments", "diary", "internal"))
    with pytest.raises(MappingRefused, match="internal note would become public"):
        flow.inbound_entries(member, definition, [entry("diary")])


def test_a_moment_is_counted_in_milliseconds() -> None:
    assert flow.epoch_milliseconds("1970-01-01T00:00:01.5Z") == 1500
    assert flow.epoch_milliseconds("1970-01-01 01:00:00") == 3_600_000
    assert flow.epoch_milliseconds("yesterday") is None
