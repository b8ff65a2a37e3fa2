"""The Batch API: many requests in one, each carried out or not by itself."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, request
from marshmallow import EXCLUDE, Schema, fields, validate
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response as AnyResponse

from rps.sandbox.servicenow.answers import NotUnderstood, body_object, plain
from rps.sandbox.servicenow.door import guard
from rps.sandbox.servicenow.faults import INNER
from rps.sandbox.servicenow.table_api import VERSIONS

if TYPE_CHECKING:
    from rps.sandbox.servicenow.instance import Instance

REQUESTS_MAX = 1000
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_OWN_HEADERS = ("host", "authorization", "content-length", "transfer-encoding")
"""Those that the batch says, for all of its requests."""


class _Header(Schema):
    class Meta:
        unknown = EXCLUDE

    name = fields.String(required=True, validate=validate.Regexp(r"[!-9;-~]+\Z"))
    value = fields.String(required=True, validate=validate.Regexp(r"[^\r\n\0]*\Z"))


class _Request(Schema):
    class Meta:
        unknown = EXCLUDE

    id = fields.String(required=True)
    method = fields.String(required=True, validate=validate.OneOf(_METHODS))
    url = fields.String(required=True, validate=validate.Regexp(r"/api/[!-~]*\Z"))
    headers = fields.List(fields.Nested(_Header), load_default=list)
    body = fields.String(load_default="")


class _Batch(Schema):
    class Meta:
        unknown = EXCLUDE

    batch_request_id = fields.Raw(required=True)
    rest_requests = fields.List(
        fields.Nested(_Request),
        required=True,
        validate=validate.Length(max=REQUESTS_MAX),
    )


_BATCH = _Batch()


def batch_api(instance: Instance, flask_app: Flask) -> list[Blueprint]:
    """Build the resource; its requests are answered by `flask_app` itself."""
    return [_version(instance, flask_app, version) for version in VERSIONS]


def _version(instance: Instance, flask_app: Flask, version: str) -> Blueprint:
    name = f"batch_api{version.replace('/', '_')}"
    blueprint = Blueprint(name, __name__, url_prefix=f"/api/now{version}")
    guard(blueprint, instance)

    @blueprint.post("/batch")
    def batch() -> Response:
        if INNER in request.environ:
            raise NotUnderstood(None, "A batch cannot be part of a batch")
        asked = _BATCH.load(body_object())
        serviced = [_serviced(flask_app, each) for each in asked["rest_requests"]]
        return plain(
            {
                "batch_request_id": str(asked["batch_request_id"]),
                "serviced_requests": serviced,
                "unserviced_requests": [],
            }
        )

    return blueprint


def _serviced(flask_app: Flask, asked: dict[str, Any]) -> dict[str, Any]:
    answer = _answered(flask_app, asked)
    return {
        "id": asked["id"],
        "status_code": answer.status_code,
        "status_text": HTTPStatus(answer.status_code).phrase,
        "headers": [
            {"name": name, "value": value} for name, value in answer.headers.items()
        ],
        "body": base64.b64encode(answer.get_data()).decode(),
        "redirect_url": None,
        "execution_time": 1,
    }


def _answered(flask_app: Flask, asked: dict[str, Any]) -> AnyResponse:
    try:
        body = base64.b64decode(asked["body"], validate=True)
    except binascii.Error:
        raise NotUnderstood(f"request {asked['id']}", "body is not base64") from None
    headers = [(each["name"], each["value"]) for each in asked["headers"]]
    kept = [each for each in headers if each[0].lower() not in _OWN_HEADERS]
    path, _, query = asked["url"].partition("?")
    environ = EnvironBuilder(
        path=path,
        query_string=query,
        base_url=request.host_url,
        method=asked["method"],
        headers=[*kept, ("Authorization", request.headers["Authorization"])],
        data=body,
    ).get_environ()
    environ[INNER] = True
    return AnyResponse(*run_wsgi_app(flask_app.wsgi_app, environ))
