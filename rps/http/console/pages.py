"""How a page is written, and what an error looks like on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import Response, g, make_response, render_template, request
from markupsafe import Markup

from rps.application.attempts import HeldBack
from rps.application.passwords import PasswordRefused
from rps.application.sign_in import SignInRefused
from rps.connectors.openid import ProviderFailed
from rps.http.console.origin import Misdirected
from rps.http.console.visit import FormOutdated, FromElsewhere, visit
from rps.http.errors import TABLE
from rps.http.problems import Problem

if TYPE_CHECKING:
    from rps.http.problems import Table

POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
SECURED: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    # Not "no-referrer": with that a browser says no Origin, by which forms are judged.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


def form_token() -> Markup:
    """What each form holds beside its fields."""
    hidden = '<input type="hidden" name="token" value="{}">'
    return Markup(hidden).format(visit().form_token())  # noqa: S704 - it escapes


def page(template: str, status: int = 200, **values: Any) -> Response:
    """The template, which knows the visit as well."""
    return make_response(render_template(template, visit=visit(), **values), status)


def error_page(problem: Problem, instance: str) -> Response:
    """An error where nothing else can be shown; says nothing the API would not."""
    text = render_template(
        "error.html", visit=g.get("visit"), problem=problem, instance=instance
    )
    answer = make_response(text, problem.status)
    answer.headers.extend(
        {n: v for n, v in problem.headers.items() if n != "WWW-Authenticate"}
    )
    return answer


def secured(response: Response) -> Response:
    for name, value in SECURED:
        response.headers.setdefault(name, value)
    return response


def _misdirected(_: Misdirected) -> Problem:
    return Problem(
        421,
        "misdirected",
        "The console is not at this address",
        f"You asked for {request.host[:200]}. People reach the console over https, at "
        "the address that the operator set as RPS_PUBLIC_URL; by plain http only from "
        "the machine itself, as localhost.",
    )


def _from_elsewhere(_: FromElsewhere) -> Problem:
    return Problem(
        403,
        "from-elsewhere",
        "Another site led here",
        "Nothing was done. Open the console yourself, and do it there.",
    )


def _form_outdated(_: FormOutdated) -> Problem:
    return Problem(
        403,
        "form-outdated",
        "The page was too old",
        "Nothing was done: you signed in or out since it was loaded, or your browser "
        "keeps no cookies. Load it again, and do it there.",
    )


def _held_back(error: HeldBack) -> Problem:
    return Problem(
        429,
        "held-back",
        "Too many attempts",
        f"Nothing was looked at. Try again in {_said(error.seconds)}.",
        headers={"Retry-After": str(error.seconds)},
    )


def _refused(_: SignInRefused) -> Problem:
    return Problem(403, "sign-in-refused", "That is not accepted", "Try again.")


def _provider_failed(_: ProviderFailed) -> Problem:
    return Problem(
        502,
        "provider-failed",
        "The provider cannot be asked",
        "Try again later, or sign in another way; your operator finds the reason in "
        "the log and with rps provider check.",
    )


def _password_refused(error: PasswordRefused) -> Problem:
    return Problem(422, "password-refused", "The password is not taken", f"{error}.")


def _said(seconds: int) -> str:
    if seconds < 100:  # noqa: PLR2004 - below it, seconds are easier read
        return f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"


ERRORS: Table = {
    **TABLE,
    Misdirected: _misdirected,
    FromElsewhere: _from_elsewhere,
    FormOutdated: _form_outdated,
    HeldBack: _held_back,
    SignInRefused: _refused,
    ProviderFailed: _provider_failed,
    PasswordRefused: _password_refused,
}
