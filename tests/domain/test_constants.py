"""What a member is given beside the fields that it maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from shared_record import SharedRecord, definition, messages, shared

from rps.domain import events
from rps.domain.constants import constant_fields
from rps.domain.document import parse
from rps.domain.loops import loops

if TYPE_CHECKING:
    from rps.domain.agreement import Member

CONSTANTS = {
    "source": "rps",
    "summary": "{title} / {state}",
    "watch": "{tags}",
    "weight": 7,
    "new": True,
}


def member(**constants: Any) -> Member:
    made: Member = definition(b={"constants": constants or CONSTANTS}).members["b"]
    return made


def test_everything_is_written_where_the_record_is_made() -> None:
    assert constant_fields(member(), {"title": "Disk"}, {}, is_new=True) == {
        "source": "rps",
        "summary": "Disk / ",
        "watch": "",
        "weight": 7,
        "new": True,
    }


def test_a_text_is_written_whenever_one_of_its_fields_is() -> None:
    context = {"state": "new"}

    assert constant_fields(member(), {"title": "Disk"}, context, is_new=False) == {
        "summary": "Disk / new"
    }
    assert constant_fields(member(), {}, context, is_new=False) == {}


SAID = [
    ("{title}", "Disk"),
    ("{{title}}", "{title}"),
    ("{title}{title}", "DiskDisk"),
    ("{{{title}}}", "{Disk}"),
    ("{tags}", "x, y"),
    ("{state}", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "said"), SAID)
def test_a_brace_is_written_twice_and_a_name_once(text: str, said: str) -> None:
    values = {"title": "Disk", "tags": ["x", "y"], "state": None}

    assert constant_fields(member(c=text), values, {}, is_new=True) == {"c": said}


def test_what_a_value_holds_is_not_read_as_a_name() -> None:
    values = {"title": "{state}", "state": "new"}

    written = constant_fields(member(c="{title}"), values, {}, is_new=True)

    assert written == {"c": "{state}"}


def concatenating() -> SharedRecord:
    """`b` gets title and state in one of its fields; it maps the title only."""
    summing = {"fields": {"title": "title"}, "constants": {"sum": "{title}, {state}"}}
    return shared(definition(b=summing))


def test_a_message_has_what_its_texts_name_beside_what_it_writes() -> None:
    record = concatenating().shows("a", 2, title="second")

    (accepted,) = record.then(events.ChangeAccepted)

    told = {each["member"]: each for each in accepted.messages}
    assert (told["b"]["fields"], told["b"]["context"]) == (
        {"title": "second"},
        {"state": "new"},
    )
    assert "context" not in told["c"]


def test_a_field_that_only_a_text_names_is_told_too() -> None:
    record = concatenating().shows("a", 2, state="open")

    (accepted,) = record.then(events.ChangeAccepted)

    assert messages(accepted)["b"] == {"state": "open"}
    assert accepted.messages[0]["context"] == {"title": "first"}


def test_what_the_member_itself_changed_is_known_to_a_message_made_anew() -> None:
    """Title and state wait for `b`, whose people change the title meanwhile."""
    record = concatenating().shows("a", 2, title="second", state="open")
    record.shows("b", 2, title="theirs")

    revised = [e for e in record.followed if isinstance(e, events.MessageRevised)]

    assert [(e.fields, e.context) for e in revised] == [
        ({"state": "open"}, {"title": record.record.fields["title"].value})
    ]


def test_a_text_with_a_captured_field_in_it_can_close_a_loop() -> None:
    def linking(name: str, a: dict[str, Any], b: dict[str, Any]) -> Any:
        return parse(
            {
                "process_event": name,
                "fields": {"title": {"type": "text"}, "note": {"type": "text"}},
                "members": {
                    "a": {
                        "table": "t",
                        "capture": ["update"],
                        "deliver": ["update"],
                        **a,
                    },
                    "b": {
                        "table": "t",
                        "capture": ["update"],
                        "deliver": ["update"],
                        **b,
                    },
                },
            }
        )

    one = linking(
        "one",
        {"fields": {"title": "t1", "note": "n1"}},
        {"fields": {"title": "t2", "note": "n2"}, "constants": {"sum": "{title}"}},
    )
    two = linking(
        "two",
        {"fields": {"title": "t1", "note": "n3"}, "deliver": ["update"]},
        {"fields": {"title": "sum", "note": "n4"}},
    )

    assert "loop" in {problem.code for problem in loops(two, [one])}
