"""Reads a definition document: plain dicts, lists and scalars, however hostile.

This module checks shape (keys, types, names, bounds); `rps.domain.scan` checks sense.
Duplicate keys are lost before they come here: the parser in front must refuse them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

from rps.domain.agreement import (
    Definition,
    Delivery,
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
from rps.domain.field_map import Constant, FieldMap, Written, is_template
from rps.domain.problem import DefinitionRefused, Findings, Problem
from rps.domain.scan import scan
from rps.domain.section import (
    LIST_MAX,
    MEMBER_NAME,
    REMOTE_NAME,
    Section,
    Shape,
    matching,
    one_of,
    prose,
    visible,
)
from rps.domain.step_reading import flows_of
from rps.domain.visibility import seen_by

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MEMBER_NAME",
    "REMOTE_NAME",
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
CONSTANTS_MAX = 50
LITERAL_MAX = 500
ATTACHMENT_BYTES = 25_000_000
"""The largest file where a definition does not say."""

OPERATIONS: Final = cast("tuple[Operation, ...]", get_args(Operation))
FIELD_TYPES: Final = cast("tuple[FieldType, ...]", get_args(FieldType))
HUB_WINS = ("hub_wins", "hub wins")
POLICIES: Final = cast("tuple[Policy, ...]", get_args(Policy))
DELIVERIES: Final = cast("tuple[Delivery, ...]", get_args(Delivery))
WRITTEN: Final = cast("tuple[Written, ...]", get_args(Written))
VISIBILITIES: Final = cast("tuple[Visibility, ...]", get_args(Visibility))

SHARED_NAME = matching(
    r"[a-z][a-z0-9_]{0,39}", "a small letter, then up to 39 of a-z, 0-9 and _"
)
PREFIX = matching(
    r"(?:[^{}\x00-\x1f\x7f]|\{author\}|\{written_at\}){1,80}",
    "up to 80 characters on one line, with {author} and {written_at} where they go",
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
DAYS = matching(r"[1-9][0-9]{0,3} d", "a number of days, like '90 d'")
CHOICE = visible(80)
CONDITION = visible(LENGTH_MAX)
OPERATION = one_of(OPERATIONS)
PROSE = prose(DESCRIPTION_MAX)
LITERAL = prose(LITERAL_MAX)
TEMPLATE = Shape(
    lambda text: LITERAL.fits(text) and is_template(text),
    f"{LITERAL.says}, with {{title}} where a shared field goes ({{{{ and }}}} are"
    " braces)",
    {
        **LITERAL.schema,
        "pattern": r"^(?:[^{}]|\{\{|\}\}|\{[a-z][a-z0-9_]{0,39}\})*$",
    },
)
FORMAT = matching(
    r"(?=.{7,80}$)(?! )[^{}\x00-\x1f\x7f]*\{value\}"
    r"(?:[^{}\x00-\x1f\x7f]*[^{} \x00-\x1f\x7f])?",
    "up to 80 characters on one line, with {value} once where the text goes, no space"
    " at either end",
)

DEFINITION_KEYS = (
    *("process_event", "domain", "description", "fields", "journals", "attachments"),
    *("common", "members", "retention"),
)
ATTACHMENTS_KEYS = ("journal", "size_max", "extensions", "deletion")
RETENTION_KEYS = ("attachments",)
FIELD_KEYS = ("type", "policy", "owner", "max_length", "values")
JOURNAL_KEYS = ("visibility",)
MEMBER_KEYS = (
    *("system", "table", "capture", "deliver", "delivery", "fields", "journals"),
    *("attachments", "capture_when", "capture_while", "ignore_changed_by"),
    *("constants", "flows"),
)
BY_NAME = ("fields", "journals", "constants")
"""What of `common` a member's own adds to; its other keys stand instead of it."""

FIELD_MAP_KEYS = ("field", "values", "truncate", "default", "format", "as")
JOURNAL_MAP_KEYS = ("journal", "visibility", "prefix", "edits", "earlier_entries")


def parse(document: object) -> Definition:
    """The definition that `document` (parsed YAML or JSON) describes.

    Raises DefinitionRefused with every problem at once, in order of place.
    """
    found = Findings()
    definition = _read(document, found)
    scan(definition, found)
    if isinstance(document, dict) and "common" in document:
        _measure(definition.to_document(), "written out for each member, ", found)
    _end(found)
    return definition


