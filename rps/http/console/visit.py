"""Who is at the browser, and whether they may see the page: decided before any view.

A browser holds one cookie: 256 random bits. It is a session where the table has its
hash; before that it is only what forms are bound to.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import urlencode

from flask import Response, g, redirect, request

from rps.application.sessions import Came, derived
from rps.domain.account import Account
from rps.http.console.origin import origin_of, source_of
from rps.http.routes import PolicyMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flask import Flask

    from rps.application.sessions import Session
    from rps.application.sign_in import SignIn
    from rps.http.console.origin import Origin
    from rps.http.parts import Parts

SIGN_IN, CONFIRM, HOME = "/sign-in", "/confirm", "/"
SAFE_METHODS = ("GET", "HEAD")
FORM_TOKEN = "form"  # noqa: S105 - what it is derived for, no token

_KEY = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_BACK = re.compile(r"/(?![/\\])[!-\[\]-~]{0,300}\Z")

View = TypeVar("View", bound="Callable[..., Any]")
Who = Literal["anybody", "people", "confirmed"]


class FromElsewhere(Exception):
    """The request was made by another site's page, or by none."""


class FormOutdated(Exception):
    """The form was not made for this browser, or before it signed in or out."""


@dataclass(slots=True)
class Visit:
    """One request. `key` is what the browser holds, "" for nothing; `new_key` what it
    is to hold from now on, None for no change."""

    origin: Origin
    source: str
    now: datetime
    make_key: Callable[[], str]
    key: str = ""
    session: Session | None = None
    account: Account | None = None
    new_key: str | None = field(default=None)

    @property
    def came(self) -> Came:
        return Came(self.source, request.headers.get("User-Agent", ""))

    def bound_key(self) -> str:
        """What the browser holds, or will from this answer on."""
        if self.new_key:
            return self.new_key
        if not self.key:
            self.new_key = self.make_key()
        return self.new_key or self.key

    def form_token(self) -> str:
        return derived(self.bound_key(), FORM_TOKEN)


def visit() -> Visit:
    return cast("Visit", g.visit)


def person() -> tuple[Session, Account]:
    """Whoever is signed in: on pages that are for people only."""
    found = visit()
    if found.session is None or found.account is None:
        raise LookupError("this page is for anybody")
    return found.session, found.account


def let_in(who: Who) -> Callable[[View], View]:
    """Declare for whom the page is: anybody, people who signed in, or those who proved
    who they are within the last minutes."""

    def declare(view: View) -> View:
        view.who = who  # type: ignore[attr-defined]
        return view

    return declare


def install(flask_app: Flask, parts: Parts, sign_in: SignIn) -> None:
    """Guard every page; raises PolicyMissing where one does not say for whom it is."""
    whose: dict[str, Who] = {}
    for endpoint, view in flask_app.view_functions.items():
        who = getattr(view, "who", None)
        if who is None:
            raise PolicyMissing(f"{endpoint}: declare @let_in(...)")
        whose[endpoint] = who

    def guard() -> Any:
        g.visit = _visit(parts, sign_in)
        who = whose.get(request.endpoint or "")
        if who is None:
            return None  # no such page
        if request.method not in SAFE_METHODS:
            _require_own_form()
        return _turned_away(who)

    flask_app.before_request(guard)
    flask_app.after_request(_hand_over_key)


def back_to(written: str) -> str:
    """A path of ours to go to afterwards, whatever a link says."""
    return written if _BACK.match(written) else HOME


def require_own_page() -> None:
    """Raises FromElsewhere where a page of another site leads here."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none"):
        raise FromElsewhere


def _visit(parts: Parts, sign_in: SignIn) -> Visit:
    now = parts.clock()
    origin = origin_of(request, parts.public_url)
    made = Visit(origin, source_of(request), now, sign_in.sessions.new_key)
    key = request.cookies.get(origin.cookie, "")
    if not _KEY.match(key):
        return made
    made.key = key
    session = sign_in.sessions.find(key, now)
    if session is not None:
        found = parts.application.configuration.refresh().aggregates.get(
            session.account_id
        )
        if isinstance(found, Account):
            made.session, made.account = session, found
    return made


def _require_own_form() -> None:
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is None and origin is None:
        raise FromElsewhere
    if site not in (None, "same-origin") or origin not in (None, visit().origin.url):
        raise FromElsewhere
    given = request.form.get("token", "")
    key = visit().key
    if not key or not hmac.compare_digest(
        given.encode(), derived(key, FORM_TOKEN).encode()
    ):
        raise FormOutdated


def _turned_away(who: Who) -> Any:
    """A redirect to where they can do what is missing; None where nothing is."""
    found = visit()
    if who == "anybody":
        return None
    safe = request.method in SAFE_METHODS
    back = {"back": request.full_path.rstrip("?") if safe else "/account"}
    if found.session is None:
        return redirect(f"{SIGN_IN}?{urlencode(back)}", 303)
    if who == "confirmed" and not found.session.proved(found.now):
        return redirect(f"{CONFIRM}?{urlencode(back)}", 303)
    return None


def _hand_over_key(response: Response) -> Response:
    found = g.get("visit")
    if found is None or found.new_key is None:
        return response
    where = {"secure": found.origin.secure, "httponly": True, "samesite": "Lax"}
    if found.new_key:
        response.set_cookie(found.origin.cookie, found.new_key, **where)
    else:
        response.delete_cookie(found.origin.cookie, **where)
    return response
