"""Reads a definition document: plain dicts, lists and scalars, however hostile.

This module checks shape (keys, types, names, bounds); `rps.domain.scan` checks sense.
Duplicate keys are lost before they come here: the parser in front must refuse them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

from rps.domain.agreement import (
    Definition,
    Delivery,
    FieldMap,
    FieldType,
    JournalMap,
    Member,
    Policy,
    SharedAttachments,
    SharedField,
    SharedJournal,
    Visibility,
)
from rps.domain.delivery import Operation
from rps.domain.encoded_query import LENGTH_MAX
from rps.domain.problem import DefinitionRefused, Findings, Problem
from rps.domain.scan import scan
from rps.domain.section import LIST_MAX, Section, Shape, matching, visible
from rps.domain.visibility import seen_by

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Definition",
    "DefinitionRefused",
    "FieldMap",
    "JournalMap",
    "Member",
    "Problem",
    "SharedField",
    "SharedJournal",
    "parse",
]

NODES_MAX = 20_000
FIELDS_MAX = 200
JOURNALS_MAX = 20
MEMBERS_MAX = 20
DESCRIPTION_MAX = 2000
EXTENSIONS_MAX = 200
ATTACHMENT_BYTES = 25_000_000
"""The largest file where a definition does not say."""

OPERATIONS: Final = cast("tuple[Operation, ...]", get_args(Operation))
FIELD_TYPES: Final = cast("tuple[FieldType, ...]", get_args(FieldType))
POLICIES: Final = cast("tuple[Policy, ...]", get_args(Policy))
DELIVERIES: Final = cast("tuple[Delivery, ...]", get_args(Delivery))
VISIBILITIES: Final = cast("tuple[Visibility, ...]", get_args(Visibility))

SHARED_NAME = matching(
    r"[a-z][a-z0-9_]{0,39}", "a small letter, then up to 39 of a-z, 0-9 and _"
)
PREFIX = matching(
    r"(?:[^{}\x00-\x1f\x7f]|\{author\}|\{written_at\}){1,80}",
    "up to 80 characters on one line, with {author} and {written_at} where they go",
)
MEMBER_NAME = matching(
    r"[a-z][a-z0-9_-]{0,39}", "a small letter, then up to 39 of a-z, 0-9, _ and -"
)
PROCESS_EVENT = matching(
    r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}",
    "a letter or digit, then up to 79 letters, digits, spaces, '.', '_' and '-'",
)
DOMAIN = matching(
    r"(?=.{1,255}$)[a-z0-9-]+(/[a-z0-9-]+)*",
    "parts of a-z, 0-9 and - joined by '/', up to 255 characters",
)
EXTENSION = matching(r"[a-z0-9]{1,20}", "up to 20 of a-z and 0-9, without the dot")
REMOTE_NAME = visible(120)
CHOICE = visible(80)
CONDITION = visible(LENGTH_MAX)
OPERATION = Shape(lambda text: text in OPERATIONS, f"any of {', '.join(OPERATIONS)}")
PROSE = Shape(
    lambda text: (
        len(text) <= DESCRIPTION_MAX
        and all(char.isprintable() or char in "\n\t" for char in text)
    ),
    f"up to {DESCRIPTION_MAX} printable characters",
)


def parse(document: object) -> Definition:
    """The definition that `document` (parsed YAML or JSON) describes.

    Raises DefinitionRefused with every problem at once, in order of place.
    """
    found = Findings()
    if not _small_enough(document):
        cause = f"the document has more than {NODES_MAX} values or contains itself"
        found.add("too-large", "", cause, "split it into several definitions")
        raise DefinitionRefused(found.in_order())
    definition = _definition(Section(document, "", found))
    scan(definition, found)
    problems = found.in_order()
    if problems:
        raise DefinitionRefused(problems)
    return definition


def _small_enough(document: object) -> bool:
    """Counts without recursion: YAML anchors can make a document contain itself."""
    waiting, count = [document], 1
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            count += len(value)
            if count > NODES_MAX:
                return False
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return True


def _definition(section: Section) -> Definition:
    section.only(
        *("process_event", "domain", "description", "fields", "journals"),
        *("attachments", "members"),
    )
    fields = section.section("fields")
    journals = section.section("journals")
    members = section.section("members")
    shared_journals = {
        name: _shared_journal(name, journals.section(name))
        for name in journals.names(SHARED_NAME, JOURNALS_MAX)
    }
    return Definition(
        process_event=section.text("process_event", PROCESS_EVENT),
        domain=section.text("domain", DOMAIN, "top"),
        description=section.text("description", PROSE, ""),
        fields={
            name: _shared_field(name, fields.section(name))
            for name in fields.names(SHARED_NAME, FIELDS_MAX)
        },
        journals=shared_journals,
        members={
            name: _member(name, members.section(name), shared_journals)
            for name in members.names(MEMBER_NAME, MEMBERS_MAX)
        },
        attachments=(
            _shared_attachments(section.section("attachments"))
            if section.has("attachments")
            else None
        ),
    )


def _shared_attachments(section: Section) -> SharedAttachments:
    section.only("journal", "size_max", "extensions", "deletion")
    return SharedAttachments(
        journal=section.text("journal", SHARED_NAME),
        size_max=section.size("size_max", ATTACHMENT_BYTES),
        extensions=section.texts("extensions", EXTENSION),
        deletion=section.flag("deletion", default=False),
    )


def _shared_field(name: str, section: Section) -> SharedField:
    section.only("type", "policy", "owner", "max_length", "values")
    return SharedField(
        name=name,
        type=section.word("type", FIELD_TYPES),
        policy=_policy(section),
        owner=section.optional_text("owner", MEMBER_NAME),
        max_length=section.length("max_length"),
        values=section.texts("values", CHOICE),
    )


def _policy(section: Section) -> Policy:
    if section.says("policy", "hub wins", "hub_wins"):
        return "local_wins"
    return section.word("policy", POLICIES, "newer_wins")


def _shared_journal(name: str, section: Section) -> SharedJournal:
    section.only("visibility")
    return SharedJournal(name, section.word("visibility", VISIBILITIES))


def _member(name: str, section: Section, shared: Mapping[str, SharedJournal]) -> Member:
    section.only(
        *("system", "table", "capture", "deliver", "delivery", "fields", "journals"),
        *("attachments", "capture_when", "capture_while", "ignore_changed_by"),
    )
    fields = section.section("fields")
    journals = section.section("journals")
    return Member(
        name=name,
        system=section.text("system", REMOTE_NAME, name),
        table=section.text("table", REMOTE_NAME),
        capture=_operations(section, "capture", OPERATIONS),
        deliver=_operations(section, "deliver", ("create", "update")),
        delivery=section.word("delivery", DELIVERIES, "each"),
        fields={
            each: _field_map(each, fields.section(each, short_for="field"))
            for each in fields.names(SHARED_NAME, FIELDS_MAX)
        },
        journals={
            each: _journal_map(
                each, journals.section(each, short_for="journal"), shared.get(each)
            )
            for each in journals.names(SHARED_NAME, JOURNALS_MAX)
        },
        attachments=section.flag("attachments", default=True),
        capture_when=section.optional_text("capture_when", CONDITION) or "",
        capture_while=section.flag("capture_while", default=False),
        ignore_changed_by=section.texts("ignore_changed_by", REMOTE_NAME),
    )


def _operations(
    section: Section, key: str, default: tuple[Operation, ...]
) -> tuple[Operation, ...]:
    written = section.texts(key, OPERATION, default)
    return tuple(each for each in OPERATIONS if each in written)


def _field_map(shared: str, section: Section) -> FieldMap:
    section.only("field", "values", "truncate")
    table = section.section("values")
    return FieldMap(
        shared=shared,
        field=section.text("field", REMOTE_NAME),
        values={
            value: table.text(value, CHOICE) for value in table.names(CHOICE, LIST_MAX)
        },
        truncate=section.length("truncate"),
    )


def _journal_map(
    shared: str, section: Section, journal: SharedJournal | None
) -> JournalMap:
    section.only("journal", "visibility", "prefix", "edits", "earlier_entries")
    name = section.text("journal", REMOTE_NAME)
    visibility = section.optional_word("visibility", VISIBILITIES)
    if visibility is None:
        visibility = seen_by(name, journal.visibility if journal else "internal")
    return JournalMap(
        shared,
        name,
        visibility,
        prefix=section.optional_text("prefix", PREFIX) or "",
        edits=section.flag("edits", default=False),
        earlier_entries=section.flag("earlier_entries", default=False),
    )