def recorded(document: object) -> Definition:
    """The definition of a document that was published: it was judged then, and is not
    judged again by what is asked today. Raises DefinitionRefused for a wrong shape."""
    found = Findings()
    definition = _read(document, found)
    _end(found)
    return definition


def _read(document: object, found: Findings) -> Definition:
    _measure(document, "", found)
    _end(found)
    return _definition(Section(document, "", found))


def _end(found: Findings) -> None:
    if problems := found.in_order():
        raise DefinitionRefused(problems)


def _measure(document: object, how: str, found: Findings) -> None:
    if not _small_enough(document):
        cause = f"{how}the document has more than {NODES_MAX} values or contains itself"
        found.add("too-large", "", cause, "split it into several definitions")


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
    section.only(*DEFINITION_KEYS)
    fields = section.section("fields")
    journals = section.section("journals")
    members = section.section("members")
    common = section.section("common")
    shared_journals = {
        name: _shared_journal(name, journals.section(name))
        for name in journals.names(SHARED_NAME, JOURNALS_MAX)
    }
    # read by itself too: what every member overrides has to be right all the same
    _member("common", common, shared_journals, is_common=True)
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
            name: _member(
                name,
                members.section(name).beside(common, MEMBER_KEYS, BY_NAME),
                shared_journals,
            )
            for name in members.names(MEMBER_NAME, MEMBERS_MAX)
        },
        attachments=(
            _shared_attachments(section.section("attachments"))
            if section.has("attachments")
            else None
        ),
        attachments_kept_days=_kept_days(section.section("retention")),
    )


def _kept_days(section: Section) -> int | None:
    section.only(*RETENTION_KEYS)
    days = section.optional_text("attachments", DAYS) or ""
    return int(days[:-2]) if DAYS.fits(days) else None


def _shared_attachments(section: Section) -> SharedAttachments:
    section.only(*ATTACHMENTS_KEYS)
    return SharedAttachments(
        journal=section.text("journal", SHARED_NAME),
        size_max=section.size("size_max", ATTACHMENT_BYTES),
        extensions=section.texts("extensions", EXTENSION),
        deletion=section.flag("deletion", default=False),
    )


def _shared_field(name: str, section: Section) -> SharedField:
    section.only(*FIELD_KEYS)
    return SharedField(
        name=name,
        type=section.word("type", FIELD_TYPES),
        policy=_policy(section),
        owner=section.optional_text("owner", MEMBER_NAME),
        max_length=section.length("max_length"),
        values=section.texts("values", CHOICE),
    )


def _policy(section: Section) -> Policy:
    if section.says("policy", *HUB_WINS):
        return "local_wins"
    return section.word("policy", POLICIES, "newer_wins")


def _shared_journal(name: str, section: Section) -> SharedJournal:
    section.only(*JOURNAL_KEYS)
    return SharedJournal(name, section.word("visibility", VISIBILITIES))


def _member(
    name: str,
    section: Section,
    shared: Mapping[str, SharedJournal],
    *,
    is_common: bool = False,
) -> Member:
    section.only(*MEMBER_KEYS)
    fields = section.section("fields")
    journals = section.section("journals")
    constants = section.section("constants")
    return Member(
        name=name,
        system=section.text("system", REMOTE_NAME, name),
        table=section.text("table", REMOTE_NAME, "" if is_common else None),
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
        constants={
            each: Constant(value)
            for each in constants.names(REMOTE_NAME, CONSTANTS_MAX)
            if (value := constants.literal(each, TEMPLATE)) is not None
        },
        flows=flows_of(section.section("flows")),
    )


def _operations(
    section: Section, key: str, default: tuple[Operation, ...]
) -> tuple[Operation, ...]:
    written = section.texts(key, OPERATION, default)
    return tuple(each for each in OPERATIONS if each in written)


def _field_map(shared: str, section: Section) -> FieldMap:
    section.only(*FIELD_MAP_KEYS)
    table = section.section("values")
    return FieldMap(
        shared=shared,
        field=section.text("field", REMOTE_NAME),
        values={
            value: table.text(value, CHOICE) for value in table.names(CHOICE, LIST_MAX)
        },
        truncate=section.length("truncate"),
        default=section.literal("default", LITERAL, lists=True),
        format=section.optional_text("format", FORMAT) or "",
        written_as=section.word("as", WRITTEN, "seconds"),
    )


def _journal_map(
    shared: str, section: Section, journal: SharedJournal | None
) -> JournalMap:
    section.only(*JOURNAL_MAP_KEYS)
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
