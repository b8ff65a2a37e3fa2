"""The ticket sandbox: a small real ticket system that rps keeps in step.

Its rps side is a receiver of the `push` connector that can do all one may: it dedupes
by message id, honours If-Match and can be read back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Flask, Response, request
from marshmallow import ValidationError

from rps.sandbox.answers import SandboxRefusal, answer, answer_errors, decoded
from rps.sandbox.database import Database
from rps.sandbox.edits import Edits
from rps.sandbox.file_side import file_answer, file_side
from rps.sandbox.files import Files
from rps.sandbox.inbound import Inbound
from rps.sandbox.outbox import Outbox
from rps.sandbox.page import page
from rps.sandbox.puller import Puller
from rps.sandbox.reporter import Reporter, Silence
from rps.sandbox.schema import SCHEMA
from rps.sandbox.server import BODY_BYTES_MAX, SandboxSettings, Together, serve
from rps.sandbox.shapes import BatchSchema, MessageSchema
from rps.sandbox.signature import SignedRequests
from rps.sandbox.user_side import user_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.sandbox.records import Record
    from rps.sandbox.server import BackgroundWork

log = logging.getLogger(__name__)

_MESSAGE = MessageSchema()
_BATCH = BatchSchema()


@dataclass(frozen=True, slots=True)
class TicketSystem:
    """One ticket system's parts, on one database."""

    database: Database
    edits: Edits
    inbound: Inbound
    outbox: Outbox
    files: Files
    puller: Puller

    @classmethod
    def open(
        cls, settings: SandboxSettings, now: Callable[[], str] | None = None
    ) -> TicketSystem:
        """Open or create the database; `now` gives UTC as ISO 8601."""
        now = now or _utc
        database = Database(settings.database, SCHEMA)
        outbox = Outbox(database, settings.system if settings.report_url else "")
        files = Files(settings.database.with_suffix(".files"))
        puller = Puller(database, files, settings.report_url, settings.report_token)
        return cls(
            database,
            Edits(database, outbox, now),
            Inbound(
                *(database, outbox, now, files, puller.told.set),
                report_all=settings.report_all,
            ),
            outbox,
            files,
            puller,
        )


def create_app(settings: SandboxSettings) -> Flask:
    """Build the application alone: edits are put out, but nobody reports them."""
    return _flask_app(settings, TicketSystem.open(settings))


def run(settings: SandboxSettings, announce: Callable[[str], None] = log.info) -> None:
    """Serve and report until SIGTERM or SIGINT; `announce` is told the base URL."""
    system = TicketSystem.open(settings)
    work: BackgroundWork = Silence()
    if settings.report_url:
        reporter = Reporter(system.outbox, settings.report_url, settings.report_token)
        work = Together(reporter, system.puller)
    serve(_flask_app(settings, system), settings, work=work, announce=announce)
    system.database.close()


def _flask_app(settings: SandboxSettings, system: TicketSystem) -> Flask:
    flask_app = Flask("rps.sandbox")
    flask_app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    signed = SignedRequests(settings.secrets)
    flask_app.register_blueprint(_rps_side(settings.name, signed, system))
    flask_app.register_blueprint(user_side(system.edits, system.inbound, system.outbox))
    flask_app.register_blueprint(file_side(system.edits, system.files))
    flask_app.register_blueprint(page(settings.name, system.edits, system.outbox))
    answer_errors(flask_app)
    return flask_app


def _rps_side(name: str, signed: SignedRequests, system: TicketSystem) -> Blueprint:
    """Build what rps itself calls; every request is signed, reads over no body."""
    blueprint = Blueprint("rps_side", __name__, url_prefix="/rps")

    @blueprint.before_request
    def verify() -> None:
        signed.message_id(request.headers, request.get_data())

    @blueprint.get("/ping")
    def ping() -> Response:
        return answer({"ok": True, "name": name})

    _message_routes(blueprint, system.inbound)
    _record_routes(blueprint, system.edits)

    @blueprint.get("/attachments/<sha256>")
    def attachment(sha256: str) -> Response:
        return file_answer(system.files, sha256, sha256)

    return blueprint


def _message_routes(blueprint: Blueprint, inbound: Inbound) -> None:
    @blueprint.post("/messages")
    def apply() -> Response:
        message = _MESSAGE.load(_with_if_match(decoded(request.get_data())))
        applied = inbound.apply(request.headers["webhook-id"], message)
        built = _stored(applied.answer)
        if applied.created:
            built.status_code = HTTPStatus.CREATED
        if applied.replayed:
            built.headers["X-Replayed"] = "true"
        return built

    @blueprint.post("/batches")
    def apply_many() -> Response:
        batch = _BATCH.load(decoded(request.get_data()))
        return answer({"receipts": [_receipt(inbound, each) for each in batch]})

    @blueprint.get("/messages/<webhook_id>")
    def answered(webhook_id: str) -> Response:
        return _stored(inbound.answered(webhook_id))


def _record_routes(blueprint: Blueprint, edits: Edits) -> None:
    @blueprint.get("/records/<table>")
    def records(table: str) -> Response:
        args = request.args
        if "field" in args and "value" in args:
            found = edits.having(table, args["field"], args["value"])
        else:
            found = edits.of_table(table, args.get("external_id"))
        return answer({"records": [_snapshot(record) for record in found]})

    @blueprint.get("/records/<table>/<record_id>")
    def record(table: str, record_id: str) -> Response:
        return answer(_snapshot(edits.record(table, record_id)))


def _receipt(inbound: Inbound, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the message would have been answered alone; each takes effect or not by
    itself."""
    webhook_id = document["id"]
    try:
        applied = inbound.apply(webhook_id, _MESSAGE.load(document))
    except SandboxRefusal as refused:
        said = {"title": refused.status.phrase, "detail": str(refused), **refused.facts}
        return {**said, "id": webhook_id, "status": refused.status}
    except ValidationError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        detail = f"the message does not have the shape: {error}"
        return {"id": webhook_id, "status": status, "detail": detail}
    status = HTTPStatus.CREATED if applied.created else HTTPStatus.OK
    return {"id": webhook_id, "status": status, **orjson.loads(applied.answer)}


def _with_if_match(document: Any) -> Any:
    """Take the revision from the If-Match header where the message has none."""
    revision = request.headers.get("If-Match")
    if isinstance(document, dict) and revision and document.get("if_match") is None:
        return {**document, "if_match": revision.strip('"')}
    return document


def _stored(document: bytes) -> Response:
    return Response(document, mimetype="application/json")


def _snapshot(record: Record) -> dict[str, Any]:
    return {
        "record_id": record.record_id,
        "revision": str(record.revision),
        "fields": record.fields,
        "deleted": record.deleted,
        "external_id": record.external_id,
        "updated_at": record.updated_at,
    }


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
