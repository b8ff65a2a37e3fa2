"""The page on which a person works with the sandbox's tickets."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from rps.sandbox.shapes import (
    CommentEditSchema,
    CommentSchema,
    EditSchema,
    NewRecordSchema,
)
from rps.sandbox.user_side import refuse_other_sites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from werkzeug.wrappers import Response as AnyResponse

    from rps.sandbox.edits import Edits
    from rps.sandbox.outbox import Outbox
    from rps.sandbox.records import Record

PAGE_ROWS_MAX = 100
REFRESH_SECONDS = 3

_NEW_RECORD = NewRecordSchema()
_EDIT = EditSchema()
_COMMENT = CommentSchema()
_COMMENT_EDIT = CommentEditSchema()
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_SHOWN_BEFORE = "was."
_FIELD = "field."
_TITLES = ("short_description", "summary", "subject", "title")
NEW_TICKET = {"short_description": "", "state": "new", "priority": "3"}


def page(name: str, edits: Edits, outbox: Outbox) -> Blueprint:
    """Build the page: a list of the latest records, and a form for each of them."""
    blueprint = Blueprint("page", __name__, template_folder="templates")
    blueprint.before_request(refuse_other_sites)
    blueprint.after_request(_allow_only_own_forms)

    @blueprint.get("/")
    def tickets() -> str:
        refreshing = request.args.get("refresh") == "1"
        records = edits.latest(PAGE_ROWS_MAX)
        return render_template(
            "tickets.html",
            name=name,
            records=records,
            pattern=_pattern(records),
            title_of=_title,
            outbox=outbox.entries(),
            refresh_seconds=REFRESH_SECONDS if refreshing else None,
        )

    @blueprint.get("/tickets/<table>/<record_id>")
    def ticket(table: str, record_id: str) -> str:
        shown = edits.shown(table, record_id)
        return render_template("ticket.html", name=name, record=shown)

    @blueprint.post("/tickets")
    def create() -> AnyResponse:
        form = request.form
        filled = _filled(_pattern(edits.latest(1)))
        new = _NEW_RECORD.load(
            {
                "table": form.get("table"),
                "fields": filled,
                "comment": form.get("comment", ""),
                "user": form.get("user"),
            }
        )
        shown = edits.create(new["table"], new["values"], new["user"], new["comment"])
        return _back_to(shown)

    @blueprint.post("/tickets/<table>/<record_id>")
    def edit(table: str, record_id: str) -> AnyResponse:
        held = edits.record(table, record_id).fields
        new = _EDIT.load({"fields": _altered(held), "user": request.form.get("user")})
        return _back_to(edits.edit(table, record_id, new["values"], new["user"]))

    @blueprint.post("/tickets/<table>/<record_id>/comments")
    def comment(table: str, record_id: str) -> AnyResponse:
        form = request.form
        new = _COMMENT.load({"text": form.get("text"), "user": form.get("user")})
        return _back_to(edits.comment(table, record_id, new["text"], new["user"]))

    _comment_forms(blueprint, edits)

    @blueprint.post("/tickets/<table>/<record_id>/deletion")
    def delete(table: str, record_id: str) -> AnyResponse:
        return _back_to(
            edits.delete(table, record_id, request.form.get("user", "user"))
        )

    return blueprint


def _comment_forms(blueprint: Blueprint, edits: Edits) -> None:
    path = "/tickets/<table>/<record_id>/comments/<entry_id>"

    @blueprint.post(path)
    def edit_comment(table: str, record_id: str, entry_id: str) -> AnyResponse:
        form = request.form
        text = form.get("text", "").replace("\r\n", "\n")
        new = _COMMENT_EDIT.load({"text": text, "user": form.get("user")})
        about = (table, record_id, entry_id)
        return _back_to(edits.edit_comment(*about, new["text"], new["user"]))

    @blueprint.post(f"{path}/deletion")
    def delete_comment(table: str, record_id: str, entry_id: str) -> AnyResponse:
        user = request.form.get("user", "user")
        return _back_to(edits.delete_comment(table, record_id, entry_id, user))


def _pattern(records: Sequence[Record]) -> Mapping[str, Any]:
    """The fields a new ticket is asked for: those of the newest one, in its words."""
    return records[0].fields if records else NEW_TICKET


def _filled(pattern: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed into the form of a new ticket."""
    return {
        name: _typed(text, pattern.get(name))
        for key, text in request.form.items()
        if text and (name := key.removeprefix(_FIELD)) != key
    }


def _title(fields: Mapping[str, Any]) -> str:
    """The field that says in a line what a ticket is about."""
    return next((each for each in _TITLES if each in fields), _TITLES[0])


def _altered(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields the person altered on the form they were shown.

    What changed meanwhile and was not touched by them stays as it is.
    """
    form = request.form
    altered: dict[str, Any] = {}
    for key, text in form.items():
        name = key.removeprefix(_FIELD)
        if key.startswith(_FIELD) and text != form.get(f"{_SHOWN_BEFORE}{name}"):
            altered[name] = _typed(text, held.get(name))
    if form.get("new_name"):
        altered[form["new_name"]] = form.get("new_value", "")
    return altered


def _typed(text: str, held: object) -> object:
    """Return what was typed as the type that the field holds, where it can be."""
    if isinstance(held, bool) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if isinstance(held, int) and _INTEGER.fullmatch(text):
        return int(text)
    # A form sends line ends as CRLF; the field's text has them as typed.
    return text.replace("\r\n", "\n")


def _back_to(record: dict[str, Any]) -> AnyResponse:
    target = url_for("page.ticket", table=record["table"], record_id=record["id"])
    return redirect(target, HTTPStatus.SEE_OTHER)


def _allow_only_own_forms(built: Response) -> Response:
    built.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    return built
