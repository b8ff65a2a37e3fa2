"""The requests of a description."""

from __future__ import annotations

from rps.connectors.rest.description import Call, Listing, Pick, Write
from rps.connectors.rest.reading_texts import HEADER, LINE, NAME, PATH, TextReader
from rps.domain.section import REMOTE_NAME, Section, visible

WRITE_KEYS = ("record_id", "shows", "verify", "then_update")
METHODS = ("get", "post", "put", "patch", "delete")
CALLS_MAX = 6


class CallReader(TextReader):
    def optional(self, at: Section, key: str) -> Call | None:
        return self.call(at.section(key)) if at.has(key) else None

    def write(self, at: Section, key: str) -> Write | None:
        if not at.has(key):
            return None
        inside = at.section(key)
        calls: tuple[Call, ...]
        if inside.has("calls"):
            inside.only("calls", *WRITE_KEYS)
            calls = self.calls(inside, "calls")
        else:
            calls = (self.call(inside, *WRITE_KEYS),)
        return Write(
            calls,
            self.expression(inside, "record_id"),
            self.expression(inside, "shows"),
            inside.flag("then_update", default=False),
            inside.flag("verify", default=False),
        )

    def calls(self, at: Section, key: str) -> tuple[Call, ...]:
        if not at.has(key):
            return ()
        listed = at.listed(key, CALLS_MAX, ())
        return tuple(self.call(each) for each in listed if isinstance(each, Section))

    def call(self, at: Section, *more: str) -> Call:
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
        self.references(at, method, path)
        return Call(
            method.upper(),
            path,
            query=self.template(at, "query", set(), {}),
            headers=self.texts(at, "headers", HEADER),
            body=self.template(at, "body", set(), None),
            form=self.texts(at, "form", visible(100)),
            raw=self.text_template(at, "raw"),
            content_type=at.text("content_type", LINE, "application/json"),
            if_match=at.word("if_match", ("", "known", "current"), ""),
            keep=self.expressions(at, "keep"),
            pick=self._pick(at.section("pick")) if at.has("pick") else None,
            unless=at.text("unless", NAME, ""),
            when=at.text("when", REMOTE_NAME, ""),
            changed=self.expression(at, "changed"),
        )

    def _pick(self, at: Section) -> Pick:
        at.only("name", "items", "where", "equals")
        return Pick(
            at.text("name", NAME),
            self.expression(at, "items", required=True),
            self.expression(at, "where", required=True),
            self.text_template(at, "equals", required=True),
        )

    def listing(self, at: Section) -> Listing:
        at.only("items", "call", "each", "each_at", "changed", "within", "whole")
        return Listing(
            self.expression(at, "items", required=True),
            self.optional(at, "call"),
            self.optional(at, "each"),
            self.expression(at, "each_at") or "@",
            self.expression(at, "changed"),
            self.expression(at, "within"),
            at.flag("whole", default=not at.has("call")),
        )
