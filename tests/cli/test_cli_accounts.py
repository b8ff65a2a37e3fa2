"""rps account and rps provider: how an operator lets people sign in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from shared_tickets import now

from rps.domain.account import Account, Identity

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps

    from rps.application import RemoteProcessSync

PASSWORD = "mauve-otter-quilt"


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text("client secret\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def ada(application: RemoteProcessSync) -> Account:
    application.ensure_domain("top", "", "test", now())
    application.ensure_domain("top/acme", "", "test", now())
    application.ensure_account("top/acme", "bea", ["operator"], "test", now())
    return application.ensure_account("top", "ada", ["operator"], "test", now())


def test_init_says_how_the_first_person_signs_in(rps: Rps) -> None:
    first = rps("init")
    assert "rps account password admin" in first.stderr
    assert rps("account", "password", "admin", stdin=PASSWORD).exit_code == 0
    assert "rps account password" not in rps("init").stderr


@pytest.mark.usefixtures("ada")
def test_a_password_is_read_from_stdin_and_never_shown(rps: Rps) -> None:
    refused = rps("account", "password", "ada", stdin="password1234\n")
    assert refused.exit_code == 2
    assert "This is a very common password" in refused.stderr
    assert rps("account", "password", "ada").exit_code == 2
    assert rps("account", "password", "ada", PASSWORD).exit_code == 2

    done = rps("account", "password", "ada", stdin=f"{PASSWORD}\n")

    assert (done.exit_code, done.stdout) == (0, "")
    assert PASSWORD not in done.stderr
    shown = json.loads(rps("account", "show", "ada", "-o", "json").stdout)
    assert shown == [{"by": "password", "claim": "", "value": ""}]
    assert "password_set" in rps("audit", "export").stdout
    assert "argon2" not in rps("audit", "export").stdout
    assert (
        "no password any more" in rps("account", "password", "ada", "--remove").stderr
    )
    assert "had no password" in rps("account", "password", "ada", "--remove").stderr
    assert rps("account", "password", "nobody", stdin=PASSWORD).exit_code == 3


@pytest.mark.usefixtures("ada")
def test_a_provider_is_set_listed_and_removed(rps: Rps, secret: str) -> None:
    settings = ["--issuer", "https://id.acme.example", "--client-id", "rps"]
    missing = rps("provider", "set", "corporate", *settings)
    assert (missing.exit_code, "--secret-file" in missing.stderr) == (2, True)

    done = rps("provider", "set", "corporate", *settings, "--secret-file", secret)

    assert "/sign-in/back there as redirect URI" in done.stderr
    assert rps("provider", "set", "corporate", *settings).exit_code == 0
    listed = rps("provider", "list", "-o", "json").stdout
    assert json.loads(listed)[0]["provider"] == "top/corporate"
    assert "client secret" not in listed + rps("audit", "export").stdout
    assert rps("provider", "check", "corporate").exit_code == 4
    assert rps("provider", "remove", "corporate").exit_code == 0
    assert rps("provider", "remove", "corporate").exit_code == 3
    assert rps("provider", "set", "corporate", *settings).exit_code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["Corporate", "--issuer", "https://id.example", "--client-id", "rps"],
        ["corporate", "--issuer", "id.example", "--client-id", "rps"],
        ["corporate", "--issuer", "https://a:b@id.example", "--client-id", "rps"],
        ["corporate", "--issuer", "https://id.example", "--client-id", ""],
        [
            *("corporate", "--issuer", "https://id.example", "--client-id", "rps"),
            *("--scopes", "email"),
        ],
    ],
)
@pytest.mark.usefixtures("ada")
def test_a_provider_that_cannot_be_is_refused(
    rps: Rps, secret: str, wrong: list[str]
) -> None:
    assert rps("provider", "set", *wrong, "--secret-file", secret).exit_code == 2


@pytest.mark.usefixtures("ada")
def test_an_account_is_linked_to_whom_a_provider_vouches_for(
    rps: Rps, secret: str, application: RemoteProcessSync
) -> None:
    settings = ["--issuer", "https://id.acme.example", "--client-id", "rps"]
    rps("provider", "set", "corporate", *settings, "--secret-file", secret)
    below = ["--domain", "top/acme"]
    rps("provider", "set", "theirs", *settings, *below, "--secret-file", secret)

    corporate = ["--provider", "corporate"]
    linked = [
        rps("account", "link", "ada", *corporate, "--subject", "u1"),
        rps("account", "link", "ada", *corporate, "--claim", "groups", "operators"),
        rps("account", "link", "bea", *below, *corporate, "--email", "b@acme.example"),
        rps("account", "link", "bea", *below, "--provider", "theirs", "--subject", "b"),
    ]

    assert [each.exit_code for each in linked] == [0] * 4
    foreign = rps("account", "link", "ada", "--provider", "theirs", "--subject", "x")
    assert foreign.exit_code == 3
    assert rps("account", "link", "ada", *corporate).exit_code == 2
    both = ["--subject", "x", "--email", "x@y.example"]
    assert rps("account", "link", "ada", *corporate, *both).exit_code == 2
    assert rps("account", "unlink", "ada", *corporate, "--subject", "u1").exit_code == 0
    assert rps("account", "unlink", "ada", *corporate, "--subject", "u1").exit_code == 3
    ada = application.find(Account, Account.id_of("top", "ada"))
    bea = application.find(Account, Account.id_of("top/acme", "bea"))
    assert ada
    assert ada.identities == {Identity("top/corporate", "groups", "operators")}
    assert bea
    assert {each.provider for each in bea.identities} == {
        "top/corporate",
        "top/acme/theirs",
    }


@pytest.mark.usefixtures("ada")
def test_sessions_and_sign_ins_are_listed(rps: Rps) -> None:
    assert "signed in nowhere" in rps("account", "sessions", "ada").stderr
    assert rps("account", "sign-out", "ada").exit_code == 0
    listed = json.loads(rps("account", "sign-ins", "-o", "json").stdout)
    assert [(each["what"], each["account"]) for each in listed] == [("ended", "ada")]
    assert rps("account", "sign-ins", "--domain", "top/acme").stdout == ""
