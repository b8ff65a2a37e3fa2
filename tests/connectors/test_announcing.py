"""Notices reach people by webhook, mail and apprise; each failure says what to do."""

from __future__ import annotations

import builtins
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest
from loopback_server import LOOPBACK, LoopbackServer, answer
from smtp_server import SmtpServer
from standardwebhooks import Webhook

from rps.config import Config, ConfigurationError, Smtp
from rps.connectors.announcing import (
    Again,
    Announcement,
    ChannelUnusable,
    Never,
    Told,
)
from rps.connectors.chat import AppriseChannel, usable
from rps.connectors.mail import EmailChannel
from rps.connectors.webhook import WebhookChannel

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from rps.connectors.transport import Transport

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JSON = frozenset({"json"})
KEY = str(uuid4())


def said(**more: Any) -> Announcement:
    given = {
        "key": KEY,
        "topic": "system.tripped",
        "subject": "[rps] zenith does not take messages (top)",
        "text": "zenith does not take messages.\n\nGrüße, 世界\n",
        "about": "zenith",
        "at": "2026-03-04T10:00:00+00:00",
        "data": {"count": 1, "samples": [{"detail": "refused"}]},
    }
    return Announcement(**{**given, **more})


# --- webhooks -----------------------------------------------------------------------


def webhook(transport: Transport, url: str, secret: str = SECRET) -> WebhookChannel:
    return WebhookChannel(transport, url=url, secrets=[secret], source="urn:rps")


def test_a_webhook_is_a_signed_cloud_event(patient: Transport) -> None:
    with LoopbackServer(answer(204)) as server:
        outcome = webhook(patient, f"{server.url}/hooks").announce(said())
        [got] = server.received
    assert outcome == Told("answered 204")
    assert (got.method, got.target) == ("POST", "/hooks")
    assert got.headers["content-type"] == "application/cloudevents+json"
    Webhook(SECRET).verify(got.body.decode(), got.headers)
    event = orjson.loads(got.body)
    assert got.headers["webhook-id"] == event["id"] == KEY
    assert {k: v for k, v in event.items() if k not in ("data", "id")} == {
        "specversion": "1.0",
        "source": "urn:rps",
        "type": "rps.system.tripped",
        "subject": "zenith",
        "time": "2026-03-04T10:00:00+00:00",
        "datacontenttype": "application/json",
    }
    assert event["data"]["count"] == 1
    assert event["data"]["text"].endswith("Grüße, 世界\n")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, Again),
        (503, Again),
        (404, Again),
        (401, Again),
        (302, Again),
        (410, Never),
    ],
)
def test_only_a_2xx_is_taken_and_only_410_is_final(
    patient: Transport, status: int, kind: type[Any]
) -> None:
    with LoopbackServer(answer(status)) as server:
        outcome = webhook(patient, server.url).announce(said())
    assert isinstance(outcome, kind)
    assert str(status) in outcome.detail


def test_a_webhook_waits_as_long_as_it_is_asked_to(patient: Transport) -> None:
    with LoopbackServer(answer(429, headers=[("Retry-After", "120")])) as server:
        outcome = webhook(patient, server.url).announce(said())
    assert outcome == Again("answered 429", 120.0)


def test_nobody_there_is_no_crash_and_private_addresses_are_not_reached(
    patient: Transport,
) -> None:
    for url in ("http://127.0.0.1:1/", "http://169.254.169.254/", "http://10.0.0.1/"):
        assert isinstance(webhook(patient, url).announce(said()), Again)


# --- mail ---------------------------------------------------------------------------

OPS = "ops@acme.example"


def smtp(server: SmtpServer, tls: Any = "none", **more: Any) -> Smtp:
    given = {"host": "127.0.0.1", "port": server.port, "tls": tls, "user": ""}
    given |= {"password": "", "sender": "rps@acme.example"}
    return Smtp(**{**given, **more})


def test_a_mail_says_what_it_is_and_can_be_told_from_its_copies() -> None:
    with SmtpServer() as server:
        for _ in range(2):
            channel = EmailChannel(smtp(server), [OPS, "anna@acme.example"])
            assert isinstance(channel.announce(said()), Told)
    one, other = server.mails
    assert one["Message-ID"] == other["Message-ID"] == f"<{KEY}@acme.example>"
    assert one["Auto-Submitted"] == "auto-generated"
    assert one["Subject"] == "[rps] zenith does not take messages (top)"
    assert one.get_content_type() == "text/plain"
    assert one.get_content().splitlines()[2] == "Grüße, 世界"
    assert server.envelopes[0] == ("rps@acme.example", [OPS, "anna@acme.example"])


def test_a_password_goes_over_tls_to_a_server_that_proved_its_name(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"user": "rps", "password": "hunter2", "host": "receiver.test"}
    looked_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: looked_up(
            "127.0.0.1" if host == "receiver.test" else host, *rest, **more
        ),
    )
    for how, implicit in (("starttls", False), ("implicit", True)):
        given = {"tls": tls, "implicit": implicit, "accepts": ("rps", "hunter2")}
        with SmtpServer(**given) as server:
            trusted = EmailChannel(
                smtp(server, how, **login), [OPS], ca_file=certificate
            )
            assert isinstance(trusted.announce(said()), Told)
            assert server.secured == [True]
            unknown = EmailChannel(smtp(server, how, **login), [OPS])
            refused = unknown.announce(said())
            assert isinstance(refused, Again)
            assert "certificate" in refused.detail
            assert len(server.mails) == 1


