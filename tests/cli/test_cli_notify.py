"""rps notify: who is told, tried out, and what a person sees of what failed."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from shared_tickets import link, now, project
from standardwebhooks import Webhook

# A receiver of any kind is told there; test folders are no packages to import from.
sys.path.insert(0, str(Path(__file__).parents[1] / "connectors"))

from loopback_server import LoopbackServer, answer
from smtp_server import SmtpServer

from rps.cli.notify import channels_of
from rps.cli.session import Session
from rps.config import Config
from rps.domain.remote_system import RemoteSystem
from rps.domain.subscription import TOPICS, Subscription
from rps.workers.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Rps

    from rps.application import RemoteProcessSync

HOOK = ("--url", "http://127.0.0.1:9/hooks")


@pytest.fixture
def receiver() -> Iterator[LoopbackServer]:
    with LoopbackServer(answer(204)) as made:
        yield made


def listed(rps: Rps, *command: str) -> list[Any]:
    return list(json.loads(rps("notify", *command, "-o", "json").stdout))


def test_a_webhook_is_added_tried_changed_paused_and_removed(
    rps: Rps, receiver: LoopbackServer
) -> None:
    added = rps("notify", "add", "ops", "--url", receiver.url)
    assert added.exit_code == 0, added.stderr
    secret = added.stdout.strip()
    tried = rps("notify", "test", "ops")
    assert (tried.exit_code, tried.stdout) == (0, "")
    assert "ops was told: answered 204" in tried.stderr
    [got] = receiver.received
    Webhook(secret).verify(got.body.decode(), got.headers)
    changed = rps("notify", "change", "ops", "--about", "oscillation", "--system", "z")
    assert (changed.exit_code, changed.stdout) == (0, "")
    [row] = listed(rps, "list")
    assert (row["about"], row["system"], row["to"]) == (
        "oscillation",
        "z",
        receiver.url,
    )
    assert rps("notify", "change", "ops", "--system", "").exit_code == 0
    paused = json.loads(
        rps("notify", "pause", "ops", "--reason", "holiday", "-o", "json").stdout
    )
    assert (paused[0]["state"], paused[0]["system"]) == ("paused", "")
    assert "active" in rps("notify", "resume", "ops").stdout
    assert rps("notify", "remove", "ops").exit_code == 0
    assert listed(rps, "list") == []
    assert rps("notify", "test", "ops").exit_code == 3


def test_who_says_nothing_of_topics_hears_of_all(
    rps: Rps, application: RemoteProcessSync
) -> None:
    rps("notify", "add", "ops", *HOOK)
    found = application.find(Subscription, Subscription.id_of("top", "ops"))
    assert found is not None
    assert found.about == list(TOPICS)
    assert "everything" in rps("notify", "list").stdout


def test_mail_goes_through_the_operators_server(
    rps: Rps, environ: dict[str, str | None]
) -> None:
    refused = rps("notify", "add", "ops", "--to", "ops@acme.example")
    assert (refused.exit_code, "RPS_SMTP_URL" in refused.stderr) == (2, True)
    with SmtpServer() as server:
        environ["RPS_SMTP_URL"] = f"smtp://127.0.0.1:{server.port}?starttls=none"
        environ["RPS_SMTP_FROM"] = "rps@acme.example"
        rps("notify", "add", "ops", "--to", "ops@acme.example")
        assert rps("notify", "test", "ops").exit_code == 0
        assert server.mail["Subject"] == "[rps] a test of ops (top)"


def test_apprise_takes_its_url_from_a_file_and_shows_it_nowhere(
    rps: Rps, environ: dict[str, str | None], receiver: LoopbackServer
) -> None:
    url = f"json://user:hunter2@127.0.0.1:{receiver.port}/"
    add = ("notify", "add", "chat", "--kind", "apprise", "--secret-file", "-")
    refused = rps(*add, stdin=url)
    assert refused.exit_code == 2
    assert "RPS_APPRISE" in refused.stderr
    environ["RPS_APPRISE"] = "json"
    added = rps(*add, stdin=url)
    tried = rps("notify", "test", "chat")
    assert (added.exit_code, tried.exit_code) == (0, 0)
    assert len(receiver.received) == 1
    said = [refused, added, tried, rps("notify", "list"), rps("doctor")]
    assert not [each for each in said if "hunter2" in each.stdout + each.stderr]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say how they are told"),
        (("--to", "nobody"), "'nobody' is no address"),
        (("--url", "ftp://x"), "http(s) URL"),
        (("--url", "https://x", "--to", "a@b"), "--to is for email"),
        (("--kind", "apprise"), "apprise URL"),
        ((*HOOK, "--secret-file", "-"), "a secret"),
        ((*HOOK, "--about", "everything"), "is not one of"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    rps: Rps, arguments: tuple[str, ...], says: str
) -> None:
    result = rps("notify", "add", "ops", *arguments, stdin="hunter2")
    assert result.exit_code == 2
    assert says in result.stderr
    assert "hunter2" not in result.stderr
    assert listed(rps, "list") == []


def test_a_test_that_fails_says_why(rps: Rps) -> None:
    rps("notify", "add", "ops", *HOOK)
    result = rps("notify", "test", "ops")
    assert result.exit_code == 4
    assert "ops was not told: ConnectionRefusedError" in result.stderr


def test_what_was_given_up_is_seen_in_status_doctor_and_notices(
    rps: Rps, application: RemoteProcessSync
) -> None:
    link(application)
    with LoopbackServer(answer(410)) as gone:
        rps("notify", "add", "ops", "--url", gone.url)
        key = RemoteSystem.id_of("top", "zenith")
        application.change(RemoteSystem, key, lambda s: s.trip("refused", now()))
        project(application)
        tell(application)
    [row] = json.loads(rps("status", "-o", "json").stdout)["subscriptions"]
    assert (row["name"], row["failed"]) == ("ops", 1)
    [found] = listed(rps, "notices", "--topic", "system.tripped")
    assert (found["what"], found["told"]) == ("zenith", "ops: failed")
    assert "ops: failed" in rps("notify", "notices").stdout
    findings = json.loads(rps("doctor", "-o", "json").stdout)
    [told] = [f for f in findings if f["check"] == "notifications"]
    assert told["level"] == "error"
    assert "answered 410" in told["cause"]


def test_a_channel_that_cannot_work_is_found(
    rps: Rps, application: RemoteProcessSync
) -> None:
    rps("notify", "add", "ops", *HOOK)
    with psycopg.connect(application.database_url) as conn:
        conn.execute("DELETE FROM secrets")
    findings = json.loads(rps("doctor", "-o", "json").stdout)
    [told] = [f for f in findings if f["check"] == "notifications"]
    assert "secret is missing" in told["cause"]


def tell(application: RemoteProcessSync) -> None:
    """As the notifier will in eleven seconds."""
    config = Config.from_environ({"RPS_ALLOW_NETWORKS": "127.0.0.0/8"})
    session = Session(config, application.database_url, application, "test")
    notifier = Notifier(
        application,
        channels_of(session).channel,
        lambda: now() + timedelta(seconds=11),
        lambda: 0.5,
    )
    notifier.work()
    notifier.close()
