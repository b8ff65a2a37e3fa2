"""What people do with their own account: password, sessions, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import redirect, request
from marshmallow import ValidationError

from rps.application.operations import NotFound
from rps.application.passwords import CHARACTERS_MAX, CHARACTERS_MIN, PasswordRefused
from rps.application.rights import address
from rps.application.tokens import TOKEN_BYTES, mint
from rps.domain.account import (
    LIFETIME_DAYS,
    LIFETIME_DAYS_MAX,
    TOKENS_MAX,
    Account,
)
from rps.http.console.pages import page
from rps.http.console.visit import let_in, person, visit
from rps.http.routes import route

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as Answer

    from rps.application.sign_in import SignIn
    from rps.http.parts import Parts

ACCOUNT = "/account"


class OwnAccount:
    def __init__(self, parts: Parts, sign_in: SignIn) -> None:
        self._application = parts.application
        self._random_bytes = parts.random_bytes
        self._sign_in = sign_in

    @route("GET", ACCOUNT, "Your account")
    @let_in("people")
    def get_account(self) -> Response:
        return self._page()

    @route("POST", f"{ACCOUNT}/password", "Set your password")
    @let_in("confirmed")
    def post_password(self) -> Answer:
        found = visit()
        session, account = person()
        password = request.form.get("password", "")[: CHARACTERS_MAX + 1]
        if password != request.form.get("again", ""):
            return self._page(422, "The two new passwords differ.")
        try:
            found.new_key = self._sign_in.set_password(
                account, password, account.name, found.now, session
            )
        except PasswordRefused as error:
            return self._page(422, f"The password is not taken: {error}.")
        return _done("password")

    @route("POST", f"{ACCOUNT}/sessions/<session_id>/end", "End one of your sessions")
    @let_in("people")
    def post_session_end(self, session_id: str) -> Answer:
        found = visit()
        _, account = person()
        if not self._sign_in.end(account, session_id, found.came, found.now):
            raise NotFound(f"no session {session_id!r}")
        return _done("session")

    @route("POST", f"{ACCOUNT}/tokens", "Issue a token of your own")
    @let_in("confirmed")
    def post_own_token(self) -> Answer:
        now = visit().now
        _, account = person()
        days = _days(request.form.get("days", ""))
        token, token_id, sha256 = mint(self._random_bytes(TOKEN_BYTES))
        changed = self._application.change(
            Account,
            account.id,
            lambda each: each.issue_token(token_id, sha256, days, account.name, now),
        )
        expires_at = changed.tokens[token_id].expires_at
        return page("token.html", 201, token=token, expires_at=expires_at)

    @route("POST", f"{ACCOUNT}/tokens/<token_id>/revoke", "Revoke one of your tokens")
    @let_in("confirmed")
    def post_token_revoke(self, token_id: str) -> Answer:
        now = visit().now
        _, account = person()
        if token_id not in account.tokens:
            raise NotFound(f"no token {token_id!r}")
        self._application.change(
            Account,
            account.id,
            lambda each: each.revoke_token(token_id, account.name, now),
        )
        return _done("token")

    def _page(self, status: int = 200, wrong: str = "") -> Response:
        found = visit()
        session, account = person()
        live = [each for each in account.tokens.values() if each.expires_at > found.now]
        return page(
            "account.html",
            status,
            wrong=wrong,
            done=request.args.get("done", ""),
            name=address(account),
            session=session,
            confirmed=session.proved(found.now),
            has_password=self._sign_in.passwords.exists(account.id),
            characters_min=CHARACTERS_MIN,
            sessions=self._sign_in.sessions.of_account(account.id, found.now),
            identities=sorted(account.identities),
            tokens=_tokens(account, found.now),
            may_issue=len(live) < TOKENS_MAX,
            days=LIFETIME_DAYS,
            days_most=LIFETIME_DAYS_MAX,
        )


def _tokens(account: Account, now: Any) -> list[dict[str, Any]]:
    return [
        {
            "token_id": token_id,
            "expires_at": token.expires_at,
            "expired": token.expires_at <= now,
        }
        for token_id, token in sorted(account.tokens.items())
    ]


def _days(written: str) -> int:
    if written.isascii() and written.isdecimal() and len(written) < 4:  # noqa: PLR2004
        days = int(written)
        if 1 <= days <= LIFETIME_DAYS_MAX:
            return days
    raise ValidationError([f"give 1 to {LIFETIME_DAYS_MAX} days"], "days")


def _done(what: str) -> Answer:
    return redirect(f"{ACCOUNT}?{urlencode({'done': what})}", 303)
