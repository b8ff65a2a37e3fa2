"""Routes as they are declared on the methods of a resource, and who may take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask
    from marshmallow import Schema

PREFIX = "/v1"
ADMIN = "admin"

READERS = ("ih_process_sync", "operator", "auditor")
"""Roles that see what is configured, queued and shared."""

OPERATORS = ("ih_process_sync", "operator")
CONFIGURERS = ("ih_process_sync",)

View = TypeVar("View", bound="Callable[..., Any]")


class PolicyMissing(RuntimeError):
    """A route says neither who may take it nor that everybody may."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`roles` None: everybody, without a token. `fresh`: the configuration is read
    again first; without it a request costs no query (the log refuses stale ones)."""

    roles: frozenset[str] | None
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """What a route takes and gives, for Flask and for OpenAPI alike. `or_status`: the
    same answer under another number, which says what became of it."""

    method: str
    path: str
    summary: str
    status: int = 200
    or_status: int | None = None
    body: Schema | Mapping[str, Any] | None = None
    query: Schema | None = None
    answer: str = "Answer"
    media_type: str = "application/json"
    also_takes: tuple[str, ...] = field(default=())
    headers: tuple[str, ...] = field(default=())


def route(method: str, path: str, summary: str, **says: Any) -> Callable[[View], View]:
    """Declare that the method answers `method path` below /v1; see `Route`."""

    def declare(view: View) -> View:
        view.route = Route(method, path, summary, **says)  # type: ignore[attr-defined]
        return view

    return declare


def allowed(*roles: str, fresh: bool = True) -> Callable[[View], View]:
    """Declare which roles may take the route; admin may take every one."""

    def declare(view: View) -> View:
        view.policy = Policy(  # type: ignore[attr-defined]
            frozenset((ADMIN, *roles)), fresh
        )
        return view

    return declare


def looks_at(what: str) -> Callable[[View], View]:
    """Declare that the route shows business content: who took it is recorded."""

    def declare(view: View) -> View:
        view.looks_at = what  # type: ignore[attr-defined]
        return view

    return declare


def public(view: View) -> View:
    """Declare that everybody may take the route."""
    view.policy = Policy(None)  # type: ignore[attr-defined]
    return view


def register(
    flask_app: Flask, name: str, resource: object, prefix: str = PREFIX
) -> None:
    """Add each declared method of `resource` to the app, as blueprint `name`."""
    blueprint = Blueprint(name, __name__)
    for attribute, declared in vars(type(resource)).items():
        found: Route | None = getattr(declared, "route", None)
        if found is not None:
            blueprint.add_url_rule(
                found.path,
                endpoint=attribute,
                view_func=getattr(resource, attribute),
                methods=[found.method],
            )
    flask_app.register_blueprint(blueprint, url_prefix=prefix)