def test_without_starttls_no_mail_is_sent_where_it_is_required() -> None:
    with SmtpServer() as server:
        outcome = EmailChannel(smtp(server, "starttls"), [OPS]).announce(said())
    assert isinstance(outcome, Again)
    assert "STARTTLS" in outcome.detail
    assert server.mails == []


def test_a_server_that_repeats_a_login_does_not_make_us_repeat_it() -> None:
    with SmtpServer(accepts=("rps", "other")) as server:
        # Without TLS here: what is sent is not the subject.
        login = smtp(server, "none", user="rps", password="hunter2")
        outcome = EmailChannel(login, [OPS]).announce(said())
    assert outcome == Again("the mail server said 535: it refused user and password")
    assert "hunter2" not in repr(login)


@pytest.mark.parametrize(
    ("refuses", "kind"),
    [
        ({"RCPT": "550 no such user"}, Never),
        ({"RCPT": "450 mailbox busy"}, Again),
        ({"MAIL": "451 try later"}, Again),
        ({"DATA": "554 spam"}, Again),
        ({"RCPT TO:<OPS@ACME.EXAMPLE>": "550 gone"}, Told),
    ],
)
def test_what_a_server_refuses_for_good_is_not_tried_again(
    refuses: dict[str, str], kind: type[Any]
) -> None:
    with SmtpServer(refuses=refuses) as server:
        addresses = [OPS] if kind is not Told else [OPS, "anna@acme.example"]
        outcome = EmailChannel(smtp(server), addresses).announce(said())
    assert isinstance(outcome, kind), outcome


def test_no_mail_server_is_an_answer_not_a_crash() -> None:
    gone = Smtp("127.0.0.1", 1, "none", "", "", "rps@acme.example")
    assert isinstance(EmailChannel(gone, [OPS]).announce(said()), Again)


def test_the_mail_server_is_read_from_one_url() -> None:
    url = "smtp://us%40er:p%3Aw@mail.example:2525?starttls=required"
    environ = {"RPS_SMTP_URL": url, "RPS_SMTP_FROM": "rps@acme.example"}
    found = Config.from_environ(environ).smtp
    assert found == Smtp(
        *("mail.example", 2525, "starttls", "us@er", "p:w", "rps@acme.example")
    )
    assert Smtp.of("smtps://m.example", "a@b").port == 465
    assert Config.from_environ({}).smtp is None


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("smtp://u:hunter2@m.example", ""),
        ("smtp://u:hunter2@m.example", "a@b\r\nBcc: x@y"),
        ("smtp://u:hunter2@m.example?starttls=none", "a@b"),
        ("smtp://u:hunter2@m.example?starttls=perhaps", "a@b"),
        ("smtp://u:hunter2@m.example?tls=1", "a@b"),
        ("smtp://u:hunter2@m.example:99999", "a@b"),
        ("http://u:hunter2@m.example", "a@b"),
        ("u:hunter2@m.example", "a@b"),
        ("smtp://", "a@b"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_told_without_its_password(
    url: str, sender: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config.from_environ({"RPS_SMTP_URL": url, "RPS_SMTP_FROM": sender})
    assert "RPS_SMTP" in str(refused.value)
    assert "hunter2" not in str(refused.value)


# --- apprise ------------------------------------------------------------------------


def test_apprise_tells_its_service() -> None:
    with LoopbackServer(answer(200)) as server:
        url = f"json://user:hunter2@127.0.0.1:{server.port}/in"
        outcome = AppriseChannel(url, JSON, LOOPBACK).announce(said())
        [got] = server.received
    assert isinstance(outcome, Told)
    told = orjson.loads(got.body)
    assert told["title"] == "[rps] zenith does not take messages (top)"
    assert "Grüße, 世界" in told["message"]


def test_a_service_that_refuses_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with LoopbackServer(answer(500)) as server:
        url = f"json://user:hunter2@127.0.0.1:{server.port}/hunter2"
        outcome = AppriseChannel(url, JSON, LOOPBACK).announce(said())
    assert isinstance(outcome, Again)
    assert "hunter2" not in outcome.detail + caplog.text


def test_a_service_may_not_reach_into_the_operators_network() -> None:
    with LoopbackServer(answer(200)) as server:
        url = f"json://127.0.0.1:{server.port}/in"
        outcome = AppriseChannel(url, JSON, ()).announce(said())
        assert server.received == []
    assert outcome == Again("127.0.0.1 is not public (loopback)")


def test_a_service_does_not_lead_elsewhere() -> None:
    with LoopbackServer(answer(200)) as inside:
        moved = answer(307, headers=[("Location", f"{inside.url}/secret")])
        with LoopbackServer(moved) as server:
            url = f"json://127.0.0.1:{server.port}/in?redirect=yes"
            AppriseChannel(url, JSON, LOOPBACK).announce(said())
        assert inside.received == []


def test_a_host_that_is_a_token_is_not_looked_up() -> None:
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops"
    channel = AppriseChannel(url, frozenset({"slack"}), (ipaddress.ip_network("::/0"),))
    assert channel._unreachable() is None


@pytest.mark.parametrize(
    "url", ["xml://127.0.0.1/", "syslog://", "file:///etc/passwd", "", "://x"]
)
def test_only_services_that_the_operator_allows_are_used(url: str) -> None:
    refusal = usable(url, JSON)
    assert refusal is not None
    assert "allows these apprise services: json" in refusal


def test_a_url_that_apprise_cannot_read_is_not_repeated() -> None:
    refusal = usable("json://?to=hunter2", JSON)
    assert refusal == "apprise cannot read the URL of the service"


def test_without_apprise_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ChannelUnusable, match=r"pip install 'rps\[notify\]'"):
        AppriseChannel("json://127.0.0.1/", JSON, LOOPBACK)
