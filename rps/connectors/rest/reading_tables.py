"""The tables of a description: their records, changes, comments and files."""

from __future__ import annotations

from rps.connectors.rest.description import (
    Changes,
    Comments,
    Field,
    Files,
    Journal,
    Marker,
    Record,
    Table,
)
from rps.connectors.rest.reading_calls import CallReader
from rps.connectors.rest.reading_texts import EXPRESSION, HEADER, LINE, TEXT
from rps.domain.section import REMOTE_NAME, Section, prose, visible

FIELDS_MAX = 200


class TableReader(CallReader):
    def table(self, at: Section) -> Table:
        at.only(
            *("record", "read", "create", "update", "delete", "find", "found"),
            *("find_external", "read_found", "changes", "comments", "attachments"),
            "missing_is_deleted",
        )
        if at.has("find") or at.has("find_external"):
            at.text("found", EXPRESSION)
        return Table(
            record=self._record(at.section("record")),
            read=self.optional(at, "read"),
            create=self.write(at, "create"),
            update=self.write(at, "update"),
            remove=self.write(at, "delete"),
            find=self.optional(at, "find"),
            found=self.expression(at, "found"),
            missing_is_deleted=at.flag("missing_is_deleted", default=False),
            find_external=self.optional(at, "find_external"),
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

    def _record(self, at: Section) -> Record:
        at.only(
            *("at", "id", "revision", "revision_header", "external_id", "updated_at"),
            *("updated_by", "deleted", "ignore", "fields_at", "fields", "cleared_as"),
        )
        return Record(
            id=self.expression(at, "id", required=True),
            at=self.expression(at, "at") or "@",
            revision=self.expression(at, "revision"),
            revision_header=at.text("revision_header", HEADER, ""),
            external_id=(
                self._marker(at.section("external_id", "at"))
                if at.has("external_id")
                else None
            ),
            updated_at=self.expression(at, "updated_at"),
            updated_by=self.expression(at, "updated_by"),
            deleted=self.expression(at, "deleted"),
            ignore=self.expression(at, "ignore"),
            fields_at=self.expression(at, "fields_at"),
            fields=self.named(
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
            read=self.expression(at, "read") or f'"{name}"',
            to=tuple(to.split(".")) if to else (name,),
            write=self.template(at, "write", {"value"}, "{value}"),
            kind=at.word("kind", ("plain", "time"), "plain"),
            shown=at.flag("shown", default=True),
            writable=at.flag("writable", default=True),
            optional=at.flag("optional", default=False),
            words=self.texts(at, "words", visible(80)),
        )

    def _marker(self, at: Section) -> Marker:
        at.only("at", "within", "form")
        if at.has("at") == at.has("within"):
            cause = "it says neither where the id stands, nor in which text"
            at.refuse_all("step-kind", cause, "give either 'at' or 'within'")
        form = at.text("form", TEXT, "{id}")
        if form.count("{id}") != 1:
            at.refuse("bad-text", "form", "it has to hold {id} once", "add {id}")
        return Marker(self.expression(at, "at"), at.text("within", LINE, ""), form)

    def _changes(self, at: Section) -> Changes:
        at.only(
            *("call", "records", "cursor", "overlap", "limit", "first_page"),
            *("next", "more", "read_each"),
        )
        return Changes(
            self.call(at.section("call")),
            self.expression(at, "records", required=True),
            at.word("cursor", ("time", "id", "link", "page"), "time"),
            at.count("overlap", 0, 86400, 120),
            at.count("limit", 1, 1000, 50),
            at.count("first_page", 0, 1, 1),
            self.expression(at, "next"),
            self.expression(at, "more"),
            at.flag("read_each", default=False),
        )

    def _comments(self, at: Section) -> Comments:
        at.only(
            *("journals", "list", "id", "text", "author", "written_at", "ignore"),
            *("marker", "own_author", "add", "after", "edit", "remove"),
        )
        journals = self.named(at, "journals", REMOTE_NAME, 20, self._journal)
        return Comments(
            journals or {"comments": Journal()},
            self.listing(at.section("list")),
            self.expression(at, "id", required=True),
            self.expression(at, "text", required=True),
            self.expression(at, "author"),
            self.expression(at, "written_at"),
            self.expression(at, "ignore"),
            self._marker(at.section("marker", "at")) if at.has("marker") else None,
            self.text_template(at, "own_author"),
            self.calls(at, "add"),
            self.calls(at, "edit"),
            self.calls(at, "remove"),
            self.calls(at, "after"),
        )

    def _journal(self, at: Section) -> Journal:
        at.only("when", "values")
        return Journal(
            self.expression(at, "when"), self.template(at, "values", set(), {})
        )

    def _files(self, at: Section) -> Files:
        at.only(
            *("list", "id", "name", "size", "type", "ignore", "content"),
            *("add", "remove"),
        )
        return Files(
            self.listing(at.section("list")),
            self.expression(at, "id", required=True),
            self.expression(at, "name", required=True),
            self.call(at.section("content")),
            self.expression(at, "size"),
            self.expression(at, "type"),
            self.expression(at, "ignore"),
            self.calls(at, "add"),
            self.calls(at, "remove"),
        )
