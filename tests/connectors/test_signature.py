"""Standard Webhooks signatures."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from rps.connectors.signature import (
    SecretUnusable,
    SignatureRefused,
    Signer,
    new_secret,
    verify,
)

OLD = new_secret(b"o" * 24)
NEW = new_secret(b"n" * 64)
NOW = 1_760_000_000
BODY = b'{"a":"\xc3\xa9"}'


def test_what_is_signed_verifies() -> None:
    verify(Signer([NEW]).headers("m_1", NOW, BODY), BODY, [NEW], NOW + 299.0)


def test_the_public_library_gives_the_same_signature() -> None:
    signed = Signer([NEW]).headers("m_1", NOW, BODY)["webhook-signature"]
    at = datetime.fromtimestamp(NOW, UTC)
    assert signed == Webhook(NEW).sign("m_1", at, BODY.decode())


def test_the_example_of_the_specification_verifies() -> None:
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    verify(headers, body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], 1614265330)


def test_during_a_rotation_the_holder_of_either_secret_verifies() -> None:
    headers = Signer([OLD, NEW]).headers("m_1", NOW, BODY)
    assert headers["webhook-signature"].count(" ") == 1
    verify(headers, BODY, [OLD], NOW)
    verify(headers, BODY, [NEW], NOW)
    verify(Signer([OLD]).headers("m_1", NOW, BODY), BODY, [NEW, OLD], NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "m_2"},
        {"webhook-id": "m.1"},
        {"webhook-id": ""},
        {"webhook-id": "m_1\n"},
        {"webhook-id": "x" * 256},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": f"{NOW}.9"},
        {"webhook-timestamp": f" {NOW}"},
        {"webhook-timestamp": f"+{NOW}"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "\u0661\u0667"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,!!!"},
        {"webhook-signature": "v1,\udcff"},
        {"webhook-signature": "v1a,AAAA v2,AAAA"},
        {"webhook-signature": "v1,AAAA " * 1000},
    ],
)
def test_hostile_headers_are_refused_and_nothing_else(change: dict[str, str]) -> None:
    headers = Signer([NEW]).headers("m_1", NOW, BODY) | change
    with pytest.raises(SignatureRefused):
        verify(headers, BODY, [NEW], NOW)


@pytest.mark.parametrize(
    "missing", ["webhook-id", "webhook-timestamp", "webhook-signature"]
)
def test_a_missing_header_is_refused(missing: str) -> None:
    headers = Signer([NEW]).headers("m_1", NOW, BODY)
    del headers[missing]
    with pytest.raises(SignatureRefused):
        verify(headers, BODY, [NEW], NOW)


def test_another_body_is_refused_even_when_it_is_not_text() -> None:
    headers = Signer([NEW]).headers("m_1", NOW, BODY)
    for body in (b"", b"\xff\xfe", BODY + b" "):
        with pytest.raises(SignatureRefused):
            verify(headers, body, [NEW], NOW)


def test_a_body_cannot_lend_its_start_to_the_id() -> None:
    """With id "a", "T.B" signed as a body is what "B" is with id "a.T"."""
    with pytest.raises(ValueError, match="message id"):
        Signer([NEW]).headers(f"a.{NOW}", NOW, b"B")


def test_without_a_secret_nothing_verifies() -> None:
    with pytest.raises(SignatureRefused):
        verify(Signer([NEW]).headers("m_1", NOW, BODY), BODY, [], NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_of_another_time_is_refused(seconds: int) -> None:
    headers = Signer([NEW]).headers("m_1", NOW + seconds, BODY)
    with pytest.raises(SignatureRefused, match="five minutes"):
        verify(headers, BODY, [NEW], NOW)


def test_header_names_ignore_case() -> None:
    headers = Signer([NEW]).headers("m_1", NOW, BODY)
    verify({name.title(): value for name, value in headers.items()}, BODY, [NEW], NOW)


@given(st.binary(), st.text(), st.text(), st.text())
def test_no_input_raises_anything_but_the_refusal(
    body: bytes, message_id: str, timestamp: str, signature: str
) -> None:
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }
    with pytest.raises(SignatureRefused):
        verify(headers, body, [NEW], NOW)


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_secret_of_another_length_is_not_made_and_not_used(size: int) -> None:
    with pytest.raises(SecretUnusable):
        new_secret(b"x" * size)
    with pytest.raises(SecretUnusable):
        Signer(["whsec_" + base64.b64encode(b"x" * size).decode()])


def test_a_secret_that_is_not_base64_stays_out_of_the_error() -> None:
    with pytest.raises(SecretUnusable) as raised:
        Signer(["whsec_hunter2 hunter2"])
    assert "hunter2" not in str(raised.value)
