"""`/_sandbox`: what tests set of an instance. No real instance has this path."""

from __future__ import annotations

import hmac
import uuid
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from marshmallow import Schema, fields, post_load, validate

from rps.sandbox.server import FILE_BYTES_MAX
from rps.sandbox.servicenow.answers import NotAuthenticated, body_object, plain
from rps.sandbox.servicenow.behaviour import Policy, RateRule
from rps.sandbox.servicenow.faults import KINDS, Fault
from rps.sandbox.servicenow.tables import TABLES

if TYPE_CHECKING:
    from rps.sandbox.servicenow.instance import Instance

_MANY = 1_000_000


def _count(least: int = 1) -> validate.Range:
    return validate.Range(least, _MANY)


class _Rate(Schema):
    id = fields.String(load_default=lambda: uuid.uuid4().hex)
    limit = fields.Integer(required=True, strict=True, validate=_count(0))
    seconds = fields.Integer(strict=True, validate=_count())
    user = fields.String()
    role = fields.String()

    @post_load
    def made(self, given: dict[str, Any], **_: Any) -> RateRule:
        return RateRule(**given)


class _Policy(Schema):
    table = fields.String(required=True, validate=validate.OneOf(list(TABLES)))
    query = fields.String(required=True, validate=validate.Length(max=1000))
    message = fields.String(required=True)

    @post_load
    def made(self, given: dict[str, Any], **_: Any) -> Policy:
        return Policy(**given)


class _Behaviour(Schema):
    skew_seconds = fields.Float()
    token_seconds = fields.Integer(strict=True, validate=_count())
    attachment_bytes_max = fields.Integer(
        strict=True, validate=validate.Range(0, FILE_BYTES_MAX)
    )
    attachment_extensions = fields.List(fields.String())
    attachments_touch_record = fields.Boolean()
    invalid_query_returns_no_rows = fields.Boolean()
    rates = fields.List(fields.Nested(_Rate))
    policies = fields.List(fields.Nested(_Policy))
    field_roles = fields.Dict(fields.String(), fields.List(fields.String()))


class _Fault(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    times = fields.Integer(strict=True, validate=_count())
    skip = fields.Integer(strict=True, validate=_count(0))
    method = fields.String()
    path = fields.String()
    after = fields.Boolean()
    status = fields.Integer(strict=True, validate=validate.Range(400, 599))
    retry_after = fields.Integer(strict=True, validate=_count(0))
    seconds = fields.Float(validate=validate.Range(0, 600))

    @post_load
    def made(self, given: dict[str, Any], **_: Any) -> Fault:
        return Fault(**given)


class _Faults(Schema):
    faults = fields.List(fields.Nested(_Fault), required=True)


_BEHAVIOUR = _Behaviour()
_FAULTS = _Faults()


def control(instance: Instance) -> Blueprint:
    """Build the resources; `Authorization: Bearer` the control token."""
    blueprint = Blueprint("control", __name__, url_prefix="/_sandbox")
    token = instance.settings.control_token

    @blueprint.before_request
    def enter() -> None:
        given = request.authorization
        said = (given.token or "") if given and given.type == "bearer" else ""
        if not hmac.compare_digest(said.encode(), token.encode()):
            raise NotAuthenticated

    @blueprint.get("/behaviour")
    def behaviour() -> Response:
        return _shown(instance)

    @blueprint.patch("/behaviour")
    def behave() -> Response:
        given = _BEHAVIOUR.load(body_object())
        instance.clock.skew_seconds = given.pop(
            "skew_seconds", instance.clock.skew_seconds
        )
        lists = ("attachment_extensions", "rates", "policies")
        given |= {name: tuple(given[name]) for name in lists if name in given}
        instance.behaviour = replace(instance.behaviour, **given)
        return _shown(instance)

    @blueprint.get("/faults")
    def coming() -> Response:
        return plain({"faults": [asdict(each) for each in instance.faults.coming()]})

    @blueprint.put("/faults")
    def go_wrong() -> Response:
        instance.faults.set(_FAULTS.load(body_object())["faults"])
        return coming()

    return blueprint


def _shown(instance: Instance) -> Response:
    skew = {"skew_seconds": instance.clock.skew_seconds}
    return plain({**skew, **asdict(instance.behaviour)})
