"""The Table API: `/api/now[/v1|/v2]/table/{table}[/{sys_id}]`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from rps.sandbox.servicenow.answers import (
    NoRecord,
    NoSuchTable,
    NotAcceptable,
    NotAllowed,
    NotUnderstood,
    WrongMediaType,
    body_object,
    result,
)
from rps.sandbox.servicenow.door import guard
from rps.sandbox.servicenow.faults import INNER
from rps.sandbox.servicenow.listing import Listing, read_manner, read_page
from rps.sandbox.servicenow.shapes import Shapes
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    from rps.sandbox.servicenow.instance import Instance
    from rps.sandbox.servicenow.records import Records
    from rps.sandbox.servicenow.tables import Table

_PREFIX = "/api/now"
VERSIONS = ("", "/v1", "/v2")


def table_api(instance: Instance) -> list[Blueprint]:
    """Build the resources, once for each version."""
    return [_version(instance, version) for version in VERSIONS]


def _version(instance: Instance, version: str) -> Blueprint:
    name = f"table_api{version.replace('/', '_')}"
    blueprint = Blueprint(name, __name__, url_prefix=f"{_PREFIX}{version}")
    guard(blueprint, instance)
    blueprint.before_request(_check_headers)
    _collection(blueprint, instance, version)
    _record(blueprint, instance)
    _stats(blueprint, instance)
    return blueprint


def _collection(blueprint: Blueprint, instance: Instance, version: str) -> None:
    @blueprint.get("/table/<name>")
    def listed(name: str) -> Response:
        table = table_named(name)
        with instance.records(g.actor) as records:
            found = Listing(records, table, instance.behaviour).read(
                read_page(), read_manner()
            )
        if not found.records and version == "/v1":
            raise NoRecord
        return found.answer()

    @blueprint.post("/table/<name>")
    def create(name: str) -> Response:
        table, fields = table_named(name), body_object()
        with instance.records(g.actor) as records:
            made = records.insert(table, fields, as_display=_as_display())
            built = _shown(records, table, made["sys_id"], HTTPStatus.CREATED)
        built.headers["Location"] = f"{request.base_url}/{made['sys_id']}"
        return built


def _record(blueprint: Blueprint, instance: Instance) -> None:
    @blueprint.get("/table/<name>/<sys_id>")
    def shown(name: str, sys_id: str) -> Response:
        table = table_named(name)
        with instance.records(g.actor) as records:
            records.get(table, sys_id)
            return _shown(records, table, sys_id)

    @blueprint.route("/table/<name>/<sys_id>", methods=["PUT", "PATCH"])
    def update(name: str, sys_id: str) -> Response:
        table, fields = table_named(name), body_object()
        with instance.records(g.actor) as records:
            records.update(table, sys_id, fields, as_display=_as_display())
            return _shown(records, table, sys_id)

    @blueprint.delete("/table/<name>/<sys_id>")
    def delete(name: str, sys_id: str) -> Response:
        with instance.records(g.actor) as records:
            records.delete(table_named(name), sys_id)
        return Response(status=HTTPStatus.NO_CONTENT)


def _stats(blueprint: Blueprint, instance: Instance) -> None:
    @blueprint.get("/stats/<name>")
    def count(name: str) -> Response:
        table = table_named(name)
        with instance.records(g.actor) as records:
            listing = Listing(records, table, instance.behaviour)
            counted = listing.count(read_page())
        return result({"stats": {"count": str(counted)}})


def table_named(name: str) -> Table:
    """Raises NoSuchTable."""
    if name not in TABLES:
        raise NoSuchTable(name)
    return TABLES[name]


def _as_display() -> bool:
    return request.args.get("sysparm_input_display_value", "").lower() == "true"


def _shown(
    records: Records, table: Table, sys_id: str, status: int = HTTPStatus.OK
) -> Response:
    if request.headers.get("X-no-response-body", "").lower() == "true":
        return Response(status=status)
    if not records.access.reads(table):
        raise NotAllowed("User Not Authorized")
    shapes = Shapes(records.connection, records.access, table, read_manner())
    rows = records.connection.execute(
        f"SELECT {shapes.columns} FROM {table.name} WHERE sys_id = ?",  # noqa: S608 - our names
        (sys_id,),
    ).fetchall()
    return result(shapes.shown(rows)[0], status)


def _check_headers() -> None:
    """Raises NotUnderstood, NotAcceptable or WrongMediaType."""
    accepted = request.headers.get("Accept", "")
    writes = request.method in ("POST", "PUT", "PATCH")
    if writes and not accepted and INNER not in request.environ:
        raise NotUnderstood(None, "Header Accept is missing")
    if accepted and not request.accept_mimetypes["application/json"]:
        raise NotAcceptable(f"only application/json is: {accepted}")
    if not writes:
        return
    if not request.content_type:
        raise NotUnderstood(None, "Header Content-Type is missing")
    if request.mimetype != "application/json":
        raise WrongMediaType(f"only application/json is: {request.mimetype}")
