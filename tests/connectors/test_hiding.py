"""Secrets that a system repeats are taken out of what it said, and nothing else is."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus

import pytest

from rps.connectors.hiding import INSTEAD, hidden, hidden_bytes, secrets_in

PASSWORD = 'sesame open "Ünter"/+'
PAIR = b64encode(f"rps:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    "form",
    [PASSWORD, quote(PASSWORD, safe=""), quote_plus(PASSWORD), json.dumps(PASSWORD)],
)
def test_a_secret_is_hidden_however_it_is_quoted(form: str) -> None:
    said = hidden(f"before {form} after", [PASSWORD])
    assert said.startswith("before ")
    assert said.endswith(" after")
    assert INSTEAD in said
    assert "sesame" not in said


def test_basic_credentials_are_hidden_with_the_password_in_them() -> None:
    secrets = secrets_in({"authorization": f"Basic {PAIR}"})
    said = hidden_bytes(400, f"Basic {PAIR} is {PASSWORD}".encode(), secrets)
    assert said == f"Basic {INSTEAD} is {INSTEAD}".encode()
    assert secrets_in({"Authorization": "Basic !"}) == ("!", "")
    assert secrets_in({"Accept": "*/*"}) == ()


def test_a_short_secret_stays_in_records_where_it_may_be_a_word() -> None:
    body = b"the printer on floor 3"
    assert hidden_bytes(200, body, ["printer"]) == body
    assert hidden_bytes(400, body, ["printer"]) == b"the (secret) on floor 3"
    assert hidden_bytes(400, body, ["3", ""]) == body
    long = "a-token-that-nobody-writes"
    assert hidden_bytes(200, long.encode(), [long]) == INSTEAD.encode()


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    body = bytes(range(256))
    assert hidden_bytes(500, body, ["a secret that is not there"]) == body
