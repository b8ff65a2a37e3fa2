"""A system's REST interface, as a description says it is. Read by `reading`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rps.domain.delivery import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

Cursor = Literal["time", "id", "link", "page"]
IfMatch = Literal["", "known", "current"]
Outcome = Literal["refused", "unavailable", "credentials", "moved", "gone", "missing"]
HookKind = Literal["hmac", "token", "standard-webhooks"]
AuthKind = Literal["none", "basic", "bearer", "header", "query", "oauth"]


@dataclass(frozen=True, slots=True)
class Pick:
    """The item of `items` whose `where` is `equals`; it is kept as `name`."""

    name: str
    items: str
    where: str
    equals: str


AT_ONCE = 8
"""Writes under way to a system at a time, where its description says nothing else."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` is JSON, `form` the parts of a multipart form, `raw` a
    reference to bytes; `keep` takes values from the answer for later calls."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""
    content_type: str = "application/json"
    if_match: IfMatch = ""
    keep: Mapping[str, str] = field(default_factory=dict)
    pick: Pick | None = None
    unless: str = ""
    """Left out where this was kept before."""
    when: str = ""
    """Only where the write carries this field; `*`: where `{fields}` holds any."""
    changed: str = ""
    """Only where it is not what this path of the record shows already."""


@dataclass(frozen=True, slots=True)
class Write:
    """Calls in order; of the last one's answer `record_id` and `shows` are read."""

    calls: tuple[Call, ...]
    record_id: str = ""
    shows: str = ""
    """Where the answer holds the whole record as the write left it."""
    then_update: bool = False
    """What a creation cannot set: the calls of `update` for single fields follow."""
    verify: bool = False
    """What was written is read back, and has to be there."""


@dataclass(frozen=True, slots=True)
class Field:
    """`read` finds it in the record, `write` is the value's template, which goes to the
    path `to`. `shown`: a record that can be read shows it."""

    read: str
    to: tuple[str, ...]
    write: Any = "{value}"
    kind: Literal["plain", "time"] = "plain"
    shown: bool = True
    writable: bool = True
    optional: bool = False
    """Left out of the record where it is empty."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What is written for a value that is shown otherwise."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Where our own id of a record, comment or file stands: in `at`, or within the
    text of the field `within`; written as `form`, which holds `{id}`."""

    at: str = ""
    within: str = ""
    form: str = "{id}"


@dataclass(frozen=True, slots=True)
class Record:
    """How a record is read. `fields_at` is the object whose members are fields where
    `fields` does not say so itself."""

    id: str
    at: str = "@"
    revision: str = ""
    revision_header: str = ""
    external_id: Marker | None = None
    updated_at: str = ""
    updated_by: str = ""
    deleted: str = ""
    ignore: str = ""
    """True of what is no record of ours."""
    fields_at: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
    cleared_as: Any = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Items in an answer of `call`, or in the record itself. `each` asks for one of
    them; `changed` is when it changed. `within`: the items are those in this list of
    each, which is their `of`. `whole`: what is not listed is not there."""

    items: str
    call: Call | None = None
    each: Call | None = None
    each_at: str = "@"
    changed: str = ""
    within: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    when: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comments:
    journals: Mapping[str, Journal]
    listing: Listing
    id: str
    text: str
    author: str = ""
    written_at: str = ""
    ignore: str = ""
    marker: Marker | None = None
    own_author: str = ""
    """Who writes for us: a comment of theirs without a marker is not reported."""
    add: tuple[Call, ...] = ()
    edit: tuple[Call, ...] = ()
    remove: tuple[Call, ...] = ()
    after: tuple[Call, ...] = ()
    """Once all comments of a write are there: they may have moved its fields."""


@dataclass(frozen=True, slots=True)
class Files:
    listing: Listing
    id: str
    name: str
    content: Call
    size: str = ""
    type: str = ""
    ignore: str = ""
    add: tuple[Call, ...] = ()
    remove: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """How to ask what changed: `cursor` says by what a page follows another."""

    call: Call
    records: str
    cursor: Cursor = "time"
    overlap: int = 120
    limit: int = 50
    first_page: int = 1
    next: str = ""
    more: str = ""
    read_each: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    record: Record
    read: Call | None = None
    create: Write | None = None
    update: Write | None = None
    remove: Write | None = None
    find: Call | None = None
    found: str = ""
    """Where the answers of `find` and `find_external` hold their records."""
    missing_is_deleted: bool = False
    """404 and 410 to `read` are of deleted records, not of those without rights."""
    find_external: Call | None = None
    read_found: bool = False
    changes: Changes | None = None
    comments: Comments | None = None
    files: Files | None = None


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """An answer with this status, header and content is of this class."""

    outcome: Outcome
    status: tuple[int, ...] = ()
    where: str = ""
    header: str = ""
    header_is: str = ""
    detail: str = ""
    retry_at_header: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What differs between two systems of a kind. None: it has to be given."""

    default: str | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class Auth:
    """`name` of the header or query key; the secret itself is in the secret store."""

    kind: AuthKind = "none"
    user: str = ""
    name: str = ""
    form: str = "{secret}"
    token_path: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """What the system posts to us when a record changed, and how it is verified."""

    kind: HookKind
    header: str = ""
    prefix: str = ""
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    id_header: str = ""
    table: str = ""
    record_id: str = ""
    record: str = ""
    """Where the payload holds the whole record; without it the record is read."""
    ignore: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a conformance run makes: a record of `table` with `fields`, of which the
    text `field` is changed; `journal` is where it comments, "" for nowhere."""

    table: str
    fields: Mapping[str, Any]
    field: str
    journal: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """`time_format`: as `strftime` has it, "" is ISO 8601; all times are UTC."""

    name: str
    title: str
    tables: Mapping[str, Table]
    check: Call
    auth: Auth = field(default_factory=Auth)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[ErrorRule, ...] = ()
    detail: str = ""
    time_format: str = ""
    time_zone: str = "Z"
    """What stands behind a moment in a question, where times are ISO 8601."""
    dedupe_header: str = ""
    answer_bytes: int = 1_000_000
    per_second: int = 0
    at_once: int = AT_ONCE
    hook: Hook | None = None
    sample: Sample | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What follows from what is described; of several tables, the least."""
        tables = self.tables.values()
        return Capabilities(
            dedupe=bool(self.dedupe_header),
            conditional_write=all(_is_conditional(each) for each in tables),
            read_back=all(each.read is not None for each in tables),
            at_once=self.at_once,
            polls=any(each.changes is not None for each in tables),
        )


def _is_conditional(table: Table) -> bool:
    has_revision = table.record.revision or table.record.revision_header
    calls = table.update.calls if table.update else ()
    return bool(has_revision) and any(call.if_match == "known" for call in calls)
