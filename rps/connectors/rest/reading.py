"""Reads a description and says everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from rps.connectors.rest import template
from rps.connectors.rest.description import (
    AT_ONCE,
    Auth,
    AuthKind,
    Call,
    Changes,
    Comments,
    Description,
    ErrorRule,
    Field,
    Files,
    Hook,
    HookKind,
    Journal,
    Listing,
    Marker,
    Outcome,
    Pick,
    Record,
    Sample,
    Setting,
    Table,
    Write,
)
from rps.domain.problem import DefinitionRefused, Findings, pointer, shown
from rps.domain.section import (
    REMOTE_NAME,
    Section,
    Shape,
    matching,
    prose,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = matching(r"[a-z][a-z0-9_]{0,39}", "a small letter, then up to 39 of a-z, 0-9, _")
PRESET_NAME = matching(r"[a-z][a-z0-9-]{0,39}", "small letters, digits and dashes")
HEADER = matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of a header")
TEXT = prose(4000)
LINE = visible(500)
PATH = matching(
    r"/(?!/)[!-~]{0,500}",
    "a path that begins with one slash: no host, no blanks; {name} for values",
)
AUTH_KINDS: tuple[AuthKind, ...] = get_args(AuthKind)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
HOOK_KINDS: tuple[HookKind, ...] = get_args(HookKind)
WRITE_KEYS = ("record_id", "shows", "verify", "then_update")
METHODS = ("get", "post", "put", "patch", "delete")
ROOTS = frozenset(
    (
        *("record_id", "external_id", "delivery_id", "revision", "table", "fields"),
        *("values", "entry", "journal", "file", "kept", "setting", "origin"),
        *("since", "page", "next", "offset", "limit", "by", "value", "id"),
        "correlation_id",
    )
)
TABLES_MAX = 20
FIELDS_MAX = 200
CALLS_MAX = 6
DEPTH_MAX = 12


def _is_expression(text: str) -> bool:
    try:
        template.check(text)
    except template.NotExpression:
        return False
    return True


EXPRESSION = Shape(_is_expression, "a JMESPath expression (https://jmespath.org)", {})


def read_description(document: object) -> Description:
    """Raises DefinitionRefused with everything that is wrong."""
    found = Findings()
    reader = _Reader(Section(document, "", found), found)
    made = reader.description()
    if found:
        raise DefinitionRefused(found.in_order())
    return made


class _Reader:
    def __init__(self, root: Section, found: Findings) -> None:
        self._root = root
        self._found = found
        self._settings: dict[str, Setting] = {}

    def description(self) -> Description:
        root = self._root
        root.only(
            *("name", "title", "settings", "auth", "headers", "check", "errors"),
            *("detail", "time_format", "time_zone", "dedupe_header", "limits"),
            *("hook", "sample", "tables"),
        )
        self._settings = self._named(root, "settings", NAME, 30, _setting)
        limits = root.section("limits")
        limits.only("answer_bytes", "per_second", "at_once")
        return Description(
            name=root.text("name", PRESET_NAME),
            title=root.text("title", LINE, ""),
            tables=self._tables(root),
            check=self._call(root.section("check")),
            auth=self._auth(root.section("auth")),
            settings=self._settings,
            headers=self._texts(root, "headers", HEADER),
            errors=self._errors(root),
            detail=self._expression(root, "detail"),
            time_format=root.text("time_format", LINE, ""),
            time_zone=root.text("time_zone", prose(10), "Z"),
            dedupe_header=root.text("dedupe_header", HEADER, ""),
            answer_bytes=limits.size("answer_bytes", 1_000_000),
            per_second=limits.count("per_second", 0, 1000, 0),
            at_once=limits.count("at_once", 1, 256, AT_ONCE),
            hook=self._hook(root.section("hook")) if root.has("hook") else None,
            sample=_sample(root.section("sample")) if root.has("sample") else None,
        )

    def _tables(self, root: Section) -> dict[str, Table]:
        if not root.has("tables"):
            root.text("tables", LINE)  # told as missing
        tables = self._named(root, "tables", REMOTE_NAME, TABLES_MAX, self._table)
        if root.has("tables") and not tables:
            cause, remedy = "there is no table", "describe one table at least"
            root.refuse("missing-key", "tables", cause, remedy)
        return tables

    def _table(self, at: Section) -> Table:
        at.only(
            *("record", "read", "create", "update", "delete", "find", "found"),
            *("find_external", "read_found", "changes", "comments", "attachments"),
        )
        if at.has("find") or at.has("find_external"):
            at.text("found", EXPRESSION)
        return Table(
            record=self._record(at.section("record")),
            read=self._optional(at, "read"),
            create=self._write(at, "create"),
            update=self._write(at, "update"),
            remove=self._write(at, "delete"),
            find=self._optional(at, "find"),
            found=self._expression(at, "found"),
            find_external=self._optional(at, "find_external"),
            read_found=at.flag("read_found", default=False),
            changes=self._changes(at.section("changes")) if at.has("changes") else None,
            comments=(
                self._comments(at.section("comments")) if at.has("comments") else None
            ),
            files=(
                self._files(at.section("attachments"))
                if at.has("attachments")
                else None
            ),
        )

    # --- records ----------------------------------------------------------------------

    def _record(self, at: Section) -> Record:
        at.only(
            *("at", "id", "revision", "revision_header", "external_id", "updated_at"),
            *("updated_by", "deleted", "ignore", "fields_at", "fields", "cleared_as"),
        )
        return Record(
            id=self._expression(at, "id", required=True),
            at=self._expression(at, "at") or "@",
            revision=self._expression(at, "revision"),
            revision_header=at.text("revision_header", HEADER, ""),
            external_id=(
                self._marker(at.section("external_id", "at"))
                if at.has("external_id")
                else None
            ),
            updated_at=self._expression(at, "updated_at"),
            updated_by=self._expression(at, "updated_by"),
            deleted=self._expression(at, "deleted"),
            ignore=self._expression(at, "ignore"),
            fields_at=self._expression(at, "fields_at"),
            fields=self._named(
                at, "fields", REMOTE_NAME, FIELDS_MAX, self._field, short_for="read"
            ),
            cleared_as=at.literal("cleared_as", prose(40)),
        )

    def _field(self, at: Section) -> Field:
        at.only(
            *("read", "to", "write", "kind", "shown", "writable", "optional", "words")
        )
        name = at.place.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        to = at.text("to", LINE, "")
        return Field(
            read=self._expression(at, "read") or f'"{name}"',
            to=tuple(to.split(".")) if to else (name,),
            write=self._template(at, "write", {"value"}, "{value}"),
            kind=at.word("kind", ("plain", "time"), "plain"),
            shown=at.flag("shown", default=True),
            writable=at.flag("writable", default=True),
            optional=at.flag("optional", default=False),
            words=self._texts(at, "words", visible(80)),
        )

    def _marker(self, at: Section) -> Marker:
        at.only("at", "within", "form")
        if at.has("at") == at.has("within"):
            cause = "it says neither where the id stands, nor in which text"
            at.refuse_all("step-kind", cause, "give either 'at' or 'within'")
        form = at.text("form", TEXT, "{id}")
        if form.count("{id}") != 1:
            at.refuse("bad-text", "form", "it has to hold {id} once", "add {id}")
        return Marker(self._expression(at, "at"), at.text("within", LINE, ""), form)

    # --- requests ---------------------------------------------------------------------

    def _optional(self, at: Section, key: str) -> Call | None:
        return self._call(at.section(key)) if at.has(key) else None

    def _write(self, at: Section, key: str) -> Write | None:
        if not at.has(key):
            return None
        inside = at.section(key)
        calls: tuple[Call, ...]
        if inside.has("calls"):
            inside.only("calls", *WRITE_KEYS)
            calls = self._calls(inside, "calls")
        else:
            calls = (self._call(inside, *WRITE_KEYS),)
        return Write(
            calls,
            self._expression(inside, "record_id"),
            self._expression(inside, "shows"),
            inside.flag("then_update", default=False),
            inside.flag("verify", default=False),
        )

    def _calls(self, at: Section, key: str) -> tuple[Call, ...]:
        if not at.has(key):
            return ()
        listed = at.listed(key, CALLS_MAX, ())
        return tuple(self._call(each) for each in listed if isinstance(each, Section))

    def _call(self, at: Section, *more: str) -> Call:
        at.only(
            *METHODS,
            *("query", "headers", "body", "form", "raw", "content_type", "if_match"),
            *("keep", "pick", "unless", "when", "changed", *more),
        )
        named = [method for method in METHODS if at.has(method)]
        if len(named) != 1:
            cause = "a request has one method and its path"
            at.refuse_all("step-kind", cause, f"write one of {', '.join(METHODS)}")
        method = named[0] if named else "get"
        path = at.text(method, PATH) if named else "/"
        self._references(at, method, path)
        return Call(
            method.upper(),
            path,
            query=self._template(at, "query", set(), {}),
            headers=self._texts(at, "headers", HEADER),
            body=self._template(at, "body", set(), None),
            form=self._texts(at, "form", visible(100)),
            raw=self._text_template(at, "raw"),
            content_type=at.text("content_type", LINE, "application/json"),
            if_match=at.word("if_match", ("", "known", "current"), ""),
            keep=self._expressions(at, "keep"),
            pick=self._pick(at.section("pick")) if at.has("pick") else None,
            unless=at.text("unless", NAME, ""),
            when=at.text("when", REMOTE_NAME, ""),
            changed=self._expression(at, "changed"),
        )

    def _pick(self, at: Section) -> Pick:
        at.only("name", "items", "where", "equals")
        return Pick(
            at.text("name", NAME),
            self._expression(at, "items", required=True),
            self._expression(at, "where", required=True),
            self._text_template(at, "equals", required=True),
        )

    def _listing(self, at: Section) -> Listing:
        at.only("items", "call", "each", "each_at", "changed")
        return Listing(
            self._expression(at, "items", required=True),
            self._optional(at, "call"),
            self._optional(at, "each"),
            self._expression(at, "each_at") or "@",
            self._expression(at, "changed"),
        )

    # --- changes, comments, files -----------------------------------------------------

    def _changes(self, at: Section) -> Changes:
        at.only(
            *("call", "records", "cursor", "overlap", "limit", "first_page"),
            *("next", "more", "read_each"),
        )
        return Changes(
            self._call(at.section("call")),
            self._expression(at, "records", required=True),
            at.word("cursor", ("time", "id", "link", "page"), "time"),
            at.count("overlap", 0, 86400, 120),
            at.count("limit", 1, 1000, 50),
            at.count("first_page", 0, 1, 1),
            self._expression(at, "next"),
            self._expression(at, "more"),
            at.flag("read_each", default=False),
        )

    def _comments(self, at: Section) -> Comments:
        at.only(
            *("journals", "list", "id", "text", "author", "written_at", "ignore"),
            *("marker", "own_author", "add", "after", "edit", "remove"),
        )
        journals = self._named(at, "journals", REMOTE_NAME, 20, self._journal)
        return Comments(
            journals or {"comments": Journal()},
            self._listing(at.section("list")),
            self._expression(at, "id", required=True),
            self._expression(at, "text", required=True),
            self._expression(at, "author"),
            self._expression(at, "written_at"),
            self._expression(at, "ignore"),
            self._marker(at.section("marker", "at")) if at.has("marker") else None,
            self._text_template(at, "own_author"),
            self._calls(at, "add"),
            self._calls(at, "edit"),
            self._calls(at, "remove"),
            self._calls(at, "after"),
        )

    def _journal(self, at: Section) -> Journal:
        at.only("when", "values")
        return Journal(
            self._expression(at, "when"), self._template(at, "values", set(), {})
        )

    def _files(self, at: Section) -> Files:
        at.only(
            *("list", "id", "name", "size", "type", "ignore", "content"),
            *("add", "remove"),
        )
        return Files(
            self._listing(at.section("list")),
            self._expression(at, "id", required=True),
            self._expression(at, "name", required=True),
            self._call(at.section("content")),
            self._expression(at, "size"),
            self._expression(at, "type"),
            self._expression(at, "ignore"),
            self._calls(at, "add"),
            self._calls(at, "remove"),
        )

    # --- the system -------------------------------------------------------------------

    def _auth(self, at: Section) -> Auth:
        at.only("kind", "user", "name", "form", "token", "scope")
        kind = at.word("kind", AUTH_KINDS, "none")
        needs = {"basic": "user", "header": "name", "query": "name", "oauth": "token"}
        if kind in needs:
            at.text(needs[kind], LINE)  # told where it is missing
        return Auth(
            kind,
            self._text_template(at, "user"),
            at.text("name", HEADER, ""),
            at.text("form", LINE, "{secret}"),
            at.text("token", PATH, ""),
            self._text_template(at, "scope"),
        )

    def _errors(self, root: Section) -> tuple[ErrorRule, ...]:
        if not root.has("errors"):
            return ()
        listed = root.listed("errors", 50, ())
        return tuple(self._error(each) for each in listed if isinstance(each, Section))

    def _error(self, at: Section) -> ErrorRule:
        at.only("as", "status", "where", "header", "is", "detail", "retry_at")
        status = at.count("status", 100, 599, 200)
        return ErrorRule(
            at.word("as", OUTCOMES),
            (status,) if at.has("status") else (),
            self._expression(at, "where"),
            at.text("header", HEADER, ""),
            at.text("is", LINE, ""),
            self._expression(at, "detail"),
            at.text("retry_at", HEADER, ""),
        )

    def _hook(self, at: Section) -> Hook:
        at.only(
            *("kind", "header", "prefix", "algorithm", "encoding", "id_header"),
            *("table", "record_id", "record", "ignore"),
        )
        kind = at.word("kind", HOOK_KINDS)
        if kind != "standard-webhooks":
            at.text("header", HEADER)
        return Hook(
            kind,
            at.text("header", HEADER, ""),
            at.text("prefix", prose(20), ""),
            at.word("algorithm", ("sha1", "sha256", "sha512"), "sha256"),
            at.word("encoding", ("hex", "base64"), "hex"),
            at.text("id_header", HEADER, ""),
            self._expression(at, "table", required=True),
            self._expression(at, "record_id", required=True),
            self._expression(at, "record"),
            self._expression(at, "ignore"),
        )

    # --- texts, templates, expressions ------------------------------------------------

    def _expression(self, at: Section, key: str, *, required: bool = False) -> str:
        if not required and not at.has(key):
            return ""
        return at.text(key, EXPRESSION)

    def _expressions(self, at: Section, key: str) -> dict[str, str]:
        inside = at.section(key)
        return {name: self._expression(inside, name) for name in inside.names(NAME, 20)}

    def _texts(self, at: Section, key: str, names: Shape) -> dict[str, str]:
        inside = at.section(key)
        return {
            name: self._text_template(inside, name, required=True)
            for name in inside.names(names, 30)
        }

    def _text_template(self, at: Section, key: str, *, required: bool = False) -> str:
        if not required and not at.has(key):
            return ""
        text = at.text(key, TEXT)
        self._references(at, key, text)
        return text

    def _template(self, at: Section, key: str, more: set[str], default: Any) -> Any:
        value = at.raw(key, default)
        if not _is_json(value, DEPTH_MAX):
            cause, remedy = f"{shown(value)} is no JSON", "write texts, numbers, lists"
            at.refuse("wrong-type", key, cause, remedy)
            return default
        self._references(at, key, value, more)
        return value

    def _references(
        self, at: Section, key: str, value: Any, more: set[str] | None = None
    ) -> None:
        for name, inside in sorted(template.references(value)):
            if name not in ROOTS and name not in (more or ()):
                cause = f"{{{name}}} stands for nothing here"
                remedy = self._found.instead_of(name, sorted(ROOTS))
                at.refuse("step-field", key, cause, remedy)
            elif name == "setting" and inside not in self._settings:
                cause = f"there is no setting {shown(inside)}"
                remedy = self._found.instead_of(inside, self._settings)
                at.refuse("step-field", key, cause, remedy)

    def _named(
        self,
        at: Section,
        key: str,
        names: Shape,
        most: int,
        read: Callable[[Section], Any],
        short_for: str | None = None,
    ) -> dict[str, Any]:
        inside = at.section(key)
        return {
            name: read(inside.section(name, short_for))
            for name in inside.names(names, most)
        }


def _sample(at: Section) -> Sample:
    at.only("table", "fields", "field", "journal")
    inside = at.section("fields")
    values = {
        name: inside.literal(name, TEXT, lists=True)
        for name in inside.names(REMOTE_NAME, 50)
    }
    return Sample(
        at.text("table", REMOTE_NAME),
        {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()},
        at.text("field", REMOTE_NAME),
        at.text("journal", REMOTE_NAME, ""),
    )


def _setting(at: Section) -> Setting:
    at.only("default", "says")
    default = at.text("default", prose(500), "") if at.has("default") else None
    return Setting(default, at.text("says", prose(500), ""))


def _is_json(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    match value:
        case None | bool() | int() | float() | str():
            return True
        case list():
            return all(_is_json(each, depth - 1) for each in value)
        case dict():
            return all(
                isinstance(key, str) and _is_json(each, depth - 1)
                for key, each in value.items()
            )
        case _:
            return False


def chosen(
    description: Description, given: Mapping[str, str], place: str = "/set"
) -> dict[str, str]:
    """The settings with what was given; raises DefinitionRefused."""
    found = Findings()
    for name in given.keys() - description.settings.keys():
        cause = f"{description.name} has no setting {shown(name)}"
        remedy = found.instead_of(name, description.settings)
        found.add("unknown-key", place + pointer(name), cause, remedy)
    made = {}
    for name, setting in description.settings.items():
        value = given.get(name, setting.default)
        if value is None:
            cause = f"the setting {shown(name)} is missing: {setting.says}"
            found.add("missing-key", place, cause, f"give --set {name}=…")
        else:
            made[name] = value
    if found:
        raise DefinitionRefused(found.in_order())
    return made
