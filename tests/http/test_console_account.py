"""What people see and do once they are in: overview, password, sessions, tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from people import PASSWORD, account, facts, signing
from visitor import Visitor

from rps.application import passwords
from rps.application.passwords import PasswordRefused

if TYPE_CHECKING:
    from api_node import Node

NEW = "three blue lanterns"


def change(visitor: Visitor, password: str, again: str | None = None) -> Any:
    page = visitor.get("/account")
    fields = {"password": password, "again": password if again is None else again}
    return visitor.submit(page, "/account/password", **fields)


# --- overview -----------------------------------------------------------------------


def test_the_overview_shows_systems_and_what_waits(people: Node, ada: Visitor) -> None:
    people.share_incidents()
    people.park(people.shared())
    people.capture("INC2")
    text = ada.get("/").text
    assert "top acme push active closed" in text
    assert "top acme inbound ready 1" in text
    assert "top globex outbound error 1" in text
    assert "The log has" in text


def test_the_overview_shows_nothing_of_domains_that_are_not_yours(
    people: Node,
) -> None:
    people.share_incidents()
    people.park(people.shared())
    stranger = account(people, "stranger", "top/else")
    signing(people).set_password(stranger, PASSWORD, "test", people.now)
    visitor = Visitor(people.app)
    text = visitor.sign_in("top/else/stranger", PASSWORD).text
    assert "Nothing waits." in text
    for foreign in ("acme", "globex", "The log has"):
        assert foreign not in text


# --- proving it again ---------------------------------------------------------------


def test_what_matters_takes_a_proof_of_the_last_minutes(
    people: Node, ada: Visitor
) -> None:
    form = ada.get("/account").form("/account/tokens")
    people.later(minutes=6)
    page = ada.get("/account")
    assert "/account/tokens" not in page.forms
    assert "/account/password" not in page.forms
    before = ada.cookie()

    asked = ada.post("/account/tokens", form)

    assert asked.path == "/confirm"
    assert len(account(people, "operator").tokens) == 1
    wrong = ada.submit(asked, "/confirm", password="wrong")
    assert (wrong.status, "did not prove" in wrong.text) == (403, True)
    page = ada.submit(wrong, "/confirm", password=PASSWORD)
    assert page.path == "/account"
    assert ada.cookie() != before
    assert ada.submit(page, "/account/tokens", days="7").status == 201
    assert [what for what, *_ in facts(people)] == ["signed_in", "failed", "confirmed"]


def test_proving_it_is_throttled_like_signing_in(ada: Visitor) -> None:
    page = ada.get("/confirm?back=/account")
    statuses = [ada.submit(page, "/confirm", password="wrong").status for _ in range(8)]
    assert statuses == [403] * 6 + [429] * 2


# --- password -----------------------------------------------------------------------


def test_a_new_password_ends_every_other_session(people: Node, ada: Visitor) -> None:
    elsewhere = Visitor(people.app)
    elsewhere.sign_in("operator", PASSWORD)
    before = ada.cookie()

    page = change(ada, NEW)

    assert "The password is set" in page.text
    assert ada.cookie() != before
    assert elsewhere.get("/").path == "/sign-in"
    assert ada.get("/").path == "/"
    assert elsewhere.sign_in("operator", PASSWORD).status == 403
    assert elsewhere.sign_in("operator", NEW).path == "/"
    told = [
        event.TOPIC
        for event in people.application.events.get(account(people, "operator").id)
    ]
    assert told.count("account.password_set") == 2


@pytest.mark.parametrize(
    ("password", "again", "says"),
    [
        ("short", None, "it has 5 characters: take 12 at least"),
        ("password1234", None, "This is a very common password"),
        ("operatoroperator", None, "Take another"),
        ("x" * 257, None, "longer than 256 characters"),
        ("three blue\0lanterns", None, "cannot be typed"),
        (NEW, f"{NEW}!", "The two new passwords differ"),
    ],
)
def test_a_password_that_is_none_is_refused_with_why(
    people: Node, ada: Visitor, password: str, again: str | None, says: str
) -> None:
    page = change(ada, password, again)
    assert page.status == 422
    assert says in page.text
    assert password not in page.html
    assert Visitor(people.app).sign_in("operator", PASSWORD).path == "/"


@pytest.mark.parametrize(
    "common",
    ["qwertyuiop12", "123456789012", "iloveyouforever", "aaaaaaaaaaaaaaaa"],
)
def test_what_anybody_would_guess_is_no_password(common: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        passwords.check(common)
    assert common not in str(refused.value)


def test_four_words_are_a_password() -> None:
    passwords.check("grüne Laterne am Hafen", "operator")
    passwords.check("correct horse battery staple", "operator", "top", "acme")


# --- sessions -----------------------------------------------------------------------


def test_a_person_sees_their_sessions_and_ends_one(people: Node, ada: Visitor) -> None:
    phone = Visitor(people.app, source="127.0.0.5")
    page = phone.get("/sign-in")
    fields = {**page.form("/sign-in"), "account": "operator", "password": PASSWORD}
    phone.post("/sign-in", fields, User_Agent="Pocket Browser")

    page = ada.get("/account")

    assert "127.0.0.5 Pocket Browser" in page.text
    [action] = [each for each in page.forms if each.endswith("/end")]
    assert "That session has ended" in ada.submit(page, action).text
    assert phone.get("/").path == "/sign-in"
    assert ada.submit(page, action).status == 404


def test_nobody_ends_a_session_of_another_account(people: Node, ada: Visitor) -> None:
    admin = Visitor(people.app)
    admin.sign_in("admin", PASSWORD)
    second = Visitor(people.app)
    second.sign_in("admin", PASSWORD)
    [action] = [e for e in admin.get("/account").forms if e.endswith("/end")]
    own = ada.get("/account").form("/sign-out")
    assert ada.post(action, own).status == 404
    assert second.get("/").path == "/"


def test_a_person_signs_out_everywhere(people: Node, ada: Visitor) -> None:
    phone = Visitor(people.app)
    phone.sign_in("operator", PASSWORD)
    admin = Visitor(people.app)
    admin.sign_in("admin", PASSWORD)
    ada.submit(ada.get("/account"), "/sign-out/everywhere")
    assert ada.get("/").path == phone.get("/").path == "/sign-in"
    assert admin.get("/").path == "/"


# --- tokens -------------------------------------------------------------------------


def test_a_token_of_ones_own_opens_the_api_until_it_is_revoked(
    people: Node, ada: Visitor
) -> None:
    page = ada.submit(ada.get("/account"), "/account/tokens", days="7")
    [token] = set(re.findall(r"rps_[0-9a-f]{8}_[\w-]{43}_[0-9a-f]{8}", page.html))
    assert people.call("GET", "/v1/systems", who=token).status == 200
    page = ada.get("/account")
    assert token not in page.html
    assert "Two live tokens are the most" in page.text

    page = ada.submit(page, f"/account/tokens/{token[4:12]}/revoke")

    assert "opens nothing any more" in page.text
    assert people.call("GET", "/v1/systems", who=token).status == 401
    assert ada.submit(page, "/account/tokens", days="7").status == 201


@pytest.mark.parametrize("days", ["", "0", "366", "-1", "7.5", "x", "9" * 99, "\u0667"])
def test_a_token_lives_for_some_days(people: Node, ada: Visitor, days: str) -> None:
    said = ada.submit(ada.get("/account"), "/account/tokens", days=days)
    assert said.status == 422
    assert len(account(people, "operator").tokens) == 1


def test_nobody_revokes_a_token_of_another_account(people: Node, ada: Visitor) -> None:
    own = ada.get("/account").form("/sign-out")
    [theirs] = account(people, "admin").tokens
    for token_id in (theirs, "none", "%00", "%2e%2e"):
        said = ada.post(f"/account/tokens/{token_id}/revoke", own)
        assert said.status == 404
    assert theirs in account(people, "admin").tokens
