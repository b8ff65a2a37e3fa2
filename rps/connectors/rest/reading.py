"""Reads a description and says everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from rps.connectors.rest.description import (
    AT_ONCE,
    Auth,
    AuthKind,
    Description,
    ErrorRule,
    Hook,
    HookKind,
    Outcome,
    Sample,
    Setting,
    Table,
)
from rps.connectors.rest.reading_tables import TableReader
from rps.connectors.rest.reading_texts import HEADER, LINE, NAME, PATH, TEXT
from rps.domain.problem import DefinitionRefused, Findings, pointer, shown
from rps.domain.section import REMOTE_NAME, Section, matching, prose

if TYPE_CHECKING:
    from collections.abc import Mapping

PRESET_NAME = matching(r"[a-z][a-z0-9-]{0,39}", "small letters, digits and dashes")
AUTH_KINDS: tuple[AuthKind, ...] = get_args(AuthKind)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
HOOK_KINDS: tuple[HookKind, ...] = get_args(HookKind)
TABLES_MAX = 20


def read_description(document: object) -> Description:
    """Raises DefinitionRefused with everything that is wrong."""
    found = Findings()
    reader = _Reader(Section(document, "", found), found)
    made = reader.description()
    if found:
        raise DefinitionRefused(found.in_order())
    return made


class _Reader(TableReader):
    def __init__(self, root: Section, found: Findings) -> None:
        super().__init__(found)
        self._root = root

    def description(self) -> Description:
        root = self._root
        root.only(
            *("name", "title", "settings", "auth", "headers", "check", "errors"),
            *("detail", "time_format", "time_zone", "dedupe_header", "limits"),
            *("hook", "sample", "tables"),
        )
        self._settings = self.named(root, "settings", NAME, 30, _setting)
        limits = root.section("limits")
        limits.only("answer_bytes", "per_second", "at_once")
        return Description(
            name=root.text("name", PRESET_NAME),
            title=root.text("title", LINE, ""),
            tables=self._tables(root),
            check=self.call(root.section("check")),
            auth=self._auth(root.section("auth")),
            settings=self._settings,
            headers=self.texts(root, "headers", HEADER),
            errors=self._errors(root),
            detail=self.expression(root, "detail"),
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
        tables = self.named(root, "tables", REMOTE_NAME, TABLES_MAX, self.table)
        if root.has("tables") and not tables:
            cause, remedy = "there is no table", "describe one table at least"
            root.refuse("missing-key", "tables", cause, remedy)
        return tables

    def _auth(self, at: Section) -> Auth:
        at.only("kind", "user", "name", "form", "token", "scope")
        kind = at.word("kind", AUTH_KINDS, "none")
        needs = {"basic": "user", "header": "name", "query": "name", "oauth": "token"}
        if kind in needs:
            at.text(needs[kind], LINE)  # told where it is missing
        return Auth(
            kind,
            self.text_template(at, "user"),
            at.text("name", HEADER, ""),
            at.text("form", LINE, "{secret}"),
            at.text("token", PATH, ""),
            self.text_template(at, "scope"),
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
            self.expression(at, "where"),
            at.text("header", HEADER, ""),
            at.text("is", LINE, ""),
            self.expression(at, "detail"),
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
            self.expression(at, "table", required=True),
            self.expression(at, "record_id", required=True),
            self.expression(at, "record"),
            self.expression(at, "ignore"),
        )


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
