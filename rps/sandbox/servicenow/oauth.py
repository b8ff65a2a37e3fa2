"""The token endpoint, `POST /oauth_token.do`."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from rps.sandbox.servicenow.answers import NotAuthenticated, plain
from rps.sandbox.servicenow.seed import INTEGRATION

if TYPE_CHECKING:
    from rps.sandbox.servicenow.access import Actor
    from rps.sandbox.servicenow.instance import Instance


class _Refused(Exception):
    """`error` is the code of RFC 6749; `description` what an instance says."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def oauth(instance: Instance) -> Blueprint:
    """Build the endpoint: grants password, refresh_token and client_credentials.

    The client's pair comes in the body, or as Basic authorization.
    """
    blueprint = Blueprint("oauth", __name__)

    @blueprint.post("/oauth_token.do")
    def give() -> Response:
        try:
            client_id = _client(instance)
            actor = _granted(instance)
        except _Refused as refused:
            said = {"error_description": refused.description, "error": refused.error}
            return plain(said, HTTPStatus.UNAUTHORIZED)
        except NotAuthenticated:
            said = {"error_description": "access_denied", "error": "server_error"}
            return plain(said, HTTPStatus.UNAUTHORIZED)
        return _tokens(instance, actor, client_id)

    return blueprint


def _client(instance: Instance) -> str:
    given = request.authorization
    if given is not None and given.type == "basic":
        pair = (given.username or "", given.password or "")
    else:
        pair = (
            request.form.get("client_id", ""),
            request.form.get("client_secret", ""),
        )
    settings = instance.settings
    known = (settings.client_id, settings.client_secret)
    same = [
        hmac.compare_digest(one.encode(), other.encode())
        for one, other in zip(pair, known, strict=True)
    ]
    if not all(same):
        raise _Refused("invalid_client", "access_denied")
    return settings.client_id


def _granted(instance: Instance) -> Actor:
    given, people = request.form, instance.people
    match given.get("grant_type", ""):
        case "password":
            return people.by_password(
                given.get("username", ""), given.get("password", "")
            )
        case "refresh_token":
            return people.by_token(given.get("refresh_token", ""), "refresh")
        case "client_credentials":
            return people.by_name(INTEGRATION)
        case _:
            raise _Refused("unsupported_grant_type", "unsupported_grant_type")


def _tokens(instance: Instance, actor: Actor, client_id: str) -> Response:
    seconds = instance.behaviour.token_seconds
    made = instance.people.give_tokens(actor, client_id, seconds)
    said = {
        "access_token": made.access,
        "refresh_token": made.refresh,
        "scope": "useraccount",
        "token_type": "Bearer",
        "expires_in": seconds,
    }
    if request.form["grant_type"] == "client_credentials":
        del said["refresh_token"]
    built = plain(said)
    built.headers["Cache-Control"] = "no-store"
    return built
