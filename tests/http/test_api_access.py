"""Who may do what: every route of the map, every role, every other domain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from flask import Flask
from openapi_spec_validator import validate as validate_openapi

from rps.domain.account import ROLES
from rps.http import access
from rps.http.routes import PolicyMissing

if TYPE_CHECKING:
    from api_node import Node

READ = {"ih_process_sync", "operator", "auditor"}
OPERATE = {"ih_process_sync", "operator"}
CONFIGURE = {"ih_process_sync"}
AUDIT = {"auditor"}
ADMIN: set[str] = set()

# Beside admin, who may take it. Written out: a route that is added has to be judged.
MAY: dict[str, set[str]] = {
    "POST /v1/changes": {"ih_process_sync_api", "ih_process_sync"},
    "GET /v1/changes/{change_id}": READ | {"ih_process_sync_api"},
    "GET /v1/definitions": READ,
    "GET /v1/definitions/{process_event}": READ,
    "PUT /v1/definitions/{process_event}": CONFIGURE,
    "POST /v1/definitions/{process_event}/publish": CONFIGURE,
    "POST /v1/definitions/{process_event}/scan": OPERATE,
    "POST /v1/definitions/{process_event}/rollback": CONFIGURE,
    "POST /v1/definitions/{process_event}/retire": CONFIGURE,
    "GET /v1/definitions/{process_event}/revisions": READ,
    "GET /v1/definitions/{process_event}/revisions/{revision}": READ,
    "POST /v1/definitions/{process_event}/dry-run": OPERATE,
    "POST /v1/definitions/{process_event}/what-if": OPERATE,
    "GET /v1/messages/{message_id}/execution": READ,
    "GET /v1/inbound/{correlation_id}/{sequence}/execution": READ,
    "GET /v1/systems": READ,
    "GET /v1/systems/{name}": READ,
    "PUT /v1/systems/{name}": CONFIGURE,
    "POST /v1/systems/{name}/activate": CONFIGURE,
    "POST /v1/systems/{name}/disable": OPERATE,
    "POST /v1/systems/{name}/pause": OPERATE,
    "POST /v1/systems/{name}/resume": OPERATE,
    "POST /v1/systems/{name}/trust": CONFIGURE,
    "GET /v1/accounts": AUDIT,
    "GET /v1/accounts/{name}": AUDIT,
    "PUT /v1/accounts/{name}": ADMIN,
    "POST /v1/accounts/{name}/tokens": ADMIN,
    "DELETE /v1/accounts/{name}/tokens/{token_id}": ADMIN,
    "GET /v1/domains": AUDIT,
    "GET /v1/domains/{path}": AUDIT,
    "PUT /v1/domains/{path}": ADMIN,
    "GET /v1/correlations": READ,
    "GET /v1/correlations/{correlation_id}": READ,
    "GET /v1/correlations/{correlation_id}/timeline": READ,
    "GET /v1/correlations/{correlation_id}/state": READ,
    "POST /v1/correlations/{correlation_id}/members/{member}/unlink": OPERATE,
    "POST /v1/correlations/{correlation_id}/members/{member}/relink": OPERATE,
    "POST /v1/correlations/{correlation_id}/deactivate": OPERATE,
    "POST /v1/correlations/{correlation_id}/reactivate": OPERATE,
    "GET /v1/inbound": READ,
    "GET /v1/outbound": READ,
    "POST /v1/inbound/{correlation_id}/{sequence}/retry": OPERATE,
    "POST /v1/inbound/{correlation_id}/{sequence}/skip": OPERATE,
    "POST /v1/outbound/{message_id}/retry": OPERATE,
    "POST /v1/outbound/{message_id}/skip": OPERATE,
    "POST /v1/outbound/retry": OPERATE,
    "POST /v1/outbound/skip": OPERATE,
    "GET /v1/problems": READ,
    "GET /v1/problems/{fingerprint}": READ,
    "POST /v1/problems/{fingerprint}/retry": OPERATE,
    "POST /v1/problems/{fingerprint}/skip": OPERATE,
    "GET /v1/treatments/{treatment_id}": READ,
    "POST /v1/treatments/{treatment_id}/start": OPERATE,
    "POST /v1/treatments/{treatment_id}/cancel": OPERATE,
    "GET /v1/conflicts": READ,
    "GET /v1/conflicts/{number}": READ,
    "POST /v1/conflicts/{number}/resolve": OPERATE,
    "GET /v1/attachments/{digest}": READ | {"ih_process_sync_api"},
    "PUT /v1/attachments/{digest}": {"ih_process_sync_api", "ih_process_sync"},
    "POST /v1/replays": OPERATE,
    "GET /v1/replays/{replay_id}": READ,
    "POST /v1/replays/{replay_id}/start": OPERATE,
    "POST /v1/replays/{replay_id}/cancel": OPERATE,
    "GET /v1/subscriptions": READ,
    "GET /v1/subscriptions/{name}": READ,
    "PUT /v1/subscriptions/{name}": CONFIGURE,
    "DELETE /v1/subscriptions/{name}": CONFIGURE,
    "POST /v1/subscriptions/{name}/pause": OPERATE,
    "POST /v1/subscriptions/{name}/resume": OPERATE,
    "POST /v1/subscriptions/{name}/test": OPERATE,
    "GET /v1/notices": READ,
    "GET /v1/audit": AUDIT,
    "GET /v1/audit/checkpoints": AUDIT,
    "POST /v1/audit/checkpoints": AUDIT,
    "GET /v1/audit/proofs/{message}": AUDIT,
    "GET /v1/audit/reads": AUDIT,
}
SIGNED = {
    "POST /v1/nodes/{peer}/messages",
    "GET /v1/nodes/{peer}/records/{table}/{key}",
    "GET /v1/nodes/{peer}/attachments/{digest}",
    "GET /v1/nodes/{peer}/ping",
    "POST /v1/nodes/{peer}/heartbeat",
    "POST /v1/nodes/{peer}/settled",
    "POST /v1/nodes/{peer}/checkpoint",
    "POST /v1/nodes/{peer}/secret",
    "POST /v1/nodes/{peer}/accept",
    "POST /v1/hooks/{system}",
}
"""Who asks these proves by a signature which linked node or system it is."""

_ARGUMENT = re.compile(r"<(?:[^<>]*:)?([a-z_]+)>")

FOR_EVERYBODY = {
    "GET /v1/openapi.json",
    "GET /v1/definitions/schema",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
}


def routes(node: Node) -> set[str]:
    return {
        f"{method} {_ARGUMENT.sub(_braced, rule.rule)}"
        for rule in node.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD"}
    }


def _braced(argument: re.Match[str]) -> str:
    return f"{{{argument[1]}}}"


def asked(node: Node, route: str, who: str | None) -> Any:
    method, path = route.split()
    ids = r"\{((correlation|message|replay|treatment)_id|peer|key)\}"
    path = re.sub(ids, str(uuid4()), path)
    path = re.sub(r"\{(sequence|revision|number)\}", "1", path)
    path = re.sub(r"\{[a-z_]+\}", "unheard-of", path)
    return node.call(method, path, who=who)


def test_every_route_is_judged_in_this_test(lasting: Node) -> None:
    assert routes(lasting) == MAY.keys() | SIGNED | FOR_EVERYBODY


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_a_role_may_take_its_routes_and_no_others(lasting: Node, role: str) -> None:
    may = {
        route for route in MAY if asked(lasting, route, role).status not in (401, 403)
    }
    assert may == {r for r in MAY if role == "admin" or role in MAY[r]}


def test_nothing_but_what_is_for_everybody_is_had_without_a_token(
    lasting: Node,
) -> None:
    for route in MAY:
        answered = asked(lasting, route, None)
        assert answered.status == 401, route
        assert answered.headers["WWW-Authenticate"] == "Bearer"
    for route in SIGNED:
        answered = asked(lasting, route, "admin")
        assert answered.status == 401, route
        assert answered.json["type"] == "urn:rps:problem:signature-refused"
    for route in FOR_EVERYBODY:
        assert asked(lasting, route, None).status == 200, route


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic cnBzOnJwcw==",
        "Bearer rps_00000000_" + "A" * 43 + "_00000000",
        "Bearer rps_" + "é" * 60,
        "Bearer " + "A" * 5000,
    ],
)
def test_a_wrong_token_is_not_accepted(lasting: Node, authorization: str) -> None:
    for path in ("/v1/systems", "/v1/changes/c1"):
        answered = lasting.call("GET", path, who=None, Authorization=authorization)
        assert answered.status == 401
    answered = lasting.call(
        "POST", "/v1/changes", {}, who=None, Authorization=authorization
    )
    assert answered.status == 401


def test_a_token_of_anothers_key_is_not_accepted(lasting: Node) -> None:
    token = lasting.tokens["admin"]
    other = lasting.tokens["operator"]
    mixed = token[:12] + other[12:]
    assert lasting.call("GET", "/v1/systems", who=mixed).status == 401


def test_a_token_issued_elsewhere_is_known_at_once(lasting: Node) -> None:
    token = lasting.token("top", "late", ["ih_process_sync_api"])
    answered = lasting.call("POST", "/v1/changes", {}, who=token)
    assert answered.status == 422


def test_what_is_foreign_looks_like_what_is_not_there(sharing: Node) -> None:
    correlation_id = sharing.shared(change_id="c1")
    sharing.park(correlation_id)
    message_id = sharing.get("/v1/outbound")["entries"][0]["message_id"]
    sequence = sharing.get("/v1/inbound")["entries"][0]["sequence"]
    body = {"selector": {"system": "globex"}, "reason": "x"}
    replay = sharing.call("POST", "/v1/replays", body).json["replay_id"]
    why = {"reason": "x"}
    for method, path, sent in (
        ("GET", "/v1/changes/c1", None),
        ("GET", "/v1/definitions/incident.shared", None),
        ("POST", "/v1/definitions/incident.shared/publish", None),
        ("POST", "/v1/definitions/incident.shared/retire", why),
        ("POST", "/v1/definitions/incident.shared/rollback", why),
        ("POST", "/v1/definitions/incident.shared/scan", None),
        ("GET", "/v1/definitions/incident.shared/revisions", None),
        ("GET", "/v1/definitions/incident.shared/revisions/1", None),
        ("GET", "/v1/systems/acme", None),
        ("POST", "/v1/systems/acme/disable", why),
        ("POST", "/v1/systems/acme/activate", None),
        ("GET", "/v1/accounts/operator", None),
        ("POST", "/v1/accounts/operator/tokens", None),
        ("GET", "/v1/domains/top", None),
        ("GET", f"/v1/correlations/{correlation_id}", None),
        ("GET", f"/v1/correlations/{correlation_id}/timeline", None),
        ("GET", f"/v1/correlations/{correlation_id}/state", None),
        ("POST", f"/v1/correlations/{correlation_id}/members/globex/unlink", why),
        ("POST", f"/v1/correlations/{correlation_id}/members/globex/relink", why),
        ("POST", f"/v1/correlations/{correlation_id}/deactivate", why),
        ("POST", f"/v1/correlations/{correlation_id}/reactivate", why),
        ("POST", f"/v1/outbound/{message_id}/skip", why),
        ("POST", f"/v1/inbound/{correlation_id}/{sequence}/retry", why),
        ("GET", f"/v1/replays/{replay}", None),
        ("POST", f"/v1/replays/{replay}/start", None),
        ("POST", f"/v1/replays/{replay}/cancel", why),
    ):
        foreign = sharing.call(method, path, sent, who="stranger")
        unknown = sharing.call("GET", f"/v1/correlations/{uuid4()}")
        assert foreign.status == 404, path
        assert _but_instance(foreign.json) == _but_instance(unknown.json), path
    for rows in ("systems", "definitions", "correlations"):
        assert sharing.get(f"/v1/{rows}", who="stranger")[rows] == []
    for queue in ("inbound", "outbound"):
        assert sharing.get(f"/v1/{queue}", who="stranger")["entries"] == []
    body = {"filter": {}, "reason": "x"}
    told = sharing.call("POST", "/v1/outbound/skip", body, who="stranger")
    assert told.json == {"results": []}


def test_a_route_nobody_decided_about_is_not_served(lasting: Node) -> None:
    careless = Flask("careless", static_folder=None)
    careless.add_url_rule("/v1/secrets", view_func=lambda: "all of them")
    with pytest.raises(PolicyMissing):
        access.install(careless, lasting.app)


def test_answers_tell_browsers_and_caches_to_keep_out(lasting: Node) -> None:
    for path in ("/v1/systems", "/v1/nothing", "/livez"):
        headers = lasting.call("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


# --- OpenAPI, health, metrics -------------------------------------------------------


def test_the_openapi_document_is_valid_and_complete(lasting: Node) -> None:
    document = lasting.get("/v1/openapi.json", who=None)
    validate_openapi(document)
    assert document["openapi"].startswith("3.1")
    described = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
    }
    assert described == routes(lasting)
    posting = document["paths"]["/v1/changes"]["post"]
    assert set(posting["requestBody"]["content"]) == {
        "application/json",
        "application/x-ndjson",
    }


def test_a_node_is_ready_once_its_database_is_migrated(lasting: Node) -> None:
    ready = lasting.get("/readyz", who=None)
    assert ready["ready"] is True
    assert ready["head"] == lasting.application.recorder.head()[0]


def test_the_metrics_count_requests_and_what_waits(sharing: Node) -> None:
    sharing.park(sharing.shared())
    sharing.capture("INC2")
    sharing.call("GET", "/v1/nothing")
    text = sharing.call("GET", "/metrics", who=None).bytes.decode()
    for line in (
        (
            'rps_queue_entries{domain="top",queue="outbound",status="error",'
            'system="globex"} 1.0'
        ),
        (
            'rps_queue_entries{domain="top",queue="inbound",status="ready",'
            'system="acme"} 1.0'
        ),
        'rps_http_requests_total{method="POST",route="/v1/changes",status="202"} 2.0',
        'rps_http_requests_total{method="any",route="unmatched",status="404"} 1.0',
        f"rps_log_head {float(sharing.application.recorder.head()[0])}",
    ):
        assert line in text


def test_each_app_counts_for_itself(lasting: Node) -> None:
    other = lasting.make_app().test_client()
    text = other.get("/metrics").get_data(as_text=True)
    assert "rps_http_requests_total{" not in text


def _but_instance(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name != "instance"}
