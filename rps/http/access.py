"""Who is asking, and whether they may: decided before any view runs."""

from __future__ import annotations

from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from flask import g, request

from rps.application.reads import Reads
from rps.application.tokens import NotAuthenticated, Principal, authenticate
from rps.http.routes import Policy, PolicyMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flask import Flask, Response

    from rps.application.configuration import Configuration
    from rps.http.parts import Parts

_SCHEME = "bearer "
_TOKEN_CHARACTERS = 200


class RoleMissing(Exception):
    """The account has none of the roles that may do this."""

    def __init__(self, roles: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(roles)))


def install(flask_app: Flask, parts: Parts) -> None:
    """Guard every route by its policy, and record who looks at what.

    Raises PolicyMissing where a route has none: what nobody decided about is not
    served.
    """
    policies: dict[str, Policy] = {}
    for endpoint, view in flask_app.view_functions.items():
        policy = getattr(view, "policy", None)
        if policy is None:
            raise PolicyMissing(f"{endpoint}: declare @allowed(...) or @public")
        policies[endpoint] = policy
    reads = Reads(parts.application.datastore)
    for endpoint, view in list(flask_app.view_functions.items()):
        if what := getattr(view, "looks_at", ""):
            flask_app.view_functions[endpoint] = _recorded(view, what, reads)

    def guard() -> None:
        policy = policies.get(request.endpoint or "")
        if policy is None or policy.roles is None:
            return  # no such route, or one for everybody
        g.principal = admitted(parts, policy, authorization())

    flask_app.before_request(guard)


def _recorded(
    view: Callable[..., Any], what: str, reads: Reads
) -> Callable[..., Response]:
    """The view, whose answer goes out once it is recorded who asked for what."""

    @wraps(view)
    def recorded(**arguments: Any) -> Response:
        made = cast("Response", view(**arguments))
        if made.status_code < HTTPStatus.BAD_REQUEST:
            who, place = principal(), request.remote_addr or ""
            reads.note(who.domain, who.account, "api", place, what, _about(arguments))
        return made

    return recorded


def _about(arguments: dict[str, Any]) -> str:
    """What the path names, and the rest of what was asked."""
    asked = request.query_string.decode("ascii", "replace")
    named = "/".join(str(each) for each in arguments.values())
    return f"{named}?{asked}" if asked else named


def admitted(parts: Parts, policy: Policy, authorization: str) -> Principal:
    """Whose token the header holds; raises NotAuthenticated, RoleMissing."""
    who = _principal(parts, _bearer(authorization), fresh=policy.fresh)
    _require(policy, who)
    return who


def allow(
    policy: Policy, authorization: str, configuration: Configuration, now: datetime
) -> None:
    """Raise what `admitted` would raise if it saw this configuration."""
    _require(policy, authenticate(_bearer(authorization), configuration, now))


def authorization() -> str:
    """The request's header of that name."""
    return request.headers.get("Authorization", "")


def _require(policy: Policy, who: Principal) -> None:
    if policy.roles is not None and policy.roles.isdisjoint(who.roles):
        raise RoleMissing(policy.roles)


def principal() -> Principal:
    """Whoever the request's token belongs to."""
    return cast("Principal", g.principal)


def _principal(parts: Parts, token: str, *, fresh: bool) -> Principal:
    reader = parts.application.configuration
    now = parts.clock()
    if fresh:
        return authenticate(token, reader.refresh(), now)
    try:
        return authenticate(token, reader.current, now)
    except NotAuthenticated:
        # It may have been issued since this process last looked.
        return authenticate(token, reader.refresh(), now)


def _bearer(written: str) -> str:
    if written[: len(_SCHEME)].lower() != _SCHEME:
        raise NotAuthenticated("no bearer token")
    return written[len(_SCHEME) :].strip()[:_TOKEN_CHARACTERS]
