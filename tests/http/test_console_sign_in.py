"""How people come in, what a browser holds meanwhile, and what keeps others out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from flask import Flask
from people import PASSWORD, account, facts, signing
from visitor import Page, Visitor

from rps.application.attempts import FREE_OF_ACCOUNT, FREE_OF_SOURCE
from rps.application.sessions import derived
from rps.application.sign_in import forget
from rps.application.sign_in_records import GROUPS_AN_HOUR
from rps.domain.account import Account
from rps.http.console import visit
from rps.http.routes import PolicyMissing

if TYPE_CHECKING:
    from api_node import Node

HOME = "https://rps.acme.example"
SECURE = "__Host-rps"


# --- coming in ----------------------------------------------------------------------


def test_a_person_signs_in_sees_who_they_are_and_signs_out(people: Node) -> None:
    visitor = Visitor(people.app)
    asked = visitor.get("/account")
    assert asked.path == "/sign-in"
    page = visitor.submit(asked, "/sign-in", account="operator", password=PASSWORD)
    assert page.path == "/account"
    assert "You are operator" in visitor.get("/").text
    assert "top operator" in visitor.get("/").text

    left = visitor.submit(page, "/sign-out")

    assert "You are signed out" in left.text
    assert visitor.get("/").path == "/sign-in"
    told = [(what, name) for what, name, *_ in facts(people)]
    assert told == [("signed_in", "operator"), ("signed_out", "operator")]


def test_an_account_of_another_domain_is_written_with_it(people: Node) -> None:
    stranger = account(people, "stranger", "top/else")
    signing(people).set_password(stranger, PASSWORD, "test", people.now)
    visitor = Visitor(people.app)
    assert visitor.sign_in("stranger", PASSWORD).status == 403
    assert visitor.sign_in("top/else/stranger", PASSWORD).path == "/"
    other = Visitor(people.app)
    page = other.get("/sign-in?domain=top/else")
    fields = {"account": "stranger", "password": PASSWORD}
    assert "You are top/else/stranger" in other.submit(page, "/sign-in", **fields).text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("operator", "another-otter-quilt"),
        ("nobody-at-all", PASSWORD),
        ("auditor", PASSWORD),  # is there, and has no password
        ("top/nowhere/operator", PASSWORD),
        ("", PASSWORD),
        ("operator", ""),
        ("operator\0", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ],
)
def test_whatever_is_wrong_has_the_same_answer(
    people: Node, name: str, password: str
) -> None:
    said = Visitor(people.app).sign_in(name, password)
    assert said.status == 403
    assert "That account and password do not go together here." in said.text


def test_an_unknown_name_takes_as_long_as_a_known_one(people: Node) -> None:
    """Else the time of an answer would tell who has an account."""
    passwords = signing(people).passwords

    def seconds(name: str) -> float:
        started = time.perf_counter()
        assert not passwords.fits(Account.id_of("top", name), "mauve-otter-quill")
        return time.perf_counter() - started

    known, unknown = (
        min(seconds(name) for _ in range(7)) for name in ("operator", "nobody-at-all")
    )
    assert unknown > known / 2


def test_what_is_typed_for_a_name_is_kept_only_where_it_is_one(people: Node) -> None:
    """People type their password into the wrong field."""
    visitor = Visitor(people.make_app(public_url=HOME), HOME, "192.0.2.7")
    visitor.sign_in(PASSWORD, "")
    visitor.sign_in("operator", "wrong")
    visitor.sign_in("operator", "wrong")
    told = [("failed", "", "192.0.2.7", 1), ("failed", "operator", "192.0.2.7", 2)]
    assert facts(people) == told


def test_failures_of_an_hour_have_a_bounded_number_of_rows(people: Node) -> None:
    with psycopg.connect(people.application.database_url) as connection:
        connection.execute(
            "INSERT INTO sign_ins (domain, account, what, provider, person, source,"
            " first_at, last_at, hour) SELECT '', '', 'failed', '', '', n::text,"
            " %(now)s, %(now)s, date_trunc('hour', %(now)s)"
            " FROM generate_series(1, %(most)s) n",
            {"now": people.now, "most": GROUPS_AN_HOUR},
        )
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        Visitor(people.app, source=source).sign_in("operator", "wrong")
    assert facts(people)[-1] == ("failed", "", "many", 3)
    assert len(facts(people)) == GROUPS_AN_HOUR + 1


# --- guessing -----------------------------------------------------------------------


def test_who_guesses_waits_longer_each_time(people: Node) -> None:
    visitor = Visitor(people.app)
    for _ in range(FREE_OF_ACCOUNT + 1):
        assert visitor.sign_in("operator", "wrong").status == 403
    held = visitor.sign_in("operator", PASSWORD)
    assert (held.status, "Too many attempts" in held.text) == (429, True)
    people.later(seconds=1)
    assert visitor.sign_in("operator", "wrong").status == 403
    people.later(seconds=1)
    assert visitor.sign_in("operator", PASSWORD).status == 429
    people.later(seconds=1)
    assert visitor.sign_in("operator", PASSWORD).path == "/"
    assert ("held_back", "operator", "127.0.0.1", 2) in facts(people)


def test_a_name_of_nobodys_is_held_back_just_so(people: Node) -> None:
    visitor = Visitor(people.app)
    for _ in range(FREE_OF_ACCOUNT + 1):
        assert visitor.sign_in("nobody-at-all", "wrong").status == 403
    assert visitor.sign_in("nobody-at-all", "wrong").status == 429


def test_guessing_at_a_name_does_not_lock_its_owner_out(people: Node) -> None:
    own = Visitor(people.app, source="127.0.0.2")
    own.submit(own.sign_in("operator", PASSWORD), "/sign-out")
    guesser = Visitor(people.app, source="127.0.0.3")
    while guesser.sign_in("operator", "wrong").status != 429:
        pass
    assert own.sign_in("operator", PASSWORD).path == "/"


def test_a_source_is_held_back_whatever_names_it_tries(people: Node) -> None:
    visitor = Visitor(people.app)
    for number in range(FREE_OF_SOURCE + 1):
        assert visitor.sign_in(f"name{number}", "wrong").status == 403
    assert visitor.sign_in("operator", PASSWORD).status == 429
    elsewhere = Visitor(people.app, source="127.0.0.9")
    assert elsewhere.sign_in("operator", PASSWORD).path == "/"


def test_attempts_side_by_side_are_all_counted(people: Node) -> None:
    def attempt(_: int) -> int:
        return Visitor(people.app).sign_in("operator", "wrong").status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(attempt, range(16)))
    assert statuses.count(403) == FREE_OF_ACCOUNT + 1


# --- what the browser holds ---------------------------------------------------------


def test_a_session_is_named_by_a_new_key_at_each_sign_in(people: Node) -> None:
    visitor = Visitor(people.app)
    visitor.get("/sign-in")
    before = visitor.cookie()
    visitor.sign_in("operator", PASSWORD)
    first = visitor.cookie()
    assert first not in (None, before)
    visitor.post("/sign-out", {"token": derived(str(first), "form")})
    visitor.sign_in("operator", PASSWORD)
    assert visitor.cookie() not in (None, before, first)


def test_the_cookie_is_bound_to_the_host_and_to_tls(people: Node) -> None:
    visitor = Visitor(people.make_app(public_url=f"{HOME}/"), HOME, "192.0.2.7")
    page = visitor.get("/sign-in")
    [cookie] = page.cookies
    assert cookie.startswith(f"{SECURE}=")
    attributes = {each.strip() for each in cookie.split(";")[1:]}
    assert attributes == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    assert visitor.sign_in("operator", PASSWORD).path == "/"


def test_the_database_holds_nothing_that_opens_a_session(
    people: Node, ada: Visitor
) -> None:
    key = str(ada.cookie())
    with psycopg.connect(people.application.database_url) as connection:
        for table in ("sessions", "sign_ins", "passwords", "sign_in_attempts"):
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            assert rows
            kept = str(rows).encode() + b"".join(
                each for row in rows for each in row if isinstance(each, bytes)
            )
            assert not [place for place in (0, 27) if key[place:][:16].encode() in kept]
            assert PASSWORD not in str(rows)
        states = connection.execute("SELECT state FROM rps_events").fetchall()
    assert not [state for (state,) in states if PASSWORD.encode() in bytes(state)]
    assert b"argon2" not in b"".join(bytes(state) for (state,) in states)


def test_a_session_ends_when_nobody_uses_it(people: Node, ada: Visitor) -> None:
    people.later(minutes=29)
    assert ada.get("/").path == "/"
    people.later(minutes=29)
    assert ada.get("/").path == "/"
    people.later(minutes=31)
    assert ada.get("/").path == "/sign-in"


def test_a_session_ends_after_half_a_day_at_the_latest(
    people: Node, ada: Visitor
) -> None:
    for _ in range(35):
        people.later(minutes=20)
        assert ada.get("/").path == "/"
    people.later(minutes=21)
    assert ada.get("/").path == "/sign-in"
    forget(people.application, people.now)
    with psycopg.connect(people.application.database_url) as connection:
        assert connection.execute("SELECT * FROM sessions").fetchall() == []


@pytest.mark.parametrize("key", ["", "x", "A" * 43, "é" * 43, "A" * 4000])
def test_a_key_nobody_was_given_opens_nothing(people: Node, key: str) -> None:
    visitor = Visitor(people.app)
    visitor.hold(key)
    assert visitor.get("/").path == "/sign-in"


def test_a_role_that_is_taken_away_is_gone_with_the_next_page(
    people: Node, ada: Visitor
) -> None:
    assert "Queues" in ada.get("/").text
    people.application.change(
        Account,
        Account.id_of("top", "operator"),
        lambda each: each.revoke("operator", "test", people.now),
    )
    assert "None of your roles sees queues" in ada.get("/").text


# --- cookies and tokens -------------------------------------------------------------


def test_the_api_takes_no_cookie(ada: Visitor) -> None:
    for path in ("/v1/systems", "/v1/accounts/operator", "/v1/changes/c1"):
        assert ada.get(path).status == 401
    form = {"token": derived(str(ada.cookie()), "form")}
    assert ada.post("/v1/accounts/operator/tokens", form).status == 401


def test_the_console_takes_no_bearer_token(people: Node) -> None:
    bearer = f"Bearer {people.tokens['admin']}"
    visitor = Visitor(people.app)
    for path in ("/", "/account", "/confirm"):
        assert visitor.get(path, follow=False, Authorization=bearer).status == 303
    page = visitor.get("/sign-in")
    said = visitor.post("/account/tokens", page.form("/sign-in"), Authorization=bearer)
    assert said.path == "/sign-in"


# --- requests that others make ------------------------------------------------------

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:8081"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "", "Sec-Fetch-Site": ""},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_form_of_another_site_does_nothing(
    people: Node, ada: Visitor, headers: dict[str, str]
) -> None:
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    page = ada.get("/account")
    for action in ("/account/tokens", "/sign-out", "/sign-out/everywhere"):
        said = ada.post(action, page.form(action), **named)
        assert (said.status, "Another site led here" in said.text) == (403, True)
    form = Visitor(people.app).get("/sign-in").form("/sign-in")
    fields = {**form, "account": "operator", "password": PASSWORD}
    assert ada.post("/sign-in", fields, **named).status == 403
    assert ada.get("/account").path == "/account"
    assert len(account(people, "operator").tokens) == 1


def test_a_browser_that_says_one_of_both_is_believed(people: Node) -> None:
    for missing in ("Origin", "Sec_Fetch_Site"):
        visitor = Visitor(people.app)
        page = visitor.get("/sign-in")
        fields = {
            **page.form("/sign-in"),
            "account": "operator",
            "password": PASSWORD,
        }
        assert visitor.post("/sign-in", fields, **{missing: ""}).path == "/"


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "é"])
def test_a_form_without_its_token_does_nothing(
    people: Node, ada: Visitor, token: str
) -> None:
    said = ada.post("/account/tokens", {"token": token, "days": "1"})
    assert (said.status, "The page was too old" in said.text) == (403, True)
    foreign = Visitor(people.app).get("/sign-in").form("/sign-in")
    assert ada.post("/sign-out", foreign).status == 403
    assert ada.get("/account").path == "/account"


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x=y",
        "/" + "a" * 400,
        "",
    ],
)
def test_nobody_is_sent_elsewhere_afterwards(people: Node, back: str) -> None:
    visitor = Visitor(people.app)
    page = visitor.get("/sign-in")
    fields = {"account": "operator", "password": PASSWORD, "back": back}
    said = visitor.post("/sign-in", {**page.form("/sign-in"), **fields}, follow=False)
    assert said.status == 303
    assert said.headers["Location"] in ("/", "/%0d%0aSet-Cookie:x=y")


# --- where the console is -----------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "source", "headers"),
    [
        ("http://evil.example", "127.0.0.1", {}),
        ("http://localhost", "192.0.2.7", {}),
        ("http://192.0.2.1:8080", "192.0.2.7", {}),
        ("http://localhost", "127.0.0.1", {"X_Forwarded_For": "192.0.2.7"}),
        ("http://localhost", "127.0.0.1", {"Forwarded": "for=192.0.2.7"}),
        ("http://localhost.evil.example", "127.0.0.1", {}),
        ("http://rps.acme.example:8080", "192.0.2.7", {}),
        ("https://rps.acme.example.evil.example", "192.0.2.7", {}),
    ],
)
def test_the_console_is_at_its_address_only(
    people: Node, at: str, source: str, headers: dict[str, str]
) -> None:
    visitor = Visitor(people.make_app(public_url=HOME), at, source)
    for path in ("/", "/sign-in", "/account"):
        page = visitor.get(path, **headers)
        assert (page.status, page.cookies) == (421, [])
        assert "RPS_PUBLIC_URL" in page.text


@pytest.mark.parametrize(
    "at", ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:8080"]
)
def test_a_browser_on_the_machine_itself_is_let_in(people: Node, at: str) -> None:
    visitor = Visitor(people.app, at)
    assert visitor.sign_in("operator", PASSWORD).path == "/"


def test_a_source_is_what_the_last_of_our_proxies_saw(people: Node) -> None:
    """What a client says of itself before that is not believed."""
    app = people.make_app(public_url=HOME, proxies=2)
    visitor = Visitor(app, HOME, "10.0.0.1")
    page = visitor.get("/sign-in")
    visitor.post(
        "/sign-in",
        {**page.form("/sign-in"), "account": "operator", "password": "wrong"},
        X_Forwarded_For="198.51.100.1, 2001:db8:0:1:2:3:4:5, 10.0.0.2",
    )
    assert facts(people) == [("failed", "operator", "2001:db8:0:1::/64", 1)]


# --- every page ---------------------------------------------------------------------


def console_routes(node: Node) -> list[tuple[str, str]]:
    console = node.app.wsgi_app._flask._console
    return [
        (method, rule.rule)
        for rule in console.url_map.iter_rules()
        for method in sorted(rule.methods - {"HEAD"})
    ]


FOR_ANYBODY = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/with/<path:provider>"),
    ("GET", "/sign-in/back"),
    ("GET", "/console/<name>"),
}
CONFIRMED = {
    ("POST", "/account/password"),
    ("POST", "/account/tokens"),
    ("POST", "/account/tokens/<token_id>/revoke"),
}


def asked(visitor: Visitor, method: str, rule: str, fields: dict[str, str]) -> Page:
    path = rule.replace("<path:provider>", "top/x")
    path = path.replace("<session_id>", "x").replace("<token_id>", "x")
    path = path.replace("<name>", "style.css")
    if method == "GET":
        return visitor.get(path, follow=False)
    return visitor.post(path, fields, follow=False)


def test_all_else_takes_a_session_and_some_a_fresh_proof(
    people: Node, ada: Visitor
) -> None:
    people.later(minutes=6)
    form = ada.get("/account").form("/sign-out")
    visitor = Visitor(people.app)
    anonymous = visitor.get("/sign-in").form("/sign-in")
    routes = console_routes(people)
    assert set(routes) > FOR_ANYBODY | CONFIRMED
    for method, rule in routes:
        said = asked(visitor, method, rule, anonymous)
        turned = said.headers.get("Location", "").startswith("/sign-in?back=")
        assert turned == ((method, rule) not in FOR_ANYBODY), rule
        if rule.startswith("/sign-"):
            continue
        said = asked(ada, method, rule, form)
        turned = said.headers.get("Location", "").startswith("/confirm?back=")
        assert turned == ((method, rule) in CONFIRMED), rule


def test_every_answer_keeps_scripts_frames_and_caches_out(
    people: Node, ada: Visitor
) -> None:
    pages = [ada.get(path) for path in ("/", "/account", "/confirm", "/account/none")]
    pages += [Visitor(people.app).get("/sign-in"), ada.post("/sign-out", {})]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
        for inline in ("<script", "<style", " style=", " onclick=", "javascript:"):
            assert inline not in page.html


def test_a_page_nobody_decided_about_is_not_served(people: Node) -> None:
    careless = Flask("careless", static_folder=None)
    careless.add_url_rule("/secrets", view_func=lambda: "all of them")
    with pytest.raises(PolicyMissing):
        visit.install(careless, people.app, signing(people))


def test_pages_are_no_part_of_the_api(people: Node) -> None:
    paths = people.get("/v1/openapi.json", who=None)["paths"]
    assert not [path for path in paths if path.startswith(("/sign", "/account"))]
    people.call("GET", "/sign-in", who=None)
    metrics = people.call("GET", "/metrics", who=None).bytes.decode()
    assert 'rps_http_requests_total{method="GET",route="/sign-in"' in metrics


def test_what_others_wrote_is_text_on_a_page(people: Node) -> None:
    visitor = Visitor(people.app)
    said = visitor.sign_in('"><b>x</b>', "wrong")
    assert "<b>x" not in said.html
    assert visitor.get("/sign-in?domain=%22%3E%3Cb%3Ex&back=%22%3E").status == 200
    assert "<b>" not in visitor.get("/sign-in?domain=%22%3E%3Cb%3Ex").html
    evil = visitor.get("/sign-in", User_Agent="<script>alert(1)</script>")
    fields = {**evil.form("/sign-in"), "account": "operator", "password": PASSWORD}
    visitor.post("/sign-in", fields, User_Agent="<script>alert(1)</script>")
    assert "<script" not in visitor.get("/account").html


def test_a_form_of_any_size_is_bounded(people: Node) -> None:
    visitor = Visitor(people.app)
    fields = visitor.get("/sign-in").form("/sign-in")
    assert visitor.post("/sign-in", {**fields, "account": "x" * 70_000}).status == 413
    many = {**fields, "account": "operator", "password": "x" * 60_000}
    assert visitor.post("/sign-in", many).status == 403
