"""The API put together: resources, guards, and the one table of errors."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from rps.http import access, openapi, problems
from rps.http.accounts import Accounts, Domains
from rps.http.attachments import Attachments
from rps.http.audit import Audit
from rps.http.changes import Changes
from rps.http.conflicts import Conflicts
from rps.http.console.app import create_console
from rps.http.console.front import Front
from rps.http.correlations import Correlations
from rps.http.definitions import Definitions
from rps.http.door import BODY_BYTES_MAX, SECURED, Door, raise_again
from rps.http.errors import TABLE
from rps.http.hooks import Hooks
from rps.http.inputs import QueryRefused, refuse_nul
from rps.http.memberships import Memberships
from rps.http.nodes import Nodes
from rps.http.notices import Notices
from rps.http.observability import Observability
from rps.http.problem_groups import ProblemGroups
from rps.http.queues import Queues
from rps.http.replays import Replays
from rps.http.routes import PREFIX, register
from rps.http.subscriptions import SubscriptionRoutes
from rps.http.systems import Systems
from rps.http.trials import Trials

if TYPE_CHECKING:
    from rps.http.parts import Parts


def create_app(parts: Parts) -> Flask:
    """The WSGI application of one process. Make it after the process was forked.

    Raises PolicyMissing where a route does not say who may take it.
    """
    flask_app = Flask("rps.http", static_folder=None)
    flask_app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    flask_app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    flask_app.url_map.merge_slashes = False  # two of them are no other name for one
    observability = Observability(parts)
    observability.count(flask_app)
    flask_app.before_request(raise_again)
    flask_app.before_request(refuse_nul)
    flask_app.after_request(_secured)
    flask_app.after_request(partial(_look_after_connections, parts))
    document = openapi.OpenApi()
    changes = Changes(parts)
    resources = {
        "changes": changes,
        "definitions": Definitions(parts),
        "systems": Systems(parts),
        "nodes": Nodes(parts),
        "hooks": Hooks(parts),
        "domains": Domains(parts),
        "accounts": Accounts(parts),
        "correlations": Correlations(parts),
        "memberships": Memberships(parts),
        "queues": Queues(parts),
        "problems": ProblemGroups(parts),
        "conflicts": Conflicts(parts),
        "attachments": Attachments(parts),
        "replays": Replays(parts),
        "subscriptions": SubscriptionRoutes(parts),
        "notices": Notices(parts),
        "trials": Trials(parts),
        "audit": Audit(parts),
        "openapi": document,
    }
    for name, resource in resources.items():
        register(flask_app, name, resource)
    register(flask_app, "observability", observability, prefix="")
    access.install(flask_app, parts)
    flask_app.before_request(lambda: _refuse_query(flask_app))
    problems.install(flask_app, TABLE)
    document.document = openapi.describe(flask_app)
    console = create_console(parts)
    observability.count(console)
    front = Front(flask_app.wsgi_app, console)
    door = Door(front, parts, changes, observability.counted)
    flask_app.wsgi_app = door  # type: ignore[method-assign]  # as Flask suggests
    return flask_app


def _look_after_connections(parts: Parts, response: Response) -> Response:
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        parts.application.drop_dead_connections()
    return response


def _refuse_query(flask_app: Flask) -> None:
    """A parameter a route does not know would be taken for one that was heeded."""
    view: Any = flask_app.view_functions.get(request.endpoint or "")
    if view is None:
        return  # no such route, which is said next
    if request.args and request.path.startswith(PREFIX) and not view.route.query:
        raise QueryRefused(next(iter(request.args)), "this route takes no parameters")


def _secured(response: Response) -> Response:
    for name, value in SECURED:
        response.headers.setdefault(name, value)
    return response
