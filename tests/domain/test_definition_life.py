"""Rolled back, sources kept, and the story that the events tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rps.domain.definition_story import RevisionUnknown, Story
from rps.domain.document import parse
from rps.domain.document_diff import Difference, differences
from rps.domain.problem import DefinitionRefused
from rps.domain.process_sync_definition import (
    DefinitionDrafted,
    DefinitionPublished,
    ProcessSyncDefinition,
)

if TYPE_CHECKING:
    from rps.domain.agreement import Definition

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def named(field: str, name: str = "ticket.shared") -> Definition:
    return parse(
        {
            "process_event": name,
            "fields": {"title": {"type": "text"}},
            "members": {
                "acme": {"table": "incident", "fields": {"title": field}},
                "zenith": {"table": "case", "fields": {"title": "summary"}},
            },
        }
    )


class Life:
    """One definition, told minute by minute what becomes of it."""

    def __init__(self) -> None:
        self.aggregate = ProcessSyncDefinition.drafted(named("a"), "ann", NOW, "# a")
        self.events: list[Any] = []
        self.now = NOW

    def _next(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    @property
    def story(self) -> Story:
        self.events += self.aggregate.collect_events()
        return Story(self.events)

    def publish(self, field: str, source: str = "") -> None:
        self.aggregate.draft(named(field), "ann", self._next(), source)
        self.aggregate.publish([], "bob", self._next())

    def back(self, to: int | None = None, others: tuple[Definition, ...] = ()) -> None:
        story = self.story
        revision = story.revision(to) if to else story.before(self.aggregate.revision)
        self.aggregate.roll_back(revision, others, "wrong", "eve", self._next())

    @property
    def field(self) -> str:
        """What is in force."""
        assert self.aggregate.published is not None
        title = self.aggregate.published["members"]["acme"]["fields"]["title"]
        return str(title["field"])


def test_a_rollback_is_the_next_revision_with_author_and_reason() -> None:
    life = Life()
    for field in ("a", "b"):
        life.publish(field)

    life.back()

    step = life.story.steps[-1]
    assert (life.aggregate.revision, life.field) == (3, "a")
    assert (step.kind, step.revision, step.rolled_back_to) == ("rolled back", 3, 1)
    assert (step.actor, step.reason, step.at) == ("eve", "wrong", life.now)


def test_rolling_back_again_goes_further_back() -> None:
    life = Life()
    for field in ("a", "b", "c"):
        life.publish(field)

    fields = []
    for _ in range(2):
        life.back()
        fields.append(life.field)

    assert fields == ["b", "a"]
    with pytest.raises(RevisionUnknown, match="revision 5 has the first document"):
        life.back()


def test_a_rollback_to_what_is_in_force_changes_nothing() -> None:
    life = Life()
    life.publish("a")
    before = life.story.steps

    life.back(1)

    assert life.story.steps == before


def test_the_draft_follows_a_rollback_unless_it_was_not_published_yet() -> None:
    life = Life()
    for field in ("a", "b"):
        life.publish(field)

    life.back()
    assert life.aggregate.document == life.aggregate.published

    life.aggregate.draft(named("c"), "ann", NOW)
    life.back(2)
    assert life.aggregate.document == named("c").to_document()


def test_what_was_published_before_a_check_there_was_can_be_rolled_back_to() -> None:
    life = Life()
    old = named("a").to_document()
    old["process_event"] = "schema"  # refused today as reserved-name
    with pytest.raises(DefinitionRefused):
        parse(old)
    life.aggregate.document = old
    life.aggregate.happened(
        DefinitionPublished,
        NOW,
        process_event="schema",
        revision=1,
        document=old,
        actor="ann",
    )
    life.publish("b")

    life.back()

    assert life.aggregate.published == old


def test_a_rollback_has_to_go_with_the_others_that_are_in_force() -> None:
    life = Life()
    for field in ("a", "b"):
        life.publish(field)

    with pytest.raises(DefinitionRefused) as refused:
        life.back(others=(named("a", "other.shared"),))

    assert {each.code for each in refused.value.problems} == {"loop"}
    assert life.field == "b"


def test_a_retired_definition_is_rolled_back_to_its_last_revision() -> None:
    life = Life()
    life.publish("a")
    life.aggregate.retire("over", "eve", NOW)

    life.back(1)

    assert (life.aggregate.retired, life.aggregate.revision) == (False, 2)
    kinds = [(step.kind, step.revision) for step in life.story.steps]
    assert kinds == [("published", 1), ("retired", 1), ("rolled back", 2)]


def test_revisions_nobody_published_are_unknown() -> None:
    life = Life()
    with pytest.raises(RevisionUnknown, match="nothing was ever published"):
        life.story.revision(1)
    life.publish("a")
    with pytest.raises(RevisionUnknown, match="no revision 2: there are 1 to 1"):
        life.story.revision(2)


def test_a_source_is_kept_with_its_revision_and_comes_back_with_it() -> None:
    life = Life()
    life.publish("a", "# the first")
    life.publish("b", "# the second")
    life.back()

    sources = [life.story.source(number) for number in (1, 2, 3)]

    assert sources == ["# the first", "# the second", "# the first"]
    assert life.aggregate.source == "# the first"


def test_a_source_with_other_comments_makes_no_revision_and_is_kept() -> None:
    life = Life()
    life.publish("a", "# a")

    life.publish("a", "# a, explained")
    life.publish("a")  # as data: that says nothing about the text

    assert (life.aggregate.revision, life.story.source(1)) == (1, "# a, explained")


def test_a_draft_without_a_text_does_not_keep_the_text_of_another() -> None:
    life = Life()
    life.publish("a", "# a")
    life.publish("b")

    assert life.story.source(2) == ""


def test_events_of_before_have_no_source_and_are_no_rollback() -> None:
    at = {"originator_id": ProcessSyncDefinition.id_of("top", "x"), "timestamp": NOW}
    said = {"process_event": "x", "document": {}, "actor": "ann", "domain": "top"}
    events = [
        DefinitionDrafted(originator_version=1, **at, **said),
        DefinitionPublished(originator_version=2, revision=1, **at, **said),
    ]

    story = Story(events)

    assert story.source(1) == ""
    assert [(step.kind, step.reason) for step in story.steps] == [("published", "")]


# --- what differs -------------------------------------------------------------------


def test_a_difference_names_its_place_and_both_values() -> None:
    before = {"a": {"x": 1, "y": [1]}, "b": 2, "gone": {"z": 1}}
    after = {"a": {"x": 1, "y": [1, 2], "new": 3}, "b": {"c": 1}}

    assert list(differences(before, after)) == [
        Difference("changed", "/a/y", [1], [1, 2]),
        Difference("added", "/a/new", None, 3),
        Difference("changed", "/b", 2, {"c": 1}),
        Difference("removed", "/gone", {"z": 1}),
    ]


def test_a_document_does_not_differ_from_itself() -> None:
    document = named("a").to_document()
    assert list(differences(document, named("a").to_document())) == []
