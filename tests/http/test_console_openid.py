"""People who come in by a provider of identities: a real one, on loopback."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from identity_provider import IdentityProvider, running
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from people import PASSWORD, account, facts, signing
from visitor import LOCAL, Page, Visitor

from rps.application.secret_store import SecretStore
from rps.application.vouching import secret_name
from rps.connectors.openid import Asking, OpenIdProvider, ProviderFailed
from rps.connectors.transport import Answer
from rps.domain.account import Account, Identity
from rps.domain.tenancy import Domain, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_node import Node

    from rps.connectors.transport import Request

KEY = "top/corporate"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with running() as started:
        yield started


@pytest.fixture
def office(node: Node, provider: IdentityProvider) -> Node:
    """A node that trusts the provider; the operator is linked to ada there."""
    node.now = datetime.now(UTC)  # tokens of the provider are of this very hour
    provider.tells_when = True
    client_id, secret = provider.client(f"{LOCAL}/sign-in/back")
    configure(node, "top", "corporate", provider.url, client_id, secret)
    link(node, "operator", Identity(KEY, "sub", "ada"))
    provider.knows("ada", email="ada@acme.example", email_verified=True)
    return node


def configure(
    node: Node, domain: str, name: str, issuer: str, client_id: str, secret: str
) -> None:
    node.application.change(
        Domain,
        Domain.id_of(domain),
        lambda each: each.configure_provider(
            Provider(name, issuer, client_id, "openid email"), "test", node.now
        ),
    )
    store = SecretStore(node.application, lambda size: b"x" * size)
    store.keep(domain, secret_name(name), secret)


def link(node: Node, name: str, identity: Identity, domain: str = "top") -> None:
    node.application.change(
        Account,
        Account.id_of(domain, name),
        lambda each: each.link_identity(identity, "test", node.now),
    )


def way(visitor: Visitor, path: str = f"/sign-in/with/{KEY}") -> str:
    page = visitor.get(path, follow=False, Sec_Fetch_Site="same-origin")
    assert page.status == 303, page.text
    return str(page.headers["Location"])


def come_back(visitor: Visitor, url: str) -> Page:
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}"
    return visitor.get(path, Sec_Fetch_Site="cross-site")


def come_in(visitor: Visitor, provider: IdentityProvider, subject: str) -> Page:
    return come_back(visitor, provider.sign_in(way(visitor), subject))


# --- coming in ----------------------------------------------------------------------


def test_a_person_comes_in_as_the_account_they_are_linked_to(
    office: Node, provider: IdentityProvider
) -> None:
    visitor = Visitor(office.app)
    assert KEY in visitor.get("/sign-in").text
    before = visitor.cookie()

    page = come_in(visitor, provider, "ada")

    assert page.path == "/"
    assert "You are operator" in page.text
    assert visitor.cookie() != before
    assert "ada@acme.example at top/corporate" in visitor.get("/account").text
    assert facts(office)[-1][:2] == ("signed_in", "operator")
    asked = provider.asked[-1]
    assert asked["response_type"] == "code"
    assert len(asked["nonce"]) == len(asked["code_challenge"]) + 21 == 64


@pytest.mark.parametrize(
    ("identity", "claims", "comes_in"),
    [
        (("email", "Bea@acme.example"), {"email_verified": True}, True),
        (("email", "bea@acme.example"), {"email_verified": False}, False),
        (("email", "bea@acme.example"), {}, False),
        (("email", "bea@acme.example"), {"email_verified": "true"}, False),
        (("groups", "operators"), {"groups": ["staff", "operators"]}, True),
        (("groups", "operators"), {"groups": "operators"}, True),
        (("groups", "operators"), {"groups": ["staff"]}, False),
        (("groups", "operators"), {"groups": {"operators": 1}}, False),
        (("groups", "oper"), {"groups": "operators"}, False),
        (("sub", "Bea"), {}, False),
    ],
)
def test_a_claim_counts_where_the_provider_vouches_for_it(
    office: Node,
    provider: IdentityProvider,
    identity: tuple[str, str],
    claims: dict[str, Any],
    comes_in: bool,
) -> None:
    link(office, "auditor", Identity(KEY, *identity))
    provider.knows("bea", email="bea@acme.example", **claims)
    page = come_in(Visitor(office.app), provider, "bea")
    assert (page.path == "/") == comes_in
    assert comes_in == ("You are auditor" in page.text)


def test_nobody_gets_an_account_by_signing_in(
    office: Node, provider: IdentityProvider
) -> None:
    known = {
        each.name for each in office.application.configuration.refresh().accounts()
    }
    provider.knows("eve", email="eve@evil.example", email_verified=True)
    page = come_in(Visitor(office.app), provider, "eve")
    assert (page.status, "No account here is linked" in page.text) == (403, True)
    after = {
        each.name for each in office.application.configuration.refresh().accounts()
    }
    assert after == known
    assert facts(office) == [("failed", "", "127.0.0.1", 1)]


def test_a_person_linked_to_two_accounts_by_group_comes_in_as_neither(
    office: Node, provider: IdentityProvider
) -> None:
    for name in ("admin", "auditor"):
        link(office, name, Identity(KEY, "groups", "operators"))
    provider.knows("bea", groups=["operators"])
    assert come_in(Visitor(office.app), provider, "bea").status == 403
    provider.knows("ada", groups=["operators"])
    assert "You are operator" in come_in(Visitor(office.app), provider, "ada").text


def test_a_provider_of_a_domain_speaks_for_that_domain_only(
    office: Node, provider: IdentityProvider
) -> None:
    """Whoever runs a domain below names its own provider; it is not believed above."""
    client_id, secret = provider.client(f"{LOCAL}/sign-in/back")
    configure(office, "top/else", "theirs", provider.url, client_id, secret)
    link(office, "admin", Identity("top/else/theirs", "sub", "ada"))
    visitor = Visitor(office.app)
    assert "theirs" not in visitor.get("/sign-in").text
    assert "theirs" in visitor.get("/sign-in?domain=top/else").text
    back = provider.sign_in(way(visitor, "/sign-in/with/top/else/theirs"), "ada")
    assert come_back(visitor, back).status == 403
    link(office, "stranger", Identity("top/else/theirs", "sub", "ada"), "top/else")
    back = provider.sign_in(way(visitor, "/sign-in/with/top/else/theirs"), "ada")
    assert "You are top/else/stranger" in come_back(visitor, back).text


# --- what does not get in -----------------------------------------------------------


def test_only_the_browser_that_set_out_comes_back(
    office: Node, provider: IdentityProvider
) -> None:
    """Else somebody could sign a person in as themselves, and see what they enter."""
    sent = Visitor(office.app)
    back = provider.sign_in(way(sent), "ada")
    other = Visitor(office.app)
    other.get("/sign-in")
    assert come_back(other, back).status == 403
    assert other.get("/").path == "/sign-in"
    assert come_back(sent, back).path == "/"


def test_a_code_is_good_once_and_for_the_way_it_was_given_on(
    office: Node, provider: IdentityProvider
) -> None:
    visitor = Visitor(office.app)
    first = provider.sign_in(way(visitor), "ada")
    second = provider.sign_in(way(visitor), "ada")
    code = parse_qs(urlsplit(first).query)["code"][0]
    state = parse_qs(urlsplit(second).query)["state"][0]
    mixed = visitor.get(f"/sign-in/back?code={code}&state={state}")
    assert (mixed.status, "cannot be asked" in mixed.text) == (502, True)
    assert "s3cret" not in mixed.text
    third = provider.sign_in(way(visitor), "ada")
    visitor.get("/sign-in")
    key = visitor.cookie()
    assert come_back(visitor, third).path == "/"
    again = Visitor(office.app)
    again.hold(str(key))
    assert come_back(again, third).status == 502


def test_the_way_is_open_for_some_minutes(
    office: Node, provider: IdentityProvider
) -> None:
    visitor = Visitor(office.app)
    back = provider.sign_in(way(visitor), "ada")
    office.later(minutes=11)
    assert "That took too long" in come_back(visitor, back).text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=",
        "state=x",
        "code=x&state=a.b",
        "state=%00.%00",
        "state=é",
        "error=x",
    ],
)
def test_whoever_never_set_out_does_not_come_back(office: Node, query: str) -> None:
    visitor = Visitor(office.app)
    visitor.get("/sign-in")
    assert visitor.get(f"/sign-in/back?{query}").status == 403


def test_a_refusal_there_is_told_here(office: Node) -> None:
    visitor = Visitor(office.app)
    state = parse_qs(urlsplit(way(visitor)).query)["state"][0]
    page = visitor.get(f"/sign-in/back?error=access_denied&state={state}")
    assert (page.status, page.path) == (502, "/sign-in/back")


def test_another_site_sends_nobody_on_the_way(office: Node) -> None:
    visitor = Visitor(office.app)
    for site in ("cross-site", "same-site"):
        page = visitor.get(f"/sign-in/with/{KEY}", follow=False, Sec_Fetch_Site=site)
        assert page.status == 403


def test_a_provider_that_is_away_or_unknown_is_an_answer(office: Node) -> None:
    visitor = Visitor(office.app)
    assert visitor.get("/sign-in/with/top/unknown").status == 404
    configure(office, "top", "gone", "http://127.0.0.1:9", "rps", "s")
    page = visitor.get("/sign-in/with/top/gone")
    assert (page.status, "127.0.0.1:9" in page.text) == (502, False)


# --- proving it again ---------------------------------------------------------------


def test_who_came_in_by_a_provider_proves_it_there_again(
    office: Node, provider: IdentityProvider
) -> None:
    visitor = Visitor(office.app)
    come_in(visitor, provider, "ada")
    office.later(minutes=6)
    page = visitor.get("/account")
    assert "/account/tokens" not in page.forms
    path = f"/confirm/with/{KEY}?back=/account"
    assert path in visitor.get("/confirm?back=/account").html.replace("%2F", "/")
    office.now = datetime.now(UTC)
    before = visitor.cookie()

    page = come_back(visitor, provider.sign_in(way(visitor, path), "ada"))

    assert page.path == "/account"
    assert "/account/tokens" in page.forms
    assert visitor.cookie() != before
    asked = provider.asked[-1]
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")


def test_a_session_that_the_provider_has_is_no_proof(
    office: Node, provider: IdentityProvider
) -> None:
    """Whoever sits at the browser has it as well."""
    visitor = Visitor(office.app)
    come_in(visitor, provider, "ada")
    provider.tells_when = False
    before = int(time.time()) - 3600
    provider.employ("ada", email="ada@acme.example", auth_time=before)
    back = provider.sign_in(way(visitor, f"/confirm/with/{KEY}"), "ada")
    assert come_back(visitor, back).status == 502


def test_somebody_else_proves_nothing(office: Node, provider: IdentityProvider) -> None:
    link(office, "auditor", Identity(KEY, "sub", "bea"))
    provider.knows("bea", email="bea@acme.example")
    visitor = Visitor(office.app)
    signing(office).set_password(
        account(office, "operator"), PASSWORD, "test", office.now
    )
    visitor.sign_in("operator", PASSWORD)
    back = provider.sign_in(way(visitor, f"/confirm/with/{KEY}"), "bea")
    page = come_back(visitor, back)
    assert (page.status, "did not prove" in page.text) == (403, True)


# --- tokens that do not hold --------------------------------------------------------

ISSUER = "https://id.acme.example"
SIGNING = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
ANOTHER = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
ASKING = Asking("https://rps.example/sign-in/back", "s", "n", "v" * 64, fresh=False)
NOW = 1_800_000_000
GOOD = {
    "iss": ISSUER,
    "aud": "rps",
    "sub": "ada",
    "nonce": "n",
    "iat": NOW - 5,
    "exp": NOW + 300,
}


class Said:
    """What a provider says, whatever that is."""

    def __init__(self, id_token: Any, **more: Any) -> None:
        base = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.answers: dict[str, Any] = {
            "/.well-known/openid-configuration": {**base, **more},
            "/keys": {"keys": [SIGNING.as_dict(private=False)]},
            "/token": {"access_token": "a", "id_token": id_token},
        }

    def send(self, request: Request) -> Answer:
        said = self.answers[urlsplit(request.url).path]
        body = said if isinstance(said, bytes) else orjson.dumps(said)
        return Answer(200, {}, body, 0.0)


def claims_of(said: Said, asking: Asking = ASKING) -> dict[str, Any]:
    wire: Any = said
    provider = OpenIdProvider(ISSUER, "rps", "secret", "openid", wire)
    return provider.claims("code", asking, NOW)


def signed(key: Any = SIGNING, alg: str = "RS256", **claims: Any) -> str:
    told = {k: v for k, v in {**GOOD, **claims}.items() if v is not None}
    return jwt.encode({"alg": alg, "kid": "1"}, told, key, algorithms=[alg])


def confused() -> str:
    """Signed with the public key, as if that were a secret both have."""
    head, body = (
        urlsafe_b64encode(orjson.dumps(each)).decode().rstrip("=")
        for each in ({"alg": "HS256", "kid": "1"}, GOOD)
    )
    key = SIGNING.as_pem(private=False)
    seal = hmac.digest(key, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{urlsafe_b64encode(seal).decode().rstrip('=')}"


def test_a_good_token_holds() -> None:
    assert claims_of(Said(signed()))["sub"] == "ada"


@pytest.mark.parametrize(
    "id_token",
    [
        signed(iss="https://evil.example"),
        signed(iss=None),
        signed(aud="another"),
        signed(aud=["another"]),
        signed(aud=["another", "rps"], azp="another"),
        signed(aud=7),
        signed(sub=None),
        signed(sub=""),
        signed(sub={"a": 1}),
        signed(nonce="m"),
        signed(nonce=None),
        signed(exp=NOW - 61),
        signed(exp="soon"),
        signed(exp=None),
        signed(iat=NOW + 3600),
        signed(nbf=NOW + 3600),
        signed(at_hash="x"),
        signed(ANOTHER),
        signed(OctKey.import_key("secret" * 8), "HS256"),
        confused(),
        signed()[:-8] + "AAAAAAAA",
        ".".join((*signed().split(".")[:2], "")),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
        "",
        "x",
        "a.b.c",
        "." * 5000,
        None,
        7,
        ["x"],
    ],
)
def test_a_token_that_does_not_hold_is_told_apart(id_token: Any) -> None:
    with pytest.raises(ProviderFailed) as failed:
        claims_of(Said(id_token))
    assert str(id_token)[:40] not in str(failed.value) or len(str(id_token)) < 10


@pytest.mark.parametrize(
    "auth_time", [None, 0, NOW - 301, NOW + 3600, True, "now", [NOW], {"at": NOW}]
)
def test_it_is_no_proof_where_the_provider_does_not_say_when(auth_time: Any) -> None:
    fresh = replace(ASKING, fresh=True)
    assert claims_of(Said(signed(auth_time=NOW - 5)), fresh)["sub"] == "ada"
    with pytest.raises(ProviderFailed):
        claims_of(Said(signed(auth_time=auth_time)), fresh)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/.well-known/openid-configuration", b"[1]"),
        ("/.well-known/openid-configuration", b"{" * 100_000),
        ("/.well-known/openid-configuration", {"issuer": ISSUER}),
        ("/keys", {"keys": "none"}),
        ("/keys", {"keys": [{"kty": "RSA"}]}),
        ("/keys", {"keys": [7]}),
        ("/keys", b"<html>"),
        ("/token", {"access_token": "a"}),
        ("/token", b"\xff"),
    ],
)
def test_a_provider_that_talks_nonsense_is_a_failure(path: str, answer: Any) -> None:
    said = Said(signed())
    said.answers[path] = answer
    with pytest.raises(ProviderFailed):
        claims_of(said)


@pytest.mark.parametrize(
    "more",
    [
        {"issuer": "https://evil.example"},
        {"issuer": f"{ISSUER}/"},
        {"token_endpoint": "http://id.acme.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 7},
    ],
)
def test_metadata_of_somebody_else_is_not_taken(more: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        claims_of(Said(signed(), **more))


def test_user_info_of_another_subject_is_not_taken() -> None:
    said = Said(signed(), userinfo_endpoint=f"{ISSUER}/me")
    said.answers["/me"] = {"sub": "eve", "email": "root@acme.example"}
    with pytest.raises(ProviderFailed):
        claims_of(said)
    said.answers["/me"] = {"sub": "ada", "email": "ada@acme.example", "iss": "x"}
    assert claims_of(said)["email"] == "ada@acme.example"
    assert claims_of(said)["iss"] == ISSUER
