"""Pages to come in by, to prove oneself again, and to leave."""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, redirect, request

from rps.application.attempts import HeldBack
from rps.application.passwords import CHARACTERS_MAX
from rps.application.rights import ADDRESS_CHARACTERS, address, offered
from rps.application.sessions import derived
from rps.application.sign_in import SignInRefused
from rps.connectors.openid import Asking, ProviderFailed
from rps.domain.tenancy import TOP
from rps.http.console.pages import ERRORS, page
from rps.http.console.visit import (
    CONFIRM,
    HOME,
    SIGN_IN,
    back_to,
    let_in,
    person,
    require_own_page,
    visit,
)
from rps.http.problems import problem_of
from rps.http.routes import route

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as Answer

    from rps.application.sign_in import SignIn
    from rps.http.parts import Parts
    from rps.http.problems import Problem

BACK = f"{SIGN_IN}/back"
"""Where providers send people to: the redirect URI to register with them."""

WAY_LASTS = timedelta(minutes=10)
WRONG = "That account and password do not go together here."
NOT_CONFIRMED = "That did not prove that it is you."
NOT_LINKED = (
    "No account here is linked to who you are there. Ask whoever runs this node to "
    "link one."
)
_WORD = re.compile(r"[a-z_]{1,60}\Z")


@dataclass(frozen=True, slots=True)
class Way:
    """To a provider and back. It travels as `state`, sealed with what the browser
    holds: nothing is kept here, and no other browser can come back with it."""

    provider: str
    back: str
    confirms: bool
    begun_at: int
    salt: str

    def sealed(self, key: str) -> str:
        told = [self.provider, self.back, self.confirms, self.begun_at, self.salt]
        text = urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
        return f"{text}.{derived(key, f'way {text}')}"

    @classmethod
    def opened(cls, state: str, key: str, now: datetime) -> Way | None:
        """None where this browser did not set out with it, or too long ago."""
        text, _, seal = state.partition(".")
        if not key or not hmac.compare_digest(
            seal.encode(), derived(key, f"way {text}").encode()
        ):
            return None
        made = cls(*json.loads(urlsafe_b64decode(f"{text}{'=' * (-len(text) % 4)}")))
        begun = datetime.fromtimestamp(made.begun_at, UTC)
        return made if begun <= now < begun + WAY_LASTS else None


