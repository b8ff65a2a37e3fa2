"""The pages on which a person works in the instance, at the paths a real one has."""

from __future__ import annotations

import mimetypes
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, Response, g, redirect, render_template, request, url_for

from rps.sandbox.server import FILE_BYTES_MAX
from rps.sandbox.servicenow.answers import InstanceRefusal, NoRecord
from rps.sandbox.servicenow.attachment_api import (
    OCTETS,
    Uploads,
    Wanted,
    file_answer,
)
from rps.sandbox.servicenow.attachment_api import (
    TABLE as ATTACHMENTS,
)
from rps.sandbox.servicenow.door import who_asks
from rps.sandbox.servicenow.forms import NEW, Form, altered
from rps.sandbox.servicenow.listing import Listing, Page
from rps.sandbox.servicenow.shapes import Manner
from rps.sandbox.servicenow.table_api import table_named
from rps.sandbox.servicenow.tables import TABLES
from rps.sandbox.user_side import refuse_other_sites

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

    from rps.sandbox.servicenow.instance import Instance
    from rps.sandbox.servicenow.tables import Table

ROWS: Final = 50
_TASK_COLUMNS: Final = (
    "number",
    "short_description",
    "state",
    "priority",
    "assigned_to",
    "sys_updated_by",
    "sys_updated_on",
)
_COLUMNS: Final = {
    "sys_user": ("user_name", "name", "roles", "time_zone", "active"),
    "sys_choice": ("name", "element", "value", "label", "inactive"),
    "sys_journal_field": (
        *("name", "element", "value"),
        *("sys_created_by", "sys_created_on"),
    ),
    "sys_attachment": ("file_name", "table_name", "size_bytes", "sys_created_on"),
    "sys_audit_delete": (
        *("tablename", "display_value", "documentkey"),
        *("sys_created_by", "sys_created_on"),
    ),
}
_NEWEST: Final = "ORDERBYDESCsys_updated_on"


def page(instance: Instance, uploads: Uploads) -> Blueprint:
    """Build the lists and forms; a browser asks its user for name and password."""
    blueprint = Blueprint("page", __name__)

    @blueprint.before_request
    def enter() -> None:
        refuse_other_sites()
        g.actor = who_asks(instance)

    blueprint.after_request(_allow_only_own_forms)
    _lists(blueprint, instance)
    _forms(blueprint, instance)
    _files(blueprint, instance, uploads)

    @blueprint.errorhandler(InstanceRefusal)
    def refused(wrong: InstanceRefusal) -> AnyResponse:
        said = render_template("refused.html", **_about(instance), wrong=wrong)
        headers = {}
        if wrong.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Basic realm="Service-now"'
        return Response(said, wrong.status, headers)

    return blueprint


def _lists(blueprint: Blueprint, instance: Instance) -> None:
    @blueprint.get("/")
    def home() -> AnyResponse:
        return redirect(url_for("page.listed", name="incident"))

    @blueprint.get("/nav_to.do")
    def navigate() -> AnyResponse:
        """Links that people pass on: `/nav_to.do?uri=incident.do?sys_id=…`."""
        inner = request.args.get("uri", "").lstrip("/")
        if not inner.partition("?")[0].endswith(".do"):
            raise NoRecord
        return redirect(f"/{inner}")

    @blueprint.get("/<name>_list.do")
    def listed(name: str) -> str:
        table = table_named(name)
        offset = max(0, request.args.get("offset", 0, type=int))
        query = request.args.get("sysparm_query", "")
        columns = _COLUMNS.get(name, _TASK_COLUMNS if table.is_task else ("name",))
        asked = f"{query}^{_NEWEST}" if "ORDERBY" not in query else query
        page = Page(asked, (), ROWS, offset, count=True, links=False)
        manner = Manner("", ("sys_id", *columns), "true", links=False)
        with instance.records(g.actor) as records:
            found = Listing(records, table, instance.behaviour).read(page, manner)
        return render_template(
            "list.html",
            **_about(instance, table),
            columns=[table.columns[each] for each in columns],
            found=found,
            query=query,
            offset=offset,
            rows=ROWS,
        )


def _forms(blueprint: Blueprint, instance: Instance) -> None:
    @blueprint.get("/<name>.do")
    def form(name: str) -> str:
        table = table_named(name)
        with instance.records(g.actor) as records:
            shown = Form.of(records, table, request.args.get("sys_id", NEW))
        return render_template("form.html", **_about(instance, table), form=shown)

    @blueprint.post("/<name>.do")
    def save(name: str) -> AnyResponse:
        table, fields = table_named(name), altered(request.form)
        sys_id = request.form.get("sys_id", NEW)
        with instance.records(g.actor) as records:
            if sys_id == NEW:
                row = records.insert(table, fields, as_display=True)
            else:
                row = records.update(table, sys_id, fields, as_display=True)
        return _back(table, row["sys_id"])

    @blueprint.post("/<name>_deletion.do")
    def delete(name: str) -> AnyResponse:
        table = table_named(name)
        with instance.records(g.actor) as records:
            records.delete(table, request.form.get("sys_id", ""))
        return redirect(url_for("page.listed", name=name), HTTPStatus.SEE_OTHER)


def _files(blueprint: Blueprint, instance: Instance, uploads: Uploads) -> None:
    """Paths with `/attachment`, which the server streams."""

    @blueprint.get("/attachments/<sys_id>")
    def read(sys_id: str) -> Response:
        with instance.records(g.actor) as records:
            row = records.get(ATTACHMENTS, sys_id)
        return file_answer(instance, row, {})

    @blueprint.get("/sys_attachment.do")
    def read_by_link() -> AnyResponse:
        return redirect(url_for("page.read", sys_id=request.args.get("sys_id", "")))

    @blueprint.post("/attachments/<name>/<record>")
    def attach(name: str, record: str) -> AnyResponse:
        request.max_content_length = FILE_BYTES_MAX
        sent: Any = request.files.get("file")
        if sent is not None and sent.filename:
            wanted = Wanted(name, record, sent.filename)
            uploads.check(g.actor, wanted)
            guessed = mimetypes.guess_type(sent.filename)[0]
            kind = sent.content_type or guessed or OCTETS
            uploads.attach(g.actor, wanted, kind, sent.stream)
        return _back(table_named(name), record)

    @blueprint.post("/attachments/<sys_id>/deletion")
    def remove(sys_id: str) -> AnyResponse:
        with instance.records(g.actor) as records:
            row = records.get(ATTACHMENTS, sys_id)
        uploads.remove(g.actor, sys_id)
        return _back(table_named(row["table_name"]), row["table_sys_id"])


def _about(instance: Instance, table: Table | None = None) -> dict[str, Any]:
    actor = g.get("actor")
    access = instance.access(actor) if actor else None
    return {
        "name": instance.settings.name,
        "table": table,
        "tables": [t for t in TABLES.values() if access and access.reads(t)],
        "actor": actor,
    }


def _back(table: Table, sys_id: str) -> AnyResponse:
    target = url_for("page.form", name=table.name, sys_id=sys_id)
    return redirect(target, HTTPStatus.SEE_OTHER)


def _allow_only_own_forms(built: Response) -> Response:
    built.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    return built
