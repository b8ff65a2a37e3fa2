"""The OpenAPI document, read off the routes as they are declared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from rps.http import (
    answer_schemas,
    audit_schemas,
    notice_schemas,
    problem_schemas,
    trial_schemas,
)
from rps.http.answers import JSON, NDJSON, answer
from rps.http.changes import COMPONENTS
from rps.http.file_answers import OCTETS
from rps.http.problems import MEDIA_TYPE
from rps.http.routes import public, route

if TYPE_CHECKING:
    from flask import Flask, Response
    from werkzeug.routing import Rule

    from rps.http.routes import Policy, Route

SCHEMAS = {
    **answer_schemas.SCHEMAS,
    **problem_schemas.SCHEMAS,
    **notice_schemas.SCHEMAS,
    **trial_schemas.SCHEMAS,
    **audit_schemas.SCHEMAS,
}
VERSION = "1.0.0"
UNDOCUMENTED = {"HEAD", "OPTIONS"}  # Flask adds HEAD to every GET
_ARGUMENT = re.compile(r"<(?:[^:<>]+(?:\([^)]*\))?:)?([a-z_]+)>")
_PATTERNS: dict[str, dict[str, Any]] = {
    "UUIDConverter": {"type": "string", "format": "uuid"},
    "IntegerConverter": {"type": "integer", "minimum": 0},
}


class OpenApi:
    """The document is made once, after all routes are there."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    @route("GET", "/openapi.json", "This document", answer="")
    @public
    def get_openapi(self) -> Response:
        return answer(self.document)


def describe(flask_app: Flask) -> dict[str, Any]:
    """Every route of the app with what it takes, gives, and who may take it."""
    spec = APISpec(
        title="Remote Process Sync",
        version=VERSION,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
        info={"description": "Keeps the same piece of work in step in many systems."},
    )
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for name, schema in {**SCHEMAS, **COMPONENTS}.items():
        spec.components.schema(name, dict(schema))
    for rule in flask_app.url_map.iter_rules():
        view: Any = flask_app.view_functions[rule.endpoint]
        declared: Route = view.route
        policy: Policy = view.policy
        operation = _operation(rule, declared, policy)
        spec.path(
            _ARGUMENT.sub(r"{\1}", rule.rule),
            operations={declared.method.lower(): operation},
        )
    document: dict[str, Any] = spec.to_dict()
    return document


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return f"{kind.__name__}Request"


def _operation(rule: Rule, declared: Route, policy: Policy) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": declared.summary,
        "tags": [rule.endpoint.partition(".")[0]],
        "parameters": _parameters(rule, declared),
        "responses": _responses(declared, policy),
        "security": [] if policy.roles is None else [{"token": []}],
    }
    if policy.roles is not None:
        made["description"] = f"Roles: {', '.join(sorted(policy.roles))}."
    if declared.body is not None:
        content = _taken(declared.body)
        content |= {each: {"schema": declared.body} for each in declared.also_takes}
        made["requestBody"] = {"content": content}
    return made


def _parameters(rule: Rule, declared: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "in": "path",
            "name": name,
            "required": True,
            "schema": _PATTERNS.get(
                type(rule._converters[name]).__name__,  # noqa: SLF001 - not public
                {"type": "string"},
            ),
        }
        for name in sorted(rule.arguments)
    ]
    found += [
        {"in": "header", "name": name, "schema": {"type": "string"}}
        for name in declared.headers
    ]
    if declared.query is not None:
        found.append({"in": "query", "schema": declared.query})
    return found


def _taken(body: Any) -> dict[str, Any]:
    if not isinstance(body, Schema) and body.get("format") == "binary":
        return {OCTETS: {"schema": body}}
    content = {JSON: {"schema": body}}
    if not isinstance(body, Schema) and "oneOf" in body:
        # NDJSON: one of these a line.
        content[NDJSON] = {"schema": body["oneOf"][0]}
    return content


def _responses(declared: Route, policy: Policy) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if declared.answer in SCHEMAS:
        schema = {"$ref": f"#/components/schemas/{declared.answer}"}
    good: dict[str, Any] = {"description": declared.summary}
    if declared.status != 204:  # noqa: PLR2004 - No Content
        good["content"] = {declared.media_type: {"schema": schema}}
    problem = {
        "description": "What is wrong, as RFC 9457 says it",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    answers = {str(declared.status): good, "default": problem}
    if declared.or_status is not None:
        answers[str(declared.or_status)] = good
    if policy.roles is not None:
        answers |= {"401": problem, "403": problem}
    return answers