class Entrance:
    def __init__(self, parts: Parts, sign_in: SignIn) -> None:
        self._application = parts.application
        self._vouching = parts.vouching
        self._random_bytes = parts.random_bytes
        self._sign_in = sign_in

    # --- coming in ------------------------------------------------------------------

    @route("GET", SIGN_IN, "Sign in")
    @let_in("anybody")
    def get_sign_in(self) -> Answer:
        if visit().session is not None:
            return redirect(back_to(request.args.get("back", "")), 303)
        return self._sign_in_page()

    @route("POST", SIGN_IN, "Sign in with a password")
    @let_in("anybody")
    def post_sign_in(self) -> Answer:
        found = visit()
        written = request.form.get("account", "")[:ADDRESS_CHARACTERS]
        try:
            opened = self._sign_in.by_password(
                _whole(written), _password(), found.came, found.now
            )
        except SignInRefused:
            return self._sign_in_page(403, WRONG, written)
        except HeldBack as error:
            return self._sign_in_page(429, _text(error), written)
        self._enter(opened.key)
        return redirect(back_to(request.form.get("back", "")), 303)

    @route("GET", f"{SIGN_IN}/with/<path:provider>", "Go to a provider of identities")
    @let_in("anybody")
    def get_way(self, provider: str) -> Answer:
        return self._to(provider, confirms=False)

    @route("GET", BACK, "Come back from a provider of identities")
    @let_in("anybody")
    def get_back(self) -> Answer:
        found = visit()
        state = request.args.get("state", "")
        way = Way.opened(state, found.key, found.now)
        if way is None:
            return self._sign_in_page(403, "That took too long. Try again.")
        if way.confirms and found.session is None:
            return redirect(f"{SIGN_IN}?{urlencode({'back': way.back})}", 303)
        try:
            claims = self._claims(way, state)
            self._came_back(way, claims)
        except SignInRefused:
            text = NOT_CONFIRMED if way.confirms else NOT_LINKED
            return self._again(way, 403, text)
        except ProviderFailed as error:
            self._sign_in.provider_failed(way.provider, error, found.came, found.now)
            return self._again(way, 502, _text(error))
        return redirect(back_to(way.back), 303)

    # --- proving it again -----------------------------------------------------------

    @route("GET", CONFIRM, "Prove that it is still you")
    @let_in("people")
    def get_confirm(self) -> Answer:
        return self._confirm_page()

    @route("POST", CONFIRM, "Prove it with the password")
    @let_in("people")
    def post_confirm(self) -> Answer:
        found = visit()
        session, account = person()
        try:
            found.new_key = self._sign_in.confirm_password(
                session, account, _password(), found.came, found.now
            )
        except SignInRefused:
            return self._confirm_page(403, NOT_CONFIRMED)
        except HeldBack as error:
            return self._confirm_page(429, _text(error))
        return redirect(back_to(request.form.get("back", "")), 303)

    @route("GET", f"{CONFIRM}/with/<path:provider>", "Prove it at a provider")
    @let_in("people")
    def get_confirming_way(self, provider: str) -> Answer:
        return self._to(provider, confirms=True)

    # --- leaving --------------------------------------------------------------------

    @route("POST", "/sign-out", "Sign out here")
    @let_in("people")
    def post_sign_out(self) -> Answer:
        found = visit()
        session, account = person()
        self._sign_in.leave(session, account, found.came, found.now)
        found.new_key = ""
        return redirect(f"{SIGN_IN}?{urlencode({'done': 'out'})}", 303)

    @route("POST", "/sign-out/everywhere", "Sign out wherever this account is")
    @let_in("people")
    def post_sign_out_everywhere(self) -> Answer:
        found = visit()
        _, account = person()
        self._sign_in.leave_everywhere(account, found.came, found.now)
        found.new_key = ""
        return redirect(f"{SIGN_IN}?{urlencode({'done': 'out'})}", 303)

    # --------------------------------------------------------------------------------

    def _to(self, provider: str, *, confirms: bool) -> Answer:
        require_own_page()
        found = visit()
        way = Way(
            provider=provider,
            back=back_to(request.args.get("back", "")),
            confirms=confirms,
            begun_at=int(found.now.timestamp()),
            salt=self._random_bytes(16).hex(),
        )
        key = found.bound_key()
        asking = _asking(way, way.sealed(key), key)
        configuration = self._application.configuration.refresh()
        try:
            where = self._vouching.provider(provider, configuration).way(asking)
        except ProviderFailed as error:
            self._sign_in.provider_failed(provider, error, found.came, found.now)
            return self._again(way, 502, _text(error))
        return redirect(where, 303)

    def _claims(self, way: Way, state: str) -> dict[str, Any]:
        found = visit()
        if refusal := request.args.get("error"):
            word = refusal if _WORD.match(refusal) else "an error"
            raise ProviderFailed(f"it sent the person back with {word}")
        configuration = self._application.configuration.refresh()
        provider = self._vouching.provider(way.provider, configuration)
        asking = _asking(way, state, found.key)
        code = request.args.get("code", "")
        return provider.claims(code, asking, found.now.timestamp())

    def _came_back(self, way: Way, claims: dict[str, Any]) -> None:
        found = visit()
        if way.confirms:
            session, _ = person()
            found.new_key = self._sign_in.confirm_provider(
                session, way.provider, claims, found.came, found.now
            )
            return
        opened = self._sign_in.by_provider(way.provider, claims, found.came, found.now)
        self._enter(opened.key)

    def _enter(self, key: str) -> None:
        """Hand over the new session's key; the one this browser had ends."""
        found = visit()
        if found.session is not None:
            self._sign_in.sessions.end(
                found.session.account_id, found.session.session_id
            )
        found.new_key = key

    def _again(self, way: Way, status: int, wrong: str) -> Response:
        if way.confirms:
            return self._confirm_page(status, wrong, way.back)
        return self._sign_in_page(status, wrong, back=way.back)

    def _sign_in_page(
        self, status: int = 200, wrong: str = "", written: str = "", back: str = ""
    ) -> Response:
        asked = request.values
        domain = asked.get("domain", TOP)
        configuration = self._application.configuration.refresh()
        return page(
            "sign_in.html",
            status,
            wrong=wrong,
            written=written,
            back=back_to(back or asked.get("back", "")),
            domain=domain if domain != TOP else "",
            providers=offered(domain, configuration),
            done=asked.get("done", ""),
        )

    def _confirm_page(
        self, status: int = 200, wrong: str = "", back: str = ""
    ) -> Response:
        _, account = person()
        return page(
            "confirm.html",
            status,
            wrong=wrong,
            account=address(account),
            back=back_to(back or request.values.get("back", HOME)),
            has_password=self._sign_in.passwords.exists(account.id),
            providers=sorted({each.provider for each in account.identities}),
        )


def _asking(way: Way, state: str, key: str) -> Asking:
    return Asking(
        redirect_uri=f"{visit().origin.url}{BACK}",
        state=state,
        nonce=derived(key, f"nonce {state}"),
        verifier=derived(key, f"verifier {state}"),
        fresh=way.confirms,
    )


def _whole(written: str) -> str:
    """Of the domain whose sign-in page it is, where the name says none."""
    domain = request.form.get("domain", "")[:ADDRESS_CHARACTERS]
    return f"{domain}/{written}" if domain and "/" not in written else written


def _password() -> str:
    return request.form.get("password", "")[: CHARACTERS_MAX + 1]


def _text(error: Exception) -> str:
    told: Problem = problem_of(error, ERRORS)
    return f"{told.title}. {told.detail}"
