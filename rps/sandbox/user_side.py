"""What the sandbox's own users work with, as JSON. Nobody signs in."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from rps.sandbox.answers import CrossSite, answer, decoded
from rps.sandbox.edits import listed
from rps.sandbox.shapes import (
    CommentEditSchema,
    CommentSchema,
    EditSchema,
    NewRecordSchema,
)

if TYPE_CHECKING:
    from rps.sandbox.edits import Edits
    from rps.sandbox.inbound import Inbound
    from rps.sandbox.outbox import Outbox

_NEW_RECORD = NewRecordSchema()
_EDIT = EditSchema()
_COMMENT = CommentSchema()
_COMMENT_EDIT = CommentEditSchema()


def user_side(edits: Edits, inbound: Inbound, outbox: Outbox) -> Blueprint:
    """Build the JSON resources."""
    blueprint = Blueprint("user_side", __name__)
    blueprint.before_request(refuse_other_sites)

    @blueprint.post("/records/<table>")
    def create(table: str) -> Response:
        new = _NEW_RECORD.load(_with_table(decoded(request.get_data()), table))
        shown = edits.create(table, new["values"], new["user"], new["comment"])
        built = _shown(shown, HTTPStatus.CREATED)
        built.headers["Location"] = f"/records/{table}/{shown['id']}"
        return built

    @blueprint.get("/records/<table>")
    def of_table(table: str) -> Response:
        return answer([listed(record) for record in edits.of_table(table)])

    @blueprint.get("/records/<table>/<record_id>")
    def shown(table: str, record_id: str) -> Response:
        return _shown(edits.shown(table, record_id))

    @blueprint.patch("/records/<table>/<record_id>")
    def edit(table: str, record_id: str) -> Response:
        new = _EDIT.load(decoded(request.get_data()))
        revision = request.headers.get("If-Match")
        if_match = revision.strip('"') if revision else None
        return _shown(
            edits.edit(table, record_id, new["values"], new["user"], if_match=if_match)
        )

    @blueprint.delete("/records/<table>/<record_id>")
    def delete(table: str, record_id: str) -> Response:
        return _shown(edits.delete(table, record_id, request.args.get("user", "user")))

    @blueprint.post("/records/<table>/<record_id>/comments")
    def comment(table: str, record_id: str) -> Response:
        new = _COMMENT.load(decoded(request.get_data()))
        shown = edits.comment(
            table, record_id, new["text"], new["user"], new["journal"]
        )
        return _shown(shown, HTTPStatus.CREATED)

    _comment_routes(blueprint, edits)
    _queue_routes(blueprint, inbound, outbox)
    return blueprint


def _comment_routes(blueprint: Blueprint, edits: Edits) -> None:
    path = "/records/<table>/<record_id>/comments/<entry_id>"

    @blueprint.patch(path)
    def edit_comment(table: str, record_id: str, entry_id: str) -> Response:
        new = _COMMENT_EDIT.load(decoded(request.get_data()))
        about = (table, record_id, entry_id)
        return _shown(edits.edit_comment(*about, new["text"], new["user"]))

    @blueprint.delete(path)
    def delete_comment(table: str, record_id: str, entry_id: str) -> Response:
        user = request.args.get("user", "user")
        return _shown(edits.delete_comment(table, record_id, entry_id, user))


def _queue_routes(blueprint: Blueprint, inbound: Inbound, outbox: Outbox) -> None:
    @blueprint.get("/log")
    def applied() -> Response:
        return answer(inbound.log(request.args.get("after", 0, type=int)))

    @blueprint.get("/outbox")
    def unreported() -> Response:
        return answer([asdict(entry) for entry in outbox.entries()])


def _with_table(document: Any, table: str) -> Any:
    return {**document, "table": table} if isinstance(document, dict) else document


def _shown(record: dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    built = answer(record, status)
    built.set_etag(str(record["revision"]))
    return built


def refuse_other_sites() -> None:
    """Raise CrossSite for a write that another site's page has the browser make."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if request.method != "GET" and site not in ("none", "same-origin"):
        raise CrossSite("write from the sandbox's own page, or without a browser")
